"""A mailbox per plugin: what is told comes in order, and a slow reader costs nobody else."""

from __future__ import annotations

import logging
import math
from collections import deque
from typing import TYPE_CHECKING

import trio

from scaler.dispatch.calls import GRACE, Call, Impl
from scaler.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.dispatch.caller import Caller, Health

log = logging.getLogger("scaler.hooks")

DEPTH = 1000

Letter = tuple[Impl, dict[str, object]]


class Mailbox:
    """Letters for one plugin, delivered one after another by `run`.

    They are read in a task of the nursery of calls. A reader that does not come back from a letter
    is left behind there, and another one goes on with the next.
    """

    def __init__(self, health: Health, caller: Caller, dropped: Callable[[str, int], None]) -> None:
        self._health = health
        self._caller = caller
        self._dropped = dropped
        self._letters: deque[Letter] = deque()
        self._more = trio.Event()
        self._idle = trio.Event()
        self._idle.set()
        self._current: Call | None = None
        self._alarm = trio.CancelScope()
        self.lost = 0

    def post(self, letter: Letter) -> None:
        """Add a letter; when 1,000 wait, the oldest is dropped and counted."""
        if len(self._letters) >= DEPTH:
            self._letters.popleft()
            self._lose()
        self._letters.append(letter)
        self._idle = trio.Event() if self._idle.is_set() else self._idle
        self._more.set()

    def _lose(self) -> None:
        """A letter was dropped: count it, and say so now and then."""
        self.lost += 1
        if self.lost == 1 or self.lost % DEPTH == 0:
            self._dropped(self._health.name, self.lost)

    async def run(self) -> None:
        """Deliver letters until cancelled."""
        while True:
            reading = trio.CancelScope()
            self._caller.calls.start_soon(
                self._read, reading, name=f"mailbox of {self._health.name}"
            )
            try:
                while not await self._lost_its_reader():
                    with trio.CancelScope(deadline=self._due()) as self._alarm:
                        await trio.sleep_forever()
            except trio.Cancelled:
                reading.cancel()  # before the reader takes the next one
                if (call := self._current) is not None:
                    await self._caller.stop([call])
                    if not call.done:
                        self._caller.settle(call, self._health, cancelled=True)
                raise
            finally:
                reading.cancel()

    def _due(self) -> float:
        """When the letter that is read has to be finished."""
        call = self._current
        return math.inf if call is None else call.due

    async def _lost_its_reader(self) -> bool:
        """Whether the reader does not come back; it is left behind then."""
        call = self._current
        if call is None or trio.current_time() < self._due():
            return False
        with trio.move_on_after(GRACE):
            await self._caller.last([call])
        if call.done:
            return False
        self._current = None
        self._caller.settle(call, self._health)
        return True

    async def _read(self, reading: trio.CancelScope) -> None:
        with reading:
            while True:
                if not self._letters:
                    self._idle.set()
                    self._more = trio.Event()
                    await self._more.wait()
                if not self._health.ready.is_set():  # (to wait for what is there takes a turn)
                    await self._health.ready.wait()  # letters wait until the plugin has started
                impl, kwargs = self._letters.popleft()
                try:
                    self._health.check(impl, kwargs)
                except Unavailable as away:  # its breaker is open: no fault beside that
                    log.debug("%s: a letter is dropped", away)
                    continue
                call = Call(impl, kwargs, self._health.turns, impl.terms.deadline)
                self._current = call
                if self._alarm.deadline == math.inf:
                    self._alarm.deadline = self._due()
                await call.run()
                if call.given_up:
                    return
                self._current = None
                self._caller.settle(call, self._health, cancelled=reading.cancel_called)

    async def drained(self) -> None:
        """Wait until nothing is left to deliver."""
        await self._idle.wait()
