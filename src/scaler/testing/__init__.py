"""What authors of plugins test with: checks of every promise, a context without a core, fakes.

Nothing here needs pytest: the checks are coroutines for trio. The fixtures are in
`scaler.testing.pytest_plugin`, which pytest finds by itself. As pytest does so for everybody who
has scaler installed, the names here are fetched when they are first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scaler.testing.fakecontext import FakeContext
    from scaler.testing.fakecore import FakeCore, FakeGuest
    from scaler.testing.fakeplugins import FakeProvisioner, FakeSource
    from scaler.testing.memory import Memory
    from scaler.testing.outside import Left, Unreachable
    from scaler.testing.panel import check_panel
    from scaler.testing.promises import Promise, PromiseBroken
    from scaler.testing.provisioner import check_provisioner
    from scaler.testing.recorder import HookCall, HookRecorder
    from scaler.testing.running import TestedScaler, run_scaler
    from scaler.testing.selector import check_selector
    from scaler.testing.site import Make
    from scaler.testing.source import check_source
    from scaler.testing.source_jobs import Send
    from scaler.testing.table import PROMISES

_HOMES = {
    "PROMISES": "table",
    "FakeContext": "fakecontext",
    "FakeCore": "fakecore",
    "FakeGuest": "fakecore",
    "FakeProvisioner": "fakeplugins",
    "FakeSource": "fakeplugins",
    "HookCall": "recorder",
    "HookRecorder": "recorder",
    "Left": "outside",
    "Make": "site",
    "Memory": "memory",
    "Promise": "promises",
    "PromiseBroken": "promises",
    "Send": "source_jobs",
    "TestedScaler": "running",
    "Unreachable": "outside",
    "check_panel": "panel",
    "check_provisioner": "provisioner",
    "check_selector": "selector",
    "check_source": "source",
    "run_scaler": "running",
}

__all__ = [
    "PROMISES",
    "FakeContext",
    "FakeCore",
    "FakeGuest",
    "FakeProvisioner",
    "FakeSource",
    "HookCall",
    "HookRecorder",
    "Left",
    "Make",
    "Memory",
    "Promise",
    "PromiseBroken",
    "Send",
    "TestedScaler",
    "Unreachable",
    "check_panel",
    "check_provisioner",
    "check_selector",
    "check_source",
    "run_scaler",
]

if not TYPE_CHECKING:  # a type checker would take it as leave to import any name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
