"""acquirable-jobs beside the queue, against the simulator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import trio

from scaler import Duration, SettingsChange, SettingsError
from scaler_github.acquirable import AcquirableJobs, asking, decide, plugin, poller
from scaler_github.queue import ActionsQueue

World = Any


def made(world: World, interval: float = 60.0) -> AcquirableJobs:
    world.core.siblings[ActionsQueue] = world.queue
    config = AcquirableJobs.Config(interval=Duration(interval))
    return AcquirableJobs(world.context("acquirable-jobs", config, {}))


@asynccontextmanager
async def both(world: World, interval: float = 60.0) -> AsyncIterator[None]:
    """The queue and the looks beside it."""
    looks = made(world, interval)
    async with trio.open_nursery() as nursery:
        async with world.running():
            await nursery.start(looks.run_service)
            yield
        nursery.cancel_scope.deadline = trio.current_time() + 5
    assert not nursery.cancel_scope.cancelled_caught, "it did not stop by itself"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "_CALM", 0.01)
    monkeypatch.setattr(decide, "APART", 0.05)
    monkeypatch.setattr(plugin, "APART", 0.05)


@pytest.mark.parametrize("sim_options", [{"flow": "offered", "silent": True}])
async def test_jobs_on_offer_that_the_queue_does_not_tell_are_found_and_acquired(
    world: World,
) -> None:
    sim, core = world.sim, world.core
    sim.create_scale_set("linux", ["linux", "extra"])
    sim.queue_jobs("linux", 2)
    async with both(world):
        jobs = await core.until(lambda: core.jobs)
        assert {job.id for job in jobs} == {str(job.request_id) for job in sim.jobs}
        assert {job.state for job in jobs} == {"offered"}
        assert await world.queue.acquire_jobs(world.profiles["linux"], jobs) == jobs
    assert len(sim.jobs_in("assigned")) == 2


@pytest.mark.parametrize("sim_options", [{"flow": "offered"}])
async def test_a_job_that_both_tell_of_is_one(world: World) -> None:
    sim, core = world.sim, world.core
    async with both(world):
        await world.listening()
        [job] = sim.queue_jobs("linux")
        await core.until(lambda: core.jobs)
        sim.end_session("linux")  # which brings a look about
        seen = sim.count("acquirable")
        await sim.wait_for(lambda: sim.count("acquirable") > seen)
    assert {each.id for each in core.jobs} == {str(job.request_id)}


@pytest.mark.parametrize("sim_options", [{"silent": True}])
async def test_totals_that_the_queue_does_not_tell_are_told(world: World) -> None:
    sim, core = world.sim, world.core
    async with both(world):
        await world.listening()
        await sim.wait_for(lambda: sim.count("get-scale-set") == 1)
        sim.queue_jobs("linux", 3)
        sim.end_session("linux")
        await core.until(lambda: core.messages[-1].demand == 3)
        await sim.wait_for(lambda: sim.count("get-scale-set") == 2)


@pytest.mark.parametrize("sim_options", [{"silent": True, "statistics_on_get": False}])
async def test_a_session_is_renewed_where_only_it_tells_totals(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the listener does not tell what it said once more, when newer totals are known."""
    monkeypatch.setattr(asking, "RENEW", 0.3)
    sim, core = world.sim, world.core
    async with both(world, 0.1):
        await world.listening()
        sim.queue_jobs("linux", 3)
        await sim.wait_for(lambda: sim.count("refresh-session") == 1)
        await core.until(lambda: core.messages[-1].demand == 3)
        sim.options.silent = False
        sim.scale_set("linux").bell.ring()
        await sim.wait_for(lambda: sim.count("delete-message") == 1)
        await core.until(lambda: len(core.jobs) == 3)
    assert len([each for each in core.messages if "/session/" in each.id]) == 1


async def test_a_list_whose_entries_do_not_say_what_they_are(world: World) -> None:
    entry = {"runnerRequestId": 77, "requestLabels": None, "repositoryName": "widgets"}
    body = {"count": 1, "value": [entry]}
    world.sim.faults.add("acquirable", status=200, body=body)
    async with both(world):
        [job] = await world.core.until(lambda: world.core.jobs)
        assert (job.id, job.state, job.ref) == ("77", "offered", "77")


async def test_the_listener_of_a_session_that_a_rival_holds_says_so(world: World) -> None:
    sim = world.sim
    sim.create_scale_set("linux", ["linux", "extra"])
    sim.hold_session("linux")
    sim.queue_jobs("linux", 1)
    async with both(world):
        await sim.wait_for(lambda: sim.count("create-session") >= 2)
        assert world.queue.lines.states["linux"].rival
        assert sim.count("get-scale-set") == 0
        sim.end_session("linux")
        await world.listening()
        assert not world.queue.lines.states["linux"].rival
        await sim.wait_for(lambda: sim.count("get-scale-set") == 1)


async def test_it_follows_the_listeners(world: World) -> None:
    """A profile that comes is looked at, one that leaves no more, one begun anew anew."""
    sim, queue, name = world.sim, world.queue, "linux"
    async with both(world):
        await sim.wait_for(lambda: sim.count("acquirable") == 1)
        world.profiles["bench"] = replace(world.profiles[name], name="bench")
        world.own["bench"] = ActionsQueue.ProfileConfig()
        await queue.on_settings_changed(SettingsChange(added=("bench",)))
        await sim.wait_for(lambda: sim.count("acquirable") == 2)
        world.profiles[name] = replace(world.profiles[name], labels=("more",))
        await queue.on_settings_changed(SettingsChange(changed=(name,)))
        await sim.wait_for(lambda: sim.count("acquirable") == 3)
        del world.own[name]
        await queue.on_settings_changed(SettingsChange(removed=(name,)))
        await trio.sleep(0.3)
        assert sim.count("acquirable") == 3


async def test_it_needs_the_queue(world: World) -> None:
    def sibling(plugin: str, cls: type[Any]) -> Any:
        raise LookupError(cls)

    looks = made(world)
    world.core.sibling = sibling
    with pytest.raises(SettingsError, match=r"acquirable-jobs: .*\[plugins\.actions-queue\]"):
        await looks.run_service(trio.TASK_STATUS_IGNORED)


def test_an_interval_that_would_tire_github_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"^interval: found 5s, wanted 10s or more"):
        AcquirableJobs.Config(interval=Duration(5))
    AcquirableJobs.Config(interval=Duration(10))
