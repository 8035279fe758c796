"""The one way from a file to settings and plugin classes."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from scaler.errors import PluginError, SettingsError
from scaler.loading import LoadedPlugin, find, load_classes
from scaler.loading.load import unusable
from scaler.secrets import at_once
from scaler.settings.convert import BAD, Converter, ShapeError, check_shape, unknown
from scaler.settings.model import ScalerTable, Settings
from scaler.settings.problems import Problems, place_of, show
from scaler.settings.profiles import Profiles

if TYPE_CHECKING:
    from collections.abc import Mapping

_HARMLESS = 12  # characters of a value at most that is shown where the file is not understood
_TOP = {"scaler": None, "plugins": None, "profiles": None}


@dataclass(frozen=True, kw_only=True)
class Again:
    """A settings file that was read once more while its plugins run.

    Attributes:
        settings: What it says of the plugins that run.
        newcomers: Plugins that it enables and that do not run. They are not imported.
        awaiting: Profiles that cannot be judged without one of them, and which.
    """

    settings: Settings
    newcomers: tuple[str, ...] = ()
    awaiting: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def load(
    path: str | os.PathLike[str],
    *,
    extra: Mapping[str, type[Any]] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> tuple[Settings, dict[str, LoadedPlugin]]:
    """Read a settings file and import the plugins that it enables.

    Args:
        path: The TOML file.
        extra: More plugin classes by name, for tests and for programs that embed scaler.
        environ: Where secrets given by `env` come from.

    Raises:
        SettingsError: Something is wrong in the file; all of it is told.
        PluginError: An enabled plugin cannot be used; all of them are told.
    """
    again, loaded = _load(Path(path), dict(extra or {}), environ, None)
    return again.settings, loaded


def load_again(settings: Settings, running: Mapping[str, LoadedPlugin]) -> Again:
    """Read the file of these settings once more, importing nothing: what runs is what there is.

    Raises:
        SettingsError: Something is wrong in the file; all of it is told.
    """
    again, _ = _load(settings.source_file, settings.extra, settings.environ, running)
    return again


def _load(
    file: Path,
    extra: Mapping[str, type[Any]],
    environ: Mapping[str, str],
    running: Mapping[str, LoadedPlugin] | None,
) -> tuple[Again, dict[str, LoadedPlugin]]:
    text, raw = _read(file)
    problems = Problems()
    converter = Converter(problems, file.absolute().parent, environ)
    for key in raw:
        if key not in _TOP:
            problems.say((key,), unknown(key, _TOP))
    own = converter.table(ScalerTable, raw.get("scaler", {}), ("scaler",))
    tables = _enabled(raw, problems)
    folder = _plugin_dir(raw, converter)
    tables_of_profiles = _tables(raw, "profiles", problems)
    if folder is BAD or not isinstance(raw.get("plugins", {}), dict):
        problems.stop(file, text)  # without plugins the rest cannot be judged
    known = find(None if folder is BAD else folder, extra)
    if running is None:
        loaded = load_classes(
            tables,
            plugin_dir=folder,
            extra=extra,
            place=lambda name: place_of(file, text, ("plugins", name)),
        )
        _check_shapes(loaded)
    else:
        loaded = {name: running[name] for name in tables if name in running}
    newcomers = tuple(name for name in tables if name not in loaded)
    for name in newcomers:
        if wrong := unusable(name, known):
            problems.say(("plugins", name), wrong)

    configs = {name: _config(converter, loaded[name], tables[name]) for name in loaded}
    profiles = Profiles(converter, loaded, known, frozenset(newcomers))
    for name, table in tables_of_profiles.items():
        profiles.read(name, table)
    problems.stop(file, text)
    settings = Settings(
        name=own.name,
        state_dir=own.state_dir,
        tick=own.tick,
        shutdown_grace=own.shutdown_grace,
        log=own.log,
        plugin_dir=own.plugin_dir,
        plugins=MappingProxyType(configs),
        profiles=MappingProxyType(profiles.profiles),
        own=MappingProxyType(
            {name: MappingProxyType(profiles.own.get(name, {})) for name in loaded}
        ),
        source_file=file.absolute(),
        secrets=tuple(converter.secrets),
        seen=MappingProxyType(converter.seen),
        environ=environ,
        extra=MappingProxyType(dict(extra)),
    )
    awaiting = MappingProxyType(profiles.awaiting)
    return Again(settings=settings, newcomers=newcomers, awaiting=awaiting), loaded


def look(path: str | os.PathLike[str]) -> tuple[list[str], Path | None]:
    """Which plugins a file enables, and its folder of plugins, without importing any.

    Raises:
        SettingsError: These parts of it are wrong, or it cannot be read.
    """
    file = Path(path)
    text, raw = _read(file)
    problems = Problems()
    names = list(_enabled(raw, problems))
    folder = _plugin_dir(raw, Converter(problems, file.absolute().parent, {}))
    problems.stop(file, text)
    return names, None if folder is BAD else folder


def _read(file: Path) -> tuple[str, dict[str, Any]]:
    """The file's text, and the same as TOML.

    Raises:
        SettingsError: It cannot be read, or is no TOML; then nothing more is told.
    """
    text = text_of(file)
    return text, parsed(file, text)


def text_of(file: Path) -> str:
    """The file's text.

    Raises:
        SettingsError: It cannot be read.
    """
    try:
        with open(file, "rb", opener=at_once) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise SettingsError([f"{file}: is not a file (name another with -c)"])
            return opened.read().decode("utf-8-sig")  # some editors put a mark at the start
    except OSError as error:
        told = f"{file}: cannot be read: {error.strerror} (name another with -c)"
        raise SettingsError([told]) from None
    except UnicodeDecodeError as error:
        raise SettingsError([f"{file}: is not text in UTF-8: {error.reason}"]) from None


def parsed(file: Path, text: str) -> dict[str, Any]:
    """The text of a file as TOML.

    Raises:
        SettingsError: It is none.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        words, _, place = str(error).rpartition(" (at ")
        line = place.removeprefix("line ").partition(",")[0]
        if not line.isdigit():  # "at end of document"
            line = str(text.rstrip().count("\n") + 1)
        lines = text.splitlines()
        shown = _shown(lines[int(line) - 1]) if int(line) <= len(lines) else ""
        told = f"{file}:{line}: is not TOML: {words[:1].lower()}{words[1:]}"
        raise SettingsError([f"{told}: {shown}" if shown else told]) from None
    except ValueError as error:  # a number of more digits than Python reads
        raise SettingsError([f"{file}: is no usable TOML: {error}"]) from None
    except RecursionError:
        raise SettingsError([f"{file}: is nested too deeply to be read"]) from None


