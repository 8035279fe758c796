"""The queue says nothing for an hour: polls answer 202, whatever waits. `acquirable-jobs` looks."""

from __future__ import annotations

import pytest
import trio
from tests.faults.conftest import Faults
from tests.faults.oracle import pauses
from tests.faults.world import World
from trio.testing import MockClock

HOUR = 3600.0
LOOKS = 60.0  # seconds between two looks
RENEWS = 300.0  # and between two renewals of the session, where only these tell totals
READY = 2.0 + 20.0  # seconds from asking for a machine to its runner's being online
FORGOTTEN = 360.0  # seconds after which a job that nobody tells of any more is not believed in
SOON = 10.0  # for what comes in between: requests, plans, the ledger
SHORT, LONG = 5.0, 500.0
LIST = "acquirable"


async def jobs_come(world: World, seconds: float = HOUR, every: float = 290.0) -> None:
    """Queue a short job and, each second time, a long one, for so long."""
    end = trio.current_time() + seconds
    number = 0
    while trio.current_time() < end:
        world.queue(1, run_time=SHORT)
        if number % 2 == 0:
            world.queue(1, run_time=LONG)
        number += 1
        await trio.sleep(min(every, end - trio.current_time()))


def waited(world: World) -> float:
    """The longest that any job waited for its start."""
    jobs = world.simulator.jobs
    return max((job.started_at or world.simulator.now) - job.queued_at for job in jobs)


@pytest.mark.parametrize("on_get", [True, False], ids=["scale set tells", "session tells"])
async def test_silent_for_an_hour(
    autojump_clock: MockClock, faults: Faults, flow: str, on_get: bool
) -> None:
    more = {"acquirable": True, "assign_timeout": None, "statistics_on_get": on_get}
    async with faults(flow=flow, most=4, **more) as world, world.scaler():
        await world.listens()
        await world.settled()
        deleted = len(world.calls("delete-message"))
        world.simulator.options.silent = True
        await jobs_come(world)
        assert len(world.calls("delete-message")) == deleted, "it was not silent"
        looks = LOOKS if on_get or flow == "offered" else RENEWS + LOOKS
        assert waited(world) <= looks + READY + SOON
        if flow == "offered":
            assert world.calls("acquire")
        await world.until(lambda: not world.simulator.jobs_in("queued", "offered", "assigned"), 400)
        assert waited(world) <= looks + READY + SOON
        world.simulator.options.silent = False
        await world.recovers()
        await world.settled()
        assert not world.degraded()


async def test_silent_and_the_scaler_starts(
    autojump_clock: MockClock, faults: Faults, flow: str
) -> None:
    """Jobs wait already, and the queue does not tell of them."""
    options = {"silent": True, "assign_timeout": None}
    async with faults(flow=flow, acquirable=True, **options) as world:
        world.queue(3, run_time=LONG)
        async with world.scaler():
            await world.until(lambda: len(world.simulator.jobs_in("running")) == 3, 90)
            await world.until(lambda: not world.machines.boxes, LONG + 120)
            world.simulator.options.silent = False
            await world.recovers()
            await world.settled()


@pytest.mark.parametrize("run_time", [SHORT, LONG])
async def test_silent_only_while_jobs_end(
    autojump_clock: MockClock, faults: Faults, flow: str, run_time: float
) -> None:
    """That they ended is learnt from totals and lists, and at last they are forgotten.

    Until then each may be given one machine more.
    """
    async with faults(flow=flow, acquirable=True, most=3) as world, world.scaler():
        await world.listens()
        world.queue(3, run_time=run_time)
        await world.online(3)
        world.simulator.options.silent = True
        await world.until(lambda: not world.simulator.jobs_in("running"), run_time)
        await trio.sleep(FORGOTTEN + LOOKS)
        assert not world.machines.boxes
        await trio.sleep(600)
        assert world.machines._made <= 6
        assert not world.machines.boxes
        world.simulator.options.silent = False
        await world.recovers()
        await world.settled()


async def test_silent_without_a_list_of_jobs(autojump_clock: MockClock, faults: Faults) -> None:
    """Totals are enough where GitHub assigns jobs; the list is off for an hour, and shown so."""
    more = {"acquirable": True, "assign_timeout": None}
    async with faults(flow="assigned", most=4, **more) as world:
        body = {"typeName": "VssResourceNotFoundException", "message": "none"}
        world.simulator.faults.add(LIST, status=404, body=body, times=None)
        async with world.scaler():
            await world.listens()
            world.simulator.options.silent = True
            await jobs_come(world)
            assert waited(world) <= LOOKS + READY + SOON
            assert len(world.calls(LIST)) <= 2, "off for an hour"
            report = world.report("acquirable-jobs")
            assert report is not None
            assert report.ok, "nothing is wrong: it does without"
            assert report.facts["off_until"]
            await trio.sleep(HOUR)
            between = pauses(world.times(LIST))
            assert between
            assert all(HOUR <= pause <= HOUR + 2 * LOOKS for pause in between), between
            world.simulator.options.silent = False
            await world.recovers()
            await world.settled()


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_the_list_comes_back(autojump_clock: MockClock, faults: Faults, status: int) -> None:
    """Jobs on offer come by the queue meanwhile; after the hour by the list, too."""
    async with faults(flow="offered", acquirable=True, most=4) as world:
        world.simulator.faults.add(LIST, status=status, times=1)
        async with world.scaler():
            await world.until(lambda: world.calls(LIST))
            await jobs_come(world, 600)
            await trio.sleep(HOUR - 800)
            assert len(world.calls(LIST)) == 1
            await trio.sleep(200 + 2 * LOOKS)
            assert len(world.calls(LIST)) > 1
            world.simulator.options.silent = True
            await jobs_come(world, 900)
            assert waited(world) <= LOOKS + READY + SOON
            world.simulator.options.silent = False
            await world.recovers()
            await world.settled()
            assert not world.degraded()
