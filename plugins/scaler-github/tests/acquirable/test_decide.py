"""When to look, and what may be told: pure decisions."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_github.acquirable.decide import (
    APART,
    SETTLED,
    Known,
    Schedule,
    Totals,
    disagree,
    telling,
)

counts = st.integers(0, 5)
totals = st.builds(Totals, counts, counts, counts)


# --- what GitHub counts and what the core knows


@pytest.mark.parametrize(
    ("seen", "known", "odd"),
    [
        (None, Known(3, 1), False),
        (Totals(), Known(), False),
        (Totals(2, 1), Known(2, 1), False),
        (Totals(2), Known(1), True),
        (Totals(1), Known(2), True),
        (Totals(0, 1), Known(), True),
        (Totals(), Known(0, 1), True),
        # one that was taken is known as ours before it counts as assigned
        (Totals(1, 0, 1), Known(2), False),
        (Totals(1, 0, 1), Known(1), False),
        (Totals(1, 0, 1), Known(3), True),
    ],
)
def test_disagreement(seen: Totals | None, known: Known, odd: bool) -> None:
    assert disagree(seen, known) is odd


# --- what may be told


@pytest.mark.parametrize(
    ("look", "told", "before", "trusted", "tell"),
    [
        # more: at once, from whoever says it
        (2, 1, None, True, 2),
        (2, 1, None, False, 2),
        (1, None, None, False, 1),
        # nothing is known yet: a zero of a service that fills in nothing says nothing
        (0, None, None, False, None),
        (0, None, None, True, 0),
        # less: when two say so, and the higher of the two
        (1, 3, None, True, None),
        (1, 3, 3, True, None),
        (1, 3, 4, True, None),
        (1, 3, 1, True, 1),
        (1, 3, 2, True, 2),
        (1, 3, 0, True, 1),
        (0, 3, 0, True, 0),
        (0, 3, 0, False, None),
        # the same
        (2, 2, 2, True, None),
    ],
)
def test_totals_that_may_be_told(
    look: int, told: int | None, before: int | None, trusted: bool, tell: int | None
) -> None:
    def of(count: int | None) -> Totals | None:
        return None if count is None else Totals(count)

    assert telling(Totals(look), of(told), of(before), trusted=trusted) == of(tell)


def test_jobs_on_offer_are_told_with_the_same_total() -> None:
    assert telling(Totals(1, 2), Totals(1, 1), None, trusted=False) == Totals(1, 2)
    assert telling(Totals(1, 0), Totals(1, 1), None, trusted=False) is None
    assert telling(Totals(1, 0), Totals(1, 1), None, trusted=True) == Totals(1, 0)


@given(totals, totals, st.none() | totals, st.booleans())
def test_what_is_told_was_seen(
    look: Totals, told: Totals, before: Totals | None, trusted: bool
) -> None:
    tell = telling(look, told, before, trusted=trusted)
    if tell is None:
        assert look.assigned <= told.assigned
        return
    assert look.assigned <= tell.assigned <= max(look.assigned, told.assigned)
    if tell.assigned < told.assigned:
        assert trusted
        assert before is not None
        assert before.assigned <= tell.assigned


# --- when to look


def after(schedule: Schedule, began: float, **more: Any) -> Schedule:
    return schedule.after(began, **{"changed": False, **more})


def test_the_first_look_is_at_once_and_the_next_after_the_interval() -> None:
    schedule = Schedule(60)
    assert schedule.due <= 0
    schedule = after(schedule, 5).observed(6, "", False)
    assert schedule.due == 65


def test_a_session_that_is_opened_anew_is_looked_at_once() -> None:
    schedule = after(Schedule(60).observed(0, "a", False), 0)
    assert schedule.observed(20, "a", False).due == 60
    assert schedule.observed(20, "", False).due == 60
    opened = schedule.observed(20, "", False).observed(21, "b", False)
    assert opened.due <= 21
    assert after(opened, 21).due == 81
    assert schedule.observed(3, "b", False).due == APART  # though not right after a look


def test_a_disagreement_is_looked_at_when_it_lasts() -> None:
    schedule = after(Schedule(60), 0)
    assert schedule.observed(20, "", True).due == 20 + SETTLED
    assert schedule.observed(20, "", True).observed(23, "", True).due == 20 + SETTLED
    assert schedule.observed(20, "", True).observed(23, "", False).due == 60
    assert schedule.observed(1, "", True).due == APART


def pauses(schedule: Schedule, *, changed: bool, looks: int) -> list[float]:
    """Between looks that all see a disagreement."""
    now, found = 0.0, []
    for _ in range(looks):
        schedule = schedule.observed(now, "", True)
        found.append(schedule.due - now)
        now = schedule.due
        schedule = after(schedule, now, changed=changed)
    return found[1:]


def test_looks_that_change_nothing_come_less_and_less_often() -> None:
    schedule = after(Schedule(60), 0)
    assert pauses(schedule, changed=False, looks=6) == [20, 40, 60, 60, 60]
    assert pauses(schedule, changed=True, looks=4) == [10, 10, 10]


def test_agreement_makes_the_next_disagreement_urgent_again() -> None:
    schedule = after(Schedule(60).observed(0, "", True), 50)
    assert schedule.pause > APART
    assert schedule.observed(51, "", False).observed(100, "", True).due == 105


def test_another_look_is_asked_for_and_waits_are_kept() -> None:
    assert after(Schedule(60), 100, changed=True, again=True).due == 110
    assert after(Schedule(60), 100, again=True).due == 120
    assert after(Schedule(60), 100, again=True, wait=600).due == 700
    assert after(Schedule(60), 100, wait=2).due == 160


steps = st.lists(
    st.tuples(
        st.floats(0, 100),  # seconds until the next observation
        st.sampled_from(["", "a", "b"]),
        st.booleans(),  # disagreement
        st.booleans(),  # a look changed something
        st.booleans(),  # it asks for another
    ),
    max_size=30,
)


@given(st.floats(10, 600), steps)
def test_looks_are_never_too_close_and_never_too_far_apart(interval: float, steps: Any) -> None:
    schedule, now, last = Schedule(interval), 0.0, -math.inf
    for passed, session, odd, changed, again in steps:
        now += passed
        schedule = schedule.observed(now, session, odd)
        assert schedule.due >= last + APART
        assert schedule.due <= last + interval or last == -math.inf
        if now >= schedule.due:
            last = now
            schedule = schedule.after(now, changed=changed, again=again)
