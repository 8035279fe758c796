"""Which image is built next on a host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scaler_libvirt.images import model
from scaler_libvirt.images.decide import PATIENCE, Facts, cause, decide
from scaler_libvirt.images.model import Failure, Image, State
from scaler_libvirt.images.recipe import Recipe

DAY = 86400.0
NOW = 1000 * DAY
SOURCE = "/source.img"
GIB = 1 << 30


def recipe(name: str = "linux", **more: Any) -> Recipe:
    return Recipe(profile=name, source=SOURCE, **more)


def live(age: float = 0.0, **more: Any) -> State:
    return State(live=Image(number=1, built=NOW - age, source=SOURCE), next_number=2, **more)


def one(state: State, recipe: Recipe, **facts: Any) -> Any:
    return decide({"linux": state}, {"linux": recipe}, Facts(now=NOW, **facts))


def test_what_is_missing_is_built() -> None:
    assert one(State(), recipe()).build == "linux"
    assert one(live(), recipe()).build == ""


def test_an_old_image_is_built_anew_beside_the_live_one() -> None:
    monthly = recipe(max_age=30 * DAY)
    assert one(live(31 * DAY), monthly).build == "linux"
    young = one(live(29 * DAY), monthly)
    assert (young.build, young.wake) == ("", NOW + DAY)
    assert one(live(9999 * DAY), recipe()).build == ""  # not by age
    assert one(live(-5 * DAY), monthly).build == ""  # the clock was set back


def test_another_source_is_another_image() -> None:
    other = replace(recipe(), source="/other.img")
    assert cause(live(), other, NOW) == "its source is /other.img now"
    assert one(live(held=True), other).build == ""


def test_what_was_gone_back_to_stays_until_another_is_wanted() -> None:
    monthly = recipe(max_age=30 * DAY)
    held = live(31 * DAY, held=True)
    assert one(held, monthly).build == ""
    assert one(model.rebuild(held), monthly).build == "linux"


def test_after_a_failure_it_waits() -> None:
    failed = Failure(number=1, at=NOW - 100, why="no", wait=600)
    decision = one(State(failed=failed), recipe())
    assert (decision.build, decision.wake) == ("", NOW + 500)
    assert one(State(failed=replace(failed, at=NOW - 600)), recipe()).build == "linux"


def test_nothing_is_begun_on_a_host_that_takes_nothing() -> None:
    decision = one(State(), recipe(), trouble="vm1 is draining")
    assert (decision.build, dict(decision.why)) == ("", {"linux": "vm1 is draining"})


def test_the_first_image_goes_before_runners() -> None:
    needs = recipe(resources={"memory": 4 * GIB, "vcpus": 2})
    full = {"total": {"memory": 8 * GIB}, "free": {"memory": GIB}}
    first = one(State(), needs, **full)
    assert (first.build, first.claims) == ("", needs.resources)
    assert "memory (4G wanted, 1G there)" in first.why["linux"]
    assert first.no_room == {"linux"}


def test_a_rebuild_waits_for_room_but_not_for_ever() -> None:
    needs = recipe(resources={"memory": 4 * GIB}, max_age=DAY)
    full = {"total": {"memory": 8 * GIB}, "free": {"memory": GIB}}
    waits = one(live(2 * DAY), needs, **full, since={"linux": NOW - 60})
    assert (waits.build, dict(waits.claims)) == ("", {})
    assert waits.wake == NOW - 60 + PATIENCE
    assert one(live(2 * DAY), needs, **full, since={"linux": NOW - PATIENCE}).claims


def test_what_never_fits_claims_nothing() -> None:
    needs = recipe(resources={"memory": 16 * GIB})
    never = one(State(), needs, total={"memory": 8 * GIB}, free={"memory": 8 * GIB})
    assert (never.build, dict(never.claims)) == ("", {})
    assert "does not fit" in never.why["linux"]


STATES = st.sampled_from(
    [
        State(),
        live(),
        live(40 * DAY),
        live(held=True),
        live(wanted=True),
        State(failed=Failure(number=1, at=NOW - 10, why="no", wait=600)),
        State(failed=Failure(number=1, at=NOW - 1000, why="no", wait=600)),
    ]
)
RECIPES = st.builds(
    recipe,
    max_age=st.sampled_from([0.0, 30 * DAY]),
    resources=st.dictionaries(st.sampled_from(["memory", "vcpus"]), st.integers(0, 8), max_size=2),
)
AMOUNTS = st.dictionaries(st.sampled_from(["memory", "vcpus"]), st.integers(-2, 8), max_size=2)


@given(
    images=st.dictionaries(st.sampled_from("abcd"), st.tuples(STATES, RECIPES)),
    free=AMOUNTS,
    total=AMOUNTS,
    trouble=st.sampled_from(["", "it is draining"]),
)
def test_laws(
    images: dict[str, tuple[State, Recipe]],
    free: dict[str, int],
    total: dict[str, int],
    trouble: str,
) -> None:
    states = {name: state for name, (state, _) in images.items()}
    recipes = {name: each for name, (_, each) in images.items()}
    decision = decide(states, recipes, Facts(now=NOW, free=free, total=total, trouble=trouble))
    if decision.build:
        needs = recipes[decision.build].resources
        assert all(free.get(name, wanted) >= wanted for name, wanted in needs.items())
        assert not trouble
        assert not decision.claims
    for name, state in states.items():
        due = bool(cause(state, recipes[name], NOW))
        told = name == decision.build or name in decision.why
        later = decision.wake is not None and decision.wake > NOW
        # never stuck without a word: what is due is built, or it is said what it waits for
        assert not due or told or later
        assert due or name not in decision.why
    assert decision.wake is None or decision.wake > NOW
