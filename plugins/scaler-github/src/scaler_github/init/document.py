"""What is to be written: the settings, and what is to be said beside them. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scaler import printable
from scaler_github.init import toml
from scaler_github.init.manual import PROFILE, TABLES, KeyPath, Table

_WIDTH = 98


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something of another system's settings that has no counterpart here.

    Attributes:
        path: Where it stands there.
        why: Why there is none.
        instead: What to do, where something is to be done.
        count: How many values it stands for.
    """

    path: str
    why: str
    instead: str = ""
    count: int = 1

    def __str__(self) -> str:
        several = f" ({self.count} values)" if self.count > 1 else ""
        told = f"{self.path}{several}: {self.why}"
        return printable(f"{told} -> {self.instead}" if self.instead else told)


@dataclass(kw_only=True)
class Document:
    """A settings file.

    Attributes:
        settings: What it says, as a TOML reader would give it.
        origins: Where a value came from, by its place in the settings.
        later: Lines that are written but off, by their place, each with the reason.
        head: What stands at the top, in paragraphs.
        notes: What had no counterpart.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, str] = field(default_factory=dict)
    later: dict[KeyPath, tuple[Any, str]] = field(default_factory=dict)
    head: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def put(self, path: KeyPath, value: Any, origin: str = "") -> None:
        """Set a value, and say where it came from."""
        table = self.settings
        for name in path[:-1]:
            table = table.setdefault(name, {})
        table[path[-1]] = value
        if origin:
            self.origins[path] = origin

    def get(self, *path: str) -> Any:
        """A value that was set; None where it was not."""
        found: Any = self.settings
        for name in path:
            if not isinstance(found, Mapping) or name not in found:
                return None
            found = found[name]
        return found

    def text(self) -> str:
        """The file."""
        made: list[str] = []
        for paragraph in self.head:
            made += [*_prose(paragraph), "#"]
        if made:
            made[-1] = ""
        for table in TABLES:
            if table.path[0] != PROFILE:
                made += self._table(table, table.path)
        for profile in self.settings.get(PROFILE, {}):
            for table in TABLES:
                if table.path[0] == PROFILE:
                    made += self._table(table, (PROFILE, profile, *table.path[2:]))
        made += self._noted()
        return "\n".join(made).rstrip("\n") + "\n"

    def _table(self, table: Table, path: KeyPath) -> list[str]:
        found = self.get(*path)
        if found is None:
            return [*_prose(table.words), *_off_table(table, path), ""] if table.off else []
        made = [*(_prose(table.words) if table.words else []), f"[{toml.dotted(path)}]"]
        if origin := self.origins.get(path):
            made += _prose(f"from {origin}")
        told = {known.name for known in table.keys}
        for known in table.keys:
            made += self._key((*path, known.name), known.words, known.off)
        below = {other.path[-1] for other in TABLES if len(other.path) == len(table.path) + 1}
        for name in found:
            if name not in told and not (name in below and isinstance(found[name], Mapping)):
                made += self._key((*path, name), "", "")
        return [*made, ""]

    def _key(self, path: KeyPath, words: str, off: str) -> list[str]:
        found, name = self.get(*path), toml.key(path[-1])
        if found is not None:
            first, *rest = toml.lines(found)
            origin = self.origins.get(path)
            told = [*_prose(words)] if words else []
            return [
                *told,
                *(_prose(f"from {origin}") if origin else []),
                f"{name} = {first}",
                *rest,
            ]
        if path in self.later:
            value, why = self.later[path]
            return [*_prose(why), f"#{name} = {toml.value(value)}"]
        return _off(name, off, words) if off else []

    def _noted(self) -> Iterator[str]:
        if not self.notes:
            return
        yield from _prose("What had no counterpart here, and what to do in place of it:")
        for note in self.notes:
            yield "#"
            yield from _prose(str(note), "#   ")


def _off_table(table: Table, path: KeyPath) -> Iterator[str]:
    yield f"#[{toml.dotted(path)}]"
    for known in table.keys:
        if known.off:
            yield from _off(known.name, known.off, known.words)


def _off(name: str, value: str, words: str) -> list[str]:
    line = f"#{name} = {value}  # {words[:1].lower()}{words[1:].rstrip('.')}"
    return [line] if len(line) <= _WIDTH else [*_prose(words), f"#{name} = {value}"]


def _prose(text: str, indent: str = "# ") -> list[str]:
    return textwrap.wrap(
        printable(text).replace("\t", " "),
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
