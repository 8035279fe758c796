"""A ledger read from outside, whoever has it: from a private copy, so that nothing there changes.

SQLite itself would leave files beside the ledger, wait for locks, and fail in a folder that may
only be read. What is read is taken for what it can be: a row that cannot be understood is counted.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from scaler.control.place import LEDGER
from scaler.records import Job, Order, Runner

KNOWN = 2  # the newest version of the tables that is understood
TRIES = 5  # copies that are made, until one was whole
APART = 0.05  # seconds between them
_LOG = "-wal"
MAGIC = b"SQLite format 3\x00"

T = TypeVar("T")


class Unreadable(Exception):
    """There is no ledger to be read, and why, for people.

    Attributes:
        text: What was found.
        fix: What to do.
    """

    def __init__(self, text: str, fix: str) -> None:
        super().__init__(text)
        self.text = text
        self.fix = fix


@dataclass(frozen=True, kw_only=True)
class Read:
    """What a ledger holds that concerns people; no secret of it.

    Attributes:
        written: When it was written last.
        version: Of its tables.
        heard: By (profile, id) of a job, when it was last heard of, on the scaler's own clock.
        clock: The last time on that clock.
        owed: Runners that a profile's jobs needed, as its source said last.
        lost: How many rows could not be understood.
    """

    written: float
    version: int
    runners: tuple[Runner, ...] = ()
    jobs: tuple[Job, ...] = ()
    orders: tuple[Order, ...] = ()
    heard: dict[tuple[str, str], float] = field(default_factory=dict)
    clock: float | None = None
    owed: dict[str, int] = field(default_factory=dict)
    lost: int = 0


def read(folder: Path) -> Read:
    """Read the ledger of a state folder. Blocks.

    Raises:
        Unreadable: It is not there, may not be read, is damaged, or of a newer scaler.
    """
    path = folder / LEDGER
    try:
        with tempfile.TemporaryDirectory(prefix="scaler-") as private:
            copy = Path(private) / LEDGER
            written, whole = _copy(path, copy)
            try:
                return _read(copy, path, written)
            except (sqlite3.Error, UnicodeDecodeError):
                if whole:
                    raise
                text = f"the ledger {path} is being written to just now"
                raise Unreadable(text, "ask again in a moment") from None
    except FileNotFoundError:
        text = f"there is no ledger {path}: no scaler has run with this state_dir"
        raise Unreadable(text, "see whether [scaler] state_dir is the right one") from None
    except PermissionError:
        text = f"the ledger {path} may not be read by this user"
        raise Unreadable(text, "ask as the user that scaler runs as, or with sudo") from None
    except OSError as error:
        text = f"the ledger {path} cannot be read: {error.strerror or error}"
        raise Unreadable(text, "see whether the disk is well and /tmp has room") from None
    except (sqlite3.Error, UnicodeDecodeError) as error:  # (SQLite's errors quote what it found)
        why = error if isinstance(error, sqlite3.Error) else "its tables have no readable names"
        raise Unreadable(
            f"the ledger {path} is damaged: {why}",
            "start scaler: it puts a damaged ledger aside and begins a new one",
        ) from None


def _copy(path: Path, to: Path) -> tuple[float, bool]:
    """Copy the ledger and the log of its last changes; when they were written.

    And whether both are of one moment.
    """
    log, log_to = Path(f"{path}{_LOG}"), Path(f"{to}{_LOG}")
    whole, written = False, 0
    for _ in range(TRIES):
        before = _stamp(path), _stamp(log)
        if before[0] is None:
            raise FileNotFoundError(path)
        written = max(stamp[1] for stamp in before if stamp is not None)
        shutil.copyfile(path, to)
        log_to.unlink(missing_ok=True)
        if before[1] is not None:
            try:
                shutil.copyfile(log, log_to)
            except FileNotFoundError:
                continue  # it was ended just now
        if whole := (_stamp(path), _stamp(log)) == before:
            break
        time.sleep(APART)
    return written / 1e9, whole


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        return None
    return facts.st_size, facts.st_mtime_ns, facts.st_ino


def _read(copy: Path, path: Path, written: float) -> Read:
    with open(copy, "rb") as file:
        start = file.read(len(MAGIC))
    if start and start != MAGIC:
        raise sqlite3.DatabaseError("it is not a ledger at all")
    connection = sqlite3.connect(copy)
    connection.text_factory = bytes  # so that text which is none spoils its row alone
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > KNOWN:
            raise Unreadable(
                f"the ledger {path} is of version {version}, and this scaler knows up to {KNOWN}",
                "ask with the newer scaler that wrote it",
            )
        return _rows(connection, version, written)
    finally:
        connection.close()


def _rows(connection: sqlite3.Connection, version: int, written: float) -> Read:
    names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    tables = {name.decode() for (name,) in names if isinstance(name, bytes)}
    lost = 0

    def rows(table: str, *columns: str) -> list[tuple[Any, ...]]:
        """The rows of a table, the last column as what its JSON says."""
        nonlocal lost
        if table not in tables:
            return []
        found = []
        for row in connection.execute(f"SELECT {', '.join(columns)} FROM {table}"):
            try:
                keys = [key.decode() if isinstance(key, bytes) else key for key in row[:-1]]
                found.append((*keys, json.loads(row[-1])))
            except (ValueError, TypeError, RecursionError):
                lost += 1
        return found

    def records(kind: type[T], values: list[Any]) -> list[T]:
        nonlocal lost
        found = []
        for value in values:
            try:
                found.append(msgspec.convert(value, kind))
            except (msgspec.MsgspecError, TypeError, ValueError):
                lost += 1
        return found

    kept = rows("runners", "id", "row")
    runners = records(Runner, [_bare(row) for _, row in kept])
    jobs = rows("jobs", "profile", "id", "row")
    meta = dict(rows("meta", "key", "value"))
    clock = _part(meta.get("clock"), "now")
    wall = _part(meta.get("clock"), "wall")  # (a write that fails makes the file newer, too)
    return Read(
        written=float(wall) if isinstance(wall, int | float) else written,
        version=version,
        runners=tuple(sorted(runners, key=lambda each: each.id)),
        jobs=tuple(records(Job, [_part(row, "job") for _, _, row in jobs])),
        orders=tuple(records(Order, [row for _, _, row in rows("orders", "kind", "name", "row")])),
        heard={
            (profile, job): float(row["heard"])
            for profile, job, row in jobs
            if isinstance(_part(row, "heard"), int | float)
        },
        clock=float(clock) if isinstance(clock, int | float) else None,
        owed={
            profile: row["owed"]
            for profile, row in rows("demand", "profile", "row")
            if isinstance(_part(row, "owed"), int)
        },
        lost=lost,
    )


def _part(row: Any, key: str) -> Any:
    return row.get(key) if isinstance(row, dict) else None


def _bare(row: Any) -> Any:
    """The runner in a row, without the secret by which it joins."""
    runner = _part(row, "runner")
    registration = _part(runner, "registration")
    if isinstance(registration, dict):
        registration.pop("config", None)
    return runner
