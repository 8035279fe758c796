"""The plan while an override is active."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from scaler.model.demand import Demand
from scaler.model.lifecycle import supplies
from scaler.model.plan import Situation, plan
from scaler.records import Room

from .test_override import BUSY, IDLE, RESERVED, WORKING, a_profile, some
from .test_plan_laws import LAW, NAMES, NOW, of, situations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler.model.row import Row


@LAW
@given(situations(), st.dictionaries(st.sampled_from(NAMES), st.integers(0, 9)))
def test_a_plan_keeps_to_the_override(situation: Situation, targets: dict[str, int]) -> None:
    override = {name: each for name, each in targets.items() if name in situation.profiles}
    situation = replace(situation, override=override)
    usual = plan(replace(situation, override={}))
    now = plan(situation)
    by_id = {row.runner.id: row for row in situation.rows}
    assert not [each for each in now.retire if by_id[each].runner.state in WORKING]
    for name, profile in situation.profiles.items():
        live = sum(supplies(row) for row in of(situation, name))
        made = [make for make in now.make if make.profile == name]
        wanted = override.get(name)
        if wanted is None:
            assert now.targets[name] == usual.targets[name]
            continue
        limit = max(profile.max_count, wanted)
        assert len(of(situation, name)) + len(made) <= max(limit, len(of(situation, name)))
        assert live + len(made) <= max(live, now.targets[name])
        if now.demand[name]:
            assert now.targets[name] == max(wanted, usual.targets[name])
        else:
            assert now.targets[name] == wanted


def in_plan(
    override: Mapping[str, int], *standing: Row, owed: int = 0, **more: object
) -> Situation:
    known = [a_profile("linux", 2), a_profile("bench", 3)]
    values: dict[str, object] = {
        "profiles": {each.name: each for each in known},
        "rows": standing,
        "demand": {"linux": Demand(owed=owed, kept=owed, reported=True),
                   "bench": Demand(reported=True)},
        "committed": {},
        "offered": {},
        "rooms": {"one": (Room(name="a", total={"memory": 8}),)},
        "backoff": {},
        "now": NOW,
        "override": override,
        **more,
    }  # fmt: skip
    return Situation(**values)  # type: ignore[arg-type]


def test_more_than_max_count_but_never_than_the_rooms() -> None:
    now = plan(in_plan({"linux": 7, "bench": 0}))
    assert len(now.make) == 7
    assert now.targets == {"linux": 7, "bench": 0}
    assert now.ceilings["linux"] == 7
    full = plan(in_plan({"linux": 20, "bench": 0}))
    assert len(full.make) == 8
    assert "a lacks memory" in full.why["linux"]
    assert "max_count" not in full.why["linux"]


def test_who_was_lowered_gives_its_idle_runners_back() -> None:
    standing = some("bench", BUSY, IDLE, IDLE)
    now = plan(in_plan({"linux": 7, "bench": 1}, *standing))
    assert now.retire == ()  # it has demand: one that works, and its target counts besides
    idle = plan(in_plan({"linux": 7, "bench": 1}, *some("bench", IDLE, IDLE, IDLE)))
    assert len(idle.retire) == 2
    reserved = plan(in_plan({"linux": 7, "bench": 0}, *some("bench", RESERVED, RESERVED)))
    assert reserved.retire == ()


def test_who_stands_over_its_max_count_for_the_override_stays() -> None:
    standing = some("linux", *[IDLE] * 5)
    assert plan(in_plan({"linux": 5}, *standing)).retire == ()
    assert len(plan(in_plan({}, *standing)).retire) == 3


def test_a_reason_names_the_override_where_it_is_the_limit() -> None:
    standing = some("linux", *[BUSY] * 5)
    now = plan(in_plan({"linux": 5}, *standing, owed=6))
    assert now.why["linux"] == "the override allows 5, and 6 jobs need a runner"
    ending = [replace(row, done=True) for row in standing]
    assert (
        plan(in_plan({"linux": 5}, *ending)).why["linux"]
        == "the override allows 5, and 5 runners are not gone yet"
    )
