"""Time that does not jump: trio's clock, going on where the ledger's time left off."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import trio

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock:
    """Seconds on a scale that survives restarts.

    Within one boot of this machine the time between two runs counts (by the kernel's boot clock);
    otherwise the scale goes on where it stood. A step of the wall clock never moves it.

    Args:
        saved: What `save` answered last, from the ledger, or None.
    """

    def __init__(self, saved: Any = None) -> None:
        self._boot = _boot_id()
        base = 0.0
        if isinstance(saved, dict):
            base = float(saved.get("now", 0.0))
            if saved.get("boot") == self._boot and self._boot:
                base += max(0.0, _boot_time() - float(saved.get("at", 0.0)))
        self._base = base - trio.current_time()

    def now(self) -> float:
        """The present, on this scale."""
        return self._base + trio.current_time()

    def save(self) -> dict[str, Any]:
        """What the next run needs to go on."""
        return {
            "now": self.now(),
            "boot": self._boot,
            "at": _boot_time(),
            "wall": self.wall(),  # for people who read the ledger
        }

    def deadline(self, when: float) -> float:
        """A time on this scale as a deadline for trio."""
        return when - self._base

    @staticmethod
    def wall() -> float:
        """Unix seconds, for people; never for decisions."""
        return time.time()


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
