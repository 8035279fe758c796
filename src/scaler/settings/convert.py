"""TOML values to the types of a dataclass's fields, noting every problem and going on.

Understood are: bool, int, float, str, Any, `Duration`, `Size`, `Secret`, `SecretSource`, `Path`,
Literal, enums, dataclasses, `X | Y`, `list[X]`, `tuple[X, ...]`, `frozenset[X]`, `Sequence[X]`,
`dict[str, X]`, `Mapping[str, X]`, and `Annotated[X, msgspec.Meta(...)]` for bounds and patterns. A
list of secrets may also be given as one secret. A dataclass checks what concerns several of its
fields in `__post_init__`, by raising ValueError; a text that starts with `FIELD: ` is shown there.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import types
import typing
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from scaler.loading.names import did_you_mean
from scaler.secrets import WANTED, SecretSource
from scaler.settings.bounds import out_of_bounds
from scaler.settings.problems import KeyPath, Problems, show
from scaler.settings.seen import stamp
from scaler.units import Duration, Secret, Size

#: Stands for a value that could not be converted: its problem is noted already.
BAD: Any = object()

_PLAIN: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    Any: "a value",
    Duration: 'a duration with a unit, such as "30s" or "1h30m"',
    Size: 'a size with a unit, such as "512M" or "4G"',
    Secret: WANTED,
    SecretSource: WANTED,
    Path: "a path, as a string",
}
_LISTS: dict[Any, Any] = {list: list, tuple: tuple, frozenset: frozenset, Sequence: tuple}
_MAPPINGS: dict[Any, Any] = {dict: dict, Mapping: MappingProxyType}


class ShapeError(TypeError):
    """A dataclass has a field that settings cannot fill: its author's mistake, not the user's."""


def fields_of(cls: type[Any]) -> dict[str, tuple[dataclasses.Field[Any], Any]]:
    """The fields that settings can name, each with its type.

    Raises:
        ShapeError: It is no dataclass, or a field's type is not understood.
    """
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        raise ShapeError(f"{getattr(cls, '__qualname__', cls)} is not a dataclass")
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except Exception as error:
        raise ShapeError(
            f"{cls.__qualname__}: {error}; its types must be importable while the program runs, "
            "not only under TYPE_CHECKING"
        ) from error
    return {f.name: (f, hints[f.name]) for f in dataclasses.fields(cls) if f.init}


def check_shape(cls: type[Any]) -> None:
    """See that every field's type is understood, nested ones too.

    Raises:
        ShapeError: One is not.
    """
    if cls in _PLAIN:  # a table is wanted here
        fields_of(cls)
    _check(cls, str(getattr(cls, "__qualname__", cls)), set())


def _check(type_: Any, where: str, seen: set[Any]) -> None:
    origin, args = typing.get_origin(type_), typing.get_args(type_)
    if origin is typing.Annotated:
        _check(args[0], where, seen)
    elif origin in (typing.Union, types.UnionType):
        for member in args:
            if member is not types.NoneType:
                _check(member, where, seen)
    elif origin in _MAPPINGS and args[0] is str:
        _check(args[1], where, seen)
    elif origin in _LISTS and (origin is not tuple or args[1:] == (...,)):
        _check(args[0], where, seen)
    elif dataclasses.is_dataclass(type_) and type_ not in _PLAIN:
        if type_ not in seen:
            seen.add(type_)
            for name, (_, hint) in fields_of(type_).items():  # type: ignore[arg-type]
                _check(hint, f"{where}.{name}", seen)
    elif not (type_ in _PLAIN or origin is Literal or _is_enum(type_)):
        raise ShapeError(f"{where}: settings cannot fill a {type_}")


def _is_enum(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, enum.Enum)


def _of_secrets(type_: Any) -> bool:
    if typing.get_origin(type_) in _LISTS:
        return _of_secrets(typing.get_args(type_)[0])
    return type_ in (Secret, SecretSource)


def _names_secret(raw: Any) -> bool:
    return isinstance(raw, dict) and raw.keys() in ({"env"}, {"file"})


def describe(type_: Any) -> str:
    """What is wanted, for people."""
    origin, args = typing.get_origin(type_), typing.get_args(type_)
    if origin is typing.Annotated:
        return _words(args[0], args[1:]) or describe(args[0])
    if origin in (typing.Union, types.UnionType):
        told = dict.fromkeys(describe(arg) for arg in args if arg is not types.NoneType)
        return " or ".join(told)
    if origin is Literal:
        return _one_of(args)
    if origin in _LISTS:
        return f"a list, each {describe(args[0])}"
    if _is_enum(type_):
        return _one_of([member.value for member in type_])
    return _PLAIN.get(type_, "a table")


def _words(type_: Any, metas: Sequence[Any]) -> str:
    """What an amount is described as where it is used; empty where it says nothing of its own."""
    found = [getattr(meta, "description", None) for meta in metas]
    return next(filter(None, found), "") if type_ is Size else ""


def _one_of(values: Sequence[object]) -> str:
    return ("one of " if len(values) > 1 else "") + ", ".join(map(show, values))


class Converter:
    """Converts values of one file.

    Attributes:
        problems: Where what is wrong goes.
        secrets: Every secret that was read.
        seen: What the settings only name, as it was: see `Settings.seen`.
    """

    def __init__(self, problems: Problems, folder: Path, environ: Mapping[str, str]) -> None:
        self.problems = problems
        self.secrets: list[Secret] = []
        self.seen: dict[KeyPath, Any] = {}
        self.folder = folder
        self._environ = environ

    def table(self, cls: type[Any], raw: Any, path: KeyPath) -> Any:
        """One table to one dataclass; BAD where anything in it is wrong."""
        if not isinstance(raw, dict):
            return self._bad(path, raw, "a table")
        fields, values = fields_of(cls), {}
        strangers = [key for key in raw if key not in fields]
        for key in strangers:
            self.problems.say((*path, key), unknown(key, fields))
        for name, (field, type_) in fields.items():
            if name in raw:
                values[name] = self.value(type_, raw[name], (*path, name))
            elif field.default is field.default_factory is dataclasses.MISSING:
                self._bad((*path, name), BAD, describe(type_))
                values[name] = BAD
        if strangers or any(value is BAD for value in values.values()):
            return BAD
        try:
            return cls(**values)
        except (ValueError, TypeError) as error:
            name, _, text = str(error).partition(": ")
            if text and name in fields:
                self.problems.say((*path, name), text)
            else:
                self.problems.say(path, str(error))
            return BAD

    def value(self, type_: Any, raw: Any, path: KeyPath) -> Any:
        """One value to one type; BAD where it is wrong."""
        origin, args = typing.get_origin(type_), typing.get_args(type_)
        if origin is typing.Annotated:
            return self._bounded(args, raw, path)
        if origin in (typing.Union, types.UnionType):
            return self._union(type_, raw, path)
        if origin in _LISTS:
            return self._list(type_, raw, path)
        if origin in _MAPPINGS:
            return self._mapping(type_, raw, path)
        if type_ in (Secret, SecretSource):
            return self._secret(type_, raw, path)
        if dataclasses.is_dataclass(type_):
            return self.table(type_, raw, path)  # type: ignore[arg-type]
        if origin is Literal:
            return self._choice({choice: choice for choice in args}, raw, path)
        if _is_enum(type_):
            return self._choice({member.value: member for member in type_}, raw, path)
        return self._plain(type_, raw, path)

    def _plain(self, type_: Any, raw: Any, path: KeyPath, words: str = "") -> Any:
        kind = type(raw)
        if type_ is Any or (kind is type_ and type_ in (bool, int, float, str)):
            return raw
        if type_ is float and kind is int:
            with suppress(OverflowError):
                return float(raw)
        if type_ is Path and kind is str and raw and "\0" not in raw:
            try:
                file = self.folder / Path(raw).expanduser()
            except RuntimeError:
                return self._bad(path, raw, "a path: that user has no home directory")
            self.seen[path] = stamp(file)
            return file
        if type_ in (Duration, Size) and kind is str and (value := _parsed(type_, raw)) is not None:
            return value
        if type_ is Size and kind is int and raw >= 0:
            return Size(raw)
        if type_ in (Duration, Size) and _negative(type_, raw):
            return self._bad(path, raw, "one that is not negative")
        return self._bad(path, raw, words or describe(type_))

    def _bounded(self, args: tuple[Any, ...], raw: Any, path: KeyPath) -> Any:
        type_, *metas = args
        words = _words(type_, metas)
        value = self._plain(type_, raw, path, words) if words else self.value(type_, raw, path)
        if value is not BAD:
            for meta in metas:
                if wanted := out_of_bounds(value, meta):
                    return self._bad(path, raw, wanted)
        return value

    def _choice(self, choices: dict[Any, Any], raw: Any, path: KeyPath) -> Any:
        for choice, value in choices.items():
            if choice == raw and type(choice) is type(raw):
                return value
        names = [choice for choice in choices if isinstance(choice, str)]
        hint = did_you_mean(raw, names) if isinstance(raw, str) else ""
        return self._bad(path, raw, _one_of(list(choices)), hint)

    def _union(self, type_: Any, raw: Any, path: KeyPath) -> Any:
        """The first member that fits; where none does, the one whose kind it is tells why."""
        members = [m for m in typing.get_args(type_) if m is not types.NoneType]
        secret = next((m for m in members if _of_secrets(m)), None)
        if secret and (isinstance(raw, str) or _names_secret(raw)):
            members = [secret]
        noted, secrets = self.problems, len(self.secrets)
        tries: list[Problems] = []
        for member in members:
            self.problems = Problems()
            try:
                value = self.value(member, raw, path)
                tries.append(self.problems)
            finally:
                self.problems = noted
            if value is not BAD:
                return value
            del self.secrets[secrets:]
        deep = [told for told in tries if any(place != path for place, _ in told.found)]
        if len(tries) == 1 or len(deep) == 1:
            noted.found += (deep or tries)[0].found
            return BAD
        return self._bad(path, raw, describe(type_))

    def _list(self, type_: Any, raw: Any, path: KeyPath) -> Any:
        item = typing.get_args(type_)[0]
        if _of_secrets(type_) and not isinstance(raw, list):
            value = self._secret(item, raw, path)
            return value if value is BAD else _LISTS[typing.get_origin(type_)]([value])
        if not isinstance(raw, list):
            return self._bad(path, raw, describe(type_))
        values = [self.value(item, each, (*path, index)) for index, each in enumerate(raw)]
        if any(value is BAD for value in values):
            return BAD
        return _LISTS[typing.get_origin(type_)](values)

    def _mapping(self, type_: Any, raw: Any, path: KeyPath) -> Any:
        if not isinstance(raw, dict):
            return self._bad(path, raw, "a table")
        item = typing.get_args(type_)[1]
        values = {key: self.value(item, each, (*path, key)) for key, each in raw.items()}
        if any(value is BAD for value in values.values()):
            return BAD
        return _MAPPINGS[typing.get_origin(type_)](values)

    def _secret(self, type_: Any, raw: Any, path: KeyPath) -> Any:
        try:
            source = SecretSource.parse(raw, self.folder, self._environ)
            secret = source.read()
        except (ValueError, RuntimeError) as error:  # the latter of a ~user that there is not
            self.problems.say(path, str(error))
            return BAD
        self.secrets.append(secret)
        self.seen[path] = secret
        return secret if type_ is Secret else source

    def _bad(self, path: KeyPath, raw: Any, wanted: str, hint: str = "") -> Any:
        self.problems.add(path, "nothing" if raw is BAD else show(raw), wanted, hint)
        return BAD


def _parsed(type_: Any, text: str) -> Any:
    """A duration or a size, or None where it is neither."""
    try:
        value = type_.parse(text)
        return value if math.isfinite(value) else None
    except (ValueError, OverflowError):
        return None


def _negative(type_: Any, raw: Any) -> bool:
    """Whether it would be good but for the sign."""
    if isinstance(raw, str):
        return raw.startswith("-") and _parsed(type_, raw[1:]) is not None
    return type_ is Size and type(raw) is int and raw < 0


def unknown(key: str, known: Mapping[str, Any]) -> str:
    """What to say of a key that nobody knows. Its value is not repeated: it may be a secret."""
    wanted = ", ".join(known) if known else "no keys at all"
    return f"found an unknown key, wanted {wanted}{did_you_mean(key, known)}"
