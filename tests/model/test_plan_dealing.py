"""How places are dealt where there is plenty: fairly, honestly, and in few turns."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.model.demand import Demand
from scaler.model.plan import TURN, Situation, plan
from scaler.model.rooms import Free, Ranking
from scaler.records import Profile, Room, RunnerState

from .test_plan_laws import a_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaler.records import Resources

NOW = 10_000.0
LAW = settings(
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", settings().max_examples)),
    deadline=None,
    derandomize="HYPOTHESIS_EXAMPLES" not in os.environ,
)


def quiet(
    profiles: Sequence[Profile], rooms: Sequence[Room], *, owed: int = 0, now: float = NOW
) -> Situation:
    """Nothing runs."""
    return Situation(
        profiles={profile.name: profile for profile in profiles},
        rows=[],
        demand={p.name: Demand(owed=owed, kept=owed, reported=True) for p in profiles},
        committed={},
        offered={},
        rooms={"one": rooms},
        backoff={},
        now=now,
    )


def test_a_ranking_without_some_rooms_does_not_count_them() -> None:
    rooms = [Free("one", Room(name=name, total={"memory": 100})) for name in "ab"]
    whole = Ranking("one", rooms, {"memory": 1})
    whole.take(most=4)  # (counts what fits in both)
    assert whole.without({"a"}, ()).take(most=1000, sharers=5) == (rooms[1], 10)


def a_profile(number: int, *, memory: int = 1, max_count: int = 10_000) -> Profile:
    return Profile(
        name=f"p{number}",
        max_count=max_count,
        resources={"memory": memory},
        source="queue",
        provisioners=("one",),
    )


def some_rooms(sizes: Sequence[int]) -> list[Room]:
    return [Room(name=f"r{i}", total={"memory": size}) for i, size in enumerate(sizes)]


@LAW
@given(
    st.lists(st.integers(0, 3000), min_size=1, max_size=8),
    st.lists(st.integers(0, 2000), min_size=1, max_size=12),
    st.integers(1, 3),
)
def test_what_is_left_is_dealt_evenly_and_wholly(
    rooms: list[int], counts: list[int], size: int
) -> None:
    """Machines of one size: nobody has less than another but for its max_count, or by one."""
    profiles = [a_profile(i, memory=size, max_count=count) for i, count in enumerate(counts)]
    ceilings = plan(quiet(profiles, some_rooms(rooms))).ceilings
    assert sum(ceilings.values()) == min(sum(counts), sum(room // size for room in rooms))
    most = max(ceilings.values())
    for profile in profiles:
        assert ceilings[profile.name] >= min(profile.max_count, most - 1)


@LAW
@given(
    st.lists(st.integers(0, 3000), min_size=1, max_size=6),
    st.lists(st.integers(1, 40), min_size=1, max_size=12),
)
def test_ceilings_of_several_sizes_fit_the_rooms(rooms: list[int], sizes: list[int]) -> None:
    profiles = [a_profile(i, memory=size, max_count=100_000) for i, size in enumerate(sizes)]
    ceilings = plan(quiet(profiles, some_rooms(rooms))).ceilings
    used = sum(ceilings[p.name] * p.resources["memory"] for p in profiles)
    assert used <= sum(rooms)
    # no room has a place left for the smallest
    assert sum(rooms) - used < min(sizes) * len(rooms)


@LAW
@given(st.integers(500, 3000), st.integers(2, 8))
def test_large_machines_are_not_pushed_out_by_small_ones(room: int, sharers: int) -> None:
    """Who takes turns has as many as the others for as long as a large one fits."""
    profiles = [a_profile(0, memory=16), *(a_profile(number) for number in range(1, sharers))]
    ceilings = plan(quiet(profiles, some_rooms([room]))).ceilings
    fair = room // (16 + sharers - 1)
    assert ceilings["p0"] >= fair * 3 // 4


def test_rooms_without_limits_are_promised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = count_turns(monkeypatch)
    profiles = [a_profile(number, max_count=10_000 + number) for number in range(10)]
    for rooms in ([Room(name="")], [Room(name="a", total={"vcpus": 4}), *some_rooms([5])]):
        assert plan(quiet(profiles, rooms)).ceilings == {p.name: p.max_count for p in profiles}
    assert len(turns) == 2 * len(profiles)


def test_promises_take_few_turns_whatever_max_count_is(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = count_turns(monkeypatch)
    profiles = [a_profile(number, memory=1 + number % 5) for number in range(20)]
    done = plan(quiet(profiles, some_rooms([100_000] * 10)))
    assert sum(done.ceilings.values()) == 200_000
    assert len(turns) < 2_000


def count_turns(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    turns: list[int] = []
    charge = Free.charge

    def counted(free: Free, resources: Resources, machines: int = 1) -> None:
        turns.append(machines)
        charge(free, resources, machines)

    monkeypatch.setattr(Free, "charge", counted)
    return turns


def test_runners_are_made_one_at_a_time_round_the_profiles() -> None:
    profiles = [a_profile(number) for number in range(3)]
    make = plan(quiet(profiles, some_rooms([100, 100]), owed=4)).make
    assert [each.profile for each in make] == ["p0", "p1", "p2"] * 4
    assert [each.room for each in make] == ["r0", "r1"] * 6


def test_a_place_that_comes_free_goes_to_who_has_the_fewest() -> None:
    """In a full room; else the first profile would get each one for as long as jobs wait for it."""
    profiles = [a_profile(number) for number in range(2)]
    working = [
        a_row(number, "p0", RunnerState.BUSY, room="r0", takes={"memory": 1})
        for number in range(1, 4)
    ]
    situation = replace(quiet(profiles, some_rooms([4]), owed=8), rows=working)
    assert [each.profile for each in plan(situation).make] == ["p1"]


@LAW
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=4),
    st.integers(0, 12),
)
def test_who_has_more_gets_nothing_before_who_has_less(
    has_and_owes: list[tuple[int, int]], free: int
) -> None:
    """With one size: whoever is made a runner has at most one more than who still lacks one."""
    profiles = [a_profile(number, memory=1) for number in range(len(has_and_owes))]
    working = [name for name, (has, _) in enumerate(has_and_owes) for _ in range(has)]
    rows = [
        a_row(number, f"p{name}", RunnerState.BUSY, room="r0", takes={"memory": 1})
        for number, name in enumerate(working, 1)
    ]
    situation = replace(
        quiet(profiles, some_rooms([len(rows) + free])),
        rows=rows,
        demand={
            f"p{name}": Demand(owed=has + owes, kept=has + owes, reported=True)
            for name, (has, owes) in enumerate(has_and_owes)
        },
    )
    made = Counter(each.profile for each in plan(situation).make)
    assert made.total() == min(free, sum(owes for _, owes in has_and_owes))
    after = {f"p{name}": has + made[f"p{name}"] for name, (has, _) in enumerate(has_and_owes)}
    lacking = [f"p{n}" for n, (_, owes) in enumerate(has_and_owes) if made[f"p{n}"] < owes]
    for name in made:
        assert all(after[name] <= after[other] + 1 for other in lacking)


def test_the_first_turn_goes_round() -> None:
    profiles = [a_profile(number) for number in range(3)]
    had = set()
    for turn in range(3):
        ceilings = plan(quiet(profiles, some_rooms([1]), now=NOW + turn * TURN)).ceilings
        assert sum(ceilings.values()) == 1
        had |= {name for name, ceiling in ceilings.items() if ceiling}
    assert had == {"p0", "p1", "p2"}


totals = st.fixed_dictionaries(
    {}, optional={"memory": st.integers(0, 24), "vcpus": st.integers(0, 16)}
)


@LAW
@given(
    st.lists(totals, min_size=1, max_size=20),
    st.fixed_dictionaries({"memory": st.integers(0, 4)}, optional={"vcpus": st.integers(0, 3)}),
)
def test_the_emptiest_room_comes_first(rooms: list[Mapping[str, int]], takes: Resources) -> None:
    frees = [Free("one", Room(name=f"r{i}", total=total)) for i, total in enumerate(rooms)]
    ranking = Ranking("one", frees, takes)
    for _ in range(50):
        fitting = [(emptiness(free, takes), free) for free in frees if not free.lacks(takes)]
        taken = ranking.take()
        if not fitting:
            assert taken is None
            return
        best = max(score for score, _ in fitting)
        expected = next(free for score, free in fitting if score == best)
        assert taken == (expected, 1)


def emptiness(free: Free, takes: Resources) -> tuple[float, int]:
    shares = [
        (free.left[name] - wanted) / free.room.total[name]
        for name, wanted in takes.items()
        if wanted and name in free.left
    ]
    return min(shares, default=float("inf")), -free.count
