"""The moves of a runner's life that several facts make: settle, give up, retire."""

from __future__ import annotations

from scaler.model.evolve import evolve
from scaler.model.holding import awaits_result
from scaler.model.row import Row
from scaler.records import RunnerState

STEADY = 600.0  # seconds of being idle after which a machine that stops was none too old to work

_STARTING = (RunnerState.REGISTERED, RunnerState.BOOTING)


def stopped(row: Row) -> bool:
    """Whether its machine is known to run nothing any more."""
    return row.runner.machine is not None and row.runner.machine.state == "stopped"


def derive(row: Row) -> RunnerState:
    """The state that the facts amount to, for a row that is not retiring."""
    runner = row.runner
    registration = runner.registration
    if registration is None:
        return RunnerState.PLANNED
    if registration.busy:
        return RunnerState.BUSY
    if runner.reservation is not None:
        return RunnerState.RESERVED
    if runner.machine is None:
        return RunnerState.REGISTERED
    # once online, always idle: going offline retires it, it does not boot again
    if registration.online or runner.state in (RunnerState.IDLE, RunnerState.RESERVED):
        return RunnerState.IDLE
    return RunnerState.BOOTING


def with_(row: Row, **changes: object) -> Row:
    """The row with these changes of its runner."""
    return evolve(row, runner=evolve(row.runner, **changes))


def enter(row: Row, state: RunnerState, reason: str, now: float) -> Row:
    """The row in this state; unchanged where it is in it already."""
    if row.runner.state is state:
        return row
    return evolve(row, runner=evolve(row.runner, state=state, reason=reason), entered=now)


def settled(row: Row, now: float, reason: str = "") -> Row:
    """Move to the derived state, unless the row is past deriving."""
    if row.runner.state in (RunnerState.RETIRING, RunnerState.HELD) or awaits_result(row):
        return row
    state = derive(row)
    row = enter(row, state, reason, now)
    if state in (RunnerState.IDLE, RunnerState.BUSY) and row.config is not None:
        row = evolve(row, config=None)  # it has joined: nobody may ask for the config again
    return row


def give_up(row: Row, reason: str, now: float, *, idle_too: bool = True) -> Row:
    """Retire it for something that happened to it; without a job, that is a failed start.

    `idle_too`: also where it had started, and waited for a job.
    """
    state = row.runner.state
    waiting = state in _STARTING or (idle_too and state is RunnerState.IDLE)
    if jobless(row) and waiting:
        steady = state is RunnerState.IDLE and now - row.entered >= STEADY
        # A stop says nothing yet: a job's messages may be late, or never come
        verdict = {"suspect": True, "steady": steady} if stopped(row) else {"failed": True}
        row = evolve(row, **verdict)
    return retire(row, reason, now)


def jobless(row: Row) -> bool:
    """Whether nobody told of a job of it."""
    return not row.runner.job and not row.done


def retire(row: Row, reason: str, now: float, *, forced: bool = False) -> Row:
    """Send it to its end; `forced`: also when it is said to be busy."""
    if row.runner.state is RunnerState.RETIRING:
        return evolve(row, forced=True) if forced and not row.forced else row
    row = evolve(row, forced=row.forced or forced, config=None)
    return enter(row, RunnerState.RETIRING, reason, now)
