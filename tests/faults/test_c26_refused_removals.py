"""C26: a runner that is to go has just been given a job, or GitHub says so."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from tests.faults import by_rest
from tests.faults.conftest import Faults
from tests.faults.oracle import pauses
from tests.faults.world import World
from trio.testing import MockClock

AGAIN = 30.0  # seconds until a refused removal is tried again
STILL = {"typeName": "GitHub.DistributedTask.WebApi.JobStillRunningException", "message": "busy"}
BUSY = {"message": "Bad request - Runner is still running a job.", "status": "422"}


async def surplus(world: World) -> None:
    """A runner waits for a job that was cancelled, and is about to be removed."""
    await world.listens()
    [job] = world.queue(1)
    await world.until(lambda: len(world.machines.boxes) == 1)
    world.simulator.cancel_job(job)


@pytest.mark.parametrize("run_time", [5, 100, 1000])
async def test_c26_job_given_between_list_and_removal(
    autojump_clock: MockClock, faults: Faults, flow: str, run_time: float
) -> None:
    """Its machine stays until the job is over, and is then removed."""
    async with faults(flow=flow, most=1) as world, world.scaler():
        await surplus(world)
        world.simulator.delays["delete-agent"] = 4.0
        await world.until(lambda: world.simulator.count("delete-agent") == 1)
        [box] = world.machines.boxes.values()
        assert box.online, "it waits for a job"
        await trio.sleep(2)
        [job] = world.queue(1, run_time=run_time)
        await world.until(lambda: job.started_at)
        assert job.runner_name == box.machine.runner_name
        world.simulator.delays.clear()
        await world.until(lambda: world.calls("delete-agent")[0].status is not None)
        assert world.calls("delete-agent")[0].status == 400
        while job.state == "running":
            assert box in world.machines.boxes.values(), "it is at work"
            await trio.sleep(1)
        assert all(pause >= AGAIN for pause in pauses(world.times("delete-agent"))[:-1])
        await world.recovers()
        await world.settled()
        assert not world.degraded()


@pytest.mark.parametrize("times", [1, 2, 5])
async def test_c26_refused_though_it_waits(
    autojump_clock: MockClock, faults: Faults, flow: str, times: int
) -> None:
    """What GitHub says counts: it is kept as busy, and the question is put again."""
    async with faults(flow=flow, most=2) as world, world.scaler():
        fault = world.simulator.faults.add("delete-agent", status=400, body=STILL, times=times)
        await surplus(world)
        await world.until(lambda: fault.struck)
        [box] = world.machines.boxes.values()
        while fault.struck < times:
            assert box in world.machines.boxes.values(), "destroyed all the same"
            [runner] = world.view().runners
            assert runner.state in ("busy", "retiring")
            await trio.sleep(1)
        between = pauses(world.times("delete-agent"))
        assert all(AGAIN - 0.1 <= pause <= 3 * AGAIN for pause in between), between
        await world.until(lambda: not world.machines.boxes, 3 * AGAIN)
        await world.recovers()
        await world.settled()


@pytest.mark.parametrize("times", [1, 5])
@pytest.mark.parametrize("by", ["queue", "rest"])
async def test_c26_refused_at_its_machines_end(
    autojump_clock: MockClock, faults: Faults, by: str, times: int
) -> None:
    """Its machine runs nothing any more: that goes, and its registration when GitHub lets it."""
    more: dict[str, Any] = by_rest.settings() if by == "rest" else {"target": 1}
    async with faults(**more) as world:
        by_rest.count_in(world)
        async with world.scaler():
            await world.settled()
            if by == "rest":
                route, status, body = "rest-delete-runner", 422, BUSY
            else:
                route, status, body = "delete-agent", 400, STILL
            fault = world.simulator.faults.add(route, status=status, body=body, times=times)
            [box] = world.machines.boxes.values()
            world.simulator.take_offline(box.machine.runner_name)
            world.machines.stop(box, "it broke")
            await world.until(lambda: box not in world.machines.boxes.values(), 60)
            await world.until(lambda: fault.struck == times, 600)
            between = pauses(world.times(route))
            assert all(pause >= AGAIN - 0.1 for pause in between), between
            await world.recovers()
            await world.settled()


@pytest.mark.parametrize("run_time", [5, 100])
async def test_c26_job_given_between_list_and_removal_by_rest(
    autojump_clock: MockClock, faults: Faults, run_time: float
) -> None:
    """Its target was lowered by a restart; 422 says that it is at work now."""
    async with faults(**by_rest.settings(target=2)) as world:
        by_rest.count_in(world, 2)
        async with world.scaler():
            await world.settled()
        world._format["more"] = by_rest.settings(target=1)["more"]
        by_rest.count_in(world, 1)
        world.simulator.delays["rest-delete-runner"] = 5.0
        async with world.scaler():
            await world.until(lambda: world.simulator.count("rest-delete-runner"), 300)
            [call] = world.calls("rest-delete-runner")
            jobs = by_rest.queue(world, 2, run_time)
            assert all(job.started_at for job in jobs), "both are idle"
            boxes = set(world.machines.boxes.values())
            world.simulator.delays.clear()
            await world.until(lambda: call.status is not None)
            assert call.status == 422
            while any(job.state == "running" for job in jobs):
                assert boxes <= set(world.machines.boxes.values()), "they are at work"
                await trio.sleep(1)
            await world.until(lambda: by_rest.idle(world), 300)
            await world.settled()


@pytest.mark.parametrize("times", [1, 3])
async def test_c26_job_given_just_after_the_refusals(
    autojump_clock: MockClock, faults: Faults, flow: str, times: int
) -> None:
    async with faults(flow=flow, most=1) as world, world.scaler():
        fault = world.simulator.faults.add("delete-agent", status=400, body=STILL, times=times)
        await surplus(world)
        await world.until(lambda: fault.struck == times, 600)
        await world.recovers()
        await world.settled()
