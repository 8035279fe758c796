"""Sends machines to be made to one host: many at once, and in few hops to a thread."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

import trio

from scaler import Unavailable
from scaler_libvirt import driver
from scaler_libvirt.link import alive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scaler_libvirt.connection import Connection
    from scaler_libvirt.events import Feed
    from scaler_libvirt.making import Making

_HOP = 0.010  # seconds that the machines of one hop may take together
_LARGEST = 32
_WEIGHT = 0.2  # of the latest hop in the running average


class Sender:
    """A hop to a thread costs as much as making a machine does where that is quick.

    So a hop is begun when none is under way, or when enough machines wait to fill one: that is one
    machine where making it takes long, and some dozens where it takes a moment. What becomes of
    one machine is no concern of the others in its hop.

    Args:
        connection: To the host.
        deadline: Of a hop, in seconds.
        landed: Told in the trio run when makings came back, or were never sent.
    """

    def __init__(
        self,
        connection: Connection,
        deadline: float,
        landed: Callable[[Sequence[Making]], None],
    ) -> None:
        self._connection = connection
        self._deadline = deadline
        self._landed = landed
        self._waiting: deque[Making] = deque()
        self._hops = 0
        self._news = trio.Event()
        self._seconds = _HOP  # of one machine, on average

    def put(self, making: Making) -> None:
        """Send this one as soon as possible."""
        self._waiting.append(making)
        self._news.set()

    async def run(self, feed: Feed) -> None:
        """Send, until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    await self._news.wait()
                    self._news = trio.Event()
                    while batch := self._next():
                        self._hops += 1
                        nursery.start_soon(self._hop, batch, feed, name="libvirt hop")
        finally:
            self._end(list(self._waiting), "the plugin's service has ended")
            self._waiting.clear()

    def _next(self) -> list[Making]:
        """What goes into a hop now; nothing where more should gather first."""
        size = max(1, min(_LARGEST, int(_HOP / self._seconds)))
        full = len(self._waiting) >= size
        if not self._waiting or self._hops >= self._connection.CALLS or (self._hops and not full):
            return []
        return [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]

    async def _hop(self, batch: Sequence[Making], feed: Feed) -> None:
        why = "the call was given up"
        try:
            await self._connection.call(
                partial(self._send, batch, feed), deadline=self._deadline, lane="making"
            )
        except (Unavailable, driver.Error) as error:
            why = str(error).removeprefix(f"host {self._connection.name}: ")
        finally:
            self._hops -= 1
            self._news.set()
            self._end([making for making in batch if making.drop()], why)
            for making in batch:
                making.give_up(why)

    def _send(self, batch: Sequence[Making], feed: Feed, connection: driver.Connection) -> None:
        """Make the machines of a hop, in a worker thread. Raises where the connection is lost."""
        done: list[Making] = []
        try:
            for making in batch:
                making.run(connection)
                if making.seen is None and making.error is None:
                    continue  # it was dropped
                done.append(making)
                lost = making.error
                if isinstance(lost, driver.Error) and not alive(connection):
                    making.error = self._unavailable(str(lost))
                    raise lost
        finally:
            feed.soon(lambda: self._back(done))

    def _back(self, done: Sequence[Making]) -> None:
        if done:
            mean = sum(making.seconds for making in done) / len(done)
            self._seconds += _WEIGHT * (max(mean, 1e-6) - self._seconds)
            self._landed(done)

    def _end(self, batch: Sequence[Making], why: str) -> None:
        for making in batch:
            making.drop()
            making.error = self._unavailable(f"its domain was not made: {why}")
        if batch:
            self._landed(batch)

    def _unavailable(self, text: str) -> Unavailable:
        return Unavailable(f"host {self._connection.name}: {text}")
