"""C18 to C20: events in every order, ends told too early, and hundreds of jobs at once."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
from tests.faults.conftest import Faults
from tests.faults.machines import Times
from tests.faults.world import World
from trio.testing import MockClock

from scaler import Room
from scaler_github.testing import messages, render

if TYPE_CHECKING:
    from scaler_github.testing import Job

EVENTS = ("JobAssigned", "JobStarted", "JobCompleted")
STEPS = list(itertools.product((0, 1), EVENTS))
# Every 72nd of all 720 orders, in four parts that begin elsewhere: 40 orders. All of them are in
# tests/model/test_two_runners.py, without the rest of the service
STRIDE, PARTS = 72, 4
ORDERS = list(itertools.permutations(range(len(STEPS))))


def orders(part: int) -> list[tuple[int, ...]]:
    return ORDERS[part * (STRIDE // PARTS) :: STRIDE]


def idle(world: World, count: int) -> bool:
    agents = [agent for agent in world.simulator.agents if agent.online and not agent.busy]
    return len(agents) == count == len(world.machines.boxes) == len(world.view().runners)


def are_over(jobs: list[Job]) -> bool:
    return all(job.state == "completed" for job in jobs)


def release(world: World, told: list[dict[str, Any]]) -> None:
    """Let messages come, each by itself."""
    [one] = world.simulator.scale_sets
    one.news.clear()
    one.news.extend(told)
    world.simulator.options.silent = False
    one.bell.ring()


# --- C18


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message holds one event."""
    monkeypatch.setattr(messages, "BATCH", 1)


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
@pytest.mark.parametrize("part", range(PARTS))
async def test_c18_events_of_two_runners_in_any_order(
    autojump_clock: MockClock, faults: Faults, one_by_one: None, part: int, times: int
) -> None:
    """Late, when all is over, and at once or when the machines are long gone."""
    async with faults(target=2, most=4) as world, world.scaler():
        for number, order in enumerate(orders(part)):
            await world.until(lambda: idle(world, 2))
            made = world.machines._made
            [one] = world.simulator.scale_sets
            world.simulator.options.silent = True
            jobs = world.queue(2, run_time=5)
            await world.until(partial(are_over, jobs))
            told = {(each["jobId"], each["messageType"]): each for each in one.news}
            assert len(told) == len(STEPS)
            if number % 2:
                await trio.sleep(60)
            steps = [STEPS[index] for index in order]
            events = [told[jobs[runner].job_id, event] for runner, event in steps]
            release(world, [event for event in events for _ in range(times)])
            await world.settled()
            assert world.machines._made == made + 2, f"not one for each that ended: {steps}"
        await world.recovers()
        await world.settled()
        assert not [record for record in world.logged if record.exc_info]


@pytest.mark.parametrize(("part", "flow"), [(0, "assigned"), (1, "offered")])
async def test_c18_events_of_strangers(
    autojump_clock: MockClock, faults: Faults, one_by_one: None, flow: str, part: int
) -> None:
    """Of runners that nobody here ever made, beside one of ours that works."""
    async with faults(flow=flow, target=1, most=4) as world, world.scaler():
        [job] = world.queue(1, run_time=3600)
        await world.online()
        await world.until(lambda: idle_beside(world))
        for order in orders(part):
            pair = world.simulator.queue_jobs("nowhere", 2)
            steps = [STEPS[index] for index in order]
            release(world, [stranger(pair[runner], event) for runner, event in steps])
            for each in pair:
                world.simulator.cancel_job(each)
            await trio.sleep(20)
        assert job.state == "running"
        await world.recovers()
        await world.settled(7200)
        assert not [record for record in world.logged if record.exc_info]


def idle_beside(world: World) -> bool:
    return any(agent.online and not agent.busy for agent in world.simulator.agents)


def stranger(job: Job, event: str) -> dict[str, Any]:
    more: dict[str, Any] = {"runnerId": 99, "runnerName": f"stranger-{job.request_id}"}
    if event == "JobCompleted":
        more["result"] = "succeeded"
    return render.job_message(event, job, **({} if event == "JobAssigned" else more))


# --- C19


def completed(job: Job, result: str) -> dict[str, Any]:
    return render.job_message(
        "JobCompleted", job, result=result, runnerId=job.runner_id, runnerName=job.runner_name
    )


