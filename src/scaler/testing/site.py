"""The settings of a check: what a site would write, with what is missing filled in."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from scaler.context import Context
from scaler.errors import SettingsError
from scaler.loading import load_classes
from scaler.loading.find import GROUP
from scaler.settings import load
from scaler.testing.fakeplugins import FakeProvisioner, FakeSource

if TYPE_CHECKING:
    from pathlib import Path

    from scaler.loading import LoadedPlugin
    from scaler.records import Profile
    from scaler.settings import Settings

#: A plugin's class, or a function (also a coroutine function) that makes the plugin.
Make: TypeAlias = Callable[[Context[Any, Any]], object | Awaitable[object]]

_FAKES = (("register_runner", "fake-source"), ("provision_runner", "fake-provisioner"))


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a check needs of the settings.

    Attributes:
        name: What the settings call the plugin that is checked.
        make: Makes it.
        settings: Everything, as a scaler would have read it.
        loaded: Every plugin that the settings enable, but for the fakes that were filled in.
    """

    name: str
    make: Make
    settings: Settings
    loaded: Mapping[str, LoadedPlugin]

    @property
    def profiles(self) -> dict[str, Profile]:
        """The profiles that belong to the plugin; all of them where none does."""
        own = self.settings.own.get(self.name, {})
        everyone = self.settings.profiles
        return {name: each for name, each in everyone.items() if name in own} or dict(everyone)


def read_site(
    make: Make,
    folder: Path,
    *,
    settings: str = "",
    plugin: type[Any] | None = None,
    environ: Mapping[str, str] | None = None,
    runners: int = 3,
) -> Site:
    """Understand what a check was given.

    Args:
        make: The plugin's class, or a function that makes the plugin.
        folder: Where the settings are written, and where `state_dir` is.
        settings: TOML, as a site would write it; may lack what is not the plugin's own.
        plugin: The plugin's class, where `make` is a function.
        environ: Where secrets that are given by `env` come from.
        runners: The `max_count` of the profile that is made where the settings have none.

    Raises:
        TypeError: The plugin's class is not known.
        ValueError: It is not clear which of the settings' tables is the plugin's.
        SettingsError: The settings are wrong.
        PluginError: The plugin's class cannot be used.
    """
    cls = plugin if plugin is not None else make
    if not isinstance(cls, type):
        raise TypeError(
            f"make is {make!r}, which is no class: say by plugin=… whose settings are meant"
        )
    full = complete(settings, [cls], folder, runners=runners)
    read, loaded = load(full.file, extra=full.extra, environ=environ or {})
    return Site(
        name=full.names[0],
        make=make,
        settings=replace(read, state_dir=folder / "state"),
        loaded={name: found for name, found in loaded.items() if name not in full.filled},
    )


@dataclass(frozen=True, kw_only=True)
class Complete:
    """Settings with what was missing.

    Attributes:
        file: Where they were written.
        names: What they call each of the classes.
        extra: The classes that nothing installed brings, by name, for `load`.
        filled: The names of the fakes that were filled in.
    """

    file: Path
    names: list[str]
    extra: Mapping[str, type[Any]]
    filled: frozenset[str]


def complete(
    settings: str,
    classes: Sequence[type[Any]],
    folder: Path,
    *,
    runners: int = 3,
    scaler: str = "",
    fakes: tuple[type[FakeSource], type[FakeProvisioner]] = (FakeSource, FakeProvisioner),
) -> Complete:
    """Fill in what settings lack, and write them into the folder.

    Args:
        settings: TOML; may be empty.
        classes: Plugins' classes that are meant to be enabled.
        folder: Where the file is written, and where `state_dir` is.
        runners: The `max_count` of the profile that is made where there is none.
        scaler: More of `[scaler]`, where it is filled in.
        fakes: What registers runners, and what makes machines, where no plugin does.

    Raises:
        ValueError: It is not clear which of the tables is a class's.
        SettingsError: It is no TOML.
        PluginError: A class cannot be used.
    """
    try:
        raw = tomllib.loads(settings)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"settings: is not TOML: {error}"]) from None
    tables = list(raw.get("plugins", {}))
    parts, names, extra = [settings], [], {}
    if "scaler" not in raw:
        parts.append(f'[scaler]\nname = "here"\nstate_dir = "{folder}/state"\n{scaler}')
    for cls in classes:
        name, own = _name_of(cls, [each for each in tables if each not in names])
        names.append(name)
        if own is not None:
            extra[name] = own
        if name not in tables:
            parts.append(f"[plugins.{name}]")
            tables.append(name)
    on = [name for name in tables if raw.get("plugins", {}).get(name, {}).get("enabled", True)]
    able = {hook for each in load_classes(on, extra=extra).values() for hook in each.hooks}
    filled = {
        name: cls for (hook, name), cls in zip(_FAKES, fakes, strict=True) if hook not in able
    }
    parts += [f"[plugins.{name}]" for name in filled]
    if not raw.get("profiles"):
        parts.append(f'[profiles.linux]\nlabels = ["linux"]\nmax_count = {runners}')
    file = folder / "scaler.toml"
    file.write_text("\n".join(parts) + "\n")
    return Complete(file=file, names=names, extra={**extra, **filled}, filled=frozenset(filled))


def _name_of(cls: type[Any], tables: list[str]) -> tuple[str, type[Any] | None]:
    """What the settings call this class; and the class itself where nothing installed brings it."""
    points = importlib.metadata.entry_points(group=GROUP)
    top = cls.__module__.partition(".")[0]
    installed = [
        point.name
        for point in points
        if point.attr == cls.__name__
        and point.module.partition(".")[0] == top
        and point.load() is cls
    ]
    for name in installed:
        if name in tables or len(installed) == 1:
            return name, None
    known = {point.name for point in points}
    folded = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", "-", cls.__name__).lower().strip("-")
    for name in tables:
        if name.replace("-", "") == folded.replace("-", "") and name not in known:
            return name, cls
    strange = [name for name in tables if name not in known]
    if len(strange) == 1:
        return strange[0], cls
    if not strange:
        if folded in known:
            folded = f"{folded}-checked"
        return folded, cls
    listed = ", ".join(f"[plugins.{name}]" for name in strange)
    raise ValueError(
        f"settings: found {listed}, wanted to know which is {cls.__name__}'s: name it "
        f"[plugins.{folded}]"
    )
