"""A changed copy of a frozen record, on the path that every fact about every runner takes."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def evolve(record: T, **changes: Any) -> T:
    """As `dataclasses.replace`, six times as fast, for records that check nothing when made.

    `replace` goes through `__init__`, which sets every field of a frozen record by a call.

    Raises:
        TypeError: The record has no such field.
    """
    fields = vars(record)
    if not changes.keys() <= fields.keys():
        unknown = ", ".join(changes.keys() - fields.keys())
        raise TypeError(f"{type(record).__name__} has no field {unknown}")
    copy = object.__new__(type(record))
    vars(copy).update(fields, **changes)
    return copy
