"""Two jobs on two runners, told of in every order there is."""

from __future__ import annotations

import itertools

from scaler.model.jobs import merge
from scaler.model.lifecycle import advance, came_to_nothing
from scaler.model.row import Fact, JobDone, JobStarted, Provisioned, Registered, Row
from scaler.records import Job, JobState, Machine, Registration, Runner, RunnerState

STEPS: list[JobState] = ["assigned", "running", "done"]


def booting(number: int) -> Row:
    name = f"linux.{number}@host"
    runner = Runner(id=number, name=name, profile="linux", state=RunnerState.PLANNED)
    row = Row(runner=runner, born=0.0, entered=0.0)
    made: list[Fact] = [Registered(Registration(name=name))]
    for fact in (*made, Provisioned(Machine(runner=number, id=f"m{number}"))):
        row = advance(row, fact, 0.0)
    return row


def test_all_orders_of_three_events_of_two_runners_end_the_same() -> None:
    """C18: assigned, started and completed; once, and then all of it again."""
    events = [(number, step) for number in (1, 2) for step in STEPS]
    for order in itertools.permutations(events):
        rows = {number: booting(number) for number in (1, 2)}
        jobs: dict[int, Job] = {}
        for number, step in (*order, *order):
            runner = "" if step == "assigned" else rows[number].runner.name
            seen = Job(id=f"j{number}", state=step, runner_name=runner)
            jobs[number] = merge(jobs.get(number), seen)
            before, other = rows[number], rows[3 - number]
            fact: Fact | None = None
            if step == "running":
                fact = JobStarted(seen.id)
            elif step == "done":
                fact = JobDone(seen.id, "succeeded")
            if fact is not None:
                rows[number] = advance(before, fact, 1.0)
            assert not came_to_nothing(before, rows[number])
            assert rows[3 - number] is other
        for number in (1, 2):
            assert jobs[number].state == "done"
            assert jobs[number].runner_name == rows[number].runner.name
            assert rows[number].runner.state is RunnerState.RETIRING
            assert (rows[number].runner.job, rows[number].done) == (f"j{number}", True)
