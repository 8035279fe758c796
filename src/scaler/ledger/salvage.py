"""What can still be read of a damaged ledger: what people told, and which ids were used."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scaler.ledger.files import FILE
from scaler.ledger.stored import LARGEST_ID, decode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from scaler.records import Order

_UNREADABLE = (sqlite3.Error, UnicodeDecodeError)  # (SQLite's errors quote what it found)

SKIPPED = 1000  # ids that are left out: what was written last may be what is lost


@dataclass
class Salvaged:
    """What could be read.

    Attributes:
        largest: The largest id that was given to a runner, as far as it can be seen.
    """

    orders: dict[tuple[str, str], Order] = field(default_factory=dict)
    largest: int = 0

    @property
    def least_id(self) -> int:
        """From where ids go on."""
        return self.largest + SKIPPED + 1 if self.largest else 1


def salvage(aside: Path) -> Salvaged:
    """Read what can be read, in a copy: what is kept aside stays as it is."""
    found = Salvaged()
    copy = aside / "copy"
    shutil.rmtree(copy, ignore_errors=True)  # of a try that was cut short
    try:
        copy.mkdir(mode=0o700)
        for suffix in ("", "-wal", "-journal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(aside / (FILE + suffix), copy / (FILE + suffix))
        if (copy / FILE).is_file() and os.path.getsize(copy / FILE):
            _read(copy / FILE, found)
    except (OSError, *_UNREADABLE):
        pass  # it is damaged, or the disk is full: what was found until then counts
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    return found


def _read(path: Path, found: Salvaged) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.text_factory = bytes
        for key, order in _rows(connection, "orders", "SELECT kind, name, row FROM orders"):
            found.orders[key] = order
        for _, number in _rows(
            connection, "meta", "SELECT key, value FROM meta WHERE key IN ('next_id', 'least_id')"
        ):
            found.largest = max(found.largest, _id(number) - 1)
        with suppress(*_UNREADABLE):
            for (number,) in connection.execute("SELECT id FROM runners"):
                found.largest = max(found.largest, _id(number))


def _rows(connection: sqlite3.Connection, table: str, sql: str) -> Iterator[tuple[Any, Any]]:
    with suppress(*_UNREADABLE):  # up to the page that is damaged
        for columns in connection.execute(sql):
            with suppress(Exception):  # whatever a decoder makes of what should not be there
                yield decode(table, columns)


def _id(number: Any) -> int:
    return number if isinstance(number, int) and 0 < number < LARGEST_ID else 0
