"""C21: jobs are asked for, and GitHub gives some of them, none of them, or does not say which."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
import trio
from tests.faults.conftest import Faults
from tests.faults.world import World
from trio.testing import MockClock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scaler_github.testing import Job

LABEL = "self-hosted-image:linux"
SLOW = 2.0  # seconds that our call is held back, for others to be quicker
SUBSETS = [subset for count in range(4) for subset in itertools.combinations(range(3), count)]


def ids(subset: tuple[int, ...]) -> str:
    return "ours " + ("".join(map(str, subset)) or "none")


async def offered(world: World, subset: tuple[int, ...]) -> tuple[list[Job], list[Job]]:
    """Three jobs are asked for, and a rival was quicker for all but a subset: ours, and theirs."""
    await world.listens()
    world.simulator.create_scale_set("rival", [LABEL])
    world.simulator.delays["acquire"] = SLOW
    jobs = world.simulator.queue_jobs(labels=[LABEL], count=3, run_time=30)
    await world.until(lambda: world.simulator.count("acquire") > 0)
    ours = [jobs[number] for number in subset]
    theirs = [job for job in jobs if job not in ours]
    rival_takes(world, theirs)
    world.simulator.delays.clear()
    return ours, theirs


def rival_takes(world: World, jobs: Iterable[Job]) -> None:
    """Another client acquires these jobs, and has a runner for each."""
    site = world.simulator._world
    rival = world.simulator.scale_set("rival")
    numbers = [job.request_id for job in jobs]
    assert site.flow.acquire(rival, numbers) == numbers
    for number in numbers:
        agent = site.create_agent(site.scope, f"theirs-{number}", rival)
        world.simulator.bring_online(agent.name)


async def only_ours(world: World, ours: list[Job], theirs: list[Job]) -> None:
    """Those that are ours are done by us, with a machine for each and no more; it listens on."""
    await world.until(lambda: not world.simulator.jobs_in("offered", "acquired", "assigned"), 90)
    made = world.machines._made
    await world.settled()
    assert all(job.runner_name.endswith("@host-1") for job in ours)
    assert all(job.runner_name.startswith("theirs-") for job in theirs)
    assert made <= len(ours), "a machine for a job that is not ours"
    assert not [job for job in world.view().jobs if job.state != "done"]
    polls = len(world.calls("poll"))
    await world.recovers()
    assert len(world.calls("poll")) > polls
    await world.settled()
    assert not world.degraded()


@pytest.mark.parametrize("subset", SUBSETS, ids=ids)
async def test_c21_a_rival_was_quicker(
    autojump_clock: MockClock, faults: Faults, subset: tuple[int, ...]
) -> None:
    async with faults(flow="offered") as world, world.scaler():
        await only_ours(world, *await offered(world, subset))


@pytest.mark.parametrize("assign_delay", [0, 20])
@pytest.mark.parametrize("subset", SUBSETS, ids=ids)
async def test_c21_and_the_answer_is_lost(
    autojump_clock: MockClock, faults: Faults, subset: tuple[int, ...], assign_delay: float
) -> None:
    """GitHub gave them to us, and only its messages and totals tell it."""
    async with faults(flow="offered", assign_delay=assign_delay) as world, world.scaler():
        world.simulator.faults.add("acquire", kind="lose")
        await only_ours(world, *await offered(world, subset))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500, 503])
async def test_c21_refused(autojump_clock: MockClock, faults: Faults, status: int) -> None:
    """Nothing was given, and the jobs go on waiting: what the queue told once, it does not repeat.

    Whoever looks beside the queue finds them again.
    """
    async with faults(flow="offered", acquirable=True) as world, world.scaler():
        await world.listens()
        world.simulator.faults.add("acquire", status=status, times=3)
        world.queue(3, run_time=30)
        await world.until(lambda: not world.simulator.faults.pending)
        since = trio.current_time()
        await world.recovers()
        await world.settled()
        assert world.calls("poll", since)
        assert not world.degraded()


@pytest.mark.parametrize("status", [400, 404, 409, 422])
async def test_c21_refused_once_and_nobody_looks(
    autojump_clock: MockClock, faults: Faults, status: int
) -> None:
    """Without `acquirable-jobs` only the totals tell that they still wait."""
    async with faults(flow="offered") as world, world.scaler():
        await world.listens()
        world.simulator.faults.add("acquire", status=status)
        world.queue(3, run_time=30)
        await world.until(lambda: not world.simulator.faults.pending)
        await world.recovers()
        await world.settled(600)


@pytest.mark.parametrize("limit", [0, 1, 2])
async def test_c21_given_in_part(autojump_clock: MockClock, faults: Faults, limit: int) -> None:
    """Those that were not given go on waiting, for nobody else wanted them."""
    async with faults(flow="offered", acquirable=True, acquire_limit=limit) as world:
        async with world.scaler():
            await world.listens()
            world.queue(3, run_time=30)
            await world.until(lambda: world.simulator.count("acquire") > 0)
            await trio.sleep(30)
            assert world.machines._made <= limit * world.simulator.count("acquire")
            world.simulator.options.acquire_limit = None
            await world.recovers()
            await world.settled()
            assert not world.degraded()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"value":null}',
        b'{"value":["x"]}',
        b"<html>",
        b'{"value":[7]}',
    ],
    ids=range(8),
)
async def test_c21_odd_answers(autojump_clock: MockClock, faults: Faults, body: bytes) -> None:
    """GitHub gave them to us, and its answer says nothing of the kind."""
    async with faults(flow="offered") as world, world.scaler():
        await world.listens()
        world.simulator.faults.add("acquire", status=200, body=body, act=True)
        world.queue(3, run_time=30)
        await world.until(lambda: not world.simulator.faults.pending)
        await world.recovers()
        await world.settled()
        assert not world.degraded()
