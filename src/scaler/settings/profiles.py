"""`[profiles.X]`: its own keys, its plugins' tables, and who registers and who provisions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scaler.loading.find import implementing
from scaler.loading.names import did_you_mean, nearest
from scaler.settings.convert import BAD, fields_of
from scaler.settings.model import NAME, NAME_WORDS, ProfileTable
from scaler.settings.problems import show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler.loading import Found, LoadedPlugin
    from scaler.records import Profile
    from scaler.settings.convert import Converter
    from scaler.settings.problems import KeyPath, Problems

_KEYS = fields_of(ProfileTable)


@dataclass
class Profiles:
    """Reads every profile's table.

    Attributes:
        loaded: The enabled plugins, in the file's order.
        known: All plugins that could be enabled.
        later: Plugins that are enabled and that nothing but their name is known of yet.
        awaiting: Profiles that cannot be judged without one of those, and which.
    """

    converter: Converter
    loaded: Mapping[str, LoadedPlugin]
    known: Mapping[str, list[Found]]
    later: frozenset[str] = frozenset()
    profiles: dict[str, Profile] = field(default_factory=dict)
    own: dict[str, dict[str, Any]] = field(default_factory=dict)
    awaiting: dict[str, str] = field(default_factory=dict)

    def read(self, name: str, raw: Any) -> None:
        """Read one profile; what is wrong with it goes to the problems."""
        path = ("profiles", name)
        if not NAME.fullmatch(name):
            self._problems.add(path, show(name), NAME_WORDS)
        if not isinstance(raw, dict):
            self._problems.add(path, show(raw), "a table")
            return
        tables: dict[str, Any] = {}
        spelt: dict[str, str] = {}
        for key, value in raw.items():
            if key in self.loaded:
                tables[key] = value
            elif key in self.later and key not in _KEYS:
                self.awaiting[name] = key
            elif key not in _KEYS:
                meant = self._stranger((*path, key), key, value)
                if meant in self.loaded and meant not in raw:
                    tables[meant], spelt[meant] = value, key  # so that nothing follows from it
        mine = {key: value for key, value in raw.items() if key in _KEYS}
        table = self.converter.table(ProfileTable, mine, path)
        source = self._owners(path, tables, "register_runner")
        provisioners = self._owners(path, tables, "provision_runner")
        if name in self.awaiting:
            return
        for plugin in dict.fromkeys([*tables, *source, *provisioners]):
            self._settings_of(
                plugin, tables.get(plugin, {}), (*path, spelt.get(plugin, plugin)), name
            )
        if table is not BAD and len(source) == 1 and provisioners:
            self.profiles[name] = table.profile(name, source[0], provisioners)

    @property
    def _problems(self) -> Problems:
        return self.converter.problems

    def _owners(self, path: KeyPath, tables: Mapping[str, Any], hook: str) -> tuple[str, ...]:
        """The plugins with a table here that implement the hook, or the only enabled one."""
        role, verb = {
            "register_runner": ("source", "registers its runners"),
            "provision_runner": ("provisioner", "makes its machines"),
        }[hook]
        able = [name for name, plugin in self.loaded.items() if hook in plugin.hooks]
        if self.later and not able:
            self.awaiting.setdefault(str(path[-1]), min(self.later))
        if path[-1] in self.awaiting:
            return ()
        named = tuple(name for name in tables if name in able)
        if hook == "register_runner" and len(named) > 1:
            self._problems.add(path, f"the tables of two sources, {_and(named)}", "one of them")
        if named:
            return named
        likely = [name for name in able if not self.loaded[name].only_where_named] or able
        if len(likely) == 1:
            return (likely[0],)
        if able:
            choice = " or ".join(f"[profiles.{path[-1]}.{name}]" for name in able)
            self._problems.add(path, f"several plugins that could be its {role}", choice)
        else:
            could = next(iter(implementing(hook, self.known)), "")
            advice = f"such as [plugins.{could}]" if could else "by a table [plugins.NAME]"
            wanted = f"a plugin that {verb}: enable one, {advice}"
            self._problems.add(path, f"no enabled plugin that could be its {role}", wanted)
        return ()

    def _settings_of(self, plugin: str, raw: Any, path: KeyPath, profile: str) -> None:
        config = self.loaded[plugin].profile_config
        hooks = self.loaded[plugin].hooks
        if config is not None:
            value = self.converter.table(config, raw, path)
        elif not isinstance(raw, dict):
            value = BAD
            self._problems.add(path, show(raw), "a table")
        elif "register_runner" not in hooks and "provision_runner" not in hooks:
            value = BAD
            self._problems.say(path, f"the plugin {plugin} has no settings for profiles")
        else:
            value = None
            for key in raw:
                self._problems.add((*path, key), "an unknown key", "an empty table")
        if value is not BAD:
            self.own.setdefault(plugin, {})[profile] = value

    def _stranger(self, path: KeyPath, key: str, value: Any) -> str:
        """Note a key that nobody knows; answer the name that was meant where it is a table's."""
        hint = did_you_mean(key, [*_KEYS, *self.loaded])
        if isinstance(value, dict) and key in self.known:
            self._problems.add(
                path, f"a table of the plugin {key}, which is not enabled", f"[plugins.{key}]"
            )
        elif isinstance(value, dict):
            plugins = ", ".join(self.loaded) or "none is"
            self._problems.add(
                path, "a table of an unknown plugin", f"an enabled one ({plugins})", hint
            )
        else:
            self._problems.add(path, "an unknown key", ", ".join(_KEYS), hint)
        misspelt = isinstance(value, dict) and key not in self.known
        return nearest(key, self.loaded) if misspelt else ""


def _and(names: tuple[str, ...]) -> str:
    return " and ".join(names)
