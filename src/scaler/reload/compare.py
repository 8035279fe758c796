"""What is to be done for a settings file that changed: what applies, who is told, what must wait.

Pure: settings in, changes out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from scaler.records import Profile, SettingsChange
from scaler.reload.differing import Table, differing
from scaler.settings.seen import mixed
from scaler.units import Duration, Size

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from scaler.settings import Again, Settings
    from scaler.settings.problems import KeyPath

#: Settings of `[scaler]` that count at once, and those that count when scaler starts.
LIVE = ("tick", "shutdown_grace", "log")
FIXED = ("name", "state_dir", "plugin_dir")

#: Fields of a profile by which its plugins make runners. The others are the core's own, or are
#: looked up each time they are needed.
_MAKING = frozenset({"labels", "resources", "provisioners"})
#: How many of them there are.
_COUNTS = frozenset({"target_count", "max_count"})
#: What stands in a profile's record besides its own settings.
_DERIVED = frozenset({"name", "source", "provisioners"})

UNABLE = "the plugin {} takes no new settings while it runs"


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a reload is to do.

    Attributes:
        settings: What counts afterwards. It has profiles that leave, too, and secrets of before.
        told: What each plugin is to be told, in the settings' order.
        applied: What of the file counts now, a text each.
        restart: What of it counts only after a restart, as `key path: why`.
        added: Profiles that are new.
        leaving: Profiles that the file has no more.
        left: Those of them that it had until now.
        remade: Profiles whose runners are made otherwise from now on.
        counted: Profiles of which there are to be more or fewer runners.
    """

    settings: Settings
    told: Mapping[str, SettingsChange] = field(default_factory=dict)
    applied: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    added: frozenset[str] = frozenset()
    leaving: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    remade: frozenset[str] = frozenset()
    counted: frozenset[str] = frozenset()


def compare(
    running: Settings, again: Again, *, leaving: Collection[str], able: Collection[str]
) -> Changes:
    """Say what is to be done.

    Args:
        running: What counts now, with profiles that leave.
        again: The file as it is now.
        leaving: The profiles that leave.
        able: The plugins that can be told of new settings.
    """
    return _Comparison(running, again, frozenset(leaving), frozenset(able)).changes()


