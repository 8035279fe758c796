"""A runner keeps the times that its profile had when it was planned, unless they were raised."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scaler.model.lifecycle import advance, wakes
from scaler.model.row import Row, Tick
from scaler.records import Machine, Profile, Registration, Runner, RunnerState

from .test_plan_laws import LAW

NAME = "linux.1@host"
times = st.floats(1.0, 1e5)


def a_row(state: RunnerState, profile: Profile) -> Row:
    return Row(
        runner=Runner(
            id=1,
            name=NAME,
            profile="linux",
            state=state,
            registration=Registration(name=NAME, busy=state is RunnerState.BUSY),
            machine=Machine(runner=1, id="vm-1"),
        ),
        born=0.0,
        entered=0.0,
        listed=1e9,
        max_lifetime=profile.max_lifetime,
        start_timeout=profile.start_timeout,
    )


profiles = st.builds(
    Profile,
    name=st.just("linux"),
    max_lifetime=times,
    start_timeout=times,
    hold_failed=st.sampled_from([0.0, 60.0]),
    target_count=st.integers(0, 2),
    max_count=st.integers(0, 2),
)


@LAW
@given(profiles, profiles, times)
def test_no_change_of_a_profile_ends_a_job(first: Profile, then: Profile, now: float) -> None:
    row = a_row(RunnerState.BUSY, first)
    before = advance(row, Tick(first), now)
    after = advance(row, Tick(then), now)
    if not before.forced:
        assert not after.forced
        assert after.runner.state is RunnerState.BUSY


@LAW
@given(profiles, profiles, times)
def test_no_change_of_a_profile_gives_up_what_boots(
    first: Profile, then: Profile, now: float
) -> None:
    row = a_row(RunnerState.BOOTING, first)
    if advance(row, Tick(first), now).runner.state is RunnerState.BOOTING:
        assert advance(row, Tick(then), now).runner.state is RunnerState.BOOTING


def test_what_is_raised_counts_at_once() -> None:
    short = Profile(name="linux", max_lifetime=100.0, start_timeout=10.0)
    long = replace(short, max_lifetime=200.0, start_timeout=50.0)
    busy, boots = a_row(RunnerState.BUSY, short), a_row(RunnerState.BOOTING, short)
    assert advance(busy, Tick(short), 150.0).forced
    assert not advance(busy, Tick(long), 150.0).forced
    assert advance(busy, Tick(long), 200.0).forced
    assert wakes(busy, short) == 100.0
    assert wakes(busy, long) == 200.0
    assert advance(boots, Tick(short), 20.0).runner.reason == "not online within 10 s"
    assert advance(boots, Tick(long), 20.0).runner.state is RunnerState.BOOTING


def test_a_row_of_an_older_scaler_goes_by_its_profile() -> None:
    short = Profile(name="linux", max_lifetime=100.0)
    old = replace(a_row(RunnerState.BUSY, short), max_lifetime=0.0, start_timeout=0.0)
    assert advance(old, Tick(short), 100.0).forced
    assert not advance(old, Tick(short), 99.0).forced
