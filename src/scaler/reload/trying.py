"""Whether plugins take new settings, before anything goes by them."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from scaler.building import try_all
from scaler.errors import SettingsError
from scaler.reload.differing import equal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler.loading import LoadedPlugin
    from scaler.reload.compare import Changes
    from scaler.settings import Settings

MIXED = "with what stays as it is until a restart"


def try_file(file: Settings, running: Settings, loaded: Mapping[str, LoadedPlugin]) -> None:
    """Try what the file says.

    Raises:
        FatalError: Some plugin refuses it.
    """
    tried = replace(file, name=running.name, state_dir=running.state_dir)
    try_all(tried, {name: loaded[name] for name in file.plugins})


def try_mixture(changes: Changes, file: Settings, loaded: Mapping[str, LoadedPlugin]) -> None:
    """Try what will count, where that is another than the file: some of it stays as it is.

    Profiles that leave are left out: two may have the same thing, one after the other.

    Raises:
        FatalError: Some plugin refuses it.
    """
    mixed = _without(changes.settings, changes.leaving)
    same = (
        equal(dict(mixed.plugins), dict(file.plugins))
        and equal(dict(mixed.profiles), dict(file.profiles))
        and all(equal(dict(mixed.own[name]), dict(file.own.get(name, {}))) for name in mixed.own)
    )
    if same:
        return
    try:
        try_all(mixed, loaded)
    except SettingsError as error:
        raise SettingsError([f"{text} ({MIXED})" for text in error.problems]) from None


def _without(settings: Settings, leaving: frozenset[str]) -> Settings:
    profiles = {name: each for name, each in settings.profiles.items() if name not in leaving}
    own = {
        plugin: MappingProxyType({name: each for name, each in mine.items() if name not in leaving})
        for plugin, mine in settings.own.items()
    }
    return replace(settings, profiles=MappingProxyType(profiles), own=MappingProxyType(own))
