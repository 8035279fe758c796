"""The records that cross hooks and Context: frozen, keyword-only; fields are added, never moved.

Times are Unix seconds unless a docstring says otherwise. Nothing here does I/O.
"""

from __future__ import annotations

from scaler.records.machines import Machine, MachineState, Resources, Room, RoomState
from scaler.records.orders import Order, SettingsChange
from scaler.records.runners import (
    Profile,
    Registration,
    Reservation,
    Runner,
    RunnerState,
    Selection,
    SelectionRequest,
)
from scaler.records.shown import (
    Event,
    Finding,
    Kept,
    Need,
    Override,
    Panel,
    Picture,
    ProfileView,
    Report,
    View,
)
from scaler.records.work import Decline, Job, JobState, Message

__all__ = [
    "Decline",
    "Event",
    "Finding",
    "Job",
    "JobState",
    "Kept",
    "Machine",
    "MachineState",
    "Message",
    "Need",
    "Order",
    "Override",
    "Panel",
    "Picture",
    "Profile",
    "ProfileView",
    "Registration",
    "Report",
    "Reservation",
    "Resources",
    "Room",
    "RoomState",
    "Runner",
    "RunnerState",
    "Selection",
    "SelectionRequest",
    "SettingsChange",
    "View",
]
