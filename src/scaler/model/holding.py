"""Machines that are kept after their job: while its result is not known, and where it failed."""

from __future__ import annotations

from scaler.model.evolve import evolve
from scaler.model.row import Row
from scaler.records import RunnerState

FAILED = "failed"  # the result of a job for which a machine is kept
RESULT = 90.0  # seconds after its machine stopped in which a job's result is waited for
WAITING = "its machine stopped; waiting for its job's result"


def awaits_result(row: Row) -> bool:
    """Whether its machine has stopped, and how its job ended may still be told."""
    return row.ended is not None and row.runner.state is RunnerState.BUSY


def result_due(row: Row) -> float:
    """Until when the result of its job is waited for."""
    return (row.ended or 0.0) + RESULT


def waiting(row: Row, now: float) -> Row:
    """Have it wait for its job's result, where failed ones are kept; else it stays as it is.

    The disk of a machine that stopped is all that tells of a failure, and messages may be late.
    """
    machine = row.runner.machine
    if (
        not row.hold
        or machine is None
        or machine.state == "running"
        or row.ended is None
        or now >= result_due(row)
        or row.done
        or row.unregistered
        or row.destroyed
        or row.forced
        or row.runner.state not in (RunnerState.BUSY, RunnerState.RETIRING)
    ):
        return row
    runner = evolve(row.runner, state=RunnerState.BUSY, reason=WAITING)
    entered = row.entered if row.runner.state is RunnerState.BUSY else now
    return evolve(row, runner=runner, entered=entered)


def keepable(row: Row, now: float) -> bool:
    """Whether its machine is certain to be there still, and may be kept for a person."""
    if not row.hold or row.runner.machine is None or row.destroyed:
        return False
    if row.runner.state is not RunnerState.RETIRING:
        return True
    # unregistered is followed by destroying, and so is Busy where nothing is waited for any more
    late = row.ended is not None and row.refused is not None and now >= result_due(row)
    return not (row.unregistered or row.forced or row.done or late)


def judged(row: Row) -> Row:
    """The row whose runner says how its job ended, and whether it failed."""
    runner = row.runner
    failed = row.failed or row.unmade or row.result == FAILED
    if runner.failed is failed and runner.result == row.result:
        return row
    return evolve(row, runner=evolve(runner, failed=failed, result=row.result))