@pytest.mark.parametrize("result", ["succeeded", "failed"])
@pytest.mark.parametrize("early", [0, 10, 60, 300, 600])
async def test_c19_told_to_be_over_too_early(
    autojump_clock: MockClock, faults: Faults, flow: str, early: float, result: str
) -> None:
    """The machine lives until its work is really over; asking for it is not hurried."""
    async with faults(flow=flow, most=4) as world, world.scaler():
        jobs = world.queue(2, run_time=900)
        await world.online(2)
        await trio.sleep(900 - early - 5)
        since = trio.current_time()
        world.simulator.inject_message("linux", [completed(job, result) for job in jobs])
        while running := {job.runner_name for job in jobs if job.state == "running"}:
            there = [box.machine for box in world.machines.boxes.values()]
            assert running <= {each.runner_name for each in there if each.state == "running"}
            await trio.sleep(1)
        tries = world.times("delete-agent", since)
        assert len(tries) <= 2 * (early / 30 + 2)
        await world.until(lambda: not world.machines.boxes, 120)
        await world.recovers()
        await world.settled()


async def test_c19_the_guest_stays_on(autojump_clock: MockClock, faults: Faults, flow: str) -> None:
    """Its runner is gone at GitHub, and the machine does not power off: it is destroyed."""
    async with faults(flow=flow, times=Times(end=1e9)) as world, world.scaler():
        jobs = world.queue(2, run_time=300)
        await world.online(2)
        await trio.sleep(100)
        world.simulator.inject_message("linux", [completed(job, "succeeded") for job in jobs])
        await world.until(lambda: all(job.state == "completed" for job in jobs))
        since = trio.current_time()
        await world.until(lambda: not world.machines.boxes)
        assert trio.current_time() - since <= 90
        await world.recovers()
        await world.settled()


async def test_c19_nobody_tells_and_the_guest_stays_on(
    autojump_clock: MockClock, faults: Faults, flow: str
) -> None:
    """Found by lists alone: its runner is absent from two of them."""
    async with faults(flow=flow, times=Times(end=1e9)) as world, world.scaler():
        jobs = world.queue(2, run_time=300)
        await world.online(2)
        await trio.sleep(100)
        world.simulator.options.silent = True
        await world.until(lambda: all(job.state == "completed" for job in jobs))
        since = trio.current_time()
        await world.until(lambda: not world.machines.boxes)
        assert 30 <= trio.current_time() - since <= 120
        world.simulator.options.silent = False
        world.simulator.scale_sets[0].bell.ring()
        await world.recovers()
        await world.settled()


@pytest.mark.parametrize("told", [False, True])
async def test_c19_max_lifetime_ends_it(
    autojump_clock: MockClock, faults: Faults, flow: str, told: bool
) -> None:
    """The one exception to I4: it works on for ever, and is destroyed then. Not before."""
    async with faults(flow=flow, profile='max_lifetime = "30m"') as world, world.scaler():
        world.expect("I4", "I1")  # so it is, and the job fails
        [job] = world.queue(1, run_time=1e6)
        await world.online()
        since = trio.current_time()
        if told:
            await trio.sleep(1200)
            world.simulator.inject_message("linux", [completed(job, "succeeded")])
        await world.until(lambda: job.state == "completed", 3600)
        assert 1800 - 60 <= trio.current_time() - since <= 1800 + 60
        [wrong] = [text for invariant, text in world.oracle.wrong if invariant == "I4"]
        assert job.runner_name in wrong
        if not told:
            assert "max_lifetime" in wrong
        await world.recovers()
        await world.settled()


# --- C20


@pytest.mark.parametrize("most", [500, 50])
async def test_c20_five_hundred_jobs_at_once(
    autojump_clock: MockClock, faults: Faults, flow: str, most: int
) -> None:
    """A message holds fifty: as many machines as there may be, all the same."""
    async with faults(flow=flow, most=most, assign_timeout=None) as world:
        total = {"memory": 5000 << 30, "vcpus": 5000}
        world.machines.room = Room(name=world.machines.room.name, total=total)
        async with world.scaler():
            await world.listens()
            jobs = world.queue(500, run_time=60)
            since = trio.current_time()
            await world.until(lambda: len(world.simulator.jobs_in("running")) == most, 120)
            assert trio.current_time() - since <= 90
            await world.until(lambda: all(job.state == "completed" for job in jobs), 7200)
            assert trio.current_time() - since <= 500 / most * (60 + 60) + 60
            await world.settled()
            assert world.machines._made == 500, "some for nothing"
