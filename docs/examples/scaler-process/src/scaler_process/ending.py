"""The end of a runner's processes, all of them."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from scaler_process.proc import runners, send, send_group

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler_process.proc import Process

_ROUND = 0.005  # seconds between two looks
_MANY = 500  # processes of one runner


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

    First all are stopped, so that none makes another meanwhile. Some live so shortly that no look
    sees them alive: they are stopped with their process group, and until they are, what they leave
    dead shows that there is more. The oldest is killed last: it is the keeper, which those whose
    parents end become children of, and are found by.

    Args:
        tag: Whose processes.
        patience: Seconds until it is given up.
        but: The pid of a process that is spared: the caller's, who is one of them.
        pause: Called with seconds between two looks; may raise.

    Raises:
        StillThere: They do not end: they are another user's, the kernel holds them, or they
            multiply faster than they can be stopped.
    """
    deadline = time.monotonic() + patience
    seen: set[Process] = set()
    while found := runners(but=but).get(tag):
        alive = sorted(process for process in found if not process.ended)
        if time.monotonic() > deadline:
            raise StillThere(f"processes do not end: {', '.join(str(each.pid) for each in alive)}")
        for process in sorted(found - seen):
            send(process, signal.SIGSTOP)
            send_group(process.group, signal.SIGSTOP)
        if found <= seen:  # none was born since the last look
            for process in alive[1:] or alive:
                send(process, signal.SIGKILL)
        if len(found) > _MANY:
            send(alive[0], signal.SIGCONT)  # a keeper sees to its dead, before they are too many
        seen |= found
        pause(_ROUND)
