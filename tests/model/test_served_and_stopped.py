"""What a runner that nobody told of a job has been through, from what it ended in."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scaler.model.demand import Demand
from scaler.model.halt import Halt, stop
from scaler.model.lifecycle import advance, came_to_nothing, stopped_unused, works
from scaler.model.plan import Situation, plan
from scaler.model.row import (
    Destroyed,
    JobDone,
    JobStarted,
    Provisioned,
    Refused,
    Registered,
    Removed,
    Retire,
    Row,
    Seen,
    Unregistered,
    Unseen,
)
from scaler.records import Machine, Profile, Registration, Room, Runner, RunnerState
from scaler.units import Secret

if TYPE_CHECKING:
    from scaler.model.row import Fact

NAME = "linux.1@host"
MACHINE = Machine(runner=1, id="m1", room="a")
STOP = Provisioned(replace(MACHINE, state="stopped", why="it shut down"))
ISSUED = Registered(Registration(name=NAME, ref="7", config=Secret("config of runner 1")))


def after(*facts: Fact, row: Row | None = None, now: float = 0.0) -> Row:
    if row is None:
        runner = Runner(id=1, name=NAME, profile="linux", state=RunnerState.PLANNED)
        row = Row(runner=runner, born=0.0, entered=0.0)
    for fact in facts:
        row = advance(row, fact, now)
    return row


def starting(state: RunnerState) -> Row:
    row = after(ISSUED, Provisioned(MACHINE))
    if state is RunnerState.IDLE:
        row = after(Seen(Registration(name=NAME, online=True)), row=row)
    assert row.runner.state is state
    return row


# --- came and went

STARTS = [RunnerState.BOOTING, RunnerState.IDLE]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    "order",
    [(STOP, Removed()), (Removed(), STOP), (Retire("surplus"), STOP, Removed())],
    ids=["stopped first", "removed first", "surplus"],
)
def test_who_stops_and_is_removed_by_the_other_side_had_its_job(
    start: RunnerState, order: tuple[Fact, ...]
) -> None:
    *earlier, last = order
    row = after(*earlier, row=starting(start))
    assert not row.served
    ended = after(last, row=row)
    assert ended.served
    assert not ended.failed
    assert works(row, ended)
    again = after(Removed(), STOP, row=ended)
    assert not works(ended, again)
    gone = after(Unregistered(), Destroyed(), row=ended)
    assert gone.runner.state is RunnerState.GONE
    assert not works(ended, gone)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    "order",
    [
        (STOP, Unregistered(), Removed()),
        (STOP, Unregistered(), Destroyed(), Removed()),
        (STOP, Seen(Registration(name=NAME, gone=True))),
        (Removed(), Unregistered(), STOP),
        (Retire("surplus"), Removed(), Unregistered(), STOP),
        (Retire("surplus"), Unregistered(), STOP, Removed()),
        (STOP, Unregistered()),
        (Removed(), Unregistered(), Destroyed()),
    ],
    ids=lambda order: " ".join(type(fact).__name__ for fact in order),
)
def test_what_was_done_from_here_shows_nothing(start: RunnerState, order: tuple[Fact, ...]) -> None:
    row = starting(start)
    for fact in order:
        before, row = row, after(fact, row=row)
        assert not works(before, row)
    assert not row.served
    if order[0] is STOP:
        assert after(Unregistered(), row=row).failed


def test_a_stop_is_no_failure_until_it_is_known_that_it_had_no_job() -> None:
    row = after(STOP, row=starting(RunnerState.BOOTING))
    assert row.suspect
    assert not row.failed
    assert came_to_nothing(row, after(Unregistered(), row=row))
    for told in (JobStarted("j1"), JobDone("j1", "ok")):  # late, but it comes
        late = after(told, row=row)
        assert not came_to_nothing(late, after(Unregistered(), row=late))


def test_whatever_the_order_it_had_its_job_or_not_but_not_both() -> None:
    facts: list[Fact] = [STOP, Removed(), Retire("surplus"), Unregistered(), Destroyed()]
    for order in itertools.permutations(facts):
        row = starting(RunnerState.BOOTING)
        for fact in order:
            row = after(fact, row=row)
        both = order.index(Unregistered()) > max(order.index(STOP), order.index(Removed()))
        assert row.served == both, order
        assert not (row.served and row.failed)


@pytest.mark.parametrize("told", [JobStarted("j1"), JobDone("j1", "ok")])
def test_a_job_that_was_told_of_is_not_found_out(told: Fact) -> None:
    row = after(told, STOP, Removed(), row=starting(RunnerState.IDLE))
    assert not row.served
    assert not row.failed


def test_what_says_busy_had_a_job_though_its_machine_stopped() -> None:
    row = after(STOP, row=starting(RunnerState.BOOTING))
    said = after(Refused(), row=row)
    assert works(row, said)
    assert not said.failed
    assert not works(said, after(Refused(), row=said))


def test_a_list_that_shows_it_busy_shows_that_starting_works() -> None:
    row = starting(RunnerState.IDLE)
    busy = after(Seen(Registration(name=NAME, busy=True), listed=True), row=row)
    assert works(row, busy)
    again = after(Retire("surplus"), Refused(), row=busy)
    assert not works(busy, again)  # that says nothing new


# --- an outdated image


def test_who_stops_unused_is_told_from_who_ends_otherwise() -> None:
    booting, idle = starting(RunnerState.BOOTING), starting(RunnerState.IDLE)

    def judged(row: Row, *facts: Fact, now: float = 0.0) -> tuple[Row, Row]:
        row = after(*facts, row=row, now=now)
        return row, after(Unregistered(), row=row, now=now)

    for row in (booting, idle):
        assert stopped_unused(*judged(row, STOP, now=599))
    assert stopped_unused(*judged(booting, STOP, now=600))
    old = judged(idle, STOP, now=600)  # it was well for long
    assert came_to_nothing(*old)
    assert not stopped_unused(*old)
    away = after(Unseen(), row=after(Unseen(), row=booting, now=200), now=200)
    assert stopped_unused(*judged(away, Unseen(), now=240))
    for fact in (Removed(), Retire("surplus"), JobDone("j1", "ok")):
        assert not stopped_unused(*judged(booting, fact))
    served = after(JobStarted("j1"), row=idle)
    assert not stopped_unused(*judged(served, STOP))


def stops(*times: tuple[float, float]) -> Halt:
    halt: Halt | None = None
    for born, now in times:
        halt = stop(halt, "it shut down", born, now)
    assert halt is not None
    return halt


def test_three_in_a_row_stop_a_profile_for_longer_each_time() -> None:
    times = [(0.0, 5.0), (6.0, 11.0), (12.0, 17.0)]
    assert not stops(*times[:2]).stopped
    assert stops(*times).stopped
    waits = []
    for _ in range(5):
        halt = stops(*times)
        waits.append(halt.until - halt.at)
        times.append((halt.until + 4000, halt.until + 4005))  # however long it takes until a try
    assert waits == [600, 1200, 2400, 3600, 3600]
    assert stops(*times).stops == 8


def test_a_burst_is_one_and_a_stop_long_ago_is_none() -> None:
    assert stops((0, 5), (0, 6), (5, 7), (1, 8)).stops == 1
    assert stops((0, 5), (6, 11), (612, 620)).stops == 1
    assert stops((0, 5), (6, 11), (611, 620)).stops == 3


def situation(halt: Halt, *rows: Row, now: float, demand: int = 4) -> Situation:
    return Situation(
        profiles={
            "linux": Profile(name="linux", max_count=4, source="queue", provisioners=("one",))
        },
        rows=rows,
        demand={"linux": Demand(owed=demand, kept=demand, reported=True)},
        committed={"linux": 0},
        offered={"linux": 0},
        rooms={"one": (Room(name="a"),)},
        backoff={},
        halts={"linux": halt},
        now=now,
    )


def test_a_stopped_profile_is_promised_nothing_and_then_one() -> None:
    halt = stops((0, 5), (6, 11), (12, 17))
    ended = after(STOP, row=starting(RunnerState.BOOTING), now=17)
    held = plan(situation(halt, ended, now=18))
    assert (held.make, held.ceilings, held.wake) == ((), {"linux": 0}, 617)
    assert held.why["linux"] == (
        "3 machines in a row stopped without a job: is its image outdated? (it shut down)"
        " one is tried again in 599 s"
    )
    assert plan(situation(halt, now=18, demand=0)).why == held.why
    tried = plan(situation(halt, now=617))
    assert (len(tried.make), tried.ceilings) == (1, {"linux": 1})
    assert "one at a time is tried until a job has run" in tried.why["linux"]
    trial = starting(RunnerState.BOOTING)
    waits = plan(situation(halt, trial, now=700))
    assert (waits.make, waits.ceilings) == ((), {"linux": 1})
    # what still works is left alone, and is not in the way of a try
    busy = after(JobStarted("j1"), row=starting(RunnerState.IDLE))
    assert plan(situation(halt, busy, now=18)).ceilings == {"linux": 1}
    assert len(plan(situation(halt, busy, now=700)).make) == 1


def test_fewer_stops_change_nothing() -> None:
    made = plan(situation(stops((0, 5), (6, 11)), now=12))
    assert len(made.make) == 4
    assert made.why == {}
