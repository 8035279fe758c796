"""The shape of a settings file as JSON Schema, for editors, with what plugins add.

It is draft 7, and of that only what editors of TOML understand. A schema says less than `load`
checks: nothing of one setting beside another, of files that must exist, of who owns a profile. What
`load` takes the schema takes too, with one exception: the table of a plugin that is kept off is
held to the plugin's types all the same.
"""

from __future__ import annotations

import dataclasses
import enum
import re
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from scaler.secrets import WANTED, SecretSource
from scaler.settings.convert import describe, fields_of
from scaler.settings.model import NAME, NAME_WORDS, ProfileTable, ScalerTable, host_name
from scaler.settings.shown import default_of, meanings, plain, summary
from scaler.units import Duration, Secret, Size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scaler.loading import LoadedPlugin

Schema: TypeAlias = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"

_SECRETS = (Secret, SecretSource)
_UNITS = (Duration, Size)
_NUMBER = r"[0-9]+(\.[0-9]+)?"
_TEXT: Schema = {"type": "string", "minLength": 1}
_SECRET: Schema = {
    "type": "object",
    "properties": {
        "env": {**_TEXT, "description": "The environment's variable that holds it."},
        "file": {**_TEXT, "description": "The file that holds it, for its owner alone to read."},
    },
    "additionalProperties": False,
    "minProperties": 1,
    "maxProperties": 1,
}
_PLAIN: dict[Any, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    Any: {},
    Duration: {"type": "string", "pattern": f"^({_NUMBER}(ms|s|m|h|d))+$"},
    Size: {
        "type": ["string", "integer"],
        "pattern": rf"^\s*{_NUMBER}\s*[KMGT]?(i?B)?\s*$",
        "minimum": 0,
    },
    Path: _TEXT,
    Secret: _SECRET,
    SecretSource: _SECRET,
}
# (some editors take a table without additionalProperties for one that allows no more)
_KEPT_OFF: Schema = {
    "properties": {"enabled": {"enum": [False]}},
    "required": ["enabled"],
    "additionalProperties": True,
}
_LENGTHS = {"string": "Length", "array": "Items", "object": "Properties"}
# What begins a group that only Python's patterns have
_FOREIGN = re.compile(r"\(\?(?![:=!]|<[=!])")


def schema(plugins: Mapping[str, LoadedPlugin], broken: Mapping[str, str] | None = None) -> Schema:
    """The schema of a file that may name these plugins.

    Args:
        plugins: Each by what the file calls it.
        broken: Plugins that cannot be loaded, and why: their tables may hold anything.

    Raises:
        ShapeError: A plugin's class has a field that settings cannot fill.
    """
    return _Builder().whole(plugins, broken or {})


class _Builder:
    """Builds one schema.

    Attributes:
        definitions: Tables that hold themselves, by name; others are written where they stand.
    """

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}
        self._inside: list[type[Any]] = []

    def whole(self, plugins: Mapping[str, LoadedPlugin], broken: Mapping[str, str]) -> Schema:
        tables = {name: self._plugin(name, plugin) for name, plugin in plugins.items()}
        tables |= {
            name: {"type": "object", "description": f"BROKEN: {why}"}
            for name, why in broken.items()
        }
        others: Schema = {
            "type": "object",
            "description": "A plugin that is not known here: it can only be kept off.",
            **_KEPT_OFF,
        }
        built: Schema = {
            "$schema": DRAFT,
            "title": "scaler.toml",
            "description": f"Settings of scaler, with the plugins {', '.join(tables) or '(none)'}.",
            "type": "object",
            "properties": {
                "scaler": self.table(ScalerTable, "The scaler itself."),
                "plugins": {
                    "type": "object",
                    "description": "A table for each plugin that is to run.",
                    "properties": tables,
                    # not additionalProperties: editors would show it beside each plugin's own
                    "patternProperties": {_none_of(tables): others},
                    "additionalProperties": False,
                },
                "profiles": {
                    "type": "object",
                    "description": f"A table for each kind of runner; its name is {NAME_WORDS}.",
                    "patternProperties": {
                        f"^{NAME.pattern}$": self._profile(plugins, broken),
                    },
                    "additionalProperties": False,
                },
            },
            "additionalProperties": False,
        }
        if self.definitions:
            built["definitions"] = self.definitions
        return built

    def _plugin(self, name: str, plugin: LoadedPlugin) -> Schema:
        text = f"The plugin {name}{f' of {plugin.dist} {plugin.version}' if plugin.dist else ''}."
        text = "\n\n".join(filter(None, [summary(plugin.cls), text]))
        own: Schema = {"type": "object", "description": text, "properties": {}}
        if plugin.config is not None:
            own = self.table(plugin.config, text)
        enabled = {
            "type": "boolean",
            "default": True,
            "description": "Whether it runs; false keeps it off without deleting its settings.",
        }
        own["properties"] = {**own["properties"], "enabled": enabled}
        own["additionalProperties"] = False
        if needed := own.pop("required", None):
            own |= {"if": _KEPT_OFF, "else": {"required": needed, "additionalProperties": True}}
        return own

    def _profile(self, plugins: Mapping[str, LoadedPlugin], broken: Mapping[str, str]) -> Schema:
        built = self.table(ProfileTable, "A kind of runner.")
        for name, plugin in plugins.items():
            text = f"What the plugin {name} is told of this profile."
            if plugin.profile_config is not None:
                built["properties"][name] = self.table(plugin.profile_config, text)
            elif plugin.hooks & {"register_runner", "provision_runner"}:
                built["properties"][name] = {
                    "type": "object",
                    "description": f"The profile belongs to the plugin {name}.",
                    "additionalProperties": False,
                }
        for name, why in broken.items():
            built["properties"][name] = {"type": "object", "description": f"BROKEN: {why}"}
        return built

    def table(self, cls: type[Any], text: str) -> Schema:
        """One dataclass."""
        told, properties, needed = meanings(cls), {}, []
        self._inside.append(cls)
        for key, (field, type_) in fields_of(cls).items():
            properties[key] = self._setting(field, type_, told.get(key, ""))
            if field.default is field.default_factory is dataclasses.MISSING:
                needed.append(key)
        self._inside.pop()
        built: Schema = {"type": "object", "description": text, "properties": properties}
        if needed:
            built["required"] = needed
        built["additionalProperties"] = False
        if _name(cls) in self.definitions:
            self.definitions[_name(cls)] = built
        return built

    def _setting(self, field: dataclasses.Field[Any], type_: Any, told: str) -> Schema:
        built = self.of(type_)
        if "$ref" in built:  # nothing may stand beside it
            built = {"allOf": [built]}
        text = "\n\n".join(filter(None, [told, _written(type_)]))
        if text:
            built["description"] = text
        # (the host's name is another one elsewhere)
        default: Any = None if field.default_factory is host_name else default_of(field)
        if default is not dataclasses.MISSING and default is not None:
            built["default"] = default
        return built

    def of(self, type_: Any) -> Schema:
        """One type, in a dictionary of its own."""
        origin, args = typing.get_origin(type_), typing.get_args(type_)
        if origin is typing.Annotated:
            return _bounded(self.of(args[0]), args[0], args[1:])
        if origin in (typing.Union, types.UnionType):
            return self._union([each for each in args if each is not types.NoneType])
        if origin is Literal:
            return _one_of(args)
        if origin in (dict, Mapping):
            return {"type": "object", "additionalProperties": self.of(args[1])}
        if origin is not None:
            several = {"type": "array", "items": self.of(args[0])}
            return {"anyOf": [several, self.of(args[0])]} if args[0] in _SECRETS else several
        if type_ in _PLAIN:
            return dict(_PLAIN[type_])
        if isinstance(type_, type) and issubclass(type_, enum.Enum):
            return _one_of([each.value for each in type_])
        if type_ in self._inside:
            self.definitions.setdefault(_name(type_), {})
        if _name(type_) in self.definitions:
            return {"$ref": f"#/definitions/{_name(type_)}"}
        return self.table(type_, "")

    def _union(self, members: Sequence[Any]) -> Schema:
        if len(members) == 1:
            return self.of(members[0])
        built: Schema = {"anyOf": [self.of(each) for each in members]}
        if any(each in _SECRETS for each in members):
            built["not"] = {"type": "string"}  # it could be the secret itself
        return built


