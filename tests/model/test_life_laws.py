"""A runner's life under facts that come late, twice, in any order, or not at all."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from scaler.model.holding import awaits_result
from scaler.model.lifecycle import advance, came_to_nothing, wakes, works
from scaler.model.moves import derive, stopped
from scaler.model.row import (
    Destroyed,
    Fact,
    Fetched,
    JobDone,
    JobStarted,
    Provisioned,
    Refused,
    Registered,
    Removed,
    Reserve,
    Retire,
    Row,
    Seen,
    Tick,
    Unlisted,
    Unregistered,
    Unreserve,
    Unseen,
)
from scaler.records import Machine, Profile, Registration, Reservation, Runner, RunnerState
from scaler.units import Secret

LAW = settings(
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", 3 * settings().max_examples)),
    deadline=None,
    derandomize="HYPOTHESIS_EXAMPLES" not in os.environ,
)
NAME = "linux.1@host"
PROFILE = Profile(name="linux", start_timeout=240, max_lifetime=5000, hold_failed=600)
MACHINE = Machine(runner=1, id="m1", room="a")
SECRET = Secret("config of runner 1")
ISSUED = Registered(Registration(name=NAME, ref="7", config=SECRET))


def seen(
    online: bool | None = None, busy: bool | None = None, *, gone: bool = False, listed: bool = True
) -> Seen:
    return Seen(Registration(name=NAME, online=online, busy=busy, gone=gone), listed)


def planned(now: float = 0.0) -> Row:
    runner = Runner(id=1, name=NAME, profile="linux", state=RunnerState.PLANNED)
    return Row(runner=runner, born=now, entered=now, told=now)


def after(*facts: Fact, now: float = 0.0, row: Row | None = None) -> Row:
    row = planned() if row is None else row
    for fact in facts:
        row = advance(row, fact, now)
    return row


def idle() -> Row:
    row = after(ISSUED, Provisioned(MACHINE), seen(online=True, busy=False))
    assert row.runner.state is RunnerState.IDLE
    return row


def busy() -> Row:
    row = after(JobStarted("j1"), row=idle())
    assert row.runner.state is RunnerState.BUSY
    return row


maybe = st.sampled_from([None, True, False])
RESERVATION = Reservation(unique_id="u", qualified_repo="acme/widgets", run_id="9", since=1.0)
facts: st.SearchStrategy[Fact] = st.one_of(
    st.just(ISSUED),
    st.builds(
        Provisioned,
        st.builds(
            Machine,
            runner=st.just(1),
            id=st.sampled_from(["m1", "m1", "m2"]),
            state=st.sampled_from(["running", "running", "stopped"]),
            delivered=st.booleans(),
        ),
    ),
    st.builds(seen, maybe, maybe, listed=st.booleans()),
    st.just(seen(gone=True, listed=False)),
    st.just(Removed()),
    st.just(Unlisted()),
    st.just(Unseen()),
    st.builds(JobStarted, st.sampled_from(["j1", "j2"])),
    st.builds(JobDone, st.sampled_from(["j1", "j2", ""]), st.sampled_from(["failed", "ok"])),
    st.builds(Retire, st.just("surplus"), st.booleans(), st.booleans()),
    st.just(Refused()),
    st.just(Reserve(RESERVATION)),
    st.just(Unreserve("it lapsed")),
    st.just(Fetched()),
    st.just(Unregistered()),
    st.just(Destroyed()),
    st.sampled_from([Tick(PROFILE), Tick(PROFILE), Tick(None)]),
)
steps = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, 29.0, 31.0, 200.0, 5000.0]), facts), max_size=14
)


@LAW
@given(st.sampled_from([planned, idle, busy]), st.sampled_from([0.0, 600.0]), steps)
def test_facts_in_any_order_and_twice(
    start: object, hold: float, history: list[tuple[float, Fact]]
) -> None:
    row = replace(start(), hold=hold)  # type: ignore[operator]
    now = 0.0
    for passed, fact in history:
        now += passed
        before, row = row, advance(row, fact, now)
        old, new = before.runner.state, row.runner.state
        # who it is does not change
        assert (row.runner.id, row.runner.name, row.born) == (1, NAME, before.born)
        # gone is final, and needs both
        if old is RunnerState.GONE:
            assert row is before
        assert (new is RunnerState.GONE) == (row.unregistered and row.destroyed)
        # retiring is left by Busy alone, and not where that does not matter
        if old is RunnerState.RETIRING and new not in (RunnerState.RETIRING, RunnerState.GONE):
            assert not before.forced
            if before.hold and not isinstance(fact, Refused):
                assert not before.unregistered
                assert not before.destroyed
                assert new is RunnerState.HELD or awaits_result(row)
            else:
                assert new is RunnerState.BUSY
                assert isinstance(fact, Refused)
                assert not stopped(before) or awaits_result(row)
        # nobody waits for a result, or is held, whose failure keeps nothing
        if new is RunnerState.HELD or awaits_result(row):
            assert row.hold > 0
            assert wakes(row, None) is not None
        # whatever is not past deriving is as derived
        if new not in (RunnerState.RETIRING, RunnerState.HELD, RunnerState.GONE):
            assert new is derive(row) or awaits_result(row)
        # what is shown is what is known
        assert row.runner.result == row.result
        assert row.runner.failed == (row.failed or row.unmade or row.result == "failed")
        # only who is idle is promised to anybody
        if before.runner.reservation is None and row.runner.reservation is not None:
            assert old is RunnerState.IDLE
            assert new is RunnerState.RESERVED
        # no one fact shows both that it had a job and that it had none
        assert not (works(before, row) and came_to_nothing(before, row))
        # the secret is nowhere but in `config`, and there only while it may be asked for
        assert row.runner.registration is None or row.runner.registration.config is None
        if new in (RunnerState.IDLE, RunnerState.BUSY, RunnerState.RETIRING, RunnerState.GONE):
            assert row.config is None
        assert 0.0 <= row.entered <= now
        assert (row.entered == before.entered) or new is not old
        # the same again says nothing new
        again = advance(row, fact, now)
        assert again.runner == row.runner
        assert not came_to_nothing(row, again)
    event(f"ends {row.runner.state}")
    # whatever happened, cleaning up ends it
    row = after(Retire("end"), row=row, now=now)
    row = after(Unregistered(), Destroyed(), row=row, now=now)
    assert row.runner.state is RunnerState.GONE


looks: st.SearchStrategy[Fact] = st.one_of(
    st.just(Unlisted()),
    st.just(Unseen()),
    st.just(seen(online=True, busy=False)),
    st.just(seen()),
    st.just(seen(online=True, busy=True)),
    st.just(seen(online=True, listed=False)),
    st.just(Provisioned(MACHINE, listed=True)),
    st.just(Provisioned(MACHINE)),
    st.just(JobStarted("j1")),
    st.just(Tick(replace(PROFILE, hold_failed=0.0))),
)


@LAW
@given(
    st.sampled_from([idle, busy]),
    st.lists(st.tuples(st.sampled_from([0.0, 10.0, 29.9, 30.0, 45.0]), looks), max_size=14),
)
def test_unknown_never_means_gone(start: object, history: list[tuple[float, Fact]]) -> None:
    """Only two complete lists without it, 30 s apart and nothing seen between, with an old row."""
    row = start()  # type: ignore[operator]
    now = 0.0
    registration_absent: float | None = None
    machine_absent: float | None = None
    not_busy: float | None = None
    for passed, fact in history:
        now += passed
        was_busy = row.runner.state is RunnerState.BUSY
        row = advance(row, fact, now)
        grounds = False
        match fact:
            case Unlisted():
                first = registration_absent if registration_absent is not None else now
                registration_absent = first
                grounds = now - first >= 30 and now >= 120
            case Unseen():
                first = machine_absent if machine_absent is not None else now
                machine_absent = first
                grounds = now - first >= 30 and now >= 120
            case Seen(registration):
                registration_absent = None
                if was_busy and registration.busy is False:
                    not_busy = now if not_busy is None else not_busy
                    grounds = now - not_busy >= 30
                elif registration.busy:
                    not_busy = None
            case Provisioned():
                machine_absent = None
            case JobStarted():
                registration_absent = not_busy = None
        if row.runner.state is RunnerState.RETIRING:
            event("gone")
            assert grounds, f"{fact} at {now}: {row.runner.reason}"
            return
        assert not grounds, f"{fact} at {now} should have ended it"


@LAW
@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from([None, True, False])), max_size=12))
@example([(0, False), (50, False), (50, False)])
def test_what_runs_a_job_is_not_ended_by_being_offline(
    history: list[tuple[float, bool | None]],
) -> None:
    row, now = busy(), 0.0
    for passed, online in history:
        now += passed
        row = after(seen(online=online, busy=None), Tick(PROFILE), row=row, now=now)
        assert row.runner.state is RunnerState.BUSY


def test_every_order_of_what_a_runner_goes_through_ends_the_same() -> None:
    """C18: started and completed reversed, twice, before the runner is known to be registered."""
    script: list[Fact] = [
        ISSUED,
        Provisioned(MACHINE),
        JobStarted("j1"),
        JobDone("j1", "succeeded"),
        JobStarted("j1"),
        JobDone("j1", "succeeded"),
    ]
    for order in itertools.permutations(script):
        row = after(*order)
        assert row.runner.state is RunnerState.RETIRING
        assert row.done
        assert row.runner.job == "j1"
        assert row.config is None
        assert after(Unregistered(), Destroyed(), row=row).runner.state is RunnerState.GONE


def test_busy_sends_it_back_and_it_is_asked_again() -> None:
    row = after(JobDone("j1", "failed"), Refused(), row=busy(), now=1000)
    assert row.runner.state is RunnerState.BUSY
    assert wakes(row, PROFILE) == 1030
    assert after(Tick(PROFILE), row=row, now=1029).runner.state is RunnerState.BUSY
    again = after(Tick(PROFILE), row=row, now=1030)
    assert again.runner.state is RunnerState.RETIRING
    assert again.runner.reason == "its job ended: failed"
    # without its message, nothing is asked again but by its lifetime
    working = after(Retire("surplus"), Refused(), row=idle(), now=1000)
    assert after(Tick(PROFILE), row=working, now=4999).runner.state is RunnerState.BUSY
    old = after(Tick(PROFILE), row=working, now=5000)
    assert old.runner.state is RunnerState.RETIRING
    assert old.forced
    assert after(Refused(), row=old, now=5000).runner.state is RunnerState.RETIRING


def test_busy_starts_the_clock_of_its_absence_anew() -> None:
    row = after(Unlisted(), row=idle(), now=200)
    row = after(Unlisted(), row=row, now=240)
    assert row.runner.state is RunnerState.RETIRING
    row = after(Refused(), row=row, now=241)
    row = after(Unlisted(), row=row, now=270)
    assert row.runner.state is RunnerState.BUSY
    assert after(Unlisted(), row=row, now=301).runner.state is RunnerState.RETIRING


def test_a_machine_that_stopped_goes_although_busy() -> None:
    row = after(Provisioned(replace(MACHINE, state="stopped", why="panic")), row=busy(), now=50)
    assert row.runner.reason == "its machine stopped: panic"
    row = after(Refused(), row=row, now=51)
    assert row.runner.state is RunnerState.RETIRING
    row = after(Destroyed(), Refused(), row=row, now=52)
    assert row.runner.state is RunnerState.RETIRING
    assert after(Unregistered(), row=row, now=90).runner.state is RunnerState.GONE


def test_a_machine_never_starts_again_and_another_ones_end_is_not_its_own() -> None:
    other = Provisioned(Machine(runner=1, id="m2", state="stopped"))
    assert after(other, row=idle()).runner.state is RunnerState.IDLE
    ended = after(Provisioned(replace(MACHINE, state="stopped")), row=idle())
    assert stopped(after(Provisioned(MACHINE), row=ended))


@pytest.mark.parametrize("listed", [True, False])
def test_only_what_is_first_hand_outdates_lists(listed: bool) -> None:
    row = after(seen(online=True, listed=listed), row=idle(), now=50)
    assert row.told == (0 if listed else 50)
    row = after(Provisioned(replace(MACHINE, addresses=("10.0.0.1",)), listed=listed), row=idle(),
                now=60)  # fmt: skip
    assert row.told == (0 if listed else 60)
    assert after(Refused(), Unlisted(), Unseen(), row=idle(), now=70).told == 70


def test_not_online_in_time_needs_a_list_that_says_so() -> None:
    row = after(ISSUED, now=0)
    row = after(Provisioned(MACHINE), row=row, now=10)
    assert after(Tick(PROFILE), row=row, now=1000).runner.state is RunnerState.BOOTING
    row = after(seen(online=False), row=row, now=249)
    assert after(Tick(PROFILE), row=row, now=1000).runner.state is RunnerState.BOOTING
    row = after(seen(online=False), row=row, now=251)
    late = after(Tick(PROFILE), row=row, now=251)
    assert late.runner.state is RunnerState.RETIRING
    assert late.runner.reason == "not online within 240 s"
    assert came_to_nothing(row, late)


def test_a_profile_that_was_removed_keeps_what_works() -> None:
    assert after(Tick(None), row=busy()).runner.state is RunnerState.BUSY
    assert after(Tick(None), row=idle()).runner.state is RunnerState.RETIRING


def test_only_a_start_without_a_job_counts_as_failed() -> None:
    gone = seen(gone=True, listed=False)
    booting = after(ISSUED, Provisioned(MACHINE))
    for fact in (gone, Removed()):
        assert came_to_nothing(booting, after(fact, row=booting))
        # C24: who has been online, and idles for long, is removed by the other side
        assert not came_to_nothing(idle(), after(fact, row=idle()))
    missing = after(Unlisted(), row=after(Unlisted(), row=idle(), now=200), now=240)
    assert missing.runner.reason == "its registration is gone"
    assert not missing.failed
    assert not came_to_nothing(busy(), after(gone, row=busy()))
    assert not came_to_nothing(idle(), after(Retire("surplus"), row=idle()))
    done = after(JobDone("j1", "ok"), row=idle())
    assert not came_to_nothing(done, after(gone, row=done))


# --- one machine for one registration


def test_a_machine_made_with_another_config_is_not_adopted() -> None:
    ours = after(ISSUED)
    assert len(ours.digest) == 64
    right, wrong = replace(MACHINE, digest=ours.digest), replace(MACHINE, digest="0" * 64)
    assert after(Provisioned(right), row=ours).runner.state is RunnerState.BOOTING
    assert after(Provisioned(MACHINE), row=ours).runner.state is RunnerState.BOOTING
    retired = after(Provisioned(wrong, listed=True), row=ours)
    assert retired.runner.state is RunnerState.RETIRING
    assert retired.runner.machine is None
    assert not retired.failed


def test_a_twin_takes_nothing_from_a_runner_that_has_its_machine() -> None:
    ours = after(ISSUED)
    twin = replace(MACHINE, id="m2", digest="0" * 64)
    for row in (
        after(Provisioned(replace(MACHINE, digest=ours.digest)), row=ours),
        after(Provisioned(MACHINE), JobStarted("j1"), row=ours),
        after(Provisioned(MACHINE), Retire("surplus"), row=ours),
    ):
        assert after(Provisioned(twin, listed=True), row=row).runner == row.runner
        stopped_twin = Provisioned(replace(twin, state="stopped"))
        assert after(stopped_twin, row=row).runner == row.runner


def test_a_list_that_tells_nothing_new_changes_nothing() -> None:
    """Ten thousand rows would be written again with every look."""
    for row in (idle(), busy()):
        registration = row.runner.registration
        assert registration is not None
        same = Seen(registration, listed=True)
        assert advance(row, same, 500) is row
