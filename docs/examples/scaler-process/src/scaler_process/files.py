"""Files that are on the disk when they are said to be, and the names of ours."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

MARKER, BEGUN, ENDED = "machine.json", "begun", "ended.json"
FILES, SCRATCH = "files", "tmp"  # the job's own two folders


def write(folder: Path, name: str, said: dict[str, Any]) -> None:
    """Write a file in one step; it is on the disk when this returns."""
    new = folder / f"{name}.new"
    with open(new, "w", opener=private) as file:
        json.dump(said, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / name)
    sync(folder)


def private(name: str, flags: int) -> int:
    """Open a file that its owner alone may read, for `open`."""
    return os.open(name, flags | os.O_NOFOLLOW, 0o600)


def sync(folder: Path) -> None:
    """See that the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def plain(path: Path, most: int) -> bytes:
    """A plain file's content; nothing where there is none, or a link or a pipe has its name.

    A job that runs as scaler's own user can put one there, for scaler to read or to wait for.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with open(handle, "rb") as file:
        return file.read(most) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
