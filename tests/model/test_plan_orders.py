"""Laws of the plan where people paused and drained, and where settings lost or got profiles."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from scaler.model.demand import Demand
from scaler.model.lifecycle import supplies
from scaler.model.orders import applied, drained, named, parted, place, told
from scaler.model.plan import Situation, plan
from scaler.records import Order, Room, RoomState, RunnerState

from .test_plan_examples import small
from .test_plan_laws import LAW, PROVISIONERS, ROOMS, a_row, draining, of, situations
from .test_plan_laws import applied as carried_out

if TYPE_CHECKING:
    from typing import Any

    from scaler.model.plan import Plan

WORKING = (RunnerState.BUSY, RunnerState.RESERVED)
PAUSE = Order(kind="pause", name="linux", since=1_800_000_000.0, by="root")


@st.composite
def ordered(draw: st.DrawFn) -> Situation:
    """Any situation, with whatever orders there may be, and profiles that come and go."""
    situation = draw(situations())
    places = [(provisioner, room) for provisioner in PROVISIONERS for room in ROOMS]
    gone = draw(st.sets(st.sampled_from(places), max_size=3))
    names = list(situation.profiles)
    return replace(
        situation,
        rooms=applied(situation.rooms, gone),
        drained=frozenset(gone),
        paused={name: PAUSE for name in names if draw(st.booleans())},
        leaving={name: draw(st.integers(0, 4)) for name in names if draw(st.integers(0, 2)) == 0},
        unserved={name: "" for name in names if draw(st.integers(0, 3)) == 0},
    )


def shut(situation: Situation, name: str) -> bool:
    return name in situation.paused or name in situation.leaving or name in situation.unserved


@LAW
@given(ordered())
def test_what_is_paused_gets_nothing_and_promises_nothing(situation: Situation) -> None:
    now = plan(situation)
    event(f"{len(situation.paused)} paused")
    made = {make.profile for make in now.make}
    for name in situation.profiles:
        if shut(situation, name):
            assert now.ceilings[name] == 0
        if name in situation.paused or name in situation.unserved:
            assert name not in made
        if name in situation.paused and not situation.stopping:
            spare = {
                row.runner.id
                for row in of(situation, name)
                if supplies(row) and row.runner.state not in WORKING
            }
            assert spare <= set(now.retire)
            assert now.why[name].startswith("paused since 2027-01-15 08:00 UTC by root")
            assert now.cures[name] == f"scaler resume {name}"


@LAW
@given(ordered())
def test_no_order_ends_what_works(situation: Situation) -> None:
    by_id = {row.runner.id: row for row in situation.rows}
    for runner_id in plan(situation).retire:
        assert supplies(by_id[runner_id])
        assert by_id[runner_id].runner.state not in WORKING


@LAW
@given(ordered())
def test_nothing_is_placed_where_it_drains(situation: Situation) -> None:
    now = plan(situation)
    event(f"makes {min(len(now.make), 3)}")
    for make in now.make:
        assert (make.provisioner, make.room) not in situation.drained


@LAW
@given(ordered())
def test_spares_leave_what_a_person_drained_at_once(situation: Situation) -> None:
    """Whether or not its source has reported, or its rooms have answered."""
    assume(not situation.stopping)
    now = plan(situation)
    for name in situation.profiles:
        for row in of(situation, name):
            place_ = (row.runner.provisioner, row.runner.room)
            if place_ in situation.drained and supplies(row):
                assert (row.runner.id in now.retire) is (row.runner.state not in WORKING)


@LAW
@given(ordered())
def test_carried_out_it_leaves_nothing_to_do(situation: Situation) -> None:
    now = plan(situation)
    for _ in range(4):
        situation = carried_out(situation, now)
        after = plan(situation)
        assert after.retire == ()
        assert after.make == () or now.retire
        now = after
    assert now.make == ()


@LAW
@given(ordered())
def test_who_leaves_gets_runners_for_what_it_owes_and_no_more(situation: Situation) -> None:
    now = plan(situation)
    for name, owed in situation.leaving.items():
        if name in situation.paused or name in situation.unserved:
            continue
        live = [row for row in of(situation, name) if supplies(row)]
        busy = sum(row.runner.state in WORKING for row in live)
        made = sum(make.profile == name for make in now.make)
        gone = len({row.runner.id for row in live} & set(now.retire))
        assert now.demand[name] <= max(owed, busy)
        assert made == 0 or len(live) - gone + made <= max(owed, busy)
        if not situation.stopping:
            assert len(live) - gone <= max(owed, busy)


@LAW
@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6), st.integers(1, 12))
def test_what_one_is_denied_others_may_have(owed: int, others: int, target: int, size: int) -> None:
    """A profile that is promised nothing takes nothing of the others' promise."""
    bench = replace(small().profiles["linux"], name="bench")
    paused = small(
        profiles={"linux": replace(bench, name="linux", target_count=target), "bench": bench},
        demand={
            "linux": Demand(owed=owed, kept=owed, reported=True),
            "bench": Demand(owed=others, kept=others, reported=True),
        },
        rooms={"one": (Room(name="a", total={"memory": 2 * size}),)},
    )
    alone = replace(paused, profiles={"bench": bench})
    for denied in ({"paused": {"linux": PAUSE}}, {"leaving": {"linux": 0}}):
        now = plan(replace(paused, **denied))
        assert now.ceilings["bench"] == plan(alone).ceilings["bench"]
        assert now.make == plan(alone).make


