"""Where what outlives a hook's call runs: a caller that is cancelled does not break it off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Background:
    """Tasks of the plugin's service; there are none before it starts and after it has ended."""

    def __init__(self) -> None:
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Hold the tasks, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    def start(self, function: Callable[..., Awaitable[object]], *args: Any) -> bool:
        """Start a task, where the service runs; whether it does."""
        if self._nursery is None:
            return False
        self._nursery.start_soon(function, *args)
        return True
