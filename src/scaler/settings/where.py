"""Where a scaler is, by its settings: of the file only `[scaler]` is read, and two keys of that.

Whoever asks a scaler that runs must get an answer while the rest of the file is wrong, while its
secrets cannot be read, and without importing a plugin.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaler.settings.convert import BAD, Converter
from scaler.settings.load import _read
from scaler.settings.model import ScalerTable
from scaler.settings.problems import Problems, show

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Where:
    """One scaler.

    Attributes:
        name: Its name.
        state_dir: Its state folder.
        file: The settings file that says so.
        profiles: `[profiles]` as it stands there; nothing of it was looked at.
    """

    name: str
    state_dir: Path
    file: Path
    profiles: Mapping[str, Any]


def look_scaler(path: str | os.PathLike[str]) -> Where:
    """Read which scaler a settings file speaks of.

    Raises:
        SettingsError: It cannot be read, is no TOML, or these two keys are wrong.
    """
    file = Path(path)
    text, raw = _read(file)
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
    )
