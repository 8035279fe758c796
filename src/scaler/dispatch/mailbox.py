"""A mailbox per plugin: what is told comes in order, and a slow reader costs nobody else."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DEPTH = 1000

T = TypeVar("T")


class Mailbox:
    """Letters for one plugin, delivered one after another by `run`."""

    def __init__(self, plugin: str, dropped: Callable[[str, int], None]) -> None:
        self._plugin = plugin
        self._dropped = dropped
        self._letters: deque[Callable[[], Awaitable[object]]] = deque()
        self._more = trio.Event()
        self._idle = trio.Event()
        self._idle.set()
        self.lost = 0

    def post(self, letter: Callable[[], Awaitable[object]]) -> None:
        """Add a letter; when 1,000 wait, the oldest is dropped and counted."""
        if len(self._letters) >= DEPTH:
            self._letters.popleft()
            self.lose()
        self._letters.append(letter)
        self._idle = trio.Event() if self._idle.is_set() else self._idle
        self._more.set()

    def lose(self) -> None:
        """A letter was dropped: count it, and say so now and then."""
        self.lost += 1
        if self.lost == 1 or self.lost % DEPTH == 0:
            self._dropped(self._plugin, self.lost)

    async def run(self) -> None:
        """Deliver letters until cancelled. A letter must not raise."""
        while True:
            await self._more.wait()
            self._more = trio.Event()
            while self._letters:
                await self._letters.popleft()()
            self._idle.set()

    async def drained(self) -> None:
        """Wait until nothing is left to deliver."""
        await self._idle.wait()