def _shown(line: str) -> str:
    """A line that is wrong, without a value that could be a secret."""
    match = re.fullmatch(r"(\s*(?:\[.*|[\w.-]+\s*=\s*))?(.*)", line, re.ASCII)
    key, value = (match[1] or "", match[2]) if match else ("", line)
    if len(value) > _HARMLESS or '"' in value or "'" in value:
        value = "…"
    return (key + value).strip()


def _enabled(raw: Mapping[str, Any], problems: Problems) -> dict[str, dict[str, Any] | None]:
    """The tables of the plugins that are not kept off; None for one that is no table."""
    tables: dict[str, dict[str, Any] | None] = {}
    for name, table in _tables(raw, "plugins", problems).items():
        path = ("plugins", name)
        if not isinstance(table, dict):
            problems.add(path, show(table), "a table")
            tables[name] = None
            continue
        on = table.get("enabled", True)
        if not isinstance(on, bool):
            problems.add((*path, "enabled"), show(on), "true or false")
        if on:
            tables[name] = {key: value for key, value in table.items() if key != "enabled"}
    return tables


def _plugin_dir(raw: Mapping[str, Any], converter: Converter) -> Any:
    """`[scaler] plugin_dir` alone: plugins are imported before the rest is judged."""
    table = raw.get("scaler", {})
    if not isinstance(table, dict):
        return BAD
    if "plugin_dir" not in table:
        return None
    quiet = Converter(Problems(), converter.folder, {})
    folder = quiet.value(Path, table["plugin_dir"], ())
    if folder is not BAD and not os.path.isdir(folder):
        converter.problems.say(("scaler", "plugin_dir"), f"there is no folder {folder}")
        return BAD
    return folder


def _tables(raw: Mapping[str, Any], key: str, problems: Problems) -> dict[str, Any]:
    found = raw.get(key, {})
    if isinstance(found, dict):
        return found
    problems.add((key,), show(found), "a table")
    return {}


def _config(converter: Converter, plugin: LoadedPlugin, raw: dict[str, Any] | None) -> Any:
    path = ("plugins", plugin.name)
    if raw is None:
        return BAD
    if plugin.config is not None:
        return converter.table(plugin.config, raw, path)
    for key in raw:
        converter.problems.say((*path, key), unknown(key, {"enabled": None}))
    return None


def _check_shapes(loaded: Mapping[str, LoadedPlugin]) -> None:
    wrong = []
    for plugin in loaded.values():
        for cls in (plugin.config, plugin.profile_config):
            try:
                if cls is not None:
                    check_shape(cls)
            except ShapeError as error:
                wrong.append(f"plugin {plugin.name}: {error}")
    if wrong:
        raise PluginError("\n".join(wrong))