class _Comparison:
    def __init__(
        self, old: Settings, again: Again, leaving: frozenset[str], able: frozenset[str]
    ) -> None:
        self.old, self.new, self.again = old, again.settings, again
        self.leaving = leaving
        self.able = able
        self.applied: list[str] = []
        self.restart: list[str] = []
        self.stays: list[KeyPath] = []  # tables that are as they were, whatever the file says
        self.configs = dict(old.plugins)
        self.profiles: dict[str, Profile] = {}
        self.own: dict[str, dict[str, Any]] = {name: {} for name in old.plugins}
        self.told_config: set[str] = set()
        self.told: dict[str, dict[str, list[str]]] = {}
        self.remade: set[str] = set()
        self.counted: set[str] = set()
        self.gone = self._gone()

    def changes(self) -> Changes:
        self._scaler()
        self._plugins()
        for name in self._names():
            self._profile(name)
        gone = {name: self.profiles.pop(name) for name in self.gone}
        live: dict[str, Any] = {name: getattr(self.new, name) for name in LIVE}
        settings = replace(
            self.old,
            **live,
            plugins=MappingProxyType(self.configs),
            profiles=MappingProxyType(self.profiles | gone),
            own=MappingProxyType({key: MappingProxyType(own) for key, own in self.own.items()}),
            secrets=tuple(dict.fromkeys((*self.old.secrets, *self.new.secrets))),
            seen=MappingProxyType(mixed(self.new.seen, self.old.seen, self.stays)),
        )
        return Changes(
            settings=settings,
            told=dict(self._told()),
            applied=tuple(self.applied),
            restart=tuple(self.restart),
            added=frozenset(self.profiles.keys() - self.old.profiles.keys()),
            leaving=frozenset(gone),
            left=frozenset(gone) - self.leaving,
            remade=frozenset(self.remade),
            counted=frozenset(self.counted),
        )

    # -- the scaler's own table

    def _scaler(self) -> None:
        for name in LIVE:
            before, after = getattr(self.old, name), getattr(self.new, name)
            if before != after:
                self.applied.append(f"scaler.{name}: {after}, was {before}")
        for name in FIXED:
            before, after = getattr(self.old, name), getattr(self.new, name)
            if before != after:
                self.restart.append(f"scaler.{name}: it is {_shown(before)} as long as this runs")

    # -- plugins' tables

    def _plugins(self) -> None:
        for name in self.again.newcomers:
            self.restart.append(f"plugins.{name}: it is started by a restart")
        common = [name for name in self.new.plugins if name in self.old.plugins]
        if common != [name for name in self.old.plugins if name in self.new.plugins]:
            self.restart.append("plugins: they are asked in their earlier order")
        for name in self.old.plugins:
            path: KeyPath = ("plugins", name)
            if name not in self.new.plugins:
                self.restart.append(f"plugins.{name}: it runs on until a restart")
                self.stays.append(path)
                continue
            keys = self._differing(path, self.old.plugins[name], self.new.plugins[name])
            if not keys:
                continue
            if name in self.able:
                self.configs[name] = self.new.plugins[name]
                self.told_config.add(name)
                self.applied += keys
            else:
                self.stays.append(path)
                self.restart += [f"{key}: {UNABLE.format(name)}" for key in keys]

    def _differing(self, path: KeyPath, old: Any, new: Any) -> list[str]:
        return differing(Table(path, old, self.old.seen), Table(path, new, self.new.seen))

    # -- profiles

    def _names(self) -> Iterable[str]:
        """Every profile: in the file's order, then those that it has not."""
        return dict.fromkeys([*self.new.profiles, *self.again.awaiting, *self.old.profiles])

    def _gone(self) -> dict[str, None]:
        """Those that leave: the file has not them, or has another by their name."""
        there = self.new.profiles.keys() | self.again.awaiting.keys()
        return {
            name: None
            for name in self.old.profiles
            if name not in there or (name in self.leaving and self._why_not(name))
        }

    def _profile(self, name: str) -> None:
        if name in self.again.awaiting and name not in self.old.profiles:
            self.restart.append(f"profiles.{name}: {self._why_not(name)}")
        elif name in self.gone:
            self._leave(name)
        elif why := self._why_not(name):
            self.restart.append(f"profiles.{name}: {why}")
            if name in self.old.profiles:
                self._stay(name, self.old.profiles[name])
        elif name in self.old.profiles:
            self._change(name)
        else:
            self._add(name)

    def _why_not(self, name: str) -> str:
        """Why nothing of this profile can be another while scaler runs; empty where it can."""
        if name in self.again.awaiting:
            return f"it needs the plugin {self.again.awaiting[name]}, which a restart starts"
        new, old = self.new.profiles[name], self.old.profiles.get(name)
        if old is not None and old.source != new.source:
            return (
                f"its source is {old.source}, not {new.source}, until a restart: "
                "or give it another name"
            )
        lost = [each for each in old.provisioners if each not in new.provisioners] if old else []
        if lost:
            return f"its machines are made by {lost[0]}, too, until a restart"
        otherwise = old is None or any(getattr(old, key) != getattr(new, key) for key in _MAKING)
        for plugin in (new.source, *new.provisioners):
            known = name in self.old.own.get(plugin, {})
            if plugin not in self.able and (otherwise or not known):
                return UNABLE.format(plugin)
        return ""

    def _stay(self, name: str, profile: Profile) -> None:
        """All of it is as it was."""
        self.profiles[name] = profile
        self.stays.append(("profiles", name))
        for plugin, own in self.old.own.items():
            if name in own:
                self.own[plugin][name] = own[name]

    def _leave(self, name: str) -> None:
        self._stay(name, replace(self.old.profiles[name], target_count=0))
        if name in self.new.profiles or name in self.again.awaiting:  # it comes back, as another
            self.restart.append(f"profiles.{name}: {self._why_not(name)}")
        elif name not in self.leaving:
            self.applied.append(f"profiles.{name}: it leaves")
        for plugin, own in self.old.own.items():
            if name in own and plugin not in self.able:
                self.restart.append(f"profiles.{name}: {UNABLE.format(plugin)}")

    def _add(self, name: str) -> None:
        self.profiles[name] = self.new.profiles[name]
        self.applied.append(f"profiles.{name}: it is new")
        for plugin, own in self.new.own.items():
            if name in own:
                self._own_added(plugin, name)

    def _change(self, name: str) -> None:
        old, new = self.old.profiles[name], self.new.profiles[name]
        back = name in self.leaving
        keys = [key for key in _keys_of_profile() if getattr(old, key) != getattr(new, key)]
        if old.provisioners != new.provisioners:
            keys.append("provisioners")
        script = self._differing(("profiles", name, "boot_script"), None, None)
        self.profiles[name] = new
        if back:
            self.applied.append(f"profiles.{name}: it is back")
        self.applied += [
            f"profiles.{name}.{key}: {_shown(getattr(new, key))}, was {_shown(getattr(old, key))}"
            for key in keys
            if not back or key != "target_count"
        ]
        if script and "boot_script" not in keys:
            keys.append("boot_script")
            self.applied.append(f"profiles.{name}.boot_script: its file has changed")
        if not _MAKING.isdisjoint(keys):
            self.remade.add(name)
        if not _COUNTS.isdisjoint(keys):
            self.counted.add(name)
        for plugin in self.old.plugins:
            had = name in self.old.own.get(plugin, {})
            has = name in self.new.own.get(plugin, {})
            if had and has:
                self._own_changed(plugin, name, otherwise=bool(keys) or back)
            elif has:
                self._own_added(plugin, name)
            elif had:
                self._own_removed(plugin, name)

    def _own_changed(self, plugin: str, name: str, *, otherwise: bool) -> None:
        """A profile belongs to this plugin as before; `otherwise`: the profile itself differs."""
        path: KeyPath = ("profiles", name, plugin)
        old, new = self.old.own[plugin][name], self.new.own[plugin][name]
        keys = self._differing(path, old, new)
        if plugin in self.able:
            self.own[plugin][name] = new
            self.applied += keys
            if keys:
                self.remade.add(name)
            if keys or otherwise:
                self._tell(plugin, "changed", name)
            return
        self.own[plugin][name] = old
        self.stays.append(path)
        self.restart += [f"{key}: {UNABLE.format(plugin)}" for key in keys]

    def _own_added(self, plugin: str, name: str) -> None:
        if plugin not in self.able:  # one that the profile can do without
            self.stays.append(("profiles", name, plugin))
            self.restart.append(f"profiles.{name}.{plugin}: {UNABLE.format(plugin)}")
            return
        self.own[plugin][name] = self.new.own[plugin][name]
        self._tell(plugin, "added", name)
        if name in self.old.profiles:
            self.applied.append(f"profiles.{name}.{plugin}: it is new")

    def _own_removed(self, plugin: str, name: str) -> None:
        path: KeyPath = ("profiles", name, plugin)
        if plugin in self.able and plugin in self.new.plugins:
            self._tell(plugin, "removed", name)
            self.applied.append(f"profiles.{name}.{plugin}: it is gone")
            return
        self.own[plugin][name] = self.old.own[plugin][name]
        self.stays.append(path)
        if plugin in self.new.plugins:
            self.restart.append(f"profiles.{name}.{plugin}: {UNABLE.format(plugin)}")

    # -- who is told

    def _tell(self, plugin: str, what: str, profile: str) -> None:
        self.told.setdefault(plugin, {}).setdefault(what, []).append(profile)

    def _told(self) -> Iterator[tuple[str, SettingsChange]]:
        for plugin in self.old.plugins:
            said = self.told.get(plugin, {})
            if plugin in self.told_config or said:
                yield (
                    plugin,
                    SettingsChange(
                        config=plugin in self.told_config,
                        added=tuple(said.get("added", ())),
                        removed=tuple(said.get("removed", ())),
                        changed=tuple(said.get("changed", ())),
                    ),
                )


def without(settings: Settings, profile: str) -> Settings:
    """The settings without a profile that has left."""
    profiles = {name: each for name, each in settings.profiles.items() if name != profile}
    own = {
        plugin: MappingProxyType({name: each for name, each in mine.items() if name != profile})
        for plugin, mine in settings.own.items()
    }
    seen = mixed(settings.seen, {}, [("profiles", profile)])
    return replace(
        settings,
        profiles=MappingProxyType(profiles),
        own=MappingProxyType(own),
        seen=MappingProxyType(seen),
    )


def _keys_of_profile() -> list[str]:
    return [each.name for each in fields(Profile) if each.name not in _DERIVED]


def _shown(value: Any) -> str:
    """A value of the core's own settings."""
    if isinstance(value, float):
        return str(Duration(value))
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    if hasattr(value, "items"):
        return ", ".join(f"{key} {_amount(each)}" for key, each in value.items()) or "none"
    return str(value) if value not in ("", None) else "none"


def _amount(value: int) -> str:
    """An amount of a resource: so many are bytes, and no count."""
    return str(Size(value)) if value >= 1 << 20 else str(value)
