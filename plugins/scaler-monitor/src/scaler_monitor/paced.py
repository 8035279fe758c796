"""What is dear to make: made once for all who ask at the same time, and not anew too soon."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import trio

PACE = 1.0  # seconds between two, at least
REST = 9.0  # times what one cost that passes before the next

T = TypeVar("T")


class Paced(Generic[T]):
    """Gives what is a second old at most, or ten times what it costs to make.

    Args:
        make: Makes it, and tells the seconds of a processor that it cost other threads.

    Attributes:
        next: When it may be made anew (seconds of trio's clock).
    """

    def __init__(self, make: Callable[[], Awaitable[tuple[T, float]]]) -> None:
        self._make = make
        self._lock = trio.Lock()
        self._last: tuple[T] | None = None
        self.next = 0.0

    async def get(self) -> T:
        """It, or what `make` raises; then the next who asks has it tried again."""
        async with self._lock:
            if self._last is None or trio.current_time() >= self.next:
                began, spent = time.thread_time(), 0.0
                try:
                    made, spent = await self._make()
                    self._last = (made,)
                finally:
                    spent += time.thread_time() - began
                    self.next = trio.current_time() + max(PACE, REST * spent)
            return self._last[0]


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What work gives, and what it cost this thread, in seconds."""
    began = time.thread_time()
    return work(), time.thread_time() - began
