"""Rooms that take nothing of one profile: others are used, and people are told why."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scaler.errors import Refused
from scaler.model.demand import Demand
from scaler.model.plan import Plan, Situation, plan
from scaler.model.rooms import ROOMS_TOLD
from scaler.records import Profile, Room, RoomState, RunnerState

from .test_override import a_profile, asked
from .test_plan_examples import NOW, a_row, small

if TYPE_CHECKING:
    from collections.abc import Mapping

BUILDING = "its image is being built (3 min)"


def room(name: str, memory: int = 8, refuses: Mapping[str, str] | None = None) -> Room:
    return Room(name=name, total={"memory": memory}, refuses=refuses or {})


def rooms(*given: Room, **changes: object) -> Plan:
    return plan(small(rooms={"one": given}, **changes))


def test_a_room_that_refuses_a_profile_gets_none_of_it() -> None:
    now = rooms(room("a", 80, {"linux": BUILDING}), room("b"))
    assert Counter(each.room for each in now.make) == {"b": 2}
    assert now.ceilings == {"linux": 2}  # and no more than b holds is promised
    assert now.why["linux"] == f"no room: a: {BUILDING}; b lacks memory (4B wanted, 0B free)"


def test_where_every_room_refuses_nothing_is_made_nor_promised() -> None:
    now = rooms(room("a", refuses={"linux": BUILDING}), room("b", refuses={"linux": "no image"}))
    assert (now.make, now.ceilings) == ((), {"linux": 0})
    assert now.why["linux"] == f"a: {BUILDING}; b: no image"


def test_runners_that_are_there_stay() -> None:
    standing = [a_row(1, RunnerState.IDLE), a_row(2, RunnerState.BUSY)]
    now = rooms(
        room("a", refuses={"linux": "no image"}),
        rows=standing,
        demand={"linux": Demand(owed=2, kept=2, reported=True)},
    )
    assert (now.make, now.retire, now.ceilings) == ((), (), {"linux": 2})


def test_other_profiles_of_the_same_size_go_on_there() -> None:
    base = small()
    linux = base.profiles["linux"]
    now = plan(
        replace(
            base,
            profiles={"linux": linux, "other": replace(linux, name="other")},
            demand={name: Demand(owed=1, kept=1, reported=True) for name in ("linux", "other")},
            rooms={"one": (room("a", 80, {"linux": BUILDING}), room("b"))},
        )
    )
    assert {each.room for each in now.make if each.profile == "linux"} == {"b"}
    assert {each.room for each in now.make if each.profile == "other"} == {"a"}


def test_a_room_that_failed_is_used_before_one_that_refuses() -> None:
    now = rooms(
        room("a", refuses={"linux": BUILDING}), room("b"), avoid={("linux", "one", "b"): NOW + 1}
    )
    assert {each.room for each in now.make} == {"b"}


@pytest.mark.parametrize("refuses", [{}, {"nobody": "x"}, {"linux": ""}])
def test_what_names_no_profile_or_no_reason_refuses_nothing(refuses: Mapping[str, str]) -> None:
    assert rooms(room("a", 80, refuses)).why == {}


def test_a_room_without_a_name_and_one_that_is_down_are_told_as_they_are() -> None:
    down = Room(name="b", state=RoomState.DOWN)
    now = rooms(room("", refuses={"linux": "no image"}), down)
    assert now.why["linux"] == "no room: its room: no image; b is down"


def test_of_many_rooms_that_refuse_a_few_are_named() -> None:
    many = [room(f"r{number}", refuses={"linux": "no image"}) for number in range(100)]
    text = rooms(*many).why["linux"]
    assert text.count("no image") == ROOMS_TOLD
    assert text.endswith(f"and {100 - ROOMS_TOLD} more rooms have none either")
    mixed = rooms(*many[:5], *(room(f"full{number}", 3) for number in range(10))).why["linux"]
    assert (mixed.count("no image"), mixed.count("lacks")) == (5, ROOMS_TOLD - 5)
    assert mixed.endswith("and 7 more rooms have none either")


def test_another_provisioner_takes_over() -> None:
    base = small()
    linux: Profile = replace(base.profiles["linux"], provisioners=("one", "two"))
    situation: Situation = replace(
        base,
        profiles={"linux": linux},
        rooms={"one": (room("a", refuses={"linux": BUILDING}),), "two": (room("z"),)},
    )
    assert {(each.provisioner, each.room) for each in plan(situation).make} == {("two", "z")}


def test_an_override_is_lowered_to_what_the_rooms_take() -> None:
    given = [Room(name="r1", total={"memory": 3}, refuses={"a": "no image"})]
    given.append(Room(name="r2", total={"memory": 2}))
    active = asked({"a": 5, "b": 1}, a_profile("a"), a_profile("b"), rooms={"one": given})
    assert active.counts == {"a": 2, "b": 1}
    with pytest.raises(Refused, match="no room has a place"):
        asked({"a": 5}, a_profile("a"), rooms={"one": given[:1]})
