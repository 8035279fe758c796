"""scaler: a fresh machine for every job, by plugins. What a plugin needs is imported from here.

The names are fetched when they are first asked for: importing them all takes longer than the rest
of `scaler --help` together.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scaler.api import API, ScalerDeprecationWarning
    from scaler.app import Running, serve
    from scaler.context import Context, Guest
    from scaler.errors import (
        Busy,
        ExitCode,
        FatalError,
        Gone,
        GuestAmbiguous,
        GuestError,
        GuestNotReady,
        GuestUnknown,
        GuestUsed,
        HookFault,
        Incomplete,
        NoRoom,
        PluginError,
        Refused,
        ScalerError,
        SettingsError,
        Unavailable,
    )
    from scaler.hooks import hookimpl
    from scaler.log import printable
    from scaler.records import (
        Decline,
        Event,
        Finding,
        Job,
        JobState,
        Kept,
        Machine,
        Message,
        Order,
        Override,
        Panel,
        Picture,
        Profile,
        ProfileView,
        Registration,
        Report,
        Reservation,
        Room,
        RoomState,
        Runner,
        RunnerState,
        Selection,
        SelectionRequest,
        SettingsChange,
        View,
    )
    from scaler.reload import Reloaded
    from scaler.secrets import SecretSource
    from scaler.settings import load_settings
    from scaler.units import Duration, Secret, Size

__version__ = "0.1.0"

__all__ = [
    "API",
    "Busy",
    "Context",
    "Decline",
    "Duration",
    "Event",
    "ExitCode",
    "FatalError",
    "Finding",
    "Gone",
    "Guest",
    "GuestAmbiguous",
    "GuestError",
    "GuestNotReady",
    "GuestUnknown",
    "GuestUsed",
    "HookFault",
    "Incomplete",
    "Job",
    "JobState",
    "Kept",
    "Machine",
    "Message",
    "NoRoom",
    "Order",
    "Override",
    "Panel",
    "Picture",
    "PluginError",
    "Profile",
    "ProfileView",
    "Refused",
    "Registration",
    "Reloaded",
    "Report",
    "Reservation",
    "Room",
    "RoomState",
    "Runner",
    "RunnerState",
    "Running",
    "ScalerDeprecationWarning",
    "ScalerError",
    "Secret",
    "SecretSource",
    "Selection",
    "SelectionRequest",
    "SettingsChange",
    "SettingsError",
    "Size",
    "Unavailable",
    "View",
    "__version__",
    "hookimpl",
    "load_settings",
    "printable",
    "serve",
]

_HOMES = (
    "errors",
    "units",
    "secrets",
    "records",
    "hooks",
    "context",
    "log",
    "settings",
    "api",
    "app",
    "reload",
)

if not TYPE_CHECKING:  # a type checker would take it as leave to import any name

    def __getattr__(name: str) -> Any:
        if name in __all__:
            for home in _HOMES:
                module = importlib.import_module(f"scaler.{home}")
                if hasattr(module, name):
                    value = getattr(module, name)
                    if not importlib.import_module("scaler.api").warned(name, stacklevel=3):
                        globals()[name] = value
                    return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
