"""What is written down of the images: read once, and changed in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import trio

from scaler_libvirt.images.model import State
from scaler_libvirt.images.saved import from_json, to_json

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection, Mapping


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
        self._keys = [(host, profile) for host in hosts for profile in profiles]
        self._states = dict.fromkeys(self._keys, State())
        self._locks = {key: trio.Lock() for key in self._keys}
        self._news = trio.Event()

    async def open(self) -> None:
        """Read it all; what is damaged is left out, and told."""
        for key in self._keys:
            state, bad = from_json(await self._keeper.load(_name(key)))
            self._states[key] = state
            if bad:
                self._log.error(
                    "what was written down of the image of %s on %s is damaged, and goes on"
                    " without it: %s",
                    key[1],
                    key[0],
                    ", ".join(bad),
                )

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


def _name(key: tuple[str, str]) -> str:
    return f"image/{key[0]}/{key[1]}"
