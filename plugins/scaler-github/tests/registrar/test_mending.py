"""Labels of a reservation that were put in part, or are left over, go: by one loop, to the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from scaler import Reservation, RunnerState, Unavailable

World = Any
Reserve = Callable[..., Reservation]
LIMIT = {"status": 429, "headers": {"retry-after": "20"}}


@pytest.mark.parametrize(
    "fault", [{"status": 403}, {"status": 401, "times": 2}, LIMIT, {"kind": "hang"}], ids=str
)
async def test_an_older_reservation_that_cannot_be_taken_away_is_mended(
    world: World, reserve: Reserve, fault: dict[str, Any], autojump_clock: MockClock
) -> None:
    """By then the new labels are there, whatever the refusal says."""
    runner = await world.registered()
    async with world.running():
        await world.github.reserve_runner(runner, reserve("u-0", run_id="1", since=1.0))
        world.sim.faults.add("rest-delete-label", **fault)
        with pytest.raises(Unavailable), trio.fail_after(9):
            await world.github.reserve_runner(runner, reserve("u-1"))
        await trio.sleep(150)  # a token that was refused is tried again after a minute
        assert world.reserved() == []


@pytest.mark.parametrize("route", ["rest-runner", "rest-delete-label"])
async def test_a_reservation_that_is_made_while_another_is_mended_stays(
    world: World, reserve: Reserve, route: str, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    world.sim.options.fail_labels = [2]
    async with world.running():
        world.sim.faults.add(route, kind="hang")
        world.sim.faults.add(route, delay=3.0)
        with pytest.raises(Unavailable):
            await world.github.reserve_runner(runner, reserve("u-1"))
        assert len(world.reserved()) == 2
        await trio.sleep(1)  # it is being mended
        await world.github.reserve_runner(runner, reserve("u-1"))
        await trio.sleep(60)
        assert len(world.reserved()) == 3


async def test_taking_back_goes_on_where_it_fails(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    async with world.running():
        await world.github.reserve_runner(runner, reserve())
        world.sim.faults.add("rest-runner", status=503)
        await world.github.reserve_runner(runner, None)
        assert world.reserved() == []
        await world.github.reserve_runner(runner, reserve())
        world.sim.faults.add("rest-runner", status=503, times=10)
        with pytest.raises(Unavailable), trio.fail_after(9):
            await world.github.reserve_runner(runner, None)
        await trio.sleep(120)
        assert world.reserved() == []


async def test_tries_are_not_multiplied(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    """Labels that do not go, whatever GitHub says: at first quickly, and then twice a minute."""
    runner = await world.registered()
    world.sim.options.fail_labels = [3]
    world.sim.faults.add("rest-delete-label", status=404, times=None)
    async with world.running():
        with pytest.raises(Unavailable), trio.fail_after(9):
            await world.github.reserve_runner(runner, reserve())
        assert world.calls("rest-runner") <= 20
        await trio.sleep(600)
        before = world.calls("rest-runner")
        await trio.sleep(600)
        assert world.calls("rest-runner") - before <= 60
        world.sim.faults.clear()
        await trio.sleep(31)
        assert world.reserved() == []


@pytest.mark.parametrize("late", [False, True])
async def test_a_stop_waits_for_what_is_mended(
    world: World, reserve: Reserve, late: bool, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    async with world.running():
        if late:  # it took effect after all, and would be looked for 15 s later
            world.sim.faults.add("rest-add-labels", delay=5.0)
            with pytest.raises(Unavailable):
                await world.github.reserve_runner(runner, reserve())
            await trio.sleep(4)
            assert len(world.reserved()) == 3
        else:
            world.sim.options.fail_labels = [3]
            world.sim.faults.add("rest-runner", kind="hang")
            world.sim.faults.add("rest-runner", delay=3.0)
            with pytest.raises(Unavailable):
                await world.github.reserve_runner(runner, reserve())
            assert len(world.reserved()) == 2
    assert world.reserved() == []


async def test_a_stop_waits_for_no_list(world: World, autojump_clock: MockClock) -> None:
    world.sim.delays["rest-runners"] = 20.0
    async with trio.open_nursery() as nursery:
        async with world.running():
            nursery.start_soon(world.github.list_registrations)
            await trio.sleep(1)
            began = trio.current_time()
        assert trio.current_time() - began < 1


async def crashed(world: World, reserve: Reserve, **fields: Any) -> None:
    """A process that ended while its runner was labelled."""
    runner = await world.registered(state=RunnerState.IDLE)
    await world.github.reserve_runner(runner, reserve())
    world.core.runners = [world.runner(state=RunnerState.IDLE, registration=runner.registration)]
    world.build()


async def test_what_a_crash_left_is_taken_away(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    await crashed(world, reserve)
    async with world.running():
        await world.listed()
        await trio.sleep(1)
        assert world.reserved() == []
        before = world.calls("rest-runner")
        await trio.sleep(100)
        await world.listed()
        assert world.calls("rest-runner") == before == 1


async def test_who_is_reserved_keeps_its_labels(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    await crashed(world, reserve)
    mine = world.runner(state=RunnerState.RESERVED, reservation=reserve())
    unknown = world.runner(2, state=RunnerState.IDLE)
    for rows in ([mine], [], [unknown]):
        world.core.runners = rows
        world.build()
        async with world.running():
            await world.listed()
            await trio.sleep(1)
        assert len(world.reserved()) == 3
        assert world.calls("rest-runner") == 0


async def test_who_was_reserved_since_the_start_keeps_its_labels(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    await crashed(world, reserve)
    [runner] = world.core.runners
    async with world.running():
        await world.github.reserve_runner(runner, reserve("u-2"))
        await world.listed()
        await trio.sleep(10)
        assert "reserved-for:u-2" in world.reserved()
        assert len(world.reserved()) == 3


async def test_what_takes_effect_after_it_was_mended_with_trouble_is_taken_back_too(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    world.sim.faults.add("rest-add-labels", delay=12.0)
    world.sim.faults.add("rest-runner", kind="hang")
    async with world.running():
        with pytest.raises(Unavailable):
            await world.github.reserve_runner(runner, reserve())
        await trio.sleep(6)
        assert len(world.reserved()) == 3
        await trio.sleep(15)
        assert world.reserved() == []
