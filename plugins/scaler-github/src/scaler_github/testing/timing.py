"""Time in the simulator: one clock, timers on it, and a bell that wakes whoever waits."""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

#: How the Actions service writes "never": the zero time of .NET and Go.
ZERO_TIME = "0001-01-01T00:00:00Z"


class Clock:
    """Seconds since the epoch that advance with trio's clock.

    The wall clock is read once; from then on only `trio.current_time` counts, so a test
    on a mock clock moves tokens, polls and guests alike.
    """

    def __init__(self) -> None:
        self._offset: float | None = None

    def now(self) -> float:
        """Seconds since the epoch; plain wall time while no trio run is active."""
        try:
            current = trio.current_time()
        except RuntimeError:
            return time.time()
        if self._offset is None:
            self._offset = time.time() - current
        return self._offset + current


def stamp(seconds: float | None) -> str:
    """Write a time as the Actions service does, with seven fractional digits."""
    if seconds is None:
        return ZERO_TIME
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}0Z"


def rest_stamp(seconds: float) -> str:
    """Write a time as the REST API does, in whole seconds."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


class Bell:
    """Wakes every waiter; costs next to nothing while nobody waits."""

    def __init__(self) -> None:
        self._event: trio.Event | None = None

    def ring(self) -> None:
        """Wake all who wait now."""
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self) -> None:
        """Sleep until the next ring."""
        if self._event is None:
            self._event = trio.Event()
        await self._event.wait()


class Timers:
    """Callbacks that are due at a time of a `Clock`; a callback checks if it still applies."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._earlier = Bell()

    def after(self, seconds: float, callback: Callable[[], object]) -> None:
        """Call `callback` once, `seconds` from now (at once if that is 0 or less)."""
        if seconds <= 0:
            callback()
            return
        due = self._clock.now() + seconds
        first = not self._heap or due < self._heap[0][0]
        heapq.heappush(self._heap, (due, next(self._order), callback))
        if first:
            self._earlier.ring()

    async def run(self) -> None:
        """Call what becomes due, until cancelled."""
        while True:
            due = self._heap[0][0] if self._heap else math.inf
            with trio.move_on_after(max(0.0, due - self._clock.now())):
                await self._earlier.wait()
            while self._heap and self._heap[0][0] <= self._clock.now():
                callback = heapq.heappop(self._heap)[2]
                try:
                    callback()
                except Exception:
                    log.exception("a timer failed")
