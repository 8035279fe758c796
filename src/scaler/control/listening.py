"""The socket in the state folder: made so that nobody else can ever have had it. Blocks."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler.control.place import SOCKET, address

if TYPE_CHECKING:
    from pathlib import Path

WAITING = 64  # connections that wait to be accepted
_MAKING = ".control-"


@dataclass(frozen=True)
class Bound:
    """A socket that listens, and the file that it was bound to.

    Attributes:
        warning: What is unsafe about its folder; empty where nothing is.
    """

    socket: socket.socket
    file: tuple[int, int]
    warning: str


def bind(folder: Path) -> Bound:
    """Listen in this folder, in place of whatever has the socket's name there.

    The state lock is ours, so nobody who lives listens there. It is made in a fresh folder that is
    closed to others, and moved: under its name it never had other rights than its own.

    Raises:
        OSError: It cannot be made.
    """
    for left in folder.glob(f"{_MAKING}*"):  # by one that was killed meanwhile
        shutil.rmtree(left, ignore_errors=True)
    path = folder / SOCKET
    if path.is_dir() and not path.is_symlink():
        raise IsADirectoryError(0, "it is a folder: remove it", str(path))
    making = tempfile.mkdtemp(prefix=_MAKING, dir=folder)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with address(folder / os.path.basename(making)) as place:
            listener.bind(place)
        made = os.path.join(making, SOCKET)
        os.chmod(made, 0o600)
        listener.listen(WAITING)
        listener.setblocking(False)
        facts = os.stat(made, follow_symlinks=False)
        os.rename(made, path)
    except BaseException:
        listener.close()
        raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return Bound(listener, (facts.st_dev, facts.st_ino), _open_to_others(folder))


def is_there(folder: Path, bound: Bound) -> bool:
    """Whether the socket's file is still the one that was bound."""
    try:
        facts = os.stat(folder / SOCKET, follow_symlinks=False)
    except OSError:
        return False
    return (facts.st_dev, facts.st_ino) == bound.file


def remove(folder: Path, bound: Bound) -> None:
    """Take the file away, if it is still this one's."""
    if is_there(folder, bound):
        with contextlib.suppress(OSError):
            os.unlink(folder / SOCKET)


def _open_to_others(folder: Path) -> str:
    facts = os.stat(folder)
    if stat.S_IMODE(facts.st_mode) & 0o077:
        mode = f"{stat.S_IMODE(facts.st_mode):o}"
        return f"state_dir {folder} is open to other users (mode {mode}): chmod 700 {folder}"
    return ""
