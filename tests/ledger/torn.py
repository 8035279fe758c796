"""Ledgers to be damaged, and what becomes of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ledger.books import a_row, everything

from scaler.ledger import Ledger, Stored, opening
from scaler.ledger.ledger import Transaction
from scaler.ledger.writer import _Entry
from scaler.records import Order

ORDER = Order(kind="pause", name="linux", since=5.0, by="root")


def again(folder: Path) -> Stored:
    """Open a ledger and close it, here and now."""
    ledger, found = Ledger._open(folder)
    ledger._writer.close(opening.CLOSED)
    os.close(ledger._lock)
    return found


def fill(folder: Path, *, closed: bool) -> dict[str, bytes]:
    """Make a ledger with a bit of everything; its files, as they are closed or in use."""
    ledger, _ = Ledger._open(folder)
    for number in range(1, 8):
        transaction = everything()
        transaction.row(a_row(number))
        transaction.order("pause", "linux", ORDER)
        transaction.meta("next_id", 12 + number)
        assert ledger._writer._transaction([_entry(transaction)]) is None
    found = files_of(folder)
    ledger._writer.close(opening.CLOSED)
    os.close(ledger._lock)
    if closed:
        found = files_of(folder)
    for each in folder.glob("ledger*"):
        each.unlink()
    return found


def _entry(transaction: Transaction) -> _Entry:
    return _Entry(transaction.changes)


def files_of(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.glob("ledger.sqlite3*")}


@contextmanager
def placed(parent: Path, files: dict[str, bytes]) -> Iterator[Path]:
    """A state folder with these files, for a while."""
    folder = parent / "state"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def kept(folder: Path) -> dict[str, bytes]:
    """What was put aside."""
    return {
        each.name: each.read_bytes()
        for each in folder.glob("ledger-damaged-*/*")
        if each.name != "what-happened.txt"
    }
