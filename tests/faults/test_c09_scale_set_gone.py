"""C9: the scale set vanishes, at each step of the protocol."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from tests.faults.conftest import Faults
from tests.faults.world import World
from trio.testing import MockClock

SLOW = 3.0  # seconds that a call is held back, for the scale set to vanish meanwhile


async def vanishes_before(world: World, route: str) -> None:
    """Let the next call of a route find the scale set gone."""
    world.simulator.delays[route] = SLOW
    before = world.simulator.count(route)
    await world.until(lambda: world.simulator.count(route) > before)
    await trio.sleep(0.5)
    world.simulator.delete_scale_set("linux")
    world.oracle.tell("the scale set is gone")
    del world.simulator.delays[route]
    await trio.sleep(SLOW)


async def found_again(world: World) -> None:
    """Everything goes on, with a scale set by the same name and its first message."""
    since = trio.current_time()
    await world.recovers()
    await world.settled()
    [one] = world.simulator.scale_sets
    assert one.label_names == {"linux", "self-hosted-image:linux"}
    assert world.calls("poll", since)
    assert not world.degraded()


async def test_c09_before_the_session(autojump_clock: MockClock, faults: Faults, flow: str) -> None:
    async with faults(flow=flow) as world, trio.open_nursery() as nursery:
        nursery.start_soon(vanishes_before, world, "create-session")
        await trio.testing.wait_all_tasks_blocked()
        async with world.scaler():
            await world.until(lambda: len(world.calls("create-scale-set")) == 2)
            await found_again(world)


@pytest.mark.parametrize("target", [0, 2])
async def test_c09_while_a_poll_waits(
    autojump_clock: MockClock, faults: Faults, flow: str, target: int
) -> None:
    async with faults(flow=flow, target=target, most=4) as world, world.scaler():
        await world.settled()
        await world.listens()
        old = world.simulator.scale_set("linux").id
        polls = len(world.calls("poll"))
        world.simulator.delete_scale_set("linux")
        await world.until(lambda: len(world.calls("create-scale-set")) == 2)
        await world.listens()
        [poll] = world.calls("poll")[polls:]
        assert "lastMessageId" not in poll.query, "the cursor is to start again"
        assert world.simulator.scale_set("linux").id != old
        await found_again(world)


async def test_c09_between_message_and_deletion(
    autojump_clock: MockClock, faults: Faults, flow: str
) -> None:
    async with faults(flow=flow) as world, world.scaler():
        await world.listens()
        world.queue(2, run_time=30)
        await vanishes_before(world, "delete-message")
        await found_again(world)


async def test_c09_before_jobs_are_acquired(autojump_clock: MockClock, faults: Faults) -> None:
    async with faults(flow="offered") as world, world.scaler():
        await world.listens()
        world.queue(2, run_time=30)
        await vanishes_before(world, "acquire")
        await found_again(world)


async def test_c09_before_a_runner_is_registered(
    autojump_clock: MockClock, faults: Faults, flow: str
) -> None:
    async with faults(flow=flow) as world, world.scaler():
        await world.listens()
        world.queue(2, run_time=30)
        await vanishes_before(world, "jitconfig")
        await found_again(world)


async def test_c09_before_a_runner_is_removed(
    autojump_clock: MockClock, faults: Faults, flow: str
) -> None:
    async with faults(flow=flow) as world, world.scaler():
        await world.listens()
        [job] = world.queue(1)
        await world.until(lambda: len(world.machines.boxes) == 1)
        world.simulator.cancel_job(job)
        await vanishes_before(world, "delete-agent")
        await found_again(world)


async def test_c09_while_a_machine_boots(
    autojump_clock: MockClock, faults: Faults, flow: str
) -> None:
    async with faults(flow=flow) as world, world.scaler():
        await world.listens()
        world.queue(2, run_time=30)
        await world.until(lambda: len(world.machines.boxes) == 2)
        world.simulator.delete_scale_set("linux")
        await found_again(world)


@pytest.mark.parametrize("run_time", [60, 3000])
async def test_c09_busy_machines_are_left_alone(
    autojump_clock: MockClock, faults: Faults, flow: str, run_time: float
) -> None:
    async with faults(flow=flow, most=4) as world, world.scaler():
        jobs = world.queue(2, run_time=run_time)
        await world.online(2)
        boxes = list(world.machines.boxes.values())
        world.simulator.delete_scale_set("linux")
        while any(job.state == "running" for job in jobs):
            assert set(boxes) <= set(world.machines.boxes.values())
            await trio.sleep(5)
        await found_again(world)


@pytest.mark.parametrize("minutes", [1, 15])
async def test_c09_it_vanishes_again_and_again(
    autojump_clock: MockClock, faults: Faults, flow: str, minutes: int
) -> None:
    async with faults(flow=flow, assign_timeout=None) as world, world.scaler():
        await world.listens()
        end = trio.current_time() + 60 * minutes
        while trio.current_time() < end:
            for one in world.simulator.scale_sets:
                world.simulator.delete_scale_set(one.name)
            await trio.sleep(0.25)
        assert world.per_minute("create-scale-set") <= 16
        await found_again(world)
