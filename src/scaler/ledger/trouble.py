"""Telling damage from a disk or a right that is missing: only the first is worth a new ledger."""

from __future__ import annotations

import errno
import os
import sqlite3
from typing import TYPE_CHECKING

from scaler.errors import FatalError

if TYPE_CHECKING:
    from pathlib import Path

#: SQLite's codes that say nothing against what is in the file.
_OUTSIDE = {
    *(sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM),
    *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL),
    *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_AUTH),
}

_SPACE = "free some space there"
_RIGHTS = "let this user (uid {uid}) read and write it and the folder it is in"
_BUSY = "end the other program that has it open (`fuser {path}` names it)"
_DISK = "mend the disk (the kernel's log says more), or have state_dir on another one"

_CURES = {
    sqlite3.SQLITE_FULL: _SPACE,
    **dict.fromkeys((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL), _BUSY),
    **dict.fromkeys(
        (
            sqlite3.SQLITE_PERM,
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_AUTH,
        ),
        _RIGHTS,
    ),
}
_ERRNO_CURES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), _SPACE),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _RIGHTS),
    errno.EISDIR: "move that folder away",
}


class Damage(Exception):
    """The ledger holds what no scaler wrote; the text says what, for people."""


def damage_of(error: Exception) -> Damage | None:
    """What is wrong in the file, where the error says that something is."""
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    short = code in (sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS)
    if code & 0xFF in _OUTSIDE and not short:
        return None
    return Damage(str(error))


def outside(error: Exception, path: Path) -> FatalError:
    """What ends the process where the ledger cannot be used and nothing is wrong in it."""
    if isinstance(error, OSError):
        what = error.strerror or str(error)
        cure = _ERRNO_CURES.get(error.errno or 0, _DISK)
    else:
        what = str(error)
        cure = _CURES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, _DISK)
    cure = cure.format(uid=os.geteuid(), path=path)
    return FatalError(
        f"the ledger {path} cannot be opened: {what}; nothing in it was changed: {cure}, then start"
        " again"
    )
