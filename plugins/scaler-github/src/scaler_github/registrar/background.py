"""Where what outlives a hook's call runs: a caller that is cancelled does not break it off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable

ENDING = 4.5  # seconds for what is to be ended when the service stops


class Background:
    """Tasks of the plugin's service; there are none before it starts and after it has ended.

    Args:
        log: Where a task's error is told: it ends neither the service nor other tasks.
    """

    def __init__(self, log: logging.LoggerAdapter[logging.Logger]) -> None:
        self._log = log
        self._nursery: trio.Nursery | None = None
        self._short = 0
        self._idle = trio.Event()

    async def run(self) -> None:
        """Hold the tasks, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    def start(
        self, function: Callable[..., Awaitable[object]], *args: Any, lasting: bool = True
    ) -> bool:
        """Start a task, where the service runs; whether it does.

        Args:
            lasting: It may be broken off when the service stops; else it is waited for.
        """
        if self._nursery is None:
            return False
        self._short += not lasting
        self._nursery.start_soon(self._run, function, args, lasting)
        return True

    async def ended(self) -> None:
        """Wait for the tasks that are to be ended, for a few seconds at most."""
        with trio.move_on_after(ENDING):
            while self._short:
                self._idle = trio.Event()
                await self._idle.wait()

    async def _run(
        self, function: Callable[..., Awaitable[object]], args: tuple[Any, ...], lasting: bool
    ) -> None:
        try:
            await function(*args)
        except Exception:
            self._log.exception("a task beside the calls failed: please report it")
        finally:
            self._short -= not lasting
            if not self._short:
                self._idle.set()
