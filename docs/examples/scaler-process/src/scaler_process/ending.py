"""The end of a runner's processes, all of them."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from scaler_process.proc import runners, send

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler_process.proc import Process

_ROUND = 0.005  # seconds between two looks


class StillThere(Exception):
    """Some processes cannot be ended; the text names them."""


def end(
    tag: str,
    *,
    patience: float,
    but: int = 0,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Kill every process of a runner, until a look at all processes finds none.

    First all are stopped, so that none makes another meanwhile. The oldest is killed last: it is
    the keeper, which those whose parents end become children of, and are found by.

    Args:
        tag: Whose processes.
        patience: Seconds until it is given up.
        but: The pid of a process that is spared: the caller's, who is one of them.
        pause: Called with seconds between two looks; may raise.

    Raises:
        StillThere: They do not end: they are another user's, or the kernel holds them.
    """
    deadline = time.monotonic() + patience
    stopped: set[Process] = set()
    while found := runners(but=but).get(tag):
        if time.monotonic() > deadline:
            pids = ", ".join(str(process.pid) for process in sorted(found))
            raise StillThere(f"processes do not end: {pids}")
        if new := found - stopped:
            for process in new:
                send(process, signal.SIGSTOP)
            stopped |= new
            continue
        for process in sorted(found)[1 if not but and len(found) > 1 else 0 :]:
            send(process, signal.SIGKILL)
        pause(_ROUND)
