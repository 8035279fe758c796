"""Where a scaler is, by its settings: of the file only `[scaler]` is read, and two keys of that.

Whoever asks a scaler that runs must get an answer while the rest of the file is wrong, while its
secrets cannot be read, and without importing a plugin.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaler.errors import SettingsError
from scaler.settings.convert import BAD, Converter
from scaler.settings.load import parsed, text_of
from scaler.settings.model import ScalerTable
from scaler.settings.problems import Problems, show

if TYPE_CHECKING:
    from collections.abc import Mapping


_HEAD = re.compile(r"^[ \t]*\[[ \t]*scaler[ \t]*\][ \t]*(?:#.*)?\r?$", re.MULTILINE)
_NEXT = re.compile(r"^[ \t]*\[", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Where:
    """One scaler.

    Attributes:
        name: Its name.
        state_dir: Its state folder.
        file: The settings file that says so.
        profiles: `[profiles]` as it stands there; nothing of it was looked at.
        trouble: Why nothing else of the file could be read; empty where it could.
    """

    name: str
    state_dir: Path
    file: Path
    profiles: Mapping[str, Any]
    trouble: str = ""


def look_scaler(path: str | os.PathLike[str]) -> Where:
    """Read which scaler a settings file speaks of.

    A file that is no TOML, as it may be while somebody mends it, does not keep a person from the
    scaler that runs: its table `[scaler]` is read by itself then.

    Raises:
        SettingsError: It cannot be read, is no TOML there either, or these two keys are wrong.
    """
    file = Path(path)
    text, trouble = text_of(file), ""
    try:
        raw = parsed(file, text)
    except SettingsError as error:
        alone = _alone(text)
        if alone is None:
            raise
        raw, trouble = {"scaler": alone}, error.problems[0]
    problems = Problems()
    table = raw.get("scaler", {})
    if not isinstance(table, dict):
        problems.add(("scaler",), show(table), "a table")
        table = {}
    known = {key: table[key] for key in ("name", "state_dir") if key in table}
    converter = Converter(problems, file.absolute().parent, {})
    own = converter.table(ScalerTable, known, ("scaler",))
    problems.stop(file, text)
    assert own is not BAD, "whatever is bad was told"
    profiles = raw.get("profiles")
    return Where(
        name=own.name,
        state_dir=own.state_dir,
        file=file.absolute(),
        profiles=profiles if isinstance(profiles, dict) else {},
        trouble=trouble,
    )


def _alone(text: str) -> dict[str, Any] | None:
    """What stands in the only table `[scaler]`; None where that may not be all that it should be.

    No default counts here: what is missing may stand behind what is wrong, and another scaler
    would be asked.
    """
    heads = list(_HEAD.finditer(text))
    if len(heads) != 1:
        return None
    before, rest = text[: heads[0].start()], text[heads[0].end() :]
    if any(before.count(quotes) % 2 for quotes in ('"""', "'''")):
        return None  # it may stand within a text
    end = _NEXT.search(rest)
    try:
        found = tomllib.loads(rest[: end.start()] if end else rest)
    except (ValueError, RecursionError):
        return None
    return found if "state_dir" in found else None
