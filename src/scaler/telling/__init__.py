"""What is told to people who ask, as plain data: from what runs, or from the ledger alone."""

from scaler.telling.extras import Ended, Extras, Source, Story, Unknown, Waits
from scaler.telling.offline import offline_status, offline_why
from scaler.telling.status import status
from scaler.telling.why import runner_of, why

__all__ = [
    "Ended",
    "Extras",
    "Source",
    "Story",
    "Unknown",
    "Waits",
    "offline_status",
    "offline_why",
    "runner_of",
    "status",
    "why",
]