def _name(cls: type[Any]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _none_of(names: Iterable[str]) -> str:
    """A pattern of every key but these."""
    listed = "|".join(re.sub(r"[^A-Za-z0-9_-]", r"\\\g<0>", name) for name in names)
    return f"^(?!({listed})$)" if listed else ""


def _one_of(values: Sequence[Any]) -> Schema:
    texts = all(isinstance(value, str) for value in values)
    return {**({"type": "string"} if texts else {}), "enum": [plain(value) for value in values]}


def _written(type_: Any) -> str:
    """How such a value is written, where that is no plain TOML."""
    origin, args = typing.get_origin(type_), typing.get_args(type_)
    if origin in (typing.Union, types.UnionType):
        kept = [each for each in args if each is not types.NoneType]
        return _written(kept[0]) if len(kept) == 1 else ""
    base = args[0] if origin is typing.Annotated else type_
    if base in _SECRETS:
        return f"Written as {WANTED}."
    metas = args[1:] if origin is typing.Annotated else ()
    told = next(filter(None, (getattr(each, "description", None) for each in metas)), "")
    if base in _UNITS or told:
        text = told or describe(type_)
        return f"{text[:1].upper()}{text[1:]}."
    if origin in (dict, Mapping):
        return _written(args[1])
    return ""


def _bounded(built: Schema, type_: Any, metas: Iterable[Any]) -> Schema:
    """With the bounds that `settings.bounds` holds values to, as far as a schema has them."""
    kinds = built.get("type", list(_LENGTHS))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    step = 0 if type_ is float else 1
    for meta in metas:
        bounds: dict[str, Any] = {
            name: getattr(meta, name, None) for name in ("ge", "gt", "le", "lt")
        }
        if type_ is Duration:
            if bounds["gt"] == 0:
                built["pattern"] = built["pattern"].replace("^", "^(?=.*[1-9])")
            continue
        for name, word in (("ge", "minimum"), ("le", "maximum")):
            if bounds[name] is not None:
                built[word] = plain(bounds[name])
        for name, word, sign in (("gt", "minimum", step), ("lt", "maximum", -step)):
            if bounds[name] is not None and step:
                built[word] = int(bounds[name]) + sign
            elif bounds[name] is not None:
                built[f"exclusive{word.capitalize()}"] = bounds[name]
        for name, word in (("min_length", "min"), ("max_length", "max")):
            if (length := getattr(meta, name, None)) is not None:
                built |= {f"{word}{_LENGTHS[kind]}": length for kind in kinds if kind in _LENGTHS}
        pattern = getattr(meta, "pattern", None)
        if pattern is not None and not _FOREIGN.search(pattern):
            built["pattern"] = pattern.replace(r"\A", "^").replace(r"\Z", "$")
    return built
