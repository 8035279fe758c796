"""C28: lists of runners that are incomplete, late, or change while their pages are turned."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from tests.faults import by_rest
from tests.faults.conftest import Faults
from tests.faults.machines import Times
from tests.faults.world import World
from trio.testing import MockClock

PAGE = 100  # runners on a page
GRACE = 120.0  # seconds for which a runner is young
BROKEN = [
    pytest.param({"status": 500}, id="500"),
    pytest.param({"kind": "truncate", "keep": 50}, id="truncated"),
    pytest.param({"status": 200, "body": b"{}"}, id="odd"),
    pytest.param({"status": 200, "body": b""}, id="empty"),
]


def strangers(world: World, count: int = 250) -> None:
    """Runners of other people, that fill pages."""
    site = world.simulator._world
    for number in range(count):
        site.create_agent(site.scope, f"stranger-{number}", None)


async def nobody_reaped(world: World, seconds: float) -> None:
    """All machines that are there stay for so long, with their registrations."""
    boxes = set(world.machines.boxes.values())
    names = {box.machine.runner_name for box in boxes}
    end = trio.current_time() + seconds
    while trio.current_time() < end:
        assert boxes == set(world.machines.boxes.values()), "reaped, or one too many was made"
        assert names <= {agent.name for agent in world.simulator.agents}
        await trio.sleep(2)


@pytest.mark.parametrize("page", [1, 2, 3])
@pytest.mark.parametrize("fault", BROKEN)
async def test_c28_a_page_fails(
    autojump_clock: MockClock, faults: Faults, page: int, fault: dict[str, Any]
) -> None:
    """No part of a list counts as a list."""
    async with faults(**by_rest.settings(2)) as world:
        by_rest.count_in(world, 2)
        strangers(world)
        async with world.scaler():
            await world.until(lambda: by_rest.idle(world, 2))
            where = "" if page == 1 else f"&page={page}"
            bad = world.simulator.faults.add("rest-runners", times=None, contains=where, **fault)
            await nobody_reaped(world, 600)
            assert bad.struck > 3
            world.simulator.faults.clear()
            await nobody_reaped(world, 120)
            await world.settled()


@pytest.mark.parametrize("fault", BROKEN)
async def test_c28_the_list_fails(
    autojump_clock: MockClock, faults: Faults, flow: str, fault: dict[str, Any]
) -> None:
    async with faults(flow=flow, target=2) as world, world.scaler():
        await world.settled()
        bad = world.simulator.faults.add("list-agents", times=None, **fault)
        await nobody_reaped(world, 600)
        assert bad.struck > 3
        world.simulator.faults.clear()
        await nobody_reaped(world, 120)
        await world.recovers()
        await world.settled()


@pytest.mark.parametrize("list_delay", [0, 30, 60, 90])
@pytest.mark.parametrize("boot", [20.0, 200.0])
async def test_c28_shown_late(
    autojump_clock: MockClock, faults: Faults, flow: str, list_delay: float, boot: float
) -> None:
    """Who is young and in no list yet is left alone, whether it boots, waits or works."""
    times = Times(boot=boot)
    async with faults(flow=flow, target=1, most=4, list_delay=list_delay, times=times) as world:
        async with world.scaler():
            await world.listens()
            world.queue(2, run_time=200)
            await world.until(lambda: len(world.machines.boxes) == 3)
            await nobody_reaped(world, boot + 150)
            await world.recovers(probe=False)
            await world.settled()
            assert world.machines._made <= 5


@pytest.mark.parametrize("list_delay", [0, 30, 60, 90])
@pytest.mark.parametrize("boot", [20.0, 200.0])
async def test_c28_shown_late_by_rest(
    autojump_clock: MockClock, faults: Faults, list_delay: float, boot: float
) -> None:
    more = by_rest.settings(2)
    async with faults(**more, list_delay=list_delay, times=Times(boot=boot)) as world:
        by_rest.count_in(world, 2)
        async with world.scaler():
            await world.until(lambda: len(world.machines.boxes) == 2)
            await nobody_reaped(world, boot + GRACE + 120)
            assert by_rest.idle(world, 2)
            await world.settled()


@pytest.mark.parametrize("shift", [-3, -1, 1, 3, 60])
async def test_c28_changes_while_it_is_read(
    autojump_clock: MockClock, faults: Faults, shift: int
) -> None:
    """Ours are on the last page, and slip from one to the other."""
    async with faults(**by_rest.settings(3)) as world:
        by_rest.count_in(world, 3)
        strangers(world, 2 * PAGE - 1)  # the first of ours is at the end of a page
        async with world.scaler():
            await world.until(lambda: by_rest.idle(world, 3))
            world.simulator.options.list_shift = shift
            await nobody_reaped(world, 600)
            assert by_rest.idle(world, 3)
            world.simulator.options.list_shift = 0
            await world.settled()


@pytest.mark.parametrize("by", ["queue", "rest"])
@pytest.mark.parametrize("list_delay", [0, 60])
async def test_c28_gone_is_absent_in_two_full_lists(
    autojump_clock: MockClock, faults: Faults, by: str, list_delay: float
) -> None:
    """Who was removed at GitHub is replaced, after two lists, and nobody else is."""
    more: dict[str, Any] = by_rest.settings(2) if by == "rest" else {"target": 2}
    async with faults(**more, list_delay=list_delay) as world:
        by_rest.count_in(world, 2)
        strangers(world)
        async with world.scaler():
            await trio.sleep(GRACE + 150)
            gone, stays = world.machines.boxes.values()
            began = trio.current_time()
            gone.life.cancel()  # it hangs: nothing but lists will tell
            world.simulator.remove_agent(gone.machine.runner_name)
            await world.until(lambda: gone not in world.machines.boxes.values(), 200)
            assert trio.current_time() - began >= 30, "one list is not two"
            assert stays in world.machines.boxes.values()
            await world.settled()
            assert stays in world.machines.boxes.values()
            assert world.machines._made == 3
