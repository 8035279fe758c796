"""What is written down of the images: read once, and changed in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import trio

from scaler_libvirt.images.model import State
from scaler_libvirt.images.saved import from_json, to_json

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection, Iterable, Mapping

_Key: TypeAlias = tuple[str, str]  # a host and a profile


class Keeper(Protocol):
    """Where it is written down: `Context` is one."""

    async def load(self, key: str) -> Any: ...  # noqa: D102
    async def save(self, key: str, value: Any) -> None: ...  # noqa: D102


class Book:
    """The state of every profile's images on every host.

    Args:
        keeper: Where it is written down.
        hosts, profiles: Of which.
        log: Told of what is damaged.
    """

    def __init__(
        self,
        keeper: Keeper,
        hosts: Collection[str],
        profiles: Collection[str],
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self._keeper = keeper
        self._log = log
        self._states: dict[_Key, State] = {}
        self._locks: dict[_Key, trio.Lock] = {}
        self._news = trio.Event()
        self._enter(dict.fromkeys(_keys(hosts, profiles), State()))

    async def open(self) -> None:
        """Read it all; what is damaged is left out, and told."""
        self._states |= await self._read(list(self._states))

    async def more(self, hosts: Collection[str], profiles: Collection[str]) -> None:
        """Read what was not meant until now as well; nothing is forgotten.

        Raises:
            Unavailable: It cannot be read now; nothing has changed.
        """
        new = [key for key in _keys(hosts, profiles) if key not in self._states]
        self._enter(await self._read(new))

    def _enter(self, states: Mapping[_Key, State]) -> None:
        self._states |= states
        self._locks |= {key: trio.Lock() for key in states}

    async def _read(self, keys: Iterable[_Key]) -> dict[_Key, State]:
        found = {}
        for key in keys:
            found[key], bad = from_json(await self._keeper.load(_name(key)))
            if bad:
                self._log.error(
                    "what was written down of the image of %s on %s is damaged, and goes on"
                    " without it: %s",
                    key[1],
                    key[0],
                    ", ".join(bad),
                )
        return found

    def state(self, host: str, profile: str) -> State:
        """How it is, as written down."""
        return self._states[host, profile]

    def of(self, host: str) -> Mapping[str, State]:
        """Every profile's on this host."""
        return {profile: state for (each, profile), state in self._states.items() if each == host}

    def failures(self, profile: str) -> bool:
        """Whether the last build of a profile's image has failed on some host."""
        return any(state.failed for (_, each), state in self._states.items() if each == profile)

    async def change(self, host: str, profile: str, step: Callable[[State], State]) -> State:
        """Take a step; when this returns it is written down.

        Raises:
            Unavailable: It cannot be written down now; nothing has changed.
        """
        key = (host, profile)
        async with self._locks[key]:
            before = self._states[key]
            after = step(before)
            if after != before:
                await self._keeper.save(_name(key), to_json(after))
                self._states[key] = after
                self._news.set()
                self._news = trio.Event()
        return after

    async def changed(self) -> None:
        """Wait for the next change of any."""
        await self._news.wait()


def _keys(hosts: Collection[str], profiles: Collection[str]) -> list[_Key]:
    return [(host, profile) for host in hosts for profile in profiles]


def _name(key: _Key) -> str:
    return f"image/{key[0]}/{key[1]}"
