"""What a person does to one runner: let it go, or end it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from scaler.errors import Busy, Refused, Unavailable
from scaler.ledger.ledger import LedgerError
from scaler.model.evolve import evolve
from scaler.model.names import parse_runner_name
from scaler.model.orders import named
from scaler.model.row import Retire
from scaler.records import RunnerState

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.engine.releasing import Releasing
    from scaler.engine.state import State
    from scaler.engine.steps import Steps
    from scaler.model.row import Row
    from scaler.records import Runner

log = logging.getLogger("scaler")

OUTCOME = 15.0  # seconds until it is told how far it came
WRITTEN = 4.0  # seconds for the ledger
RELEASED = 8.0  # seconds for a reservation to be taken back; it goes on after that


class ByHand:
    """Releases and destroys, as somebody says. The steps themselves are those of every runner."""

    def __init__(self, state: State, steps: Steps, releasing: Releasing) -> None:
        self._state = state
        self._steps = steps
        self._releasing = releasing

    def find(self, runner: int | str) -> Row:
        """The row of a runner by its id, its name, or `profile.id`.

        Raises:
            LookupError: There is none.
        """
        state = self._state
        asked = str(runner)
        if asked.isascii() and asked.isdigit():
            row = state.rows.get(int(asked)) if len(asked) < 20 else None
        else:
            full = asked if "@" in asked else f"{asked}@{state.scaler}"
            parsed = parse_runner_name(full, state.scaler)
            row = state.rows.get(parsed[1]) if parsed else None
            if row is not None and row.runner.name != full:
                row = None
        if row is None:
            raise LookupError(f"there is no runner {asked}: it has never been, or is gone already")
        return row

    async def release(self, runner: int | str, by: str) -> Runner:
        """See `Orders.release`."""
        row = self.find(runner)
        runner_id, is_ = row.runner.id, row.runner.state
        if is_ is RunnerState.HELD:
            self._event(row, f"{row.runner.name} is let go by {named(by)}")
            after = self._state.apply(runner_id, Retire(f"let go by {named(by)}"))
            with trio.move_on_after(WRITTEN):
                try:
                    await self._state.keep(*([after] if after is not None else []))
                except LedgerError as error:  # it is let go all the same, unless this ends before
                    log.error("%s", error, extra={"runner": runner_id})
            return self._now(row)
        if is_ is not RunnerState.RESERVED:
            raise Refused(
                "not-reserved",
                f"{row.runner.name} is {is_}: only what is reserved or held can be released",
            )
        self._event(row, f"the reservation of {row.runner.name} is taken back by {named(by)}")
        self._releasing.begin(runner_id, f"released by {named(by)}")
        if not await self._until(lambda: not self._is(runner_id, RunnerState.RESERVED), RELEASED):
            raise Unavailable(
                f"{row.runner.name} is reserved still: {row.runner.source} has not said that it"
                " looks free; that is tried again, and after a while it is replaced"
            )
        return self._now(row)

    async def destroy(self, runner: int | str, by: str, *, busy: bool) -> Runner:
        """See `Orders.destroy`."""
        row = self.find(runner)
        runner_id = row.runner.id
        if not busy and _works(row):
            raise Busy(f"{row.runner.name} {_runs(row)}: nothing was done")
        reason = f"destroyed by {named(by)}"
        also = ""
        if busy:
            also = f", though it {_runs(row)}" if _works(row) else ", even if it has got a job"
        level = logging.WARNING if busy else logging.INFO
        self._event(row, f"{row.runner.name} is {reason}{also}", level)
        self._state.apply(runner_id, Retire(reason, forced=busy))
        await self._until(lambda: self._is_over(runner_id), OUTCOME)
        after = self._state.rows.get(runner_id)
        if after is None or after.runner.state is RunnerState.GONE:
            return self._now(row)
        if after.runner.state is not RunnerState.RETIRING:
            raise Busy(f"{after.runner.name} {_runs(after)} now: nothing was done")
        return self._now(after)

    def _is_over(self, runner_id: int) -> bool:
        """Whether nothing more comes of it soon: it is gone, or works after all, or its machine is.

        A registration with a job is asked for again and again, for long after the machine's end.
        """
        row = self._state.rows.get(runner_id)
        if row is None or row.runner.state is not RunnerState.RETIRING:
            return True
        return row.destroyed and runner_id in self._steps.troubles

    def _is(self, runner_id: int, state: RunnerState) -> bool:
        row = self._state.rows.get(runner_id)
        return row is not None and row.runner.state is state

    async def _until(self, true: Callable[[], bool], within: float) -> bool:
        """Wait until something holds; whether it does."""
        with trio.move_on_after(within):
            while not true():
                await self._state.news.wait()
        return true()

    def _now(self, row: Row) -> Runner:
        """The runner as it is now, with what keeps it from being gone in its reason."""
        after = self._state.rows.get(row.runner.id)
        if after is None:
            return evolve(row.runner, state=RunnerState.GONE)
        runner = after.runner
        if runner.state is not RunnerState.RETIRING:
            return runner
        trouble = self._steps.troubles.get(runner.id)
        return evolve(runner, reason=f"{runner.reason}; {trouble}") if trouble else runner

    def _event(self, row: Row, text: str, level: int = logging.INFO) -> None:
        runner = row.runner
        self._state.event(
            text, profile=runner.profile, runner=runner.id, job=runner.job, level=level
        )


def _works(row: Row) -> bool:
    """Whether it has a job, as far as anybody knows.

    Of what is being retired that is asked before it goes; what has stopped runs nothing.
    """
    runner = row.runner
    if runner.state in (RunnerState.HELD, RunnerState.RETIRING) or row.ended is not None:
        return False
    said = runner.registration is not None and bool(runner.registration.busy)
    return runner.state is RunnerState.BUSY or said or bool(runner.job and not row.done)


def _runs(row: Row) -> str:
    return f"runs job {row.runner.job}" if row.runner.job else "runs a job"
