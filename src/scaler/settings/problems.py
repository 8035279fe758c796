"""What is wrong with the settings: collected one by one, told all at once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from scaler.errors import SettingsError
from scaler.settings.lines import Lines

if TYPE_CHECKING:
    from pathlib import Path

KeyPath: TypeAlias = tuple[str | int, ...]


@dataclass
class Problems:
    """Collects problems while settings are read."""

    found: list[tuple[KeyPath, str]] = field(default_factory=list)

    def add(self, path: KeyPath, found: str, wanted: str, hint: str = "") -> None:
        """Add one: what stood there and what should, with ` (did you mean "Z"?)` where known."""
        self.say(path, f"found {found}, wanted {wanted}{hint}")

    def say(self, path: KeyPath, text: str) -> None:
        """Add one in words of the caller's own."""
        self.found.append((path, text))

    def stop(self, file: Path, text: str) -> None:
        """Raise them all, in the file's order, where there are any.

        Raises:
            SettingsError: There is at least one.
        """
        if not self.found:
            return
        lines = Lines(text)
        placed = sorted(
            ((lines.of(path), path, words) for path, words in self.found), key=lambda p: p[0]
        )
        raise SettingsError(
            [f"{file}:{line}: {_spell(path)}{words}" for line, path, words in placed]
        )


def place_of(file: Path, text: str, path: KeyPath) -> str:
    """Where a key stands, as problems begin: `FILE:LINE: KEY: `."""
    return f"{file}:{Lines(text).of(path)}: {_spell(path)}"


def show(value: object) -> str:
    """A value as TOML would write it, cut short; tables and lists by their kind alone."""
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value if len(value) <= 60 else value[:57] + "…", ensure_ascii=False)
        case int() if value.bit_length() > 256:
            return "a very large number"  # Python refuses to write some of them
        case _:
            return str(value)


def _spell(path: KeyPath) -> str:
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            bare = step.replace("-", "").replace("_", "")
            quoted = step if bare.isascii() and bare.isalnum() else json.dumps(step)
            text += f".{quoted}" if text else quoted
    return f"{text}: " if text else ""
