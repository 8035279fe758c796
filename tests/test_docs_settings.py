"""docs/reference/settings.md, held against the dataclasses that settings are read into.

The tables are what this module makes of the dataclasses and their docstrings, word for word.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import inspect
import re
import textwrap
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from scaler.loading import load_classes
from scaler.settings import shown as in_words
from scaler.settings.convert import fields_of
from scaler.settings.model import ProfileTable, ScalerTable, host_name
from scaler.units import Duration, Secret, Size

PAGE = Path(__file__).parent.parent / "docs/reference/settings.md"
OURS = ("scaler-github", "scaler-libvirt", "scaler-monitor")


def tables() -> dict[str, type[Any]]:
    """Every table of the settings by its heading, plugins' tables and nested ones included."""
    found: dict[str, type[Any]] = {"[scaler]": ScalerTable, "[profiles.X]": ProfileTable}
    points = importlib.metadata.entry_points(group="scaler.plugins")
    names = sorted(point.name for point in points if point.dist and point.dist.name in OURS)
    for name, plugin in load_classes(names).items():
        for heading, cls in (
            (f"[plugins.{name}]", plugin.config),
            (f"[profiles.X.{name}]", plugin.profile_config),
        ):
            if cls is not None:
                found[heading] = cls
                found |= nested(heading.strip("[]"), cls)
    return found


def nested(where: str, cls: type[Any]) -> dict[str, type[Any]]:
    found: dict[str, type[Any]] = {}
    for name, (_, type_) in fields_of(cls).items():
        for inner in members(type_):
            if dataclasses.is_dataclass(inner) and in_words.words(inner) == "table":
                found[f"{where}.{name}"] = inner  # type: ignore[assignment]
                found |= nested(f"{where}.{name}", inner)  # type: ignore[arg-type]
    return found


def members(type_: Any) -> list[Any]:
    args = typing.get_args(type_)
    if typing.get_origin(type_) is Literal:
        return []
    return [type_] + [inner for arg in args for inner in members(arg)]


def words(type_: Any) -> str:
    """A type for people, as `scaler plugins -v` has it, with code marked as code."""
    return re.sub(r'"[^"]*"', r"`\g<0>`", in_words.words(type_))


def written(value: Any) -> str:
    """A default as the settings would have it."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, Duration | Size | Path | str):
        return f'`"{value}"`'
    if dataclasses.is_dataclass(value):
        given = {
            f.name: getattr(value, f.name)
            for f in dataclasses.fields(value)
            if getattr(value, f.name) != f.default
        }
        inside = ", ".join(f"{key} = {written(one).strip('`')}" for key, one in given.items())
        return f"`{{ {inside} }}`"
    if isinstance(value, tuple | list | frozenset):
        return f"`[{', '.join(written(one).strip('`') for one in value)}]`"
    return "`{}`" if isinstance(value, Mapping) else f"`{value}`"


def default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is host_name:
        return "the host's name"
    if field.default_factory is not dataclasses.MISSING:
        return written(field.default_factory())
    if field.default is dataclasses.MISSING:
        return "*needed*"
    return "none" if field.default is None else written(field.default)


def meanings(cls: type[Any]) -> dict[str, str]:
    """What the docstring says of each attribute; `a, b: …` says it of both."""
    _, _, attributes = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")
    found = {}
    for entry in re.split(r"\n(?=\S)", textwrap.dedent(attributes)):
        names, _, text = entry.partition(": ")
        for name in names.split(", "):
            found[name.strip()] = " ".join(text.split())
    return found


def rendered(cls: type[Any]) -> str:
    told = meanings(cls)
    lines = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    for name, (field, type_) in fields_of(cls).items():
        assert told.get(name), f"{cls.__qualname__} says nothing of {name}"
        text = told[name].replace("|", "\\|")
        lines.append(f"| `{name}` | {words(type_)} | {default(field)} | {text} |")
    return "\n".join(lines)


TABLES = tables()


def shown(heading: str) -> str | None:
    """The table below a heading."""
    found = re.search(
        rf"^#+ `{re.escape(heading)}`\n(.*?)(?=^#|\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    if found is None:
        return None
    return "\n".join(line for line in found[1].splitlines() if line.startswith("|"))


@pytest.mark.parametrize("heading", TABLES)
def test_every_setting_is_in_the_reference_as_it_is(heading: str) -> None:
    expected = rendered(TABLES[heading])
    assert shown(heading) == expected, f"below `{heading}` there should be:\n{expected}\n"


def test_the_reference_tells_of_no_table_that_is_not() -> None:
    headings = re.findall(r"^#+ `(.+)`$", PAGE.read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(TABLES)


def test_types_and_defaults_are_told_as_settings_have_them() -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Odd:
        """Odd.

        Attributes:
            wait, rest: Two of a kind, told
                on two lines.
            sizes: By name.
            hosts: Some.
            key: Hidden.
        """

        wait: Duration = Duration(90)  # noqa: RUF009
        rest: Duration | None = None
        sizes: Mapping[str, Size] = dataclasses.field(default_factory=dict)
        hosts: tuple[str, ...] = ("a", "b")
        key: Secret

    typing.get_type_hints(Odd, globalns=globals(), localns=locals())
    assert rendered(Odd).splitlines()[2:] == [
        '| `wait` | duration | `"1m30s"` | Two of a kind, told on two lines. |',
        "| `rest` | duration | none | Two of a kind, told on two lines. |",
        "| `sizes` | table of sizes | `{}` | By name. |",
        '| `hosts` | list of strings | `["a", "b"]` | Some. |',
        "| `key` | secret | *needed* | Hidden. |",
    ]
