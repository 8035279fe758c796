"""Machines of failed jobs: kept, also where the machine stopped before the result was known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scaler.ledger.rows import dump, load_row
from scaler.model.holding import RESULT, WAITING, awaits_result
from scaler.model.lifecycle import MISSING_FOR, YOUNG, advance, supplies, wakes
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
    Tick,
    Unlisted,
    Unregistered,
    Unseen,
)
from scaler.records import Machine, Profile, Registration, Runner, RunnerState

if TYPE_CHECKING:
    from scaler.model.row import Fact

NAME = "linux.1@host"
HOLD = 600.0
PROFILE = Profile(name="linux", max_lifetime=5000, hold_failed=HOLD)
MACHINE = Machine(runner=1, id="m1", room="a")
STOP = Provisioned(replace(MACHINE, state="stopped", why="it shut down"))
FAILED, WELL = JobDone("j1", "failed"), JobDone("j1", "succeeded")


def after(*facts: Fact, row: Row, now: float = 0.0) -> Row:
    for fact in facts:
        row = advance(row, fact, now)
    return row


def idle(hold: float = HOLD) -> Row:
    runner = Runner(id=1, name=NAME, profile="linux", state=RunnerState.PLANNED)
    row = Row(runner=runner, born=0.0, entered=0.0, hold=hold)
    return after(Registered(Registration(name=NAME, online=True)), Provisioned(MACHINE), row=row)


def busy(hold: float = HOLD) -> Row:
    return after(JobStarted("j1"), row=idle(hold), now=10)


def state(row: Row) -> str:
    return str(row.runner.state)


# --- its machine stopped, and how its job ended is not known yet


def test_a_machine_that_stops_during_its_job_waits_for_the_result() -> None:
    row = after(STOP, row=busy(), now=100)
    assert (state(row), row.runner.reason) == ("busy", WAITING)
    assert awaits_result(row)
    assert not supplies(row)  # another one is made for what waits
    assert wakes(row, PROFILE) == 100 + RESULT
    held = after(FAILED, row=row, now=189)
    assert (state(held), held.runner.reason) == ("held", "its job ended: failed")
    assert held.runner.machine == STOP.machine
    assert wakes(held, PROFILE) == 189 + HOLD
    assert state(after(Tick(PROFILE), row=held, now=188 + HOLD)) == "held"
    assert state(after(Tick(PROFILE), row=held, now=189 + HOLD)) == "retiring"


def test_a_job_that_went_well_is_retired_at_once() -> None:
    row = after(STOP, WELL, row=busy(), now=100)
    assert (state(row), row.runner.reason) == ("retiring", "its job ended: succeeded")
    assert not row.runner.failed
    assert row.runner.result == "succeeded"


def test_without_a_result_it_is_retired_after_ninety_seconds_whatever_lists_say() -> None:
    row = after(STOP, row=busy(), now=200)
    gone, free = Registration(name=NAME, gone=True), Registration(name=NAME, busy=False)
    for now in (200, 231, 262, 289):
        facts: list[Fact] = [Seen(free, listed=True), Unlisted(), Unseen(), Removed(), Seen(gone)]
        row = after(*facts, STOP, JobStarted("j1"), Tick(PROFILE), Tick(None), row=row, now=now)
        assert state(row) == "busy"
    row = after(Tick(PROFILE), row=row, now=290)
    assert (state(row), row.runner.reason) == ("retiring", "its machine stopped: it shut down")
    # and Busy does not keep it any more
    assert state(after(Refused(), row=row, now=291)) == "retiring"
    assert state(after(FAILED, row=after(Refused(), row=row, now=291), now=292)) == "retiring"


def test_where_nothing_is_held_nobody_waits() -> None:
    assert state(after(STOP, row=busy(0.0), now=100)) == "retiring"
    assert state(after(FAILED, row=busy(0.0), now=100)) == "retiring"
    done = after(WELL, Refused(), row=busy(), now=50)  # its result is known
    assert state(done) == "busy"
    assert state(after(STOP, row=done, now=60)) == "retiring"


def test_a_stop_that_is_found_by_lists_waits_as_well() -> None:
    row = after(Unseen(), row=busy(), now=200)
    row = after(Unseen(), row=row, now=240)
    assert awaits_result(row)
    assert state(after(FAILED, row=row, now=300)) == "held"


@pytest.mark.parametrize("news", [Removed(), JobStarted("j1"), Refused()], ids=lambda n: repr(n))
def test_one_that_nobody_told_of_a_job_waits_once_it_is_known_to_have_had_one(news: Fact) -> None:
    row = after(STOP, row=idle(), now=100)
    assert state(row) == "retiring"  # whether it had one is asked first
    row = after(news, row=row, now=101)
    assert (state(row), row.runner.reason) == ("busy", WAITING)
    unregistered = after(Unregistered(), row=row, now=102)
    assert state(unregistered) == "busy"
    assert not unregistered.runner.failed
    assert state(after(FAILED, row=unregistered, now=150)) == "held"
    over = after(Tick(PROFILE), row=unregistered, now=100 + RESULT)
    assert state(over) == "retiring"
    assert state(after(Destroyed(), row=over, now=200)) == "gone"


def test_a_start_that_failed_does_not_wait() -> None:
    row = after(STOP, Unregistered(), row=idle(), now=100)
    assert (state(row), row.runner.failed) == ("retiring", True)
    assert state(after(FAILED, row=row, now=101)) == "retiring"  # it is being destroyed


# --- its job failed


def test_a_held_machine_stays_until_its_time_is_over() -> None:
    row = after(FAILED, row=busy(), now=100)
    gone, off = (
        Registration(name=NAME, gone=True),
        Registration(name=NAME, online=False, busy=False),
    )
    for now in (110, 150, 200, 400):
        lists: list[Fact] = [Seen(off, listed=True), Unlisted(), Unseen(), Seen(gone, listed=True)]
        row = after(*lists, Tick(PROFILE), Provisioned(MACHINE), FAILED, STOP, row=row, now=now)
        assert state(row) == "held"
    assert wakes(row, PROFILE) == 100 + HOLD
    assert state(after(Tick(PROFILE), row=row, now=100 + HOLD)) == "retiring"


def test_news_that_come_while_it_is_being_unregistered_keep_it() -> None:
    for gone in (after(STOP, row=idle(), now=100), after(Retire("x"), row=busy(), now=100)):
        held = after(FAILED, row=gone, now=105)
        assert state(held) == "held"
        assert state(after(Unregistered(), row=held, now=106)) == "held"


@pytest.mark.parametrize(
    "facts",
    [
        (Retire("x"), Unregistered()),
        (Retire("x"), Destroyed()),
        (Retire("max_lifetime is over", forced=True),),
        (WELL,),
    ],
    ids=["unregistered", "destroyed", "forced", "it went well"],
)
def test_what_may_be_gone_already_is_not_held(facts: tuple[Fact, ...]) -> None:
    row = after(*facts, row=busy(), now=100)
    assert state(after(FAILED, row=row, now=101)) == "retiring"


def test_a_held_one_is_not_held_again_by_the_same_message() -> None:
    row = after(FAILED, row=busy(), now=100)
    row = after(Tick(PROFILE), row=row, now=100 + HOLD)
    assert state(row) == "retiring"
    assert state(after(FAILED, row=row, now=101 + HOLD)) == "retiring"


def test_lists_are_given_time_where_a_failed_job_would_be_held() -> None:
    """The runner is free, its machine waits for a person, and the message is still on its way."""
    free = Seen(Registration(name=NAME, online=False, busy=False), listed=True)
    for fact in (free, Unlisted()):
        for hold, patience in ((0.0, MISSING_FOR), (HOLD, RESULT)):
            row = after(fact, row=busy(hold), now=YOUNG)
            assert state(after(fact, row=row, now=YOUNG + patience - 1)) == "busy"
            assert state(after(fact, row=row, now=YOUNG + patience)) == "retiring"


def test_how_long_is_as_the_settings_say_now() -> None:
    held = after(FAILED, row=busy(), now=100)
    shorter = after(Tick(replace(PROFILE, hold_failed=60.0)), row=held, now=101)
    assert wakes(shorter, None) == 160
    assert state(after(Tick(None), row=shorter, now=159)) == "held"
    assert state(after(Tick(None), row=shorter, now=160)) == "retiring"  # without its profile, too


# --- what is shown of it


def test_what_failed_is_told_with_the_runner() -> None:
    assert not busy().runner.failed
    assert after(FAILED, row=busy()).runner.failed
    assert after(Retire("no", failed=True), row=idle()).runner.failed
    assert not after(Retire("surplus"), row=idle()).runner.failed
    canceled = after(JobDone("j1", "canceled"), row=busy()).runner
    assert (canceled.failed, canceled.result) == (False, "canceled")


def test_it_is_kept_in_the_ledger_and_rows_of_an_older_one_are_read() -> None:
    held = after(STOP, FAILED, row=busy(), now=100)
    assert load_row(dump(held)) == held
    new = ("hold", "ended", "unmade")
    older = dump(held)
    for name, value in (("failed", "true"), ("result", '"failed"'), ("until", "null")):
        assert f'"{name}":{value}' in older
        older = older.replace(f',"{name}":{value}', "", 1)  # of the runner, which comes first
    for name in new:
        before, _, rest = older.partition(f',"{name}":')
        older = before + rest[min(at for each in ",}" if (at := rest.find(each)) >= 0) :]
    read = load_row(older)
    assert (read.hold, read.ended, read.runner.until) == (0.0, None, None)
    assert (read.runner.failed, read.runner.result) == (True, "failed")
