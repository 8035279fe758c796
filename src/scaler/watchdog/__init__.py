"""Threads beside the event loop: one sees that it is blocked, one sees that a shutdown ends."""

from scaler.watchdog.guard import Guard
from scaler.watchdog.lag import Watchdog

__all__ = ["Guard", "Watchdog"]
