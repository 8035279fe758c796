"""C29: every machine exits in 5 s without a job, since GitHub refuses its runner as too old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
from tests.faults import by_rest
from tests.faults.conftest import Faults
from tests.faults.machines import Times
from tests.faults.world import World
from trio.testing import MockClock

if TYPE_CHECKING:
    from scaler.model.halt import Halt
    from scaler_github.testing import Agent

HOUR = 3600.0
OUTDATED = "is its image outdated?"
ENOUGH = 3  # machines, one after another
LONGEST = HOUR  # until one machine is tried again
TICK = "2m"  # so that six hours pass quickly
QUICK = Times(boot=2.0, end=3.0)


def halt(world: World, profile: str) -> Halt | None:
    assert world.running is not None
    return world.running._engine.state.backoffs.halts.get(profile)


async def stopped(world: World, profile: str) -> None:
    """Wait until the profile is stopped, and see that a person is told."""
    await world.until(lambda: (one := halt(world, profile)) and one.stopped)
    await trio.sleep(3)
    assert any("is stopped" in each.text for each in world.view().events)
    assert any(f"{profile} is stopped" in r.getMessage() for r in world.logged if r.levelno >= 40)


async def mended(world: World, profile: str) -> None:
    """The image is mended: it works again within the wait that the profile's row tells."""
    world.simulator.options.outdated = False
    one = halt(world, profile)
    assert one is not None
    assert world.running is not None
    wait = one.until - world.running._engine.state.clock.now()
    assert wait <= LONGEST
    await trio.sleep(max(0.0, wait))
    await world.until(lambda: halt(world, profile) is None, 60)
    await world.settled()


@pytest.mark.parametrize(("good", "jobs"), [(0, 3), (1, 1)], ids=["from the start", "later"])
async def test_c29_jobs_wait(
    autojump_clock: MockClock, faults: Faults, flow: str, good: int, jobs: int
) -> None:
    async with (
        faults(flow=flow, times=QUICK, assign_timeout=None, tick=TICK) as world,
        world.scaler(),
    ):
        await world.listens()
        if good:
            world.queue(good, run_time=30)
            await world.settled()
        world.simulator.options.outdated = True
        before = world.machines._made
        world.queue(jobs, run_time=30)
        await stopped(world, "linux")
        assert world.machines._made - before <= ENOUGH * jobs
        await trio.sleep(6 * HOUR)
        # 10, 20, 40 and 60 min apart, and then one in an hour
        assert world.machines._made - before <= ENOUGH * jobs + 8
        assert len(world.calls("jitconfig")) == world.machines._made
        await world.until(lambda: OUTDATED in world.view().profiles["linux"].why, 60)
        await mended(world, "linux")


@pytest.mark.parametrize(("by", "target"), [("queue", 3), ("rest", 1)])
async def test_c29_no_job_at_all(
    autojump_clock: MockClock, faults: Faults, by: str, target: int
) -> None:
    profile = "rest" if by == "rest" else "linux"
    more: dict[str, Any] = by_rest.settings(target) if by == "rest" else {"target": target}
    async with faults(times=QUICK, outdated=True, assign_timeout=None, tick=TICK, **more) as world:
        by_rest.count_in(world, target)
        async with world.scaler():
            await stopped(world, profile)
            await trio.sleep(6 * HOUR)
            assert world.machines._made <= ENOUGH * target + 8
            await world.until(lambda: OUTDATED in world.view().profiles[profile].why, 60)
            world.simulator.options.outdated = False
            if by == "rest":
                by_rest.queue(world, 1)
            else:
                world.queue(1, run_time=30)
            await mended(world, profile)
            assert not world.degraded()


async def test_c29_while_lists_show_runners_late(
    autojump_clock: MockClock, faults: Faults, flow: str
) -> None:
    """Who is in no list yet is not gone by itself, as one that had its job is."""
    more: dict[str, Any] = {"list_delay": 30, "assign_timeout": None, "tick": TICK}
    async with faults(flow=flow, times=QUICK, outdated=True, **more) as world:
        async with world.scaler():
            await world.listens()
            world.queue(1, run_time=30)
            await stopped(world, "linux")
            await trio.sleep(HOUR)
            assert world.machines._made <= ENOUGH + 4
            await mended(world, "linux")


async def test_c29_the_view_tells_why(autojump_clock: MockClock, faults: Faults) -> None:
    async with faults(times=QUICK, outdated=True, target=1) as world, world.scaler():
        await stopped(world, "linux")
        assert OUTDATED in world.view().profiles["linux"].why
        world.queue(1, run_time=5)  # a job that runs ends the count
        await mended(world, "linux")
        assert world.view().profiles["linux"].why == ""


async def test_c29_the_other_profile_works(
    autojump_clock: MockClock, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one image lacks is no reason to stop the others."""
    async with faults(times=QUICK, assign_timeout=None, **by_rest.settings()) as world:
        by_rest.count_in(world)
        site = world.simulator._world
        really, old = site.bring_online, True

        def bring_online(agent: Agent, *, outdated: bool = False) -> None:
            really(agent, outdated=outdated or (old and agent.scale_set_id is not None))

        monkeypatch.setattr(site, "bring_online", bring_online)
        async with world.scaler():
            await world.listens()
            world.queue(1, run_time=30)
            await stopped(world, "linux")
            assert halt(world, "rest") is None
            for _ in range(5):
                [job] = by_rest.queue(world, 1, run_time=30)
                await world.until(lambda job=job: job.started_at is not None, 10)  # type: ignore[misc]
                await world.until(lambda job=job: job.state == "completed", 60)  # type: ignore[misc]
            old = False
            await mended(world, "linux")


async def test_c29_an_eviction_is_none(
    autojump_clock: MockClock, faults: Faults, flow: str
) -> None:
    """Runners that waited long and then stop were not too old to work."""
    async with faults(flow=flow, target=3, idle_timeout=900, times=QUICK) as world:
        async with world.scaler():
            await trio.sleep(HOUR)
            assert halt(world, "linux") is None
            await world.recovers()
            await world.settled()
