"""Threads for a plugin's plain functions: one at a time, and nobody waits behind one that hangs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import trio

from scaler.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

HANGING = 30.0  # seconds that a thread may be left alone before others do not wait for it


class HangingError(Unavailable):
    """An earlier function of the plugin's has not come back, so no other is begun."""


@dataclass
class _Holder:
    hook: str
    since: float
    by: _Limiter
    left: float | None = None


class Turns:
    """Runs one plugin's plain functions in threads, one after another.

    A thread cannot be ended. One that nobody waits for any more is left alone; when it has not come
    back for a while, every other function fails at once instead of waiting for its own deadline.
    """

    def __init__(self) -> None:
        self._free = trio.CapacityLimiter(1)
        self._holder: _Holder | None = None

    async def run(self, hook: str, function: Callable[[], Any]) -> Any:
        """Run it in a thread, in its turn.

        Raises:
            HangingError: An earlier one has not come back.
        """
        now = trio.current_time()
        holder = self._holder
        if holder is not None and holder.left is not None and now - holder.left >= HANGING:
            text = f"has not come back from {holder.hook} since {now - holder.since:.0f} s"
            raise HangingError(text)
        mine = _Limiter(self, hook)
        try:
            # (the answer comes in a tuple, since trio refuses a coroutine: a decorator's)
            [answer] = await trio.to_thread.run_sync(
                lambda: (function(),),
                abandon_on_cancel=True,
                limiter=cast("trio.CapacityLimiter", mine),
            )
        except trio.Cancelled:
            holder = self._holder
            if holder is not None and holder.by is mine:
                holder.left = trio.current_time()
            raise
        return answer

    async def acquire(self, borrower: object, hook: str, by: _Limiter) -> None:
        """Wait for the turn; the thread is begun without a step between."""
        await self._free.acquire_on_behalf_of(borrower)
        self._holder = _Holder(hook, trio.current_time(), by)

    def release(self, borrower: object) -> None:
        """The thread is back, whether somebody still waits for it or not."""
        self._holder = None
        self._free.release_on_behalf_of(borrower)


class _Limiter:
    """What `trio.to_thread.run_sync` asks for a thread: so it is known which were begun."""

    def __init__(self, turns: Turns, hook: str) -> None:
        self._turns = turns
        self._hook = hook

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        await self._turns.acquire(borrower, self._hook, self)

    def release_on_behalf_of(self, borrower: object) -> None:
        self._turns.release(borrower)
