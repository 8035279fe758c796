"""Two rules of the plan that hardly any situation is needed for, and that must not be lost."""

from __future__ import annotations

import pytest

from scaler.model.cases import RETIRING_SOON
from scaler.model.demand import Demand
from scaler.model.plan import Plan, Situation, plan
from scaler.model.row import Row
from scaler.records import Profile, Room, Runner, RunnerState

NOW = 1000.0


def standing(*states: RunnerState, entered: float = NOW, destroyed: bool = False) -> list[Row]:
    return [
        Row(
            runner=Runner(
                id=number,
                name=f"linux.{number}@host",
                profile="linux",
                state=state,
                provisioner="one",
                room="a",
                resources={"memory": 2},
            ),
            born=0.0,
            entered=entered,
            destroyed=destroyed,
        )
        for number, state in enumerate(states, 1)
    ]


def planned(rows: list[Row], demand: Demand, *, memory: int = 100) -> Plan:
    profile = Profile(
        name="linux", max_count=10, resources={"memory": 2}, source="q", provisioners=("one",)
    )
    return plan(
        Situation(
            profiles={"linux": profile},
            rows=rows,
            demand={"linux": demand},
            committed={},
            offered={},
            rooms={"one": (Room(name="a", total={"memory": memory}),)},
            backoff={},
            now=NOW,
        )
    )


@pytest.mark.parametrize(("kept", "retired"), [(3, ()), (2, (3,)), (0, (3, 2, 1))])
def test_what_was_asked_for_until_now_is_kept_until_less_is_sure(
    kept: int, retired: tuple[int, ...]
) -> None:
    rows = standing(*[RunnerState.IDLE] * 3)
    assert planned(rows, Demand(owed=0, kept=kept, reported=True)).retire == retired


@pytest.mark.parametrize(
    ("age", "destroyed", "ceiling"),
    [
        (0.0, False, 3),  # its place is promised: it will be free in a moment
        (RETIRING_SOON, False, 2),  # it is stuck
        (0.0, True, 3),  # its place is free, and dealt already
    ],
)
def test_the_place_of_what_retires_is_promised_once(
    age: float, destroyed: bool, ceiling: int
) -> None:
    rows = standing(RunnerState.RETIRING, entered=NOW - age, destroyed=destroyed)
    now = planned(rows, Demand(reported=True), memory=6)
    assert now.ceilings["linux"] == ceiling
