"""Every type that a plugin's settings may have."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from scaler import Duration, PluginError, Secret, SecretSource, Size
from scaler.settings.convert import BAD, Converter, ShapeError, check_shape
from scaler.settings.problems import Problems

Bench = Any
FOLDER = Path("/etc/scaler")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, kw_only=True)
class Host:
    name: str
    size: Size = field(default=Size(1))


@dataclass(frozen=True, kw_only=True)
class App:
    client: str
    number: int


def convert(type_: Any, raw: Any, **environ: str) -> tuple[Any, list[tuple[Any, str]]]:
    problems = Problems()
    cls = make_dataclass("Table", [("x", type_)], frozen=True)
    table = Converter(problems, FOLDER, environ).table(cls, {"x": raw}, ())
    return (BAD if table is BAD else table.x), problems.found


@pytest.mark.parametrize(
    ("type_", "raw", "value"),
    [
        (bool, True, True),
        (int, 3, 3),
        (float, 3, 3.0),
        (float, 2.5, 2.5),
        (str, "x", "x"),
        (Any, [1, {"a": 2}], [1, {"a": 2}]),
        (Duration, "1h30m", Duration(5400)),
        (Size, "4G", Size(4 << 30)),
        (Size, 17, Size(17)),
        (Secret, {"env": "T"}, Secret("t0ken")),
        (SecretSource, {"env": "T"}, SecretSource(env="T")),
        (Path, "a/b", FOLDER / "a/b"),
        (Path, "/a/b", Path("/a/b")),
        (Path, "~", Path.home()),
        (Literal["a", 3], "a", "a"),
        (Literal["a", 3], 3, 3),
        (Colour, "red", Colour.RED),
        (str | None, "x", "x"),
        (int | str, "x", "x"),
        (list[int], [1, 2], [1, 2]),
        (tuple[str, ...], ["a"], ("a",)),
        (frozenset[str], ["a", "a"], frozenset("a")),
        (Sequence[int], [1], (1,)),
        (dict[str, Size], {"a": "1K"}, {"a": 1024}),
        (Mapping[str, Host], {"a": {"name": "h"}}, {"a": Host(name="h")}),
        (Host, {"name": "h", "size": "2K"}, Host(name="h", size=Size(2048))),
        (tuple[Host, ...], [{"name": "h"}], (Host(name="h"),)),
        (tuple[Secret, ...], {"env": "T"}, (Secret("t0ken"),)),
        (list[Secret], [{"env": "T"}, {"env": "T"}], [Secret("t0ken")] * 2),
        (list[SecretSource] | None, {"env": "T"}, [SecretSource(env="T")]),
        (Secret | App, {"env": "T"}, Secret("t0ken")),
        (Secret | App | None, {"client": "c", "number": 1}, App(client="c", number=1)),
        (Annotated[int, Meta(ge=1, le=3)], 3, 3),
        (tuple[Annotated[str, Meta(pattern="^a")], ...], ["ab"], ("ab",)),
    ],
)
def test_a_value_becomes_what_its_field_wants(type_: Any, raw: Any, value: Any) -> None:
    got, problems = convert(type_, raw, T="t0ken")
    assert problems == []
    assert got == value
    assert type(got) is type(value) or isinstance(value, dict)


WANTED = '{ env = "NAME" } or { file = "PATH" }'


@pytest.mark.parametrize(
    ("type_", "raw", "path", "said"),
    [
        (bool, 1, "x", "found 1, wanted true or false"),
        (int, True, "x", "found true, wanted a whole number"),
        (int, "3", "x", 'found "3", wanted a whole number'),
        (float, "3", "x", 'found "3", wanted a number'),
        (str, 3, "x", "found 3, wanted a string"),
        (str, ["a"], "x", "found a list, wanted a string"),
        (Duration, "9" * 400 + "s", "x", None),
        (Path, "", "x", 'found "", wanted a path, as a string'),
        (
            Literal["debug", "info"],
            "inf",
            "x",
            'found "inf", wanted one of "debug", "info" (did you mean "info"?)',
        ),
        (Literal["a"], 1, "x", 'found 1, wanted "a"'),
        (Literal[1], True, "x", "found true, wanted 1"),
        (Colour, "rde", "x", 'found "rde", wanted one of "red", "blue" (did you mean "red"?)'),
        (int | str, 1.5, "x", "found 1.5, wanted a whole number or a string"),
        (list[int], 3, "x", "found 3, wanted a list, each a whole number"),
        (list[int], [1, "b"], "x[1]", 'found "b", wanted a whole number'),
        (dict[str, int], 3, "x", "found 3, wanted a table"),
        (dict[str, int], {"a": "b"}, "x.a", 'found "b", wanted a whole number'),
        (tuple[Host, ...], [{}], "x[0].name", "found nothing, wanted a string"),
        (
            tuple[Host, ...],
            [{"name": "h", "sise": 1}],
            "x[0].sise",
            'found an unknown key, wanted name, size (did you mean "size"?)',
        ),
        (
            tuple[Secret, ...],
            "hush",
            "x",
            f"found a string, wanted {WANTED}: no secret stands in the settings",
        ),
        (
            Secret | App,
            "hush",
            "x",
            f"found a string, wanted {WANTED}: no secret stands in the settings",
        ),
        (Secret | App, {"env": "NO"}, "x", "the environment has no variable NO"),
        (Secret | App, {"client": "c"}, "x.number", "found nothing, wanted a whole number"),
        (
            tuple[Secret, ...],
            [{"env": "T"}, {"env": "NO"}],
            "x[1]",
            "the environment has no variable NO",
        ),
        (Annotated[int, Meta(ge=1)], 0, "x", "found 0, wanted 1 or more"),
        (Annotated[int, Meta(lt=1)], 1, "x", "found 1, wanted less than 1"),
        (Annotated[Duration, Meta(le=60)], "2m", "x", 'found "2m", wanted 1m or less'),
        (Annotated[str, Meta(pattern="^a")], "b", "x", 'found "b", wanted a match for ^a'),
        (Annotated[str, Meta(max_length=1)], "bb", "x", 'found "bb", wanted a length of 1 or less'),
        (
            Annotated[list[int], Meta(min_length=2)],
            [1],
            "x",
            "found a list, wanted a length of 2 or more",
        ),
    ],
)
def test_a_wrong_value_is_told_with_what_is_wanted(
    type_: Any, raw: Any, path: str, said: str | None
) -> None:
    got, problems = convert(type_, raw, T="t0ken")
    assert got is BAD
    [(place, text)] = problems
    spelt = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    assert spelt == f".{path}"
    assert said is None or text == said
    assert "hush" not in text


def test_every_missing_field_is_named() -> None:
    problems = Problems()
    assert Converter(problems, FOLDER, {}).table(App, {}, ("t",)) is BAD
    assert problems.found == [
        (("t", "client"), "found nothing, wanted a string"),
        (("t", "number"), "found nothing, wanted a whole number"),
    ]


@dataclass(frozen=True, kw_only=True)
class Choosy:
    low: int = 0
    high: int = 1

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low: more than high")
        if self.high > 9:
            raise ValueError("all of it is too high: 10 at most")


def test_a_dataclass_checks_itself() -> None:
    problems = Problems()
    converter = Converter(problems, FOLDER, {})
    assert converter.table(Choosy, {"low": 2}, ("t",)) is BAD
    assert converter.table(Choosy, {"high": 10}, ("t",)) is BAD
    assert problems.found == [
        (("t", "low"), "more than high"),
        (("t",), "all of it is too high: 10 at most"),
    ]


@dataclass(frozen=True)
class Odd:
    x: bytes = b""


@dataclass(frozen=True)
class Nested:
    inner: list[Odd] = field(default_factory=list)


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (Odd, "Odd.x: settings cannot fill a <class 'bytes'>"),
        (Nested, "Nested.inner.x: settings cannot fill"),
        (make_dataclass("T", [("x", tuple[int, str])]), "cannot fill"),
        (make_dataclass("T", [("x", "Missing")]), "must be importable while the program runs"),
        (dict, "cannot fill a <class 'dict'>"),
        (int, "int is not a dataclass"),
    ],
)
def test_a_field_that_settings_cannot_fill_is_its_authors_mistake(cls: Any, said: str) -> None:
    with pytest.raises(ShapeError, match=said.replace("(", r"\(")):
        check_shape(cls)


def test_such_a_field_is_a_plugin_error(bench: Bench) -> None:
    odd = type("Odd", (bench.classes["watcher"],), {"Config": Odd})
    with pytest.raises(PluginError, match=r"plugin odd: Odd\.x: settings cannot fill"):
        bench.load("[plugins.odd]\n", extra={"odd": odd})


JSONISH = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
TYPES: list[Any] = [
    *(bool, int, float, str, Duration, Size, Secret, Path, Colour, Host, Any),
    *(Literal["a", "b"], int | str | None, tuple[Host, ...], dict[str, Size], list[Secret]),
    *(Secret | App, Annotated[int, Meta(ge=0)], frozenset[str]),
]


@given(st.sampled_from(TYPES), JSONISH)
def test_whatever_stands_there_is_either_taken_or_told(type_: Any, raw: Any) -> None:
    got, problems = convert(type_, raw)
    assert (got is BAD) == bool(problems)


@given(st.sampled_from([bool, int, str]), JSONISH)
def test_plain_values_are_never_bent_into_another_kind(type_: type, raw: Any) -> None:
    got, _ = convert(type_, raw)
    assert got is BAD or (got is raw and type(raw) is type_)


@pytest.mark.parametrize(
    ("type_", "raw", "wanted"),
    [
        (Size, -1, "found -1, wanted one that is not negative"),
        (Size, "-4G", 'found "-4G", wanted one that is not negative'),
        (Duration, "-5s", 'found "-5s", wanted one that is not negative'),
        (Size, "-x", 'found "-x", wanted a size with a unit, such as "512M" or "4G"'),
        (float, 10**400, "found a very large number, wanted a number"),
    ],
)
def test_what_is_wrong_with_a_number_is_said(type_: Any, raw: Any, wanted: str) -> None:
    assert convert(type_, raw) == (BAD, [(("x",), wanted)])
