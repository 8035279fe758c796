"""Reservations taken back: when their time is over, and when they could not be completed."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import trio

from scaler.errors import Busy, Gone, HookFault, Outcome, Unavailable
from scaler.hooks import SPEC
from scaler.model.row import Retire, Seen, Unreserve
from scaler.records import Registration, RunnerState

if TYPE_CHECKING:
    from collections.abc import Container

    from scaler.engine.state import State
    from scaler.model.row import Row

log = logging.getLogger("scaler.reserving")

PATIENCE = 60.0  # seconds of trying to take one back; then its runner is replaced
LONGEST = 15.0  # seconds between two tries, at most
LOOK = 10.0  # seconds between two looks at what is reserved, at most
UNKNOWN = 60.0  # seconds that a reservation lasts where its profile is not in the settings any more


class Releasing:
    """Takes back. A runner is idle again only when it looks so to workflows, too.

    Args:
        making: Runners whose reservation is not given yet: it cannot lapse.
    """

    def __init__(self, state: State, nursery: trio.Nursery, making: Container[int]) -> None:
        self._state = state
        self._nursery = nursery
        self._making = making
        self._under_way: set[int] = set()
        self._marked = trio.Event()

    def begin(self, runner_id: int, reason: str) -> None:
        """Begin to take a runner's reservation back."""
        if runner_id not in self._under_way:
            self._under_way.add(runner_id)
            self._nursery.start_soon(
                self._release, runner_id, reason, name=f"release runner {runner_id}"
            )

    async def run(self) -> None:
        """Take back what was not used in time."""
        while True:
            now, due = self._state.clock.now(), math.inf
            for runner_id in list(self._state.index.reserved):
                row = self._state.rows[runner_id]
                if runner_id in self._under_way:
                    continue
                if runner_id in self._making:
                    due = min(due, now + 1.0)
                    continue
                ends = row.entered + self._timeout(row)
                if ends <= now:
                    self.begin(runner_id, "its reservation was not used in time")
                else:
                    # (its profile's time may become a shorter one meanwhile)
                    due = min(due, ends, now + LOOK)
            with trio.move_on_at(self._state.clock.deadline(due)):
                await self._marked.wait()
            self._marked = trio.Event()

    def look(self) -> None:
        """Some were marked: they may lapse, too."""
        self._marked.set()

    def _timeout(self, row: Row) -> float:
        profile = self._state.profiles.get(row.runner.profile)
        return UNKNOWN if profile is None else profile.reserve_timeout

    async def _release(self, runner_id: int, reason: str) -> None:
        state = self._state
        pause, until = 0.5, trio.current_time() + PATIENCE
        try:
            while True:
                row = state.rows.get(runner_id)
                if row is None or row.runner.state is not RunnerState.RESERVED:
                    return
                runner = row.runner
                try:
                    await state.hooks.route(
                        runner.source, None, SPEC.reserve_runner, runner=runner, reservation=None
                    )
                except Busy:  # its job came in the last moment
                    working = Registration(name=runner.name, online=True, busy=True)
                    state.apply(runner_id, Seen(working))
                    return
                except Gone:
                    state.apply(runner_id, Seen(Registration(name=runner.name, gone=True)))
                    return
                except (Outcome, HookFault) as error:
                    told = error.retry_after if isinstance(error, Unavailable) else None
                    if told:  # nothing can be done so long: it says nothing of the runner
                        until = max(until, trio.current_time() + told + PATIENCE)
                    log.warning("%s: %s", runner.name, error, extra={"runner": runner_id})
                    if trio.current_time() >= until:
                        text = f"its reservation cannot be taken back: {error}"
                        state.apply(runner_id, Retire(text))
                        return
                    await trio.sleep(min(max(pause, told or 0.0), LONGEST))
                    pause = min(LONGEST, pause * 2)
                else:
                    state.apply(runner_id, Unreserve(reason))
                    return
        finally:
            self._under_way.discard(runner_id)
