"""Removing a folder that a stranger filled: links, locked folders, any depth."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(folder: Path, *, pause: Callable[[], None] = lambda: None) -> None:
    """Remove a folder and all in it; one that is not there is removed already.

    No link is followed, and nothing below it is looked up by a path: a folder inside is moved to
    the top and emptied there, so that none lies too deep.

    Args:
        folder: What goes.
        pause: Called now and then; may raise.

    Raises:
        OSError: Something cannot be removed.
    """
    try:
        top = _opened(folder)
    except FileNotFoundError:
        return
    try:
        while found := os.listdir(top):
            for name in found:
                pause()
                _remove(top, name)
    finally:
        os.close(top)
    os.rmdir(folder)


def _remove(top: int, name: str) -> None:
    """Remove a file, or a folder whose own folders go to the top."""
    try:
        os.unlink(name, dir_fd=top)
        return
    except IsADirectoryError:
        pass
    inside = _opened(name, top)
    try:
        for each in os.listdir(inside):
            try:
                os.unlink(each, dir_fd=inside)
            except IsADirectoryError:
                os.close(_opened(each, inside))  # a locked folder cannot be moved either
                os.rename(each, secrets.token_hex(16), src_dir_fd=inside, dst_dir_fd=top)
    finally:
        os.close(inside)
    os.rmdir(name, dir_fd=top)


def _opened(name: str | Path, parent: int | None = None) -> int:
    """Open a folder, and make it ours to change first: jobs lock some on purpose."""
    place = os.open(name, _PLACE, dir_fd=parent)
    try:
        with suppress(PermissionError):  # another user's: then only root may, and need not
            os.chmod(f"/proc/self/fd/{place}", 0o700)
        return os.open(".", _FOLDER, dir_fd=place)
    finally:
        os.close(place)
