"""Types and defaults as people read them: the same words as the reference has."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from scaler import Duration, Secret, Size
from scaler.settings.model import ProfileTable, ScalerTable
from scaler.settings.shown import Table, meanings, summary, tables, words

PAGE = Path(__file__).parents[2] / "docs/reference/settings.md"


@pytest.mark.parametrize(
    ("heading", "cls"), [("scaler", ScalerTable), ("profiles.X", ProfileTable)]
)
def test_the_core_s_tables_are_told_as_the_reference_tells_them(
    heading: str, cls: type[Any]
) -> None:
    page = PAGE.read_text()
    (found,) = tables(heading, cls)
    for each in found.settings:
        default = each.default if each.default == "the host's name" else f"`{each.default}`"
        kind = ", ".join(f"`{w}`" for w in each.type.split(", ")) if '"' in each.type else each.type
        row = f"| `{each.key}` | {kind} | {default if each.default else 'none'} | {each.meaning} |"
        assert row in page


@dataclasses.dataclass
class Inner:
    """Inner.

    Attributes:
        size: How large.

    More.
    """

    size: Size = Size(1024)  # noqa: RUF009
    more: "Inner | None" = None  # noqa: UP037


@dataclasses.dataclass(kw_only=True)
class Outer:
    """Outer.

    Attributes:
        one: The one.
        many: More of them.
        named: By name.
    """

    one: Inner | None = None
    many: tuple[Inner, ...] = (Inner(), Inner(Size(2048)))
    named: Mapping[str, Inner] = dataclasses.field(default_factory=dict)
    lazy: str = dataclasses.field(default_factory=lambda: str(1 / 0))
    key: Secret = Secret("hidden")  # noqa: RUF009


def test_tables_inside_have_the_headings_that_a_file_gives_them() -> None:
    found = list(tables("plugins.x", Outer))
    assert [each.heading for each in found] == [
        "[plugins.x]",
        "[plugins.x.one]",
        "[[plugins.x.many]]",
        "[plugins.x.named.NAME]",
    ]
    outer = {each.key: each for each in found[0].settings}
    assert outer["many"].default == '[{}, { size = "2K" }]'
    assert outer["lazy"].default == "", "what cannot be told is left out"
    assert outer["key"].default == '"***"'
    assert (outer["one"].default, outer["one"].needed) == ("", False)
    assert found[1].settings[0].meaning == "How large."


def test_a_docstring_may_go_on_after_its_attributes() -> None:
    assert meanings(Inner) == {"size": "How large."}
    assert isinstance(next(tables("x", Inner)), Table)


@pytest.mark.parametrize(
    ("type_", "said"),
    [
        (Annotated[int, Meta(ge=0)], "whole number"),
        (tuple[Duration, ...] | None, "list of durations"),
        (Literal["a", 1, True], '"a", 1, true'),
        (str | Path | str, "string or path"),
        (dict[str, bool], "table of true or false"),
        (dict[str, tuple[dict[str, int], ...]], "table of lists of tables of whole numbers"),
        (Any, "anything"),
    ],
)
def test_types_in_words(type_: Any, said: str) -> None:
    assert words(type_) == said


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("nothing is told")


def leave() -> str:
    raise SystemExit("a default must not end it")


@dataclasses.dataclass
class Strange:
    a: str = Unshowable()  # type: ignore[assignment]
    b: str = dataclasses.field(default_factory=leave)
    c: float = float("inf")


Strange.__doc__ = 5  # type: ignore[assignment]


def test_defaults_and_docstrings_that_are_none_do_no_harm() -> None:
    (found,) = tables("x", Strange)
    assert [each.default for each in found.settings] == ["", "", '"inf"']
    assert meanings(Strange) == {"": ""}
    assert summary(Strange) == ""
