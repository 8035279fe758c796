"""Where the socket is, also where the path is longer than a socket's address may be."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOCKET = "control.sock"
LOCK = "lock"
LEDGER = "ledger.sqlite3"  # as `ledger.files` writes it, which brings too much along
LONGEST = 100  # bytes of a path that is an address as it is; the system takes 107


@contextmanager
def address(folder: Path, name: str = SOCKET) -> Iterator[str]:
    """The address of a socket in this folder, usable within the block.

    Raises:
        OSError: The folder cannot be opened.
    """
    path = os.path.join(os.path.abspath(folder), name)
    if len(os.fsencode(path)) <= LONGEST:
        yield path
        return
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


_BY_ITSELF = ", without a restart"


def by_itself(text: str) -> bool:
    """Whether a setting that does not count yet will without a restart.

    A plugin says so at the end of its text; see `hooks.Spec.on_settings_changed`.
    """
    return text.endswith(_BY_ITSELF)
