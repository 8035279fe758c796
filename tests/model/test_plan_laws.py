"""Laws of the plan, for whatever situation there may be."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from scaler.model.demand import Demand
from scaler.model.lifecycle import supplies
from scaler.model.names import runner_name
from scaler.model.plan import Backoff, Plan, Situation, plan
from scaler.model.row import Row
from scaler.records import Profile, Registration, Room, RoomState, Runner, RunnerState

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = 10_000.0
LAW = settings(
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", settings().max_examples)),
    deadline=None,
    derandomize="HYPOTHESIS_EXAMPLES" not in os.environ,
)
PROVISIONERS = ("one", "two")
ROOMS = ("a", "b", "")
NAMES = ("linux", "bench", "arm")
STATES = [state for state in RunnerState if state is not RunnerState.GONE]
PASSIVE = (RunnerState.RETIRING, RunnerState.HELD)

resources = st.fixed_dictionaries(
    {}, optional={"memory": st.integers(0, 4), "vcpus": st.integers(0, 3)}
)
rooms = st.builds(
    Room,
    name=st.sampled_from(ROOMS),
    total=st.fixed_dictionaries(
        {}, optional={"memory": st.integers(0, 24), "vcpus": st.integers(0, 16)}
    ),
    state=st.sampled_from([RoomState.UP] * 3 + [RoomState.DRAINING, RoomState.DOWN]),
)
answers = st.one_of(st.none(), st.lists(rooms, max_size=3, unique_by=lambda room: room.name))


@st.composite
def profiles(draw: st.DrawFn, name: str) -> Profile:
    target = draw(st.integers(0, 4))
    return Profile(
        name=name,
        target_count=target,
        max_count=target + draw(st.integers(0, 5)),
        resources=draw(resources),
        source="queue",
        provisioners=draw(st.sampled_from([("one",), ("two",), ("one", "two"), ("two", "one")])),
    )


@st.composite
def demands(draw: st.DrawFn) -> Demand:
    owed = draw(st.integers(0, 8))
    return Demand(
        owed=owed,
        waiting=draw(st.integers(0, 4)),
        kept=owed + draw(st.integers(0, 3)),
        reported=draw(st.sampled_from([True, True, False])),
        at=NOW - 5,
    )


@st.composite
def rows(draw: st.DrawFn, runner_id: int, known: Mapping[str, Profile]) -> Row:
    name = draw(st.sampled_from([*known, "removed"]))
    profile = known.get(name)
    state = draw(st.sampled_from(STATES))
    return a_row(
        runner_id,
        name,
        state,
        provisioner=draw(st.sampled_from(profile.provisioners if profile else PROVISIONERS)),
        room=draw(st.sampled_from(ROOMS)),
        takes=draw(resources) if profile is None or draw(st.booleans()) else profile.resources,
        entered=NOW - draw(st.sampled_from([0.0, 10.0, 29.0, 30.0, 31.0, 600.0])),
        done=state in (RunnerState.BUSY, *PASSIVE) and draw(st.booleans()),
        destroyed=state is RunnerState.RETIRING and draw(st.booleans()),
    )


def a_row(
    runner_id: int,
    profile: str,
    state: RunnerState,
    *,
    provisioner: str = "one",
    room: str = "a",
    takes: Mapping[str, int] | None = None,
    entered: float = NOW,
    done: bool = False,
    destroyed: bool = False,
) -> Row:
    name = runner_name(profile, runner_id, "host")
    return Row(
        runner=Runner(
            id=runner_id,
            name=name,
            profile=profile,
            state=state,
            source="queue",
            provisioner=provisioner,
            room=room,
            resources=takes or {},
            registration=None if state is RunnerState.PLANNED else Registration(name=name),
        ),
        born=entered - 60,
        entered=entered,
        done=done,
        destroyed=destroyed,
    )


@st.composite
def situations(draw: st.DrawFn, *, calm: bool = False) -> Situation:
    """`calm`: everything is known and nothing waits, so that only the plan holds things back."""
    known = {name: draw(profiles(name)) for name in NAMES[: draw(st.integers(1, 3))]}
    some = {name: draw(demands()) for name in known if calm or draw(st.booleans())}
    backoff = {}
    avoid = {}
    if not calm:
        for name in known:
            if draw(st.integers(0, 4)) == 0:
                until = NOW + draw(st.sampled_from([-5.0, 0.0, 5.0]))
                backoff[name] = Backoff(draw(st.integers(1, 5)), until, "it broke")
            if draw(st.integers(0, 4)) == 0:
                key = (name, draw(st.sampled_from(PROVISIONERS)), draw(st.sampled_from(ROOMS)))
                avoid[key] = NOW + draw(st.sampled_from([-1.0, 30.0]))
    rows_now = [draw(rows(number, known)) for number in range(1, 1 + draw(st.integers(0, 9)))]
    return Situation(
        profiles=known,
        rows=rows_now,
        demand={
            name: replace(each, reported=True, kept=each.owed) if calm else each
            for name, each in some.items()
        },
        committed={name: draw(st.integers(0, 6)) for name in known},
        offered={name: draw(st.integers(0, 6)) for name in known},
        rooms={
            name: draw(st.lists(rooms, max_size=3, unique_by=lambda r: r.name) if calm else answers)
            for name in PROVISIONERS
        },
        backoff=backoff,
        avoid=avoid,
        now=NOW,
        ids_known=calm or draw(st.integers(0, 7)) > 0,
        stopping=not calm and draw(st.integers(0, 9)) == 0,
    )


def of(situation: Situation, profile: str) -> list[Row]:
    return [row for row in situation.rows if row.runner.profile == profile]


def left(situation: Situation) -> dict[tuple[str, str], dict[str, int]]:
    """What every known room has left after everything that stands in it."""
    rest = {
        (provisioner, room.name): dict(room.total)
        for provisioner, answered in situation.rooms.items()
        for room in answered or ()
    }
    for row in situation.rows:
        place = rest.get((row.runner.provisioner, row.runner.room))
        if place is not None and not row.destroyed:
            for name in place:
                place[name] -= row.runner.resources.get(name, 0)
    return rest


def applied(situation: Situation, done: Plan) -> Situation:
    """What there is when the plan was carried out, and nothing else happened."""
    rows_now = [row for row in situation.rows if row.runner.id not in done.retire]
    start = max((row.runner.id for row in situation.rows), default=0) + 1
    rows_now += [
        a_row(
            number,
            make.profile,
            RunnerState.PLANNED,
            provisioner=make.provisioner,
            room=make.room,
            takes=situation.profiles[make.profile].resources,
            entered=situation.now,
        )
        for number, make in enumerate(done.make, start)
    ]
    return replace(situation, rows=rows_now)


@LAW
@given(situations())
def test_never_more_than_max_count(situation: Situation) -> None:
    made = Counter(make.profile for make in plan(situation).make)
    event(f"makes {min(sum(made.values()), 5)}")
    for name, count in made.items():
        assert len(of(situation, name)) + count <= situation.profiles[name].max_count


@LAW
@given(situations())
def test_everything_that_is_made_fits_its_room(situation: Situation) -> None:
    rest = left(situation)
    up = {
        (provisioner, room.name)
        for provisioner, answered in situation.rooms.items()
        for room in answered or ()
        if room.state is RoomState.UP
    }
    for make in plan(situation).make:
        profile = situation.profiles[make.profile]
        place = (make.provisioner, make.room)
        assert make.provisioner in profile.provisioners
        assert place in up
        for name, wanted in profile.resources.items():
            if wanted and name in rest[place]:
                rest[place][name] -= wanted
                assert rest[place][name] >= 0


def draining(situation: Situation, row: Row) -> bool:
    """Whether it stands in a room that its provisioner says is draining."""
    return any(
        room.name == row.runner.room and room.state is RoomState.DRAINING
        for room in situation.rooms.get(row.runner.provisioner) or ()
    )


@LAW
@given(st.one_of(situations(), situations(calm=True)))  # where all is known more is retired
def test_what_is_retired_may_be(situation: Situation) -> None:
    retire = plan(situation).retire
    event(f"retires {min(len(retire), 3)}")
    by_id = {row.runner.id: row for row in situation.rows}
    assert len(set(retire)) == len(retire)
    for runner_id in retire:
        row = by_id[runner_id]
        # nothing that has work
        assert supplies(row)
        assert row.runner.state not in (RunnerState.BUSY, RunnerState.RESERVED)
        # nothing before the source has reported and the rooms have answered
        profile = situation.profiles[row.runner.profile]
        demand = situation.demand.get(profile.name)
        assert demand is not None
        assert demand.reported
        if not draining(situation, row):
            assert all(situation.rooms.get(each) is not None for each in profile.provisioners)
    for name, profile in situation.profiles.items():
        # and enough is kept for what was asked lately, but for what has to go elsewhere
        live = {row.runner.id for row in of(situation, name) if supplies(row)}
        moved = {each for each in live if draining(situation, by_id[each])} & set(retire)
        gone = live & set(retire) - moved
        demand = situation.demand.get(name, Demand())
        owed = max(demand.owed, demand.kept, situation.committed[name])
        keep = min(profile.max_count, profile.target_count + owed)
        assert not gone or len(live - moved - gone) >= keep


@LAW
@given(situations())
def test_the_same_situation_gives_the_same_plan(situation: Situation) -> None:
    assert plan(situation) == plan(situation)
    wake = plan(situation).wake
    assert wake is None or wake > situation.now


@LAW
@given(situations())
def test_a_plan_carried_out_leaves_nothing_to_do(situation: Situation) -> None:
    now = plan(situation)
    for _ in range(3):
        standing = {row.runner.id: row for row in situation.rows}
        # (what goes since its room drains is made anew elsewhere)
        retired = {
            standing[each].runner.profile
            for each in now.retire
            if not draining(situation, standing[each])
        }
        assert not {make.profile for make in now.make} & retired
        situation = applied(situation, now)
        after = plan(situation)
        # the place of what was retired may go to who waited for it; nothing else is left to do
        assert after.retire == ()
        assert after.make == () or now.retire
        now = after
    assert now.make == ()


@LAW
@given(situations())
def test_ceilings_keep_their_bounds(situation: Situation) -> None:
    ceilings = plan(situation).ceilings
    assert set(ceilings) == set(situation.profiles)
    for name, ceiling in ceilings.items():
        busy = sum(
            supplies(row) and row.runner.state in (RunnerState.BUSY, RunnerState.RESERVED)
            for row in of(situation, name)
        )
        assert 0 <= ceiling <= max(situation.profiles[name].max_count, busy)
        if situation.stopping:
            assert ceiling == 0


@LAW
@given(situations(calm=True), st.integers(1, 3))
def test_ceilings_together_fit_the_rooms(situation: Situation, size: int) -> None:
    """In one room and with one size of machine, so that there is one right answer."""
    takes = {"memory": size}
    situation = replace(
        situation,
        profiles={
            name: replace(profile, resources=takes, provisioners=("one",))
            for name, profile in situation.profiles.items()
        },
        rows=[
            replace(
                row,
                runner=replace(row.runner, provisioner="one", room="a", resources=takes),
            )
            for row in situation.rows
        ],
        rooms={"one": (Room(name="a", total={"memory": 30}),)},
    )
    standing = sum(not row.destroyed for row in situation.rows) * size
    assume(standing <= 30)
    ceilings = plan(situation).ceilings
    others = sum(
        size
        for row in situation.rows
        if not row.destroyed and row.runner.profile not in situation.profiles
    )
    assert sum(ceilings.values()) * size + others <= 30


@LAW
@given(situations())
def test_a_profile_under_its_target_is_told_why(situation: Situation) -> None:
    now = plan(situation)
    made = Counter(make.profile for make in now.make)
    for name, target in now.targets.items():
        live = sum(supplies(row) and row.runner.id not in now.retire for row in of(situation, name))
        if live + made[name] < target:
            assert now.why.get(name), f"{name}: {live} live, {made[name]} made, wants {target}"
        if not situation.stopping and name in now.why:
            short = live + made[name] < max(target, now.demand[name])
            assert short or now.ceilings[name] == 0
        if now.ceilings[name] == 0 and situation.profiles[name].max_count:
            assert now.why.get(name), f"{name} may have none, and nobody says why"


@LAW
@given(situations(calm=True), st.integers(1, 8))
def test_more_room_is_never_worse(situation: Situation, more: int) -> None:
    name, profile = next(iter(situation.profiles.items()))
    one = replace(
        situation,
        profiles={name: profile},
        rooms={each: tuple(answered or ()) for each, answered in situation.rooms.items()},
    )
    wider = replace(
        one,
        rooms={
            each: tuple(
                replace(room, total={kind: amount + more for kind, amount in room.total.items()})
                for room in answered or ()
            )
            for each, answered in one.rooms.items()
        },
    )
    further = replace(one, rooms={each: (*(answered or ()), Room(name="new")) for each, answered
                                  in one.rooms.items()})  # fmt: skip
    before = plan(one)
    for after in (plan(wider), plan(further)):
        assert len(after.make) >= len(before.make)
        assert after.ceilings[name] >= before.ceilings[name]
        assert after.retire == before.retire
