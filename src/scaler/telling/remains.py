"""What is kept as evidence, looked at from outside: nothing is changed there."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from scaler.evidence.index import is_name, shelf_of
from scaler.records import Kept

if TYPE_CHECKING:
    from pathlib import Path

REASON = "reason.txt"  # says in words why a runner ended
LONGEST = 2000  # characters of it that are told
_FOLDER = "evidence"


def kept_of(folder: Path, subject: int | str) -> tuple[Kept, ...]:
    """What is kept of a runner or a profile, the newest last; nothing where that cannot be seen."""
    found = []
    try:
        with os.scandir(folder / _FOLDER / shelf_of(subject)) as entries:
            for item in entries:
                facts = item.stat(follow_symlinks=False)
                if is_name(item.name) and stat.S_ISREG(facts.st_mode):
                    found.append(Kept(name=item.name, size=facts.st_size, time=facts.st_mtime))
    except OSError:
        return tuple(found)
    return tuple(sorted(found, key=lambda each: each.time))


def reason_of(folder: Path, runner: int) -> str:
    """What was kept of why a runner ended; empty where nothing was."""
    path = folder / _FOLDER / shelf_of(runner) / REASON
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            return text_of(file.read(4 * LONGEST))
    except OSError:
        return ""


def text_of(data: bytes) -> str:
    """Evidence as a text that can be told."""
    return data.decode("utf-8", "replace").strip()[:LONGEST]
