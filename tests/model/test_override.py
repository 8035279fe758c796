"""The policy override: what is added, what is lowered for it, and when it is over."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from scaler.errors import Refused
from scaler.model.demand import Demand
from scaler.model.lifecycle import supplies
from scaler.model.override import LONGEST, MOST, Active, Ended, begin, lower, resumed, step
from scaler.model.plan import Situation, plan
from scaler.records import Profile, Room, RoomState, RunnerState

from .test_plan_laws import LAW, NAMES, NOW, a_row, answers, applied, of, profiles, rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaler.model.row import Row

WORKING = (RunnerState.BUSY, RunnerState.RESERVED)
IDLE, BUSY, RESERVED = RunnerState.IDLE, RunnerState.BUSY, RunnerState.RESERVED


def a_profile(name: str, target: int = 0, memory: int = 1, **more: object) -> Profile:
    base = Profile(
        name=name,
        target_count=target,
        max_count=target,
        resources={"memory": memory},
        source="queue",
        provisioners=("one",),
    )
    return replace(base, **more)  # type: ignore[arg-type]


def asked(
    counts: Mapping[str, int],
    *known: Profile,
    rows: Sequence[Row] = (),
    memory: int | None = 8,
    **more: object,
) -> Active:
    rooms = {"one": None if memory is None else (Room(name="a", total={"memory": memory}),)}
    values = {"rooms": rooms, "first": 100, "now": NOW, "wall": 5e8, **more}
    return begin(
        counts,
        profiles={each.name: each for each in known},
        rows=rows,
        **values,  # type: ignore[arg-type]
    )


def some(profile: str, *states: RunnerState, memory: int = 1, first: int = 1) -> list[Row]:
    return [
        a_row(number, profile, state, takes={"memory": memory})
        for number, state in enumerate(states, first)
    ]


# --- beginning


def test_what_targets_give_is_subtracted() -> None:
    active = asked({"linux": 5}, a_profile("linux", 2))
    assert active.counts == {"linux": 3}
    assert active.targets == {"linux": 5}
    assert (active.since, active.until, active.ends) == (5e8, 5e8 + 86400, NOW + 86400)


def test_but_not_by_runners_that_work() -> None:
    active = asked({"linux": 5}, a_profile("linux", 2), rows=some("linux", BUSY, IDLE))
    assert active.counts == {"linux": 4}
    assert active.targets == {"linux": 6}
    beyond = asked(
        {"linux": 3}, a_profile("linux", 1), rows=some("linux", BUSY, RESERVED, BUSY, BUSY)
    )
    assert beyond.counts == {"linux": 3}
    assert beyond.targets == {"linux": 7}  # so that three come, whatever works


@pytest.mark.parametrize("counts", [{"linux": 2}, {"linux": 0}, {"linux": 1, "bench": 0}])
def test_nothing_is_left_to_add(counts: dict[str, int]) -> None:
    with pytest.raises(Refused, match="nothing is left to add") as caught:
        asked(counts, a_profile("linux", 2), a_profile("bench"))
    assert caught.value.code == "override-idle"


def test_no_room_is_left_for_any() -> None:
    with pytest.raises(Refused, match="no room") as caught:
        asked({"linux": 3}, a_profile("linux"), rows=some("linux", BUSY, BUSY), memory=2)
    assert caught.value.code == "override-idle"


def test_d30_what_nobody_knows_is_refused() -> None:
    with pytest.raises(LookupError, match="no profile 'windows'; there are: linux"):
        asked({"windows": 1}, a_profile("linux"))
    with pytest.raises(ValueError, match="at least one profile"):
        asked({}, a_profile("linux"))
    for count in (-1, MOST + 1, 10**30):
        with pytest.raises(ValueError, match="linux: wanted a count from 0 to 1000"):
            asked({"linux": count}, a_profile("linux"))


def test_who_was_not_asked_for_is_lowered_first() -> None:
    active = asked({"linux": 6}, a_profile("linux"), a_profile("bench", 2), a_profile("arm", 4))
    assert active.counts == {"linux": 6}
    assert active.targets == {"linux": 6, "bench": 1, "arm": 1}


def test_the_largest_is_lowered_first() -> None:
    active = asked({"linux": 9, "bench": 5}, a_profile("linux"), a_profile("bench"))
    assert active.counts == {"linux": 4, "bench": 4}


def test_nobody_is_lowered_below_what_works() -> None:
    standing = [*some("arm", BUSY, BUSY, RESERVED, IDLE)]
    active = asked({"linux": 9}, a_profile("linux"), a_profile("arm", 4), rows=standing)
    assert active.counts == {"linux": 5}
    assert active.targets == {"linux": 5, "arm": 3}


def test_what_stands_in_a_room_that_takes_nothing_new_needs_no_other() -> None:
    rooms = {
        "one": (
            Room(name="a", total={"memory": 4}, state=RoomState.DRAINING),
            Room(name="b", total={"memory": 2}),
        )
    }
    standing = some("linux", IDLE, IDLE, IDLE)
    active = asked({"linux": 9}, a_profile("linux", 3), rows=standing, rooms=rooms)
    assert active.targets == {"linux": 5}


def test_rooms_that_nobody_knows_yet_are_no_limit() -> None:
    active = asked({"linux": 100}, a_profile("linux"), a_profile("arm", 4), memory=None)
    assert active.counts == {"linux": 100}
    assert active.targets == {"linux": 100, "arm": 4}


def test_profiles_in_other_rooms_are_left_alone() -> None:
    other = a_profile("arm", 4, provisioners=("two",))
    rooms = {name: (Room(name="a", total={"memory": 4}),) for name in ("one", "two")}
    active = asked({"linux": 9}, a_profile("linux"), other, rooms=rooms)
    assert active.targets == {"linux": 4, "arm": 4}


def test_what_is_on_its_way_out_is_no_obstacle_and_what_is_stuck_is() -> None:
    fresh = a_row(1, "linux", RunnerState.RETIRING, takes={"memory": 4})
    stuck = replace(fresh, entered=NOW - 600)
    held = a_row(1, "linux", RunnerState.HELD, takes={"memory": 4})
    for row, count in ((fresh, 8), (stuck, 4), (held, 4), (replace(stuck, destroyed=True), 8)):
        assert asked({"linux": 9}, a_profile("linux"), rows=[row]).counts == {"linux": count}


def test_d30_so_many_in_all() -> None:
    known = [a_profile(f"p{number}") for number in range(4)]
    quarter = MOST // 4
    counts = {each.name: quarter for each in known}
    assert asked(counts, *known, memory=None).counts == counts
    with pytest.raises(ValueError, match="found 1001 in all, wanted 1000 at most"):
        asked({**counts, "p0": quarter + 1}, *known, memory=None)


def test_very_many_are_lowered() -> None:
    standing = [a_row(n, "arm", IDLE, takes={"memory": 1}) for n in range(1, 501)]
    active = asked(
        {"linux": MOST}, a_profile("linux"), a_profile("arm", 500), rows=standing, memory=800
    )
    assert active.targets == {"linux": 800, "arm": 0}


@pytest.mark.parametrize(("profiles", "rooms"), [(1, 1), (10, 5), (100, 50)], ids=str)
def test_what_is_placed_many_at_a_time_fills_the_rooms(profiles: int, rooms: int) -> None:
    known = [a_profile(f"p{number}", memory=1 + number % 3) for number in range(profiles)]
    places = tuple(Room(name=f"r{n}", total={"memory": 800 // rooms}) for n in range(rooms))
    counts = {each.name: MOST // profiles for each in known}
    active = asked(counts, *known, rooms={"one": places})
    machines = sum(active.counts[each.name] * each.resources["memory"] for each in known)
    assert 800 * 0.9 < machines <= 800


@LAW
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=5), st.integers(0, 45))
def test_lowering_takes_one_at_a_time_from_the_largest(
    drawn: list[tuple[int, int]], steps: int
) -> None:
    counts = {f"p{number}": count for number, (count, _) in enumerate(drawn)}
    floors = {f"p{number}": floor for number, (_, floor) in enumerate(drawn) if floor}
    expected, spare = dict(counts), 0
    for _ in range(steps):
        above = [name for name, count in expected.items() if count > floors.get(name, 0)]
        if not above:
            break
        expected[max(above, key=lambda name: expected[name])] -= 1
        spare += 1
    assert lower(counts, floors, spare) == expected


@st.composite
def wishes(draw: st.DrawFn) -> dict[str, object]:
    known = {name: draw(profiles(name)) for name in NAMES[: draw(st.integers(1, 3))]}
    return {
        "counts": draw(
            st.dictionaries(st.sampled_from(list(known)), st.integers(0, 9), min_size=1)
        ),
        "profiles": known,
        "rows": [draw(rows(number, known)) for number in range(1, 1 + draw(st.integers(0, 9)))],
        "rooms": {name: draw(answers) for name in ("one", "two")},
        "first": 10,
        "now": NOW,
        "wall": 5e8,
    }


@LAW
@given(wishes())
def test_an_override_keeps_its_bounds(wish: dict[str, object]) -> None:
    counts, known, standing = wish["counts"], wish["profiles"], wish["rows"]
    assert isinstance(counts, dict)
    assert isinstance(known, dict)
    assert isinstance(standing, list)
    try:
        active = begin(**wish)  # type: ignore[arg-type]
    except Refused:
        event("refused")
        return
    event("lowered" if active.counts != counts else "as asked")
    assert set(active.counts) == set(counts)
    assert set(active.targets) == set(known)
    assert any(active.counts.values())
    for name, profile in known.items():
        working = sum(
            supplies(row) and row.runner.profile == name and row.runner.state in WORKING
            for row in standing
        )
        usual = max(profile.target_count, working)
        if name in counts:
            assert 0 <= active.counts[name] <= counts[name]
            assert working <= active.targets[name] <= usual + counts[name]
            if active.counts[name]:  # as many more as was answered
                assert active.targets[name] == usual + active.counts[name]
        else:
            assert min(working, profile.target_count) <= active.targets[name]
            assert active.targets[name] <= profile.target_count


@LAW
@given(wishes(), st.integers(1, 3))
def test_all_that_was_answered_comes(wish: dict[str, object], size: int) -> None:
    """With one size of machine and one room: applying the plan until it is calm fulfils it.

    Unless jobs that run make a usual target the larger one, and that takes a place: jobs go first.
    """
    known = {
        name: replace(profile, resources={"memory": size}, provisioners=("one",))
        for name, profile in wish["profiles"].items()  # type: ignore[attr-defined]
    }
    standing = [
        replace(
            row,
            runner=replace(row.runner, provisioner="one", room="a", resources={"memory": size}),
        )
        for row in wish["rows"]  # type: ignore[attr-defined]
        if row.runner.state not in (RunnerState.RETIRING, RunnerState.HELD)
        and row.runner.profile in known
        and not row.done
    ]
    rooms = {"one": (Room(name="a", total={"memory": 24}),)}
    assume(len(standing) * size <= 24)
    wish = {**wish, "profiles": known, "rows": standing, "rooms": rooms}
    try:
        active = begin(**wish)  # type: ignore[arg-type]
    except Refused:
        return
    busy = Counter(row.runner.profile for row in standing if row.runner.state in WORKING)
    usual = {
        name: min(profile.max_count, profile.target_count + busy[name]) if busy[name] else 0
        for name, profile in known.items()
    }
    assume(sum(max(usual[name], count) for name, count in active.targets.items()) * size <= 24)
    situation = Situation(
        profiles=known,
        rows=standing,
        demand={name: Demand(reported=True) for name in known},
        committed={},
        offered={},
        rooms=rooms,
        backoff={},
        now=NOW,
        override=active.targets,
    )
    for _ in range(3):
        situation = applied(situation, plan(situation))
    now = plan(situation)
    assert (now.make, now.retire) == ((), ())
    for name, count in active.counts.items():
        fresh = [
            row for row in of(situation, name) if supplies(row) and row.runner.state not in WORKING
        ]
        working = len([row for row in of(situation, name) if row.runner.state in WORKING])
        assert len(fresh) >= count
        assert len(fresh) + working >= active.targets[name]


# --- going on


def active(**counts: int) -> Active:
    known = [a_profile(name) for name in counts]
    return asked(counts, *known, memory=None)


def going(began: Active, *standing: Row, now: float = NOW) -> Active:
    after = step(began, standing, now)
    assert isinstance(after, Active)
    return after


def test_it_ends_when_all_have_come_and_gone() -> None:
    now = going(active(linux=2))
    booting = some("linux", RunnerState.BOOTING, RunnerState.PLANNED, first=100)
    assert going(now, *booting) is now
    now = going(now, *some("linux", IDLE, RunnerState.BOOTING, first=100))
    assert now.came == {"linux": (100,)}
    now = going(now)  # it is gone before the other has come
    now = going(now, *some("linux", BUSY, first=101))
    assert now.came == {"linux": (100, 101)}
    assert going(now, *some("linux", BUSY, first=101)) is now
    assert step(now, [], NOW) == Ended("all of its runners have come and gone")


def test_only_runners_planned_since_count_and_only_so_many() -> None:
    now = going(active(linux=1), *some("linux", IDLE, first=99), *some("bench", IDLE, first=100))
    assert now.came == {}
    now = going(now, *some("linux", IDLE, IDLE, first=100))
    assert now.came == {"linux": (100,)}
    # another one that came is none of its own
    assert step(now, some("linux", IDLE, first=101), NOW) == Ended(
        "all of its runners have come and gone"
    )


def test_a_profile_without_any_is_not_waited_for() -> None:
    began = replace(active(linux=1), counts={"linux": 1, "bench": 0})
    now = going(began, *some("linux", IDLE, first=100))
    assert isinstance(step(now, [], NOW), Ended)


def test_one_whose_job_was_over_before_the_next_look_has_come() -> None:
    [row] = some("linux", RunnerState.RETIRING, first=100)
    failed = going(active(linux=1), row)
    assert failed.came == {}
    had_a_job = replace(row, runner=replace(row.runner, job="j1"))
    for each in (had_a_job, replace(row, served=True)):
        assert isinstance(step(active(linux=1), [each], NOW), Ended)


def test_d30_a_forgotten_override_ends() -> None:
    now = active(linux=1)
    assert step(now, [], NOW + LONGEST - 1) is now
    assert step(now, [], NOW + LONGEST) == Ended("24 hours are over")


def test_d30_a_restart_ends_what_is_over_or_of_other_settings() -> None:
    now = active(linux=1)
    known = {"linux": a_profile("linux")}
    assert resumed(now, known, 5e8) is now
    assert resumed(now, {**known, "bench": a_profile("bench")}, 5e8) is now
    assert resumed(now, known, 5e8 + 86400) == Ended("its time was over before this start")
    assert resumed(now, {"bench": a_profile("bench")}, 5e8) == Ended(
        "linux is not in the settings any more"
    )


@LAW
@given(st.lists(st.lists(st.tuples(st.integers(95, 108), st.sampled_from(RunnerState)))))
def test_what_has_come_stays_so_whatever_happens(
    looks: list[list[tuple[int, RunnerState]]],
) -> None:
    now: Active | Ended = active(linux=3)
    for look in looks:
        standing = [a_row(number, "linux", state) for number, state in dict(look).items()]
        assert isinstance(now, Active)
        before = now
        now = step(now, standing, NOW)
        if isinstance(now, Ended):
            event("ended")
            break
        came = now.came.get("linux", ())
        assert came[: len(before.came.get("linux", ()))] == before.came.get("linux", ())
        assert len(set(came)) == len(came) <= 3
        assert step(now, standing, NOW) is now