def cure(**changes: object) -> tuple[str, str]:
    now: Plan = plan(small(**changes))
    return now.why.get("linux", ""), now.cures.get("linux", "")


def test_c48_what_is_owed_to_one_that_leaves_still_gets_runners() -> None:
    """Its promise falls at once, before anything that is made for it does."""
    now = plan(small(leaving={"linux": 2}, demand={"linux": Demand(owed=5, kept=5)}))
    assert now.ceilings == {"linux": 0}
    assert len(now.make) == 2
    assert now.why["linux"].endswith("only the 2 jobs that it owes already are run")
    assert "scaler reload" in now.cures["linux"]
    over = plan(small(leaving={"linux": 0}))
    assert over.make == ()
    assert over.why["linux"].endswith("it goes when its runners are gone")


def test_c48_a_lower_limit_is_promised_at_once_and_ends_nobody() -> None:
    rows = [a_row(number, "linux", RunnerState.BUSY) for number in range(1, 5)]
    many = small(rows=rows, demand={"linux": Demand(owed=4, kept=4, reported=True)})
    assert plan(many).ceilings["linux"] == 4
    lower = {"linux": replace(many.profiles["linux"], max_count=1)}
    now = plan(replace(many, profiles=lower))
    assert now.ceilings["linux"] == 4  # as many as work, and none beyond
    assert now.retire == ()
    fewer = replace(many, profiles=lower, rows=rows[:1])
    assert plan(fewer).ceilings["linux"] == 1


def test_c48_a_drained_room_is_promised_to_nobody() -> None:
    assert plan(small()).ceilings["linux"] == 4
    gone = {("one", "a")}
    now = plan(small(rooms=applied(small().rooms, gone), drained=gone))
    assert now.ceilings["linux"] == 2
    assert {make.room for make in now.make} == {"b"}
    spare = a_row(7, "linux", RunnerState.IDLE, room="a", takes={"memory": 4})
    held = small(rows=[spare], rooms=applied(small().rooms, gone), drained=gone)
    assert plan(held).retire == (7,)
    assert plan(held).ceilings["linux"] == 2  # its place is not given to another


@LAW
@given(situations(), st.sampled_from(PROVISIONERS))
def test_spares_leave_a_room_that_drains(situation: Situation, provisioner: str) -> None:
    """Once the source has reported: they wait for work where no machine shall be."""
    drains = tuple(Room(name=room, state=RoomState.DRAINING) for room in ROOMS)
    situation = replace(
        situation,
        rooms={**situation.rooms, provisioner: drains},
        demand={
            name: replace(situation.demand.get(name, Demand()), reported=True)
            for name in situation.profiles
        },
        stopping=False,
    )
    now = plan(situation)
    for row in [row for name in situation.profiles for row in of(situation, name)]:
        if draining(situation, row) and supplies(row):
            works = row.runner.state in (RunnerState.BUSY, RunnerState.RESERVED)
            event("works" if works else "spare")
            assert (row.runner.id in now.retire) is not works


def tight(**changes: Any) -> Situation:
    """A job has its runner, a spare is wanted, too, and the only room has one place."""
    linux = replace(small().profiles["linux"], target_count=2)
    base = small(
        profiles={"linux": linux},
        rooms={"one": (Room(name="a", total={"memory": 4}),)},
        demand={"linux": Demand(owed=1, kept=1, reported=True)},
        rows=[a_row(1, "linux", RunnerState.BUSY, takes={"memory": 4})],
    )
    return replace(base, **changes)


def calm(situation: Situation) -> bool:
    now = plan(situation)
    assert now.why["linux"]
    assert now.cures["linux"]
    return "linux" in now.calm


@pytest.mark.parametrize("state", [RunnerState.BUSY, RunnerState.RESERVED, RunnerState.RETIRING])
def test_spares_that_wait_for_the_end_of_work_need_nobody(state: RunnerState) -> None:
    assert calm(tight())
    assert calm(tight(demand={"linux": Demand(reported=True)}))
    other = a_row(1, "other", state, takes={"memory": 4})
    assert calm(tight(demand={"linux": Demand(reported=True)}, rows=[other]))


@pytest.mark.parametrize("profile", ["linux", "other"])
def test_targets_that_the_rooms_do_not_hold_need_somebody(profile: str) -> None:
    """They would not come for ever: with none at all it is told of no jobs, either."""
    spare = a_row(1, profile, RunnerState.IDLE, takes={"memory": 4})
    assert not calm(tight(demand={"linux": Demand(reported=True)}, rows=[spare]))


