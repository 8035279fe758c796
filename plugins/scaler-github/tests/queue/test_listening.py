"""The loop against the simulator: scale set, session, capacity, and its end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import trio

from scaler import Message
from scaler_github.queue import ActionsQueue
from scaler_github.queue.waits import Waits

World = Any


async def test_first_message_tells_demand_before_any_poll(world: World) -> None:
    async with world.running():
        message = await world.core.until(lambda: world.core.messages and world.core.messages[0])
        assert (message.profile, message.demand, message.jobs) == ("linux", 0, ())
        assert message.cursor is None


async def test_scale_set_is_made_with_its_name_and_the_profiles_labels(world: World) -> None:
    async with world.running():
        await world.listening()
        [one] = world.sim.scale_sets
        assert [label["name"] for label in one.labels] == ["linux", "extra"]
        assert one.setting["disableUpdate"] is True


async def test_after_a_kill_the_own_session_is_closed_first(world: World) -> None:
    sim = world.sim
    async with trio.open_nursery() as nursery:
        await nursery.start(world.queue.run_service)
        await world.listening()
        nursery.cancel_scope.cancel()
    assert sim.scale_set("linux").session is not None
    world.build()
    polls = sim.count("poll")
    async with world.running():
        await sim.wait_for(lambda: sim.count("poll") > polls)
        assert sim.count("create-session") == 3  # the first, a conflict, the new one


async def test_stopping_finishes_the_delivery_and_closes_the_session(world: World) -> None:
    sim, core = world.sim, world.core
    gate, holding = trio.Event(), trio.Event()

    async def hold(message: Message) -> None:
        if message.jobs:
            holding.set()
            await gate.wait()

    core.deliver_hook = hold
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux")
        await holding.wait()
        world.stopping.set()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert sim.count("delete-session") == 0
        gate.set()
        await sim.wait_for(lambda: sim.count("delete-session") == 1)
    assert len(core.jobs) == 1
    assert sim.count("delete-message") == 1
    assert sim.scale_set("linux").session is None


async def test_stopping_is_bounded_when_github_hangs(world: World) -> None:
    world.pace = replace(world.pace, farewell=0.05)
    world.build()
    world.sim.faults.add("delete-session", kind="hang", times=None)
    with trio.fail_after(2):
        async with world.running():
            await world.listening()


async def test_capacity_is_the_ceiling_and_follows_it(world: World) -> None:
    sim, core = world.sim, world.core

    def last() -> int | None:
        capacity: int | None = sim.history.of("poll")[-1].capacity
        return capacity

    core.ceilings["linux"] = 2
    async with world.running():
        await world.listening()
        assert last() == 2
        for count in range(3, 30):
            core.set_ceiling("linux", count)
            await trio.lowlevel.checkpoint()
        await sim.wait_for(lambda: last() == 29)
        assert sim.count("poll") <= 4
        core.set_ceiling("linux", 0)
        with trio.fail_after(world.pace.raised):
            await sim.wait_for(lambda: last() == 0)


@pytest.mark.parametrize("sim_options", [{"single_label": True}])
async def test_labels_that_were_dropped_are_reported_once(world: World) -> None:
    async with world.running():
        await world.listening()
        world.sim.delete_scale_set("linux")
        await world.sim.wait_for(lambda: world.sim.count("create-scale-set") == 2)
    told = [report for report in world.core.reports if "labels" in report[1]]
    assert len(told) == 1
    assert "extra" in told[0][1]


@pytest.mark.parametrize("sim_options", [{"single_label": True}])
async def test_labels_that_are_taken_later_end_their_alarm(world: World) -> None:
    sim, core = world.sim, world.core
    async with world.running():
        await core.until(lambda: any("labels" in report[1] for report in core.reports))
        await world.listening()
        sim.options.single_label = False
        sim.delete_scale_set("linux")
        await core.until(lambda: any(ok and not profile for _, _, ok, profile, _ in core.reports))


async def test_a_burst_of_ceilings_is_no_burst_of_polls(world: World) -> None:
    sim, core = world.sim, world.core
    world.pace = replace(world.pace, raised=0.3)
    world.build()
    core.ceilings["linux"] = 1
    async with world.running():
        await world.listening()
        began = trio.current_time()
        for count in range(2, 52):
            core.set_ceiling("linux", count)
            await trio.sleep(0.005)
        await sim.wait_for(lambda: sim.history.of("poll")[-1].capacity == 51)
        assert sim.count("poll") <= 2 + (trio.current_time() - began) / 0.3
        core.set_ceiling("linux", 60)  # waits for its turn
        core.set_ceiling("linux", 3)  # does not
        with trio.fail_after(0.2):
            await sim.wait_for(lambda: sim.history.of("poll")[-1].capacity == 3)
        assert 60 not in [one.capacity for one in sim.history.of("poll")]


async def test_a_ceiling_that_goes_to_and_fro_between_two_polls_is_noticed(world: World) -> None:
    core = world.core
    waits = Waits(world.queue._context, "linux", world.pace)
    core.ceilings["linux"] = 4

    async def hang() -> None:
        core.set_ceiling("linux", 4)
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(waits.watch_ceiling)
        await trio.testing.wait_all_tasks_blocked()
        core.set_ceiling("linux", 5)
        with trio.fail_after(1):
            assert await waits.poll(5, hang) == (False, None)
        nursery.cancel_scope.cancel()


async def test_runner_group_that_is_missing_is_named_until_it_is_there(world: World) -> None:
    world.own["linux"] = ActionsQueue.ProfileConfig(scale_set="big set", runner_group="Zoo")
    world.build()
    async with world.running():
        await world.core.until(lambda: any("'Zoo'" in report[1] for report in world.core.reports))
        number = world.sim.add_runner_group("Zoo")
        await world.listening()
        assert world.sim.scale_set("big set").group_id == number
