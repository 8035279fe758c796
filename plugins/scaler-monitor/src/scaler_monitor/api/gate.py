"""What may be in hand at once: some places, a short queue before them, and a bucket for each."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from scaler_monitor.api.throttle import Buckets
from scaler_monitor.errors import Failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

PATIENCE = 5.0  # seconds in the queue
AGAIN = 5.0  # seconds after which to ask again, where all places are taken


class Gate:
    """Lets requests through to what is costly.

    Args:
        places: Requests that are in hand at most.
        queue: Requests that wait for a place at most.
        buckets: Rate and burst of each kind of caller, by what it is called in an answer.
    """

    def __init__(
        self, *, places: int, queue: int, buckets: Mapping[str, tuple[float, int]]
    ) -> None:
        self._places = trio.Semaphore(places)
        self._queue = queue
        self._waiting = 0
        self._buckets = {
            kind: Buckets(rate=rate, burst=burst) for kind, (rate, burst) in buckets.items()
        }

    @asynccontextmanager
    async def through(self, callers: Mapping[str, str]) -> AsyncIterator[None]:
        """Hold a place.

        Args:
            callers: Who asks, by the kind of caller.

        Raises:
            Failure: 429: one of the callers has asked too much. 503: there are too many in all.
        """
        now = trio.current_time()
        for kind, key in callers.items():
            after = self._buckets[kind].take(key, now)
            if after:
                text = f"too many requests from this {kind}"
                raise Failure(429, "too-many-requests", text, retry_after=math.ceil(after))
        await self._place()
        try:
            yield
        finally:
            self._places.release()

    async def _place(self) -> None:
        try:
            return self._places.acquire_nowait()
        except trio.WouldBlock:
            if self._waiting >= self._queue:
                raise _full() from None
        self._waiting += 1
        try:
            with trio.fail_after(PATIENCE):
                await self._places.acquire()
        except trio.TooSlowError:
            raise _full() from None
        finally:
            self._waiting -= 1


def _full() -> Failure:
    return Failure(503, "too-busy", "too many such requests are in hand", retry_after=AGAIN)
