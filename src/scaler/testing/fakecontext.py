"""A Context without a scaler: what a plugin is built with in a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import trio

from scaler.context import Context
from scaler.log import plugin_log
from scaler.records import Profile, SettingsChange
from scaler.testing.fakecore import FakeCore
from scaler.testing.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Mapping

C = TypeVar("C")
P = TypeVar("P")

_SAME: Any = object()


class FakeContext(Context[C, P]):
    """A Context as any other, with a `FakeCore` behind it.

    It is the same class and overrides none of its methods: what a plugin calls here is what it
    calls in a scaler. Say `context.stopping.set()` to begin the end.

    Args:
        config: The plugin's `Config`.
        name: The plugin's name.
        scaler: The scaler's name.
        profiles: Every profile by its key. Left out, one named `linux`, for up to 10 runners.
        own: The plugin's `ProfileConfig` by profile. Left out, None for each of the profiles.
        memory: What an earlier instance left. Left out, nothing.

    Attributes:
        core: What the plugin said, and what it is answered.
        memory: What outlives this instance.
    """

    def __init__(
        self,
        config: Any = None,
        *,
        name: str = "plugin",
        scaler: str = "here",
        profiles: Mapping[str, Profile] | None = None,
        own: Mapping[str, Any] | None = None,
        memory: Memory | None = None,
    ) -> None:
        if profiles is None:
            profiles = {"linux": Profile(name="linux", labels=("linux",), max_count=10)}
        self.memory = memory if memory is not None else Memory()
        stopping = trio.Event()
        self.core = FakeCore(self.memory, profiles, scaler, stopping)
        mine: Mapping[str, Any] = dict.fromkeys(profiles) if own is None else own
        super().__init__(
            name=name,
            scaler=scaler,
            config=config,
            profiles=profiles,
            own=mine,
            folder=self.memory.folder,
            log=plugin_log(name),
            stopping=stopping,
            core=self.core,
        )

    def change_settings(
        self,
        config: Any = _SAME,
        *,
        profiles: Mapping[str, Profile] | None = None,
        own: Mapping[str, Any] | None = None,
    ) -> SettingsChange:
        """Let other settings count from now on; what `on_settings_changed` is called with then.

        Args:
            config: The plugin's `Config`; left out, the one that it has.
            profiles: Every profile by its key; left out, those that there are.
            own: The plugin's `ProfileConfig` by profile. Left out, what it has, and None for
                each profile that is new.
        """
        before_own, before = self.own, self.profiles
        if profiles is not None:
            self.profiles = profiles
            self.core.profiles = profiles
        if own is None:
            own = {name: before_own.get(name) for name in self.profiles}
        self.own = own
        changed = config is not _SAME and config != self.config
        if config is not _SAME:
            self.config = config
        return SettingsChange(
            config=changed,
            added=tuple(name for name in own if name not in before_own),
            removed=tuple(name for name in before_own if name not in own),
            changed=tuple(
                name
                for name in own
                if name in before_own
                and (own[name], self.profiles.get(name)) != (before_own[name], before.get(name))
            ),
        )
