"""Where plugins are: entry points of the group `scaler.plugins`, files of `plugin_dir`, and classes
that the caller brings. Nothing is imported here."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GROUP = "scaler.plugins"


@dataclass(frozen=True)
class Found:
    """A plugin that could be imported: exactly one of the last three is set.

    Attributes:
        name: What the settings call it.
        dist, version: The distribution that brought it; empty for files and classes.
    """

    name: str
    dist: str = ""
    version: str = ""
    entry_point: importlib.metadata.EntryPoint | None = None
    file: Path | None = None
    cls: type[Any] | None = None

    @property
    def origin(self) -> str:
        """Where it is, for people."""
        if self.entry_point is not None:
            return f"{self.dist} {self.version} ({self.entry_point.value})"
        return str(self.file) if self.file is not None else f"the class {self.cls!r}"


Known: TypeAlias = "dict[str, list[Found]]"


def find(plugin_dir: Path | None = None, extra: Mapping[str, type[Any]] | None = None) -> Known:
    """Every plugin that could be enabled, sorted by name; `load_one` refuses two of one name.

    A file goes by its name with `-` for every `_`; `lookup` takes either.
    """
    known: Known = {}
    for point in importlib.metadata.entry_points(group=GROUP):
        dist = point.dist
        found = Found(
            point.name,
            dist.name if dist else "",
            dist.version if dist else "",
            entry_point=point,
        )
        known.setdefault(point.name, []).append(found)
    for file in sorted(plugin_dir.glob("*.py")) if plugin_dir else ():
        if not file.name.startswith(("_", ".")):
            name = file.stem.replace("_", "-")
            known.setdefault(name, []).append(Found(name, file=file))
    for name, cls in (extra or {}).items():
        known.setdefault(name, []).append(Found(name, cls=cls))
    return dict(sorted(known.items()))


def lookup(name: str, known: Mapping[str, list[Found]]) -> list[Found]:
    """What has this name; more than one is a mistake. Files may be called with `_` or `-`."""
    exact = known.get(name, [])
    return exact or [f for f in known.get(name.replace("_", "-"), []) if f.file is not None]


def implementing(hook: str, known: Mapping[str, list[Found]]) -> list[str]:
    """The plugins that seem to have this hook, by their source: enough for a hint."""
    return [name for name, several in known.items() if any(_has(hook, one) for one in several)]


def _has(hook: str, found: Found) -> bool:
    if found.cls is not None:
        return hasattr(found.cls, hook)
    name = found.entry_point.attr.partition(".")[0] if found.entry_point else r"\w+"
    wanted = (rf"^class {name}\b", rf"^ +(?:async )?def {hook}\(")
    try:
        texts = [file.read_text("utf-8") for file in _sources(found)]
    except (OSError, ValueError, ImportError):
        return False
    return any(all(re.search(each, text, re.MULTILINE) for each in wanted) for text in texts)


def _sources(found: Found) -> Iterator[Path]:
    """Where its class could be written down."""
    if found.file is not None:
        yield found.file
    if found.entry_point is None:
        return
    top, *rest = found.entry_point.module.split(".")
    spec = importlib.util.find_spec(top)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, *rest)
        yield from path.glob("*.py") if path.is_dir() else [path.with_suffix(".py")]
