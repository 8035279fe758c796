"""Demand is quick up and slow down; a job never goes back; a name can be read again."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scaler.model.demand import APART, SETTLE, Demand, report, settle
from scaler.model.jobs import (
    ASSIGNMENT_LASTS,
    OFFER_LASTS,
    RANK,
    KnownJob,
    committed,
    forgotten,
    in_order,
    merge,
)
from scaler.model.names import parse_runner_name, runner_name
from scaler.records import Job, JobState

LAW = settings(
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", settings().max_examples * 3 // 2)),
    deadline=None,
    derandomize="HYPOTHESIS_EXAMPLES" not in os.environ,
)
STATES: list[JobState] = ["offered", "assigned", "running", "done"]

# --- demand


@LAW
@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 5.0, 20.0, 30.0, 45.0]), st.integers(0, 6)), max_size=12
    )
)
def test_what_is_kept_follows_up_at_once_and_down_when_it_is_sure(
    history: list[tuple[float, int]],
) -> None:
    demand, now = Demand(), 0.0
    low_since: float | None = None  # since when every report was below what is kept
    for passed, owed in history:
        now += passed
        settled = settle(demand, now)
        if settled.kept != demand.kept:  # only time that passed makes it lower without a report
            assert low_since is not None
            assert now - low_since >= SETTLE
            assert settled.kept == demand.owed
            low_since = None
        before, demand = settled, report(settled, owed, None, now)
        assert demand.owed == owed
        assert demand.reported
        assert demand.kept >= owed
        if owed >= before.kept:
            assert demand.kept == owed
            low_since = None
        elif demand.kept < before.kept:  # two in a row agree, and no further down than both say
            assert low_since is not None
            assert demand.kept == max(before.owed, owed)
            low_since = now if owed < demand.kept else None
        else:
            low_since = now if low_since is None else low_since
        assert settle(settle(demand, now), now) == settle(demand, now)
    assert settle(demand, now + SETTLE).kept == demand.owed


def test_one_lower_report_is_not_believed() -> None:
    """C14: the statistic drops to 0 for a moment, beside a job that was assigned."""
    demand = report(Demand(), 5, 2, 0)
    blip = report(demand, 0, None, 1)
    assert (blip.owed, blip.kept, blip.waiting) == (0, 5, 2)
    assert settle(blip, 30.9).kept == 5
    assert report(blip, 5, None, 2).kept == 5
    assert report(blip, 0, None, 1 + APART).kept == 0
    assert settle(blip, 31).kept == 0
    # twice lower, and not the same: the higher of the two is sure
    assert report(report(demand, 1, None, 1), 3, None, 1 + APART).kept == 3


def test_lower_reports_in_a_rush_are_one() -> None:
    """Totals run ahead of the messages about jobs that ended: none is surplus for that."""
    demand = report(Demand(), 50, None, 0)
    for number in range(40):
        demand = report(demand, 49 - number, None, 1 + number * APART / 3)
    assert (demand.owed, demand.kept) == (10, 50)
    assert report(demand, 10, None, demand.at + APART).kept == 10


# --- jobs

texts = st.sampled_from(["", "a", "b"])
jobs = st.builds(
    Job,
    id=st.just("1"),
    state=st.sampled_from(STATES),
    runner_name=texts,
    result=texts,
    ref=texts,
    name=texts,
    labels=st.sampled_from([(), ("x",)]),
    queued=st.sampled_from([None, 1.0, 2.0]),
)


@LAW
@given(st.lists(jobs, min_size=1, max_size=6))
def test_a_job_never_goes_back_and_nothing_known_is_lost(history: list[Job]) -> None:
    known: Job | None = None
    for seen in history:
        before, known = known, merge(known, seen)
        assert merge(known, seen) == known
        assert RANK[known.state] >= RANK[seen.state]
        if before is not None:
            assert known.state in (before.state, seen.state)
            assert RANK[known.state] >= RANK[before.state]
            for field in ("runner_name", "result", "ref", "name", "labels", "queued"):
                assert getattr(known, field) or not getattr(before, field)
    assert known is not None
    assert RANK[known.state] == max(RANK[seen.state] for seen in history)


def test_the_state_is_the_same_in_every_order() -> None:
    steps = [Job(id="1", state=state, name="x", runner_name="r") for state in STATES]
    for order in itertools.permutations(steps):
        known: Job | None = None
        for seen in (*order, *order):
            known = merge(known, seen)
        assert known == Job(id="1", state="done", name="x", runner_name="r")
    assert in_order(reversed(steps)) == steps


def test_an_objection_outlives_what_is_heard_later() -> None:
    known = Job(id="1", state="offered", declined="frozen")
    assert merge(known, Job(id="1", state="assigned")).declined == "frozen"


known_jobs = st.lists(
    st.builds(
        KnownJob,
        job=st.builds(Job, id=st.integers(0, 9).map(str), state=st.sampled_from(STATES)),
        heard=st.floats(0, 1000),
    ),
    max_size=8,
    unique_by=lambda known: known.job.id,
)


@LAW
@given(known_jobs, st.integers(0, 6), st.floats(0, 1000), st.sets(st.integers(0, 9).map(str)))
def test_only_what_nothing_confirms_is_forgotten(
    known: list[KnownJob], owed: int, at: float, served: set[str]
) -> None:
    now = 1000.0
    lost = forgotten(known, Demand(owed=owed, at=at), served, now)
    assert len(lost) == len({each.job.id for each in lost})
    ours = committed(known, lambda _name: True)
    ours_lost = 0
    for each in lost:
        if each.job.state in ("assigned", "running"):
            ours_lost += 1
            assert each.job.id not in served
            assert now - each.heard > ASSIGNMENT_LASTS
            assert at >= each.heard
        else:
            assert each.job.state == "done"
    assert ours_lost == 0 or ours - ours_lost >= owed
    kept = [each for each in known if each not in lost]
    assert all(each.job.state != "done" for each in kept)
    assert forgotten(kept, Demand(owed=owed, at=at), served, now) == []


@pytest.mark.parametrize(
    ("state", "silent", "said", "owed", "is_lost"),
    [
        ("assigned", 361, 1, 0, True),
        ("assigned", 360, 1, 0, False),
        ("assigned", 361, 400, 0, False),  # nobody said anything since
        ("assigned", 361, 1, 1, False),  # it is owed
        ("running", 361, 1, 0, True),
        ("offered", 361, 1, 0, False),
        ("offered", OFFER_LASTS + 1, 1, 0, True),
    ],
)
def test_when_a_job_is_forgotten(
    state: JobState, silent: float, said: float, owed: int, is_lost: bool
) -> None:
    now = 1_000_000.0
    known = KnownJob(job=Job(id="1", state=state), heard=now - silent)
    demand = Demand(owed=owed, at=now - said)
    assert forgotten([known], demand, set(), now) == ([known] if is_lost else [])
    if state == "running":
        assert forgotten([known], demand, {"1"}, now) == []


def test_the_oldest_is_forgotten_first() -> None:
    first = KnownJob(job=Job(id="1", state="assigned"), heard=10)
    second = replace(first, job=Job(id="2", state="assigned"), heard=5)
    assert forgotten([first, second], Demand(owed=1, at=999), set(), 1000) == [second]


# --- names

words = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)


@LAW
@given(words, st.integers(1, 10**18 - 1), words, words)
def test_a_name_is_read_again_by_its_own_scaler_only(
    profile: str, number: int, scaler: str, other: str
) -> None:
    name = runner_name(profile, number, scaler)
    assert parse_runner_name(name, scaler) == (profile, number)
    if other != scaler:
        assert parse_runner_name(name, other) is None


@LAW
@given(st.one_of(st.text(), st.from_regex(r"[a-z.]{0,4}\.[0-9]{0,25}@host\n?", fullmatch=True)))
@example("linux.9999999999999999999@host")
def test_any_text_is_read_or_refused(name: str) -> None:
    parsed = parse_runner_name(name, "host")
    if parsed is not None:
        assert runner_name(*parsed, "host") == name
        assert 0 < parsed[1] < 2**63  # what the ledger can hold


@pytest.mark.parametrize(
    "name",
    ["", "linux.0@host", "linux.01@host", "linux.-1@host", "linux.1@host2", "linux.1", ".1@host"],
)
def test_these_are_not_ours(name: str) -> None:
    assert parse_runner_name(name, "host") is None


def test_a_job_on_a_runner_that_is_no_more_needs_none() -> None:
    jobs = [
        KnownJob(job=Job(id="1", state="offered"), heard=0),
        KnownJob(job=Job(id="2", state="assigned"), heard=0),
        KnownJob(job=Job(id="3", state="running", runner_name="here"), heard=0),
        KnownJob(job=Job(id="4", state="running", runner_name="gone"), heard=0),
    ]
    assert committed(jobs, lambda name: name == "here") == 2
