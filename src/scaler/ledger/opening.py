"""Opening a ledger: looked at before anything is written, upgraded, or put aside for a new one."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import scaler
from scaler.errors import FatalError
from scaler.ledger import schema, upgrade
from scaler.ledger.files import TOLD, Files, sync, write
from scaler.ledger.rows import dump
from scaler.ledger.salvage import salvage
from scaler.ledger.stored import DAMAGE, LEAST_ID, OPENED, WRITTEN_BY, Spoilt, Stored, read
from scaler.ledger.trouble import Damage, damage_of, outside
from scaler.ledger.writer import Writer, statements

if TYPE_CHECKING:
    from pathlib import Path

    from scaler.ledger.writer import Changes

IMAGINABLE = 1000  # versions ahead; a number above was never written by a scaler
BUSY = 5.0  # seconds that another program may hold the file

#: What is written when it is closed: until then its log of changes has to be there.
CLOSED: Changes = {("meta", (OPENED,)): None}


@dataclass(frozen=True)
class _Held:
    """What was found, and what is to be written before anyone reads it.

    Attributes:
        version: Of the tables; 0 where there are none, or it is not told.
        blank: Whether there is nothing in it, not even tables.
        puts: Rows for a new ledger.
    """

    version: int
    stored: Stored
    by: str = ""
    spoilt: tuple[Spoilt, ...] = ()
    puts: dict[tuple[str, tuple[str | int, ...]], tuple[Any, ...] | None] = field(
        default_factory=dict
    )
    blank: bool = False


def open_ledger(folder: Path) -> tuple[Writer, Stored]:
    """Open or create the ledger of a folder that is locked.

    Raises:
        FatalError: It cannot be used now, or is of a newer version; it was left as it is.
    """
    files = Files(folder)
    try:
        try:
            held = _examine(files)
            if held.blank and files.unfinished() is not None:
                files.remove_blank()
                raise Damage("a start ended while it was put aside")
            return _begin(files, held)
        except Damage as damage:
            return _begin_anew(files, damage)
    except (sqlite3.Error, OSError) as error:
        raise outside(error, files.path) from error


# -- looking


def _examine(files: Files) -> _Held:
    """Read it, without a change to it."""
    if not files.look():
        return _Held(0, _started_over(files), blank=True)
    mode = "rw" if files.beside("-journal").exists() else "ro"  # (that has to be rolled back)
    logged = files.beside("-wal").exists()
    address = f"{files.path.absolute().as_uri()}?mode={mode}"
    try:
        with closing(
            sqlite3.connect(address, uri=True, isolation_level=None, timeout=BUSY)
        ) as connection:
            connection.text_factory = bytes
            return _read(files, connection, logged)
    except UnicodeDecodeError as error:  # of names, which SQLite's own errors quote, too
        raise Damage("its tables have other names than a ledger's") from error
    except sqlite3.Error as error:
        damage = damage_of(error)
        if damage is None:
            raise
        raise damage from error


def _read(files: Files, connection: sqlite3.Connection, logged: bool) -> _Held:
    (wrong,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if wrong != b"ok":
        raise Damage(wrong.decode(errors="replace"))
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not 0 <= version < schema.VERSION + IMAGINABLE:
        raise Damage(f"it says that it is of version {version}")
    if version > schema.VERSION:
        raise upgrade.newer(files, version, _written_by(connection))
    tables = {name.decode() for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    tables = {name for name in tables if not name.startswith("sqlite_")}
    wanted = schema.KEYS.keys() if version == schema.VERSION else {"meta"} if version else set()
    if not tables <= schema.KEYS.keys() or not tables >= wanted:
        raise Damage("its tables are not those of a ledger")
    contents = read(connection)
    stored, by = contents.stored, str(contents.own.get(WRITTEN_BY, ""))
    if contents.spoilt and _numbers(by) > _numbers(scaler.__version__):
        raise FatalError(
            f"the ledger {files.path} was written by scaler {by}, and this is"
            f" {scaler.__version__}, which cannot read {_named(contents.spoilt)}; it was left as it"
            f" is: run scaler {by}, or a newer one ({upgrade.GUIDE})"
        )
    if "next_id" not in stored.meta:
        stored = replace(stored, least_id=max(stored.least_id, files.largest_shown() + 1))
    known = contents.own.get(DAMAGE)
    if known and (files.folder / known["folder"]).is_dir():
        stored = replace(stored, damage=known["text"])
    if OPENED in contents.own and not logged:
        stored = _without_its_log(stored)
    return _Held(version, stored, by, contents.spoilt, blank=not tables)


def _written_by(connection: sqlite3.Connection) -> str:
    try:
        found = connection.execute("SELECT value FROM meta WHERE key = ?", (WRITTEN_BY,)).fetchone()
        return str(json.loads(found[0])) if found else ""
    except (sqlite3.Error, ValueError, TypeError):  # a newer one may keep it elsewhere
        return ""


def _started_over(files: Files) -> Stored:
    """A new ledger, perhaps in a folder that has seen runners."""
    shown = files.largest_shown()
    if not shown:
        return Stored()
    text = (
        f"there was no ledger, though evidence of runner {shown} is there: a new one was begun,"
        " without what was told before (pause, drain)"
    )
    return Stored(damage=text, least_id=shown + 1)


def _without_its_log(stored: Stored) -> Stored:
    """An older state of it: runners were perhaps made since."""
    last = max(int(stored.meta.get("next_id", 1)), stored.least_id)
    text = (
        "the ledger was not closed, and the log of its changes (-wal) is not there any more: what"
        " was written last may be lost; nothing is made until every list was complete"
    )
    meta = {key: value for key, value in stored.meta.items() if key != "next_id"}
    return replace(stored, meta=meta, least_id=last, damage=text)


# -- writing


def _begin_anew(files: Files, damage: Damage) -> tuple[Writer, Stored]:
    """Put what is damaged aside, and begin a new ledger with what could still be read."""
    aside = files.move_aside()
    found = salvage(aside)
    least = max(found.least_id, files.largest_shown() + 1)
    told = (
        f"{len(found.orders)} orders (pause, drain) were still read from it"
        if found.orders
        else "no order (pause, drain) was found in it: look whether one is to be given again"
    )
    text = (
        f"the ledger could not be used ({damage}) and is kept in {aside}; a new one was begun:"
        f" {told}; runners and machines are found again by their names, nothing is made until every"
        f" list was complete, and ids go on from {least} at least. Remove that folder once nobody"
        " needs it, and restart"
    )
    puts: dict[tuple[str, tuple[str | int, ...]], tuple[Any, ...] | None] = {
        ("orders", key): (dump(order),) for key, order in found.orders.items()
    }
    puts["meta", (DAMAGE,)] = (dump({"folder": aside.name, "text": text}),)
    puts["meta", (LEAST_ID,)] = (dump(least),)
    stored = Stored(orders=found.orders, damage=text, least_id=least)
    return _begin(files, _Held(0, stored, puts=puts))


def _begin(files: Files, held: _Held) -> tuple[Writer, Stored]:
    stored, changes = held.stored, dict(held.puts)
    if held.spoilt:
        stored, note = _put_rows_aside(files, stored, held.spoilt)
        changes["meta", (DAMAGE,)] = (dump(note),)
    changes["meta", (WRITTEN_BY,)] = (dump(scaler.__version__),)
    changes["meta", (OPENED,)] = ("true",)
    # the file holds secrets for a short while: nobody else may read it, from the first byte
    os.close(os.open(files.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    writer = Writer(files.path, schema.KEYS)
    try:
        if 0 < held.version < schema.VERSION:
            upgrade.copy(files, writer.connection, held.version)
        _write(writer.connection, held, changes)
        if held.version != schema.VERSION:
            sync(files.folder)
            upgrade.prune(files)
        unfinished = files.unfinished()
        if unfinished is not None:
            write(unfinished / TOLD, f"{stored.damage}\n")
    except BaseException:
        writer.close(CLOSED)
        raise
    return writer, stored


def _write(connection: sqlite3.Connection, held: _Held, changes: Changes) -> None:
    """All of it or nothing; then it stands in the file itself, and not in its log alone."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in upgrade.steps(held.version):
            connection.execute(statement)
        for each in held.spoilt:
            keys = " AND ".join(
                f"{column} IS ?" if isinstance(value, int) else f"CAST({column} AS BLOB) IS ?"
                for column, value in zip(schema.KEYS[each.table], each.columns, strict=False)
            )
            own = each.columns[: len(schema.KEYS[each.table])]
            connection.execute(f"DELETE FROM {each.table} WHERE {keys}", own)
        for sql, values in statements(changes, schema.KEYS):
            connection.execute(sql, values)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _put_rows_aside(
    files: Files, stored: Stored, spoilt: tuple[Spoilt, ...]
) -> tuple[Stored, dict[str, str]]:
    """Keep rows that cannot be read in a file, without secrets where they can be told."""
    aside = files.aside()
    text = (
        f"of the ledger, {_named(spoilt)} could not be read and is kept in {aside}; the rest of it"
        " goes on. Remove that folder once nobody needs it, and restart"
    )
    rows = [
        {
            "table": each.table,
            "why": each.why,
            "columns": [_shown(value) for value in each.columns],
        }
        for each in spoilt
    ]
    write(aside / "rows.json", json.dumps(rows, indent=2))
    return replace(stored, damage=text), {"folder": aside.name, "text": text}


def _shown(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    text = value.decode(errors="backslashreplace")
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return (
        json.dumps({**row, "config": None}) if isinstance(row, dict) and "config" in row else text
    )


def _named(spoilt: tuple[Spoilt, ...]) -> str:
    """Which rows, for people; some of many."""
    names = []
    for each in spoilt[:5]:
        keys = each.columns[: len(schema.KEYS[each.table])]
        shown = "/".join(
            key.decode(errors="backslashreplace") if isinstance(key, bytes) else str(key)
            for key in keys
        )
        names.append(f"{each.table} {shown}")
    more = f" and {len(spoilt) - 5} more" if len(spoilt) > 5 else ""
    return f"{', '.join(names)}{more}"


def _numbers(version: str) -> tuple[int, ...]:
    """A version's numbers, as far as it has them at its beginning."""
    numbers = []
    for part in version.split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)
