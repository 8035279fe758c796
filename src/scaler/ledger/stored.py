"""What a ledger holds, row by row: one that cannot be read is named, and costs no other."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from scaler.ledger.rows import load_demand, load_grant, load_job, load_order, load_row
from scaler.ledger.schema import KEYS

if TYPE_CHECKING:
    import sqlite3

    from scaler.model.demand import Demand
    from scaler.model.grant import Grant
    from scaler.model.jobs import KnownJob
    from scaler.model.row import Row
    from scaler.records import Order

OPENED = "opened"  # in `meta`: a scaler has it open, or ended without closing it
WRITTEN_BY = "written_by"  # in `meta`: the version of the scaler that opened it last
LEAST_ID = "least_id"  # in `meta`: ids below may have been used before the ledger was lost
DAMAGE = "damage"  # in `meta`: what was lost, and in which folder the damaged one is
LARGEST_ID = 10**15  # a larger one was made up by someone
_OWN = (OPENED, WRITTEN_BY, LEAST_ID, DAMAGE)


@dataclass(frozen=True)
class Stored:
    """What an opened ledger held.

    Attributes:
        damage: What was lost of an earlier one, for people; empty where nothing was.
        least_id: No runner may get a smaller id than this one.
    """

    meta: dict[str, Any] = field(default_factory=dict)
    facts: dict[tuple[str, str], Any] = field(default_factory=dict)
    jobs: dict[tuple[str, str], KnownJob] = field(default_factory=dict)
    demand: dict[str, Demand] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    orders: dict[tuple[str, str], Order] = field(default_factory=dict)
    damage: str = ""
    least_id: int = 1


@dataclass(frozen=True)
class Spoilt:
    """A row that cannot be read, as SQLite gives it, and why."""

    table: str
    columns: tuple[Any, ...]
    why: str


@dataclass(frozen=True)
class Contents:
    """What stands in the tables: `own` are entries of `meta` that are the ledger's alone."""

    stored: Stored
    own: Mapping[str, Any]
    spoilt: tuple[Spoilt, ...]


def read(connection: sqlite3.Connection) -> Contents:
    """Read every table that is there. The connection gives text as bytes (`text_factory`).

    Raises:
        sqlite3.Error: The tables themselves cannot be read.
    """
    there = {name.decode() for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    found: dict[str, Any] = {table: {} for table in KEYS}
    spoilt: list[Spoilt] = []
    for table in KEYS.keys() & there:
        for columns in connection.execute(f"SELECT * FROM {table}"):
            try:
                key, value = decode(table, columns)
            except Exception as error:  # whatever a decoder makes of what should not be there
                spoilt.append(Spoilt(table, columns, f"{type(error).__name__}: {error}"))
            else:
                found[table][key] = value
    found["rows"] = found.pop("runners")
    own = {key: found["meta"].pop(key) for key in _OWN if key in found["meta"]}
    stored = replace(Stored(**found), least_id=own.get(LEAST_ID, 1))
    return Contents(stored, own, tuple(spoilt))


def decode(table: str, columns: tuple[Any, ...]) -> tuple[Any, Any]:
    """A row's key and what is kept under it.

    Raises:
        Exception: It is none that a scaler wrote.
    """
    if len(columns) != len(KEYS[table]) + 1:
        raise ValueError(f"found {len(columns)} columns")
    parts = tuple(each if isinstance(each, int) else each.decode() for each in columns[:-1])
    key = parts[0] if len(parts) == 1 else parts
    value = _LOADS[table](columns[-1].decode())
    if (contradiction := _CONTRADICTS.get(table)) and contradiction(key, value):
        raise ValueError(f"what stands under {key!r} is of another")
    return key, value


def _meta_is_wrong(key: str, value: Any) -> bool:
    if key in ("next_id", LEAST_ID):
        return type(value) is not int or not 0 < value < LARGEST_ID * 10
    if key == "clock":
        numbers = (value.get("now", 0.0), value.get("at", 0.0))
        return not all(math.isfinite(each) for each in numbers)
    if key == DAMAGE:
        return not (isinstance(value["folder"], str) and isinstance(value["text"], str))
    return False


_LOADS: dict[str, Callable[[str], Any]] = {
    "meta": json.loads,
    "facts": json.loads,
    "jobs": load_job,
    "demand": load_demand,
    "runners": load_row,
    "grants": load_grant,
    "orders": load_order,
}

# A byte that is wrong may leave a row readable that says something else than its key.
_CONTRADICTS: dict[str, Callable[[Any, Any], bool]] = {
    "meta": _meta_is_wrong,
    "jobs": lambda key, known: known.job.id != key[1],
    "runners": lambda key, row: row.runner.id != key,
    "grants": lambda key, grant: grant.unique_id != key,
    "orders": lambda key, order: (order.kind, order.name) != key,
}
