"""Runners that were asked for without an answer, while lists do not show them yet."""

from __future__ import annotations

from typing import Any

import pytest

from scaler import Unavailable

World = Any

HIDDEN = pytest.mark.parametrize("sim_options", [{"list_delay": 60}])
LOSSES = pytest.mark.parametrize("kind", ["lose", "drop"])  # it is there, it is not


async def lost(world: World, kind: str) -> None:
    """Ask for a runner; no answer comes."""
    world.sim.faults.add("jitconfig", kind=kind)
    with pytest.raises(Unavailable):
        await world.queue.register_runner(world.runner())


@HIDDEN
async def test_one_that_is_there_is_not_said_to_be_removed(world: World) -> None:
    async with world.running():
        await lost(world, "lose")
        for _ in range(2):
            with pytest.raises(Unavailable, match="does not show it yet") as caught:
                await world.queue.unregister_runner(world.runner())
            assert caught.value.retry_after
        world.sim.options.list_delay = 0
        await world.queue.unregister_runner(world.runner())
        assert world.sim.agents == []
        assert world.sim.count("jitconfig") == 3


@HIDDEN
async def test_one_that_is_not_there_is_removed(world: World) -> None:
    async with world.running():
        await lost(world, "drop")
        await world.queue.unregister_runner(world.runner())
        assert world.sim.agents == []
        before = world.sim.count("jitconfig")
        await world.queue.unregister_runner(world.runner())  # and nothing is remembered
        assert world.sim.count("jitconfig") == before


@HIDDEN
@LOSSES
async def test_the_answer_of_the_look_is_lost_too(world: World, kind: str) -> None:
    async with world.running():
        await lost(world, "drop")
        world.sim.faults.add("jitconfig", kind=kind)
        with pytest.raises(Unavailable):
            await world.queue.unregister_runner(world.runner())
        if kind == "lose":
            with pytest.raises(Unavailable, match="does not show it yet"):
                await world.queue.unregister_runner(world.runner())
            world.sim.options.list_delay = 0
        await world.queue.unregister_runner(world.runner())
        assert world.sim.agents == []


@HIDDEN
async def test_what_was_made_to_see_it_is_removed_also_later(world: World) -> None:
    async with world.running():
        await lost(world, "drop")
        fault = world.sim.faults.add("delete-agent", status=503, times=None)
        with pytest.raises(Unavailable):
            await world.queue.unregister_runner(world.runner())
        assert len(world.sim.agents) == 1
        world.sim.faults.remove(fault)
        await world.queue.unregister_runner(world.runner())
        assert world.sim.agents == []


@HIDDEN
@pytest.mark.parametrize("status", [401, 403, 429, 503])
async def test_while_nothing_can_be_seen_it_is_not_removed(world: World, status: int) -> None:
    async with world.running():
        await lost(world, "lose")
        world.sim.faults.add("jitconfig", status=status, times=2)
        with pytest.raises(Unavailable):
            await world.queue.unregister_runner(world.runner())
        assert len(world.sim.agents) == 1


@HIDDEN
async def test_a_name_that_is_taken_by_nobody_that_is_shown(world: World) -> None:
    sim = world.sim
    async with world.running():
        await world.listening()
        sim._world.create_agent("acme", world.runner().name, sim.scale_set("linux"))
        with pytest.raises(Unavailable, match="by whom"):
            await world.queue.register_runner(world.runner())
        with pytest.raises(Unavailable, match="does not show it yet"):
            await world.queue.unregister_runner(world.runner())


@HIDDEN
async def test_one_that_was_refused_is_not_looked_for(world: World) -> None:
    async with world.running():
        world.sim.faults.add("jitconfig", status=403)
        with pytest.raises(Unavailable):
            await world.queue.register_runner(world.runner())
        before = world.sim.count("jitconfig")
        await world.queue.unregister_runner(world.runner())
        assert world.sim.count("jitconfig") == before
