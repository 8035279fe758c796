"""A Context without a scaler: what a plugin is built with in a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import trio

from scaler.context import Context
from scaler.log import plugin_log
from scaler.records import Profile
from scaler.testing.fakecore import FakeCore
from scaler.testing.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Mapping

C = TypeVar("C")
P = TypeVar("P")


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
