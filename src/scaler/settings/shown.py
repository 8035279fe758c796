"""What tables of settings hold, as people read it: types in a word, defaults as TOML has them."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import math
import re
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scaler.secrets import SecretSource
from scaler.settings.convert import describe, fields_of
from scaler.settings.model import host_name
from scaler.units import Duration, Secret, Size

_WORDS = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "string",
    Path: "path",
    Duration: "duration",
    Size: "size",
    Secret: "secret",
    SecretSource: "secret",
    Any: "anything",
}
_MAPPINGS = (Mapping, dict)
_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One key of a table.

    Attributes:
        type: Its type in a word or two.
        wanted: How it is written, as errors say it.
        default: As the file would have it; empty where there is none.
        needed: Whether leaving it out is an error.
        meaning: What the class's `Attributes:` say of it.
    """

    key: str
    type: str
    wanted: str
    default: str
    needed: bool
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table, with its heading as the file would have it."""

    heading: str
    settings: tuple[Setting, ...]


def tables(heading: str, cls: type[Any]) -> Iterator[Table]:
    """The table of a class and those inside it, each once.

    Raises:
        ShapeError: It is no dataclass that settings can fill.
    """
    yield from _tables(heading, "[{}]", cls, ())


def _tables(
    heading: str, form: str, cls: type[Any], above: tuple[type[Any], ...]
) -> Iterator[Table]:
    told, inside, rows = meanings(cls), [], []
    for key, (field, type_) in fields_of(cls).items():
        rows.append(
            Setting(
                key=key,
                type=words(type_),
                wanted=describe(type_),
                default=default(field),
                needed=_needed(field),
                meaning=told.get(key, ""),
            )
        )
        inside += [(f"{heading}.{key}{rest}", form, each) for rest, form, each in _inner(type_)]
    yield Table(heading=form.format(heading), settings=tuple(rows))
    for place, shape, each in inside:
        if each not in (*above, cls):
            yield from _tables(place, shape, each, (*above, cls))


def _inner(type_: Any, rest: str = "", form: str = "[{}]") -> Iterator[tuple[str, str, type[Any]]]:
    """The dataclasses in a type, each with what its heading has after the key, and its brackets."""
    origin, args = typing.get_origin(type_), typing.get_args(type_)
    if origin is Literal:
        return
    if origin in _MAPPINGS:
        yield from _inner(args[1], f"{rest}.NAME")
    elif origin is typing.Annotated or origin in (typing.Union, types.UnionType):
        for each in args if origin is not typing.Annotated else args[:1]:
            yield from _inner(each, rest, form)
    elif origin is not None:
        yield from _inner(args[0], rest, "[[{}]]")
    elif dataclasses.is_dataclass(type_) and type_ not in _WORDS:
        yield rest, form, type_  # type: ignore[misc]


def words(type_: Any, *, many: bool = False) -> str:
    """A type in a word or two."""
    origin, args = typing.get_origin(type_), typing.get_args(type_)
    if origin is typing.Annotated:
        return words(args[0], many=many)
    if origin in (typing.Union, types.UnionType):
        told = (words(each, many=many) for each in args if each is not types.NoneType)
        return " or ".join(dict.fromkeys(told))
    if origin is Literal:
        return ", ".join(map(_toml, args))
    if origin in _MAPPINGS:
        return f"table{'s' if many else ''} of {words(args[1], many=True)}"
    if origin is not None:
        return f"list{'s' if many else ''} of {words(args[0], many=True)}"
    if isinstance(type_, type) and issubclass(type_, enum.Enum):
        return ", ".join(_toml(each.value) for each in type_)
    word = _WORDS.get(type_, "table")
    return f"{word}s" if many and word not in ("true or false", "anything") else word


def default(field: dataclasses.Field[Any]) -> str:
    """A field's default, as the file would have it; empty where leaving it out means nothing."""
    if field.default_factory is host_name:
        return "the host's name"
    value = default_of(field)
    return "" if value is None or value is dataclasses.MISSING else _toml(value)


def _doc(cls: type[Any]) -> str:
    return inspect.cleandoc(cls.__doc__) if isinstance(cls.__doc__, str) else ""


def default_of(field: dataclasses.Field[Any]) -> Any:
    """A field's default as plain values; MISSING where it has none, or none that can be told."""
    try:
        if field.default_factory is not dataclasses.MISSING:
            return plain(field.default_factory())
        return field.default if field.default is dataclasses.MISSING else plain(field.default)
    except (Exception, SystemExit):  # a plugin's own, which may look at what is not there
        return dataclasses.MISSING


def _needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING


def plain(value: Any) -> Any:
    """A value as TOML and JSON have it; what a secret is stays out of it."""
    if value is None:
        return None
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, bool | float | int) and not isinstance(value, Duration | Size):
        return value if math.isfinite(value) else str(value)  # JSON has no such number
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [plain(each) for each in value]
    if dataclasses.is_dataclass(value):
        given = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        usual = {field.name: default_of(field) for field in dataclasses.fields(value)}
        return {
            key: plain(each)
            for key, each in given.items()
            if each is not None and plain(each) != usual[key]
        }
    return str(value)


def _toml(value: Any) -> str:
    match plain(value):
        case bool(found):
            return str(found).lower()
        case str(found):
            return json.dumps(found, ensure_ascii=False)
        case list(found):
            return f"[{', '.join(map(_toml, found))}]"
        case dict(found) if found:
            pairs = (f"{_key(key)} = {_toml(each)}" for key, each in found.items())
            return f"{{ {', '.join(pairs)} }}"
        case found:
            return str(found)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def summary(cls: type[Any]) -> str:
    """The first paragraph of its docstring, but for one that a dataclass gives itself."""
    text = _doc(cls).partition("\n\n")[0]
    return "" if text.startswith(f"{cls.__name__}(") else " ".join(text.split())


def meanings(cls: type[Any]) -> dict[str, str]:
    """What the docstring's `Attributes:` say of each field; `a, b: …` says it of both."""
    _, _, rest = _doc(cls).partition("Attributes:\n")
    entries = re.split(r"\n(?=\S)", textwrap.dedent(re.split(r"\n(?=\S)", rest)[0]))
    found = {}
    for entry in entries:
        names, _, text = entry.partition(": ")
        for name in names.split(","):
            found[name.strip()] = " ".join(text.split())
    return found
