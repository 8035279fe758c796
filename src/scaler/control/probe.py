"""Who has a state folder in which nobody answers: seen from outside, without taking its lock.

Taking the lock, be it for a moment, would make a scaler that starts just then give up.
"""

from __future__ import annotations

import os
import pwd
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from scaler.control.place import LOCK, SOCKET

if TYPE_CHECKING:
    from pathlib import Path

State: TypeAlias = Literal["absent", "stopped", "died", "starting", "deaf"]

STARTS = 120.0  # seconds after which a scaler without a socket is not starting any more


@dataclass(frozen=True)
class Found:
    """What was seen; see `NotRunning`."""

    state: State
    pid: int | None
    text: str


def look(folder: Path) -> Found:
    """Say why nobody answers."""
    if not os.path.isdir(folder):
        return Found("absent", None, f"scaler is not running: there is no state_dir {folder}")
    lock = folder / LOCK
    where = f"(state_dir {folder})"
    try:
        inode = os.stat(lock)
    except OSError:
        return Found("absent", None, f"scaler is not running, and never was {where}")
    written = _written(lock)
    held, holder = _holder(inode, written)
    if held:
        pid = holder or written
        who = f"process {pid}" if pid else "a process"
        if time.time() - inode.st_mtime > STARTS:  # it was written when that one started
            return Found("deaf", pid, f"{who} runs {where} and has no control socket: see its log")
        return Found("starting", pid, f"{who} is starting {where}: ask again in a moment")
    if os.path.lexists(folder / SOCKET):
        who = f": process {written} ended without a clean stop" if written else ""
        return Found("died", written, f"scaler is not running {where}{who}")
    return Found("stopped", written, f"scaler is not running {where}")


def owner(folder: Path) -> str:
    """The name of the user whose folder this is; empty where that cannot be seen."""
    for path in (folder / SOCKET, folder):
        try:
            uid = os.stat(path).st_uid
        except OSError:
            continue
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)
    return ""


def _written(lock: Path) -> int | None:
    """The process that wrote its number into the lock last."""
    try:
        with open(lock, "rb") as file:
            return int(file.read(20))
    except (OSError, ValueError):
        return None


def _holder(lock: os.stat_result, written: int | None) -> tuple[bool, int | None]:
    """Whether somebody has the lock, and who, as the kernel lists it.

    Some file systems have another device number there than in a file's facts: then the inode and
    the process must do.
    """
    want = f"{os.major(lock.st_dev):02x}:{os.minor(lock.st_dev):02x}:{lock.st_ino}"
    try:
        with open("/proc/locks", encoding="ascii", errors="replace") as file:
            for line in file:
                words = line.split()
                if len(words) < 6 or words[1] != "FLOCK":
                    continue
                pid = int(words[4]) if int(words[4]) > 0 else None  # of another namespace: 0 or -1
                same = words[5].rpartition(":")[2] == str(lock.st_ino) and pid == written
                if words[5] == want or (pid is not None and same):
                    return True, pid
    except (OSError, ValueError):
        pass
    return False, None
