"""Which artifact it is, and how old: D8 and D11."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

World = Any
UNIQUE = "8d4f2e0a-9f62-4a1b-8c33-2d1d7a9f0b11"
PREFIX = "servo-ci-runners_"


# --- D8: how old -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "code"),
    [
        (0, ""),
        (300, ""),
        (301, "artifact-too-old"),
        (86400, "artifact-too-old"),
        (-60, ""),
        (-61, "artifact-too-new"),
    ],
)
@pytest.mark.parametrize("ahead", [0.0, 7200.0, -7200.0])
async def test_d8_by_githubs_clock(
    world: World, autojump_clock: MockClock, age: float, code: str, ahead: float
) -> None:
    """Ours may be wrong by hours."""
    world.sim.options.clock_offset = ahead
    world.prove(age=age)
    if code:
        assert await world.no() == code
    else:
        await world.ask()


async def test_d8_undated(world: World, autojump_clock: MockClock) -> None:
    world.prove().created = None
    assert await world.no() == "artifact-undated"


@pytest.mark.parametrize("when", ["", "yesterday", "0001-01-01T00:00:00Z", "9" * 400])
async def test_d8_dates_that_are_none(world: World, autojump_clock: MockClock, when: str) -> None:
    shown = {"id": 1, "name": f"{PREFIX}{UNIQUE}", "size_in_bytes": 9, "expired": False}
    entry = {**shown, "created_at": when}
    world.sim.faults.add("run-artifacts", fields={"artifacts": [entry], "total_count": 1})
    assert await world.no() == "artifact-undated"


async def test_d8_expired(world: World, autojump_clock: MockClock) -> None:
    world.prove().expired = True
    assert await world.no() == "artifact-expired"
    assert world.sim.count("artifact-zip") == 0


@pytest.mark.parametrize("status", [404, 410])
async def test_d8_expired_since_it_was_listed(
    world: World, autojump_clock: MockClock, status: int
) -> None:
    world.prove()
    world.sim.faults.add("artifact-zip", status=status)
    assert await world.no() == "artifact-expired"


async def test_d8_a_yes_is_given_again_while_it_is_fresh(
    world: World, autojump_clock: MockClock
) -> None:
    world.prove(age=290)
    await world.ask()
    calls = world.calls()
    await trio.sleep(9)
    await world.ask()
    assert world.calls() == calls
    await trio.sleep(2)
    assert await world.no() == "artifact-too-old"


# --- D11: which one --------------------------------------------------------------------


async def test_d11_none(world: World, autojump_clock: MockClock) -> None:
    assert await world.no() == "artifact-not-found"
    world.prove(name=f"{PREFIX}{UNIQUE}x")
    world.prove(name=f"x{PREFIX}{UNIQUE}")
    world.prove(name=f"{PREFIX}{UNIQUE}".upper())
    await trio.sleep(6)
    assert await world.no() == "artifact-not-found"


@pytest.mark.parametrize("count", [2, 150])
async def test_d11_more_than_one(world: World, autojump_clock: MockClock, count: int) -> None:
    for _ in range(count):
        world.prove()
    assert await world.no() == "artifact-ambiguous"
    assert world.calls() == 1


async def test_d11_more_are_announced_than_shown(world: World, autojump_clock: MockClock) -> None:
    world.prove()
    world.sim.faults.add("run-artifacts", fields={"total_count": 2})
    assert await world.no() == "artifact-ambiguous"


async def test_d11_a_filter_that_is_not_heeded(world: World, autojump_clock: MockClock) -> None:
    artifact = world.prove()
    others = [{"name": f"other-{n}", "id": None} for n in range(5)]
    mine = {
        "id": artifact.id,
        "name": artifact.name,
        "size_in_bytes": artifact.size,
        "expired": False,
        "created_at": "2027-01-15T08:00:00Z",
    }
    listed = {"artifacts": [*others, mine], "total_count": 6}
    world.sim.faults.add("run-artifacts", fields=listed)
    await world.ask()
    world.build()
    world.sim.faults.add("run-artifacts", fields={**listed, "total_count": 101})
    assert await world.no() == "artifact-ambiguous"
