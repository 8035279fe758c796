"""Messages that come again, in any order, early, or with totals that say something else."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from scaler.records import Room

if TYPE_CHECKING:
    from tests.engine.conftest import World

    from scaler.records import JobState

STEPS: list[JobState] = ["assigned", "running", "done"]


async def test_every_message_again_and_again_over_restarts(
    world: World, autojump_clock: object
) -> None:
    """C13: a source that lost its place tells everything once more; nothing is done twice."""

    async def tell(step: str, owed: int, runner: str = "") -> None:
        for again in range(3):
            async with world.running(crash=again == 1):
                for _ in range(2):
                    job = world.job(1, step, runner, result="succeeded" * (step == "done"))  # type: ignore[arg-type]
                    await world.deliver(owed, job, id=f"{step} 1")
                    await trio.sleep(3)
                await trio.sleep(10)
                assert len(world.machines) <= 1

    await tell("assigned", 1)
    name = "linux.1@host"
    async with world.running():
        assert world.states() == {1: "booting"}
        world.works(1)
    await tell("running", 1, name)
    async with world.running():
        assert world.states() == {1: "busy"}
        world.agents.clear()
    await tell("done", 0, name)
    async with world.running():
        assert world.rows == {}
        assert world.engine.state.jobs["linux"] == {}
    assert world.made == 1
    assert world.machines == {}


async def test_a_total_of_nothing_beside_assigned_jobs_ends_nobody(
    world: World, autojump_clock: object
) -> None:
    """C14: totalAssignedJobs is 0 in the very message that assigns jobs, and in those after it."""
    async with world.running():
        await world.deliver(0, world.job(1), world.job(2))
        await world.until(lambda: len(world.machines) == 2, 5)
        first = dict(world.machines)
        for _ in range(70):
            await trio.sleep(5)
            await world.deliver(0)
            for number in world.rows:  # (who is not online in time would be replaced)
                world.online(number)
            assert world.machines == first
            assert world.engine.view().profiles["linux"].demand == 2
        # six minutes without a word of them: they were given to others
        await world.until(lambda: not world.machines, 120)


async def test_orders_of_three_events_of_two_runners(world: World, autojump_clock: object) -> None:
    """C18: assigned, started and completed, and each is told twice.

    Every order goes through the pure part (tests/model/test_two_runners.py), and through this one
    where there is time.
    """
    world.profiles["linux"] = replace(world.profiles["linux"], max_count=3)
    world.rooms = [Room(name="a")]
    jobs = 0

    def settled(first: int) -> bool:
        return world.states() == {first: "booting", first + 1: "booting"}

    async with world.running():
        orders = list(itertools.permutations([(which, step) for which in (0, 1) for step in STEPS]))
        for order in orders if "HYPOTHESIS_EXAMPLES" in os.environ else orders[::11]:
            first = world.engine.state.next_id
            jobs += 2
            await world.deliver(2)
            await world.until(partial(settled, first), 60)
            for which, step in (*order, *order):
                runner = "" if step == "assigned" else f"linux.{first + which}@host"
                await world.deliver(2, world.job(jobs + which, step, runner))
                assert len(world.machines) <= 3
            assert world.engine.state.jobs["linux"] == {}
            world.agents.clear()
            await world.deliver(0)
            await trio.sleep(2.1)
            await world.deliver(0)
            await world.until(lambda: not world.rows, 60)
        assert not world.machines
        assert not world.agents


@pytest.mark.parametrize("minutes", [0, 1, 3, 10])
@pytest.mark.parametrize("end", ["guest off", "agent gone", "not busy"])
async def test_completed_while_the_runner_works(
    world: World, autojump_clock: object, minutes: int, end: str
) -> None:
    """C19: its machine goes when it is off, or its agent is gone or free, and not before."""
    async with world.running():
        await world.deliver(1, world.job(1))
        await world.until(lambda: world.states() == {1: "booting"}, 5)
        world.works(1)
        await world.deliver(1, world.job(1, "running", world.name(1)))
        await world.deliver(0, world.job(1, "done", world.name(1), result="succeeded"))
        began = trio.current_time()
        while trio.current_time() - began < 60 * minutes + 1:
            await trio.sleep(1)
            assert set(world.machines) == {1}
        if end == "guest off":
            world.stop_machine(1)
        elif end == "agent gone":
            world.agents.clear()
        else:
            world.agents["linux.1@host"].busy = False
        await world.until(lambda: not world.machines, 61)
        world.agents.clear()
        await world.until(lambda: not world.rows, 61)


async def test_more_jobs_than_one_message_can_tell(world: World, autojump_clock: object) -> None:
    """C20: 500 jobs at once, of which the messages name 50."""
    world.profiles["linux"] = replace(world.profiles["linux"], max_count=600)
    world.rooms = [Room(name="a")]
    async with world.running():
        await world.deliver(500, *(world.job(number) for number in range(50)))
        await world.until(lambda: len(world.machines) == 500, 10)
        await trio.sleep(100)
        assert len(world.machines) == 500
        assert world.made == 500
