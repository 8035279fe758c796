"""Which image is built next on one host, or why none is. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from scaler import Duration, Size
from scaler_libvirt.images import model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler_libvirt.images.model import State
    from scaler_libvirt.images.recipe import Recipe

PATIENCE = 600.0  # seconds that a build waits for room to come free before it has the first turn
_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Facts:
    """How a host is.

    Attributes:
        now: Unix seconds.
        trouble: Why nothing can be begun there now; empty where it can.
        total, free: What runners and builders may use of it in all, and what is left.
        since: Since when each profile's build waits for room.
    """

    now: float
    trouble: str = ""
    total: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    free: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    since: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to do on a host.

    Attributes:
        build: The profile whose image is built now; empty: none.
        claims: What is kept free for a build that waits for it, so that no more runners come.
        why: Why a profile's image is due and is not built now.
        no_room: The profiles whose builds wait for room.
        wake: When to decide again, if nothing happens before (Unix seconds).
    """

    build: str = ""
    claims: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    why: Mapping[str, str] = field(default_factory=dict)
    no_room: frozenset[str] = frozenset()
    wake: float | None = None


def cause(state: State, recipe: Recipe, now: float) -> str:
    """Why another image is wanted, for people; empty where none is."""
    if state.live is None:
        return "there is none yet"
    if state.wanted:
        return "someone asked for it"
    if state.held:
        return ""
    if state.live.source != recipe.source:
        return f"its source is {recipe.source} now"
    if recipe.max_age and now - state.live.built >= recipe.max_age:
        return f"the last one is older than {Duration(recipe.max_age)}"
    return ""


def decide(states: Mapping[str, State], recipes: Mapping[str, Recipe], facts: Facts) -> Decision:
    """Decide what to do on a host on which nothing is being built.

    One at a time; who has none is first, then who was asked for, then who waited longest.
    """
    why: dict[str, str] = {}
    wakes: list[float] = []
    due: list[str] = []
    for name, recipe in recipes.items():
        state = states[name]
        if not cause(state, recipe, facts.now):
            if recipe.max_age and state.live is not None and not state.held:
                wakes.append(state.live.built + recipe.max_age)
        elif facts.trouble:
            why[name] = facts.trouble
        elif (until := model.next_try(state, facts.now)) > facts.now:
            wakes.append(until)
        else:
            due.append(name)
    due.sort(key=lambda name: _turn(name, states[name]))
    return _choose(due, states, recipes, facts, why, wakes)


def _turn(name: str, state: State) -> tuple[bool, bool, float, str]:
    last = state.failed.at if state.failed is not None else 0.0
    return (state.live is not None, not state.wanted, last, name)


def _choose(
    due: list[str],
    states: Mapping[str, State],
    recipes: Mapping[str, Recipe],
    facts: Facts,
    why: dict[str, str],
    wakes: list[float],
) -> Decision:
    build, claims, no_room = "", _NOTHING, set()
    for name in due:
        if build:
            why[name] = f"it waits until the image of {build} is built"
            continue
        if claims:
            why[name] = "another image comes first"
            continue
        needs = recipes[name].resources
        if never := lacks(needs, facts.total):
            why[name] = f"its builder does not fit: the host lacks {never}"
            continue
        if short := lacks(needs, facts.free):
            why[name] = f"it waits for room: the host lacks {short}"
            no_room.add(name)
            turn = facts.since.get(name, facts.now) + PATIENCE
            if states[name].live is None or turn <= facts.now:
                claims = needs
            else:
                wakes.append(turn)
            continue
        build = name
    return Decision(
        build=build,
        claims=claims,
        why=why,
        no_room=frozenset(no_room),
        wake=min(wakes, default=None),
    )


def lacks(needs: Mapping[str, int], has: Mapping[str, int]) -> str:
    """What is short, in words; empty where nothing is. What `has` leaves out is not limited."""
    return ", ".join(
        f"{name} ({_amount(name, wanted)} wanted, {_amount(name, max(0, has[name]))} there)"
        for name, wanted in needs.items()
        if wanted > has.get(name, wanted)
    )


def _amount(name: str, amount: int) -> str:
    return str(Size(amount)) if name == "memory" else str(amount)
