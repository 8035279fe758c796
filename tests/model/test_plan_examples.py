"""The plan by examples: rooms, reasons, and what goes first."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from scaler.model.demand import Demand
from scaler.model.names import runner_name
from scaler.model.plan import Backoff, Make, Situation, plan
from scaler.model.rooms import ROOMS_TOLD
from scaler.model.row import Row
from scaler.records import Profile, Registration, Room, RoomState, Runner, RunnerState

NOW = 10_000.0


def a_row(number: int, state: RunnerState) -> Row:
    name = runner_name("linux", number, "host")
    runner = Runner(
        id=number,
        name=name,
        profile="linux",
        state=state,
        source="queue",
        provisioner="one",
        room="a",
        registration=Registration(name=name),
    )
    return Row(runner=runner, born=NOW - 60, entered=NOW)


def small(**changes: object) -> Situation:
    base = Situation(
        profiles={
            "linux": Profile(
                name="linux",
                target_count=1,
                max_count=4,
                resources={"memory": 4},
                source="queue",
                provisioners=("one",),
            )
        },
        rows=[],
        demand={"linux": Demand(owed=2, kept=2, reported=True)},
        committed={"linux": 0},
        offered={"linux": 0},
        rooms={"one": (Room(name="a", total={"memory": 8}), Room(name="b", total={"memory": 8}))},
        backoff={},
        now=NOW,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def test_machines_are_spread_over_the_emptiest_rooms() -> None:
    make = plan(small()).make
    assert Counter(each.room for each in make) == {"a": 2, "b": 1}
    assert make[0] == Make("linux", "one", "a")


def test_a_room_that_failed_is_the_last_choice() -> None:
    now = plan(small(avoid={("linux", "one", "a"): NOW + 1}))
    assert {each.room for each in now.make} == {"b"}
    over = plan(small(avoid={("linux", "one", "a"): NOW}))
    assert {each.room for each in over.make} == {"a", "b"}


def test_reasons_are_in_words() -> None:
    assert plan(small()).why == {}
    assert (
        "a lacks memory"
        in plan(small(rooms={"one": (Room(name="a", total={"memory": 3}),)})).why["linux"]
    )
    assert (
        "draining"
        in plan(small(rooms={"one": (Room(name="a", state=RoomState.DRAINING),)})).why["linux"]
    )
    assert "rooms of one are not known" in plan(small(rooms={"one": None})).why["linux"]
    held = plan(small(backoff={"linux": Backoff(1, NOW + 7, "no token")}))
    assert held.why["linux"] == "backing off for 7 s after: no token"
    assert held.make == ()
    assert held.ceilings["linux"] == 4  # a first failure takes no promise back
    lost = plan(small(backoff={"linux": Backoff(3, NOW + 7, "no token")}))
    assert lost.ceilings["linux"] == 0
    assert "every list was complete" in plan(small(ids_known=False)).why["linux"]
    assert plan(small(stopping=True)).why["linux"] == "stopping"
    many = plan(small(demand={"linux": Demand(owed=9, kept=9, reported=True)}))
    assert len(many.make) == 4


def test_those_that_came_the_shortest_way_go_first() -> None:
    states = [
        RunnerState.IDLE,
        RunnerState.BOOTING,
        RunnerState.REGISTERED,
        RunnerState.BUSY,
        RunnerState.IDLE,
    ]
    standing = [a_row(number, state) for number, state in enumerate(states, 1)]
    quiet = small(rows=standing, demand={"linux": Demand(reported=True)})
    # one is busy and one more is the target: of the rest, the newest of the least advanced go
    assert plan(quiet).retire == (3, 2, 5)


def test_of_many_full_rooms_a_few_are_named() -> None:
    full = [Room(name=f"r{number}", total={"memory": 3}) for number in range(100)]
    why = plan(small(rooms={"one": full})).why["linux"]
    assert why.count("lacks memory") == ROOMS_TOLD
    assert f"and {100 - ROOMS_TOLD} more rooms" in why
