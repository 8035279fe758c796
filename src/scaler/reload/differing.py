"""Which settings of a table are others than before. Of plugins' values none is ever shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scaler.settings.seen import below

if TYPE_CHECKING:
    from scaler.settings.problems import KeyPath


@dataclasses.dataclass(frozen=True)
class Table:
    """One table as it was read.

    Attributes:
        path: Its key path.
        value: What it became: a dataclass, or None for a plugin without settings.
        seen: What it only names, as it was; see `Settings.seen`.
    """

    path: KeyPath
    value: Any
    seen: Mapping[KeyPath, Any]


def differing(old: Table, new: Table) -> list[str]:
    """The key paths below a table that have changed; the table's own where that is all to be seen.

    A setting has changed as well where only the file that it names has another content or rights.
    """
    before, after = below(old.seen, old.path), below(new.seen, new.path)
    touched = {
        path
        for path in before.keys() | after.keys()
        if not equal(before.get(path), after.get(path))
    }
    if not touched and equal(old.value, new.value):
        return []
    keys = {str(path[len(new.path)]) for path in touched if len(path) > len(new.path)}
    keys |= _fields(old.value, new.value)
    return [spelt((*new.path, key)) for key in sorted(keys)] or [spelt(new.path)]


def spelt(path: KeyPath) -> str:
    """A key path for people."""
    return ".".join(map(str, path))


def equal(old: Any, new: Any) -> bool:
    """Whether two values are the same; a plugin's own type may say anything to that, or raise."""
    try:
        return bool(old == new)
    except Exception:
        return False


def _fields(old: Any, new: Any) -> set[str]:
    """The fields of a dataclass that differ."""
    if type(old) is not type(new) or not dataclasses.is_dataclass(new):
        return set()
    names = [field.name for field in dataclasses.fields(new) if field.init]
    return {name for name in names if not equal(getattr(old, name, None), getattr(new, name, None))}
