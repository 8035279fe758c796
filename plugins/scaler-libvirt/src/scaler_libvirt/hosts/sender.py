"""Sends machines to be made to one host: many at once, and in few hops to a thread."""

from __future__ import annotations

import math
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

import trio

from scaler import Unavailable
from scaler_libvirt.hosts import driver
from scaler_libvirt.hosts.link import lost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from scaler_libvirt.hosts.connection import Connection
    from scaler_libvirt.hosts.events import Feed
    from scaler_libvirt.hosts.making import Making

_HOP = 0.010  # seconds after which a hop takes no further machine
_WAIT = 0.020  # seconds that a machine waits for the hops under way before another one is begun


class Sender:
    """A hop to a thread costs as much as making a machine does where that is quick.

    So one hop makes machine after machine, as long as some wait and its time is not over. Where
    making one takes long, the others do not stand behind it: after a moment more hops are begun,
    eight at most, and each takes what is next.

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
        self._waiting: deque[Making] = deque()  # hops take from it in their threads
        self._back: deque[Making] = deque()  # and put here what came back
        self._told = False  # that something did, and the trio run has not looked yet
        self._hops = 0
        self._news = trio.Event()

    def put(self, making: Making) -> None:
        """Send this one as soon as possible."""
        self._waiting.append(making)
        self._news.set()

    async def run(self, feed: Feed) -> None:
        """Send, until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    with trio.move_on_after(_WAIT if self._more() else math.inf):
                        await self._news.wait()
                    self._news = trio.Event()
                    for _ in range(self._wanted()):
                        self._hops += 1
                        nursery.start_soon(self._hop, feed, name="libvirt hop")
        finally:
            self._give_up_waiting("the plugin's service has ended")

    def _more(self) -> bool:
        return bool(self._waiting) and self._hops < self._connection.CALLS

    def _wanted(self) -> int:
        """How many hops are to be begun now."""
        if not self._more():
            return 0
        since = trio.current_time() - _WAIT
        late = sum(making.since <= since for making in list(self._waiting))
        return min(self._connection.CALLS - self._hops, late if self._hops else max(1, late))

    async def _hop(self, feed: Feed) -> None:
        hop = _Hop()
        try:
            await self._connection.call(
                partial(self._send, hop, feed), deadline=self._deadline, lane="making"
            )
        except (Unavailable, driver.Error) as error:
            why = str(error).removeprefix(f"host {self._connection.name}: ")
            if hop.making is not None:
                hop.making.give_up(why)
            if self._connection.facts is None:  # it is lost: nobody else will take them
                self._give_up_waiting(why)
        finally:
            self._hops -= 1
            self._news.set()

    def _send(self, hop: _Hop, feed: Feed, connection: driver.Connection) -> None:
        """Make machines, in a worker thread. Raises where the connection is lost."""
        over = time.monotonic() + _HOP
        while time.monotonic() < over:
            try:
                making = self._waiting.popleft()
            except IndexError:
                return
            hop.making = making
            if not making.run(connection):
                continue  # it was dropped
            broken: driver.Error | None = None
            if isinstance(making.error, driver.Error) and lost(connection, making.error):
                broken = making.error
                making.error = self._unavailable(str(broken))
            # (told before the call's own end is: whoever waits finds it landed, not given up)
            self._back.append(making)
            if not self._told:  # each telling wakes the loop: one for all that come meanwhile
                self._told = True
                feed.soon(self._land)
            if broken is not None:
                raise broken

    def _land(self) -> None:
        self._told = False  # before looking: what comes meanwhile is told anew
        landed = [self._back.popleft() for _ in range(len(self._back))]
        self._landed(landed)

    def _give_up_waiting(self, why: str) -> None:
        waiting, self._waiting = self._waiting, deque()
        self._end([making for making in waiting if making.drop()], why)

    def _end(self, makings: Iterable[Making], why: str) -> None:
        ended = list(makings)
        for making in ended:
            making.error = self._unavailable(f"its domain was not made: {why}")
        self._landed(ended)

    def _unavailable(self, text: str) -> Unavailable:
        return Unavailable(f"host {self._connection.name}: {text}")


class _Hop:
    """What a thread is at: written there, read in the trio run once the call was given up."""

    __slots__ = ("making",)

    def __init__(self) -> None:
        self.making: Making | None = None