@pytest.mark.parametrize(
    "changes",
    [
        {"demand": {"linux": Demand(owed=2, kept=2, reported=True)}},
        {"demand": {"linux": Demand(owed=1, kept=1, waiting=1, reported=True)}},
        {"rooms": {"one": (Room(name="a", state=RoomState.DRAINING),)}},
        {"rooms": {"one": (Room(name="a", state=RoomState.DOWN),)}},
        {"rooms": {"one": (Room(name="a", total={"memory": 3}),)}},
        {"rooms": {"one": (Room(name="a", refuses={"linux": "its image is being built"}),)}},
    ],
    ids=["jobs", "waiting", "draining", "down", "small", "refuses"],
)
def test_what_may_not_pass_by_itself_needs_somebody(changes: dict[str, Any]) -> None:
    assert not calm(tight(**changes))


@pytest.mark.parametrize(
    ("rooms", "alone"),
    [
        ((), True),
        ((Room(name="b", state=RoomState.DOWN),), False),
        ((Room(name="b", refuses={"linux": "its image is being built"}),), False),
    ],
    ids=["alone", "down", "refuses"],
)
def test_what_only_an_order_holds_needs_nobody(rooms: tuple[Room, ...], alone: bool) -> None:
    for demand in (0, 3):
        situation = small(
            rooms=applied({"one": (Room(name="a"), *rooms)}, {("one", "a")}),
            drained={("one", "a")},
            demand={"linux": Demand(owed=demand, kept=demand, reported=True)},
        )
        assert calm(situation) == alone


def test_an_order_for_a_room_that_is_too_small_is_not_what_holds_it() -> None:
    rooms = {"one": (Room(name="a", total={"memory": 3}),)}
    assert not calm(small(rooms=applied(rooms, {("one", "a")}), drained={("one", "a")}))


def test_one_that_is_new_waits_for_its_plugins() -> None:
    text, what = cure(unserved={"linux": ""})
    assert "just being told" in text
    assert what == ""


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"rooms": {"one": None}}, "scaler check"),
        ({"rooms": {"one": ()}}, "give one a room in its settings"),
        ({"rooms": {"one": (Room(name="a", total={"memory": 3}),)}}, "lower resources of"),
        ({"rooms": {"one": (Room(name="a", state=RoomState.DOWN),)}}, "why a cannot be reached"),
        ({"rooms": {"one": (Room(name="a", state=RoomState.DRAINING),)}},
         "one says that a is draining: scaler why a"),
        ({"rooms": {"one": (Room(name="a", refuses={"linux": "its image is being built"}),)}},
         "wait until what is named here is over"),
        ({"rooms": applied({"one": (Room(name="a"),)}, {("one", "a")}), "drained": {("one", "a")}},
         "scaler undrain a"),
        ({"rooms": applied({"one": (Room(name="a"),), "two": (Room(name="a"),)}, {("one", "a")}),
          "drained": {("one", "a")}}, "scaler undrain one/a"),
        ({"demand": {"linux": Demand(owed=9, kept=9, reported=True)},
          "rows": [a_row(number, "linux", RunnerState.BUSY) for number in range(1, 5)]},
         "raise max_count of [profiles.linux]"),
        ({"demand": {"linux": Demand(owed=4, kept=4, reported=True)},
          "rows": [a_row(number, "linux", RunnerState.HELD) for number in range(1, 5)]},
         "wait until they are gone, or raise max_count of [profiles.linux]"),
        ({"ids_known": False, "unlisted": {("queue", "list_registrations"): "401"}},
         "mend what keeps queue from listing"),
    ],
)  # fmt: skip
def test_each_reason_says_what_ends_it(changes: dict[str, object], wanted: str) -> None:
    text, what = cure(**changes)
    assert text
    assert wanted in what


def test_a_new_ledger_names_whose_list_is_missing() -> None:
    text, _ = cure(ids_known=False, unlisted={("vm", "list_machines"): "no route to host"})
    assert text.startswith("with a new ledger, nothing is made until every list was complete once")
    assert "vm.list_machines is not complete: no route to host" in text


def test_rooms_that_are_down_stay_so_and_others_are_left_alone() -> None:
    rooms = {"one": (Room(name="a", state=RoomState.DOWN), Room(name="b")), "two": None}
    assert applied(rooms, {("one", "a"), ("two", "a")}) == rooms
    after = applied(rooms, {("one", "b")})
    assert [room.state for room in after["one"] or ()] == [RoomState.DOWN, RoomState.DRAINING]
    assert applied(rooms, ()) is rooms


def test_orders_are_read_as_they_were_written() -> None:
    order = Order(kind="drain", name=place("vm", "a/b"), since=0.0, by="root\n\x1b[31m")
    assert parted(order.name) == ("vm", "a/b")
    assert drained({("drain", order.name): order, ("pause", "linux"): PAUSE}) == {("vm", "a/b")}
    assert told(order) == "since 1970-01-01 00:00 UTC by root??[31m"
    assert named("") == "somebody"
    assert told(replace(order, by="")) == "since 1970-01-01 00:00 UTC"
