"""From the tables of an older scaler to today's: a copy beside, then all steps or none."""

from __future__ import annotations

import filecmp
import json
import os
import re
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from scaler.errors import FatalError
from scaler.ledger.files import FILE, stamp, sync
from scaler.ledger.schema import STEPS, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scaler.ledger.files import Files

COPIES = 2  # kept of ledgers as they were before an upgrade
SPARE = 1 << 20  # bytes that must stay free beside a copy
#: Runners are made after the copy, with ids that it does not know: put back, it goes on above them.
AHEAD = 1_000_000
GUIDE = "see how-to/upgrade in the documentation"

_COPY = re.compile(rf"{re.escape(FILE)}\.v([0-9]+)-([0-9]{{8}}T[0-9]{{6}}Z)", re.ASCII)


def steps(version: int) -> Iterator[str]:
    """The statements that lead from this version to today's, the version's number with them."""
    for number in range(version + 1, VERSION + 1):
        yield from STEPS[number]
    if version != VERSION:
        yield f"PRAGMA user_version = {VERSION}"


def newer(files: Files, version: int, by: str) -> FatalError:
    """What ends a scaler that finds the ledger of a newer one, with both ways out."""
    fitting = [each for each in copies(files) if _version(each) <= VERSION]
    way = f"or go back to {fitting[-1].name}, as it was before the upgrade" if fitting else ""
    return FatalError(
        f"the ledger {files.path} is of version {version}, written by scaler {by or '(unknown)'},"
        f" and this scaler knows up to {VERSION}; it was left as it is: run the newer scaler,"
        f" {way or 'or move all its files away to start with a new one'} ({GUIDE})"
    )


def copies(files: Files) -> list[Path]:
    """Copies of earlier upgrades, the oldest first."""
    found = [each for each in files.folder.iterdir() if _COPY.fullmatch(each.name)]
    return sorted(found, key=lambda each: (each.name.rsplit("-", 1)[1], _version(each)))


def prune(files: Files) -> None:
    """Remove all but the newest copies: once the upgrade is done, and no start needs them."""
    for each in copies(files)[:-COPIES]:
        with suppress(OSError):
            each.unlink()


def _remove_parts(files: Files) -> None:
    """Remove what a copy that was cut short left."""
    for each in files.folder.glob(f"{FILE}.v*.part*"):
        with suppress(OSError):
            each.unlink()


def copy(files: Files, source: sqlite3.Connection, version: int) -> Path:
    """Copy the ledger into one closed file beside it, durably; where it is.

    A start that failed after that has left the same one: then that is it, so that however many
    starts fail, none drives the copies of earlier upgrades away.

    Raises:
        FatalError: There is not room enough.
        OSError, sqlite3.Error: It could not be copied; nothing is left of the try.
    """
    _remove_parts(files)
    (pages,) = source.execute("PRAGMA page_count").fetchone()
    (size,) = source.execute("PRAGMA page_size").fetchone()
    wanted, free = 2 * pages * size + SPARE, files.free()
    if free < wanted:
        raise FatalError(
            f"the ledger {files.path} is of version {version} and is to become {VERSION}: a copy"
            f" is made first, which needs {_mib(wanted)}, and {_mib(free)} are free in"
            f" {files.folder}; nothing was changed: free some space there, then start again"
        )
    target = files.beside(f".v{version}-{stamp()}")
    part = target.with_name(target.name + ".part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(part, isolation_level=None)) as connection:
            source.backup(connection)
            connection.text_factory = bytes
            connection.execute("PRAGMA journal_mode = DELETE")  # as a file by itself
            connection.execute("PRAGMA journal_mode = MEMORY")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("BEGIN")
            _make_fit_to_return(connection)
            connection.execute("COMMIT")
        sync(part)
        for known in copies(files):
            if _version(known) == version and filecmp.cmp(known, part, shallow=False):
                part.unlink()
                return known
        os.rename(part, target)
        sync(files.folder)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    return target


def _make_fit_to_return(connection: sqlite3.Connection) -> None:
    """Raise the next id, and leave out configs: they are secrets, and used by then."""
    for (value,) in connection.execute("SELECT value FROM meta WHERE key = 'next_id'").fetchall():
        with suppress(ValueError, TypeError):
            raised = json.dumps(int(json.loads(value)) + AHEAD)
            connection.execute("UPDATE meta SET value = ? WHERE key = 'next_id'", (raised,))
    connection.execute("DELETE FROM meta WHERE key = 'opened'")
    for number, text in connection.execute("SELECT id, row FROM runners").fetchall():
        with suppress(ValueError, TypeError, AttributeError):
            row = json.loads(text)
            if row.get("config") is not None:
                changed = json.dumps({**row, "config": None})
                connection.execute("UPDATE runners SET row = ? WHERE id = ?", (changed, number))


def _version(copy: Path) -> int:
    match = _COPY.fullmatch(copy.name)
    return int(match[1]) if match else 0


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
