"""Which processes there are, by /proc, and which are a runner's.

A runner's processes are those whose environment carries its tag, and all that descend from them:
a child may drop its environment or make a session of its own, but its keeper is its last parent.
A pid alone says nothing, since it is used again: a process is its pid and when it started.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

TAG = "SCALER_PROCESS"
_PROC = Path("/proc")


@dataclass(frozen=True, order=True)
class Process:
    """A process.

    Attributes:
        started: In ticks since the machine was started.
        parent: The pid of its parent, which may change.
        group: Its process group, which may change.
        ended: Whether it runs no more, and only waits for its parent to see that.
    """

    started: int
    pid: int
    parent: int = field(compare=False)
    group: int = field(compare=False)
    ended: bool = field(compare=False)


def read(pid: int) -> Process | None:
    """The process that has this pid now; None where none does."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # the second field is the program's name in brackets, which may hold anything
    state, parent, group, *rest = stat.rpartition(b")")[2].split()
    return Process(int(rest[16]), pid, int(parent), int(group), state in (b"Z", b"X"))


def runners(*, but: int = 0) -> dict[str, set[Process]]:
    """Every runner's processes by its tag, without the process `but`.

    Those that have ended are among them, as long as there is one that has not.

    Raises:
        OSError: /proc cannot be read.
    """
    pids = [int(name) for name in os.listdir(_PROC) if name.isdecimal()]
    seen = {pid: process for pid in pids if (process := read(pid)) is not None}
    children: dict[int, list[int]] = {}
    for process in seen.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: dict[str, set[Process]] = {}
    for pid in seen:
        if tag := _tag(pid):
            mine = found.setdefault(tag, set())
            todo = [pid]
            while todo:
                process = seen[todo.pop()]
                if process not in mine:
                    mine.add(process)
                    todo += children.get(process.pid, ())
    for mine in found.values():
        mine -= {process for process in mine if process.pid == but}
    return {tag: mine for tag, mine in found.items() if not all(each.ended for each in mine)}


def send(process: Process, number: int) -> None:
    """Signal this very process, if it is still there and may be signalled."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        # whoever has the pid now is held by the handle: only then look who it is
        if read(process.pid) == process:
            signal.pidfd_send_signal(handle, number)
    except (ProcessLookupError, PermissionError):
        pass
    finally:
        os.close(handle)


def send_group(group: int, number: int) -> None:
    """Signal a whole process group, and none that is born to it meanwhile slips through.

    One of the group must be held still, or dead and not seen to: then its number is not another's.
    """
    if group not in (0, 1, os.getpgrp()):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def _tag(pid: int) -> str:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:  # it has ended, or is another user's: then only its parents tell
        return ""
    start = f"{TAG}=".encode()
    for entry in environment.split(b"\0"):
        if entry.startswith(start):
            return entry.removeprefix(start).decode("ascii", "replace")
    return ""
