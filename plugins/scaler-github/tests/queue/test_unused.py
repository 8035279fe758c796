"""A machine that stopped without a job that anyone told of: did its runner have one?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import trio

from scaler import Busy, Machine, Registration, Runner, Unavailable

World = Any

STOPPED = Machine(runner=1, id="m", state="stopped")


async def made(world: World, **fields: Any) -> Runner:
    """A runner that is registered, with a machine that stopped."""
    registration = await world.queue.register_runner(world.runner())
    runner: Runner = world.runner(**{"registration": registration, "machine": STOPPED, **fields})
    return runner


def gone(world: World) -> list[str]:
    assert all(each.gone for each in world.core.registrations)
    return [each.name for each in world.core.registrations]


async def test_one_that_is_gone_is_told_and_not_removed(world: World) -> None:
    async with world.running():
        runner = await made(world)
        world.sim.remove_agent(runner.name)
        await world.queue.unregister_runner(runner)
    assert gone(world) == [runner.name]
    assert world.sim.count("delete-agent") == 0


@pytest.mark.parametrize("looks", [1, 2])
async def test_one_that_goes_while_it_is_looked_at_is_told(world: World, looks: int) -> None:
    sim = world.sim
    async with world.running(), trio.open_nursery() as nursery:
        runner = await made(world)
        before = sim.count("get-agent")
        nursery.start_soon(world.queue.unregister_runner, runner)
        await sim.wait_for(lambda: sim.count("get-agent") == before + looks)
        await trio.sleep(0.005)  # its answer says that it is there
        sim.remove_agent(runner.name)
    assert gone(world) == [runner.name]
    assert sim.count("delete-agent") == 0
    assert sim.count("get-agent") == before + looks + 1


async def test_one_that_stays_is_removed_and_nothing_is_told(world: World) -> None:
    async with world.running():
        runner = await made(world)
        before = world.sim.count("get-agent")
        await world.queue.unregister_runner(runner)
    assert world.sim.agents == []
    assert gone(world) == []
    assert world.sim.count("get-agent") == before + 3


@pytest.mark.parametrize(
    "fields",
    [
        {"job": "17"},
        {"machine": None},
        {"machine": replace(STOPPED, state="running")},
        {"registration": None},
    ],
    ids=str,
)
async def test_others_are_removed_without_a_look(world: World, fields: dict[str, Any]) -> None:
    async with world.running():
        runner = await made(world, **fields)
        if runner.registration is not None:
            world.sim.remove_agent(runner.name)
        await world.queue.unregister_runner(runner)
    assert world.sim.agents == []
    assert gone(world) == []


async def test_one_of_a_scope_that_is_not_in_the_settings_any_more_is_not_said_to_be_gone(
    world: World,
) -> None:
    async with world.running():
        made_here = await world.queue.register_runner(world.runner())
        made_there = replace(made_here, ref=made_here.ref.replace("acme", "zoo"))
        runner = world.runner(registration=made_there, machine=STOPPED)
        await world.queue.unregister_runner(runner)
    assert gone(world) == []


async def test_what_cannot_be_seen_is_not_gone(world: World) -> None:
    async with world.running():
        runner = await made(world)
        world.sim.remove_agent(runner.name)
        world.sim.faults.add("get-agent", status=503, times=None)
        with pytest.raises(Unavailable):
            await world.queue.unregister_runner(runner)
    assert gone(world) == []


@pytest.mark.parametrize("sim_options", [{"list_delay": 60}])
async def test_one_that_no_list_shows_yet_is_removed(world: World) -> None:
    async with world.running():
        await world.queue.unregister_runner(await made(world))
    assert world.sim.agents == []
    assert gone(world) == []


@pytest.mark.parametrize("ref", ["", "17", "github.com/orgs/acme/x"])
async def test_of_one_without_a_number_nothing_is_told(world: World, ref: str) -> None:
    async with world.running():
        runner = world.runner()
        known = Registration(name=runner.name, ref=ref)
        runner = replace(runner, registration=known, machine=STOPPED)
        await world.queue.unregister_runner(runner)
    assert gone(world) == []


async def test_one_that_is_busy_is_busy(world: World) -> None:
    sim = world.sim
    async with world.running():
        await world.listening()
        runner = await made(world)
        sim.queue_jobs("linux")
        sim.bring_online(runner.name)
        with pytest.raises(Busy):
            await world.queue.unregister_runner(runner)
    assert gone(world) == []


async def test_a_stop_is_not_held_up_by_looking(world: World) -> None:
    world.pace = replace(world.pace, ended=(0.0, 60.0, 60.0))
    world.build()
    async with world.running():
        runner = await made(world)
        world.stopping.set()
        with trio.fail_after(5):
            await world.queue.unregister_runner(runner)
    assert world.sim.agents == []
