"""C13 to C15: messages that come again, totals of nothing, and numbers that start anew."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
import trio
from tests.faults.conftest import Faults
from tests.faults.world import World
from trio.testing import MockClock

from scaler_github.testing import messages, render

if TYPE_CHECKING:
    from scaler_github.testing.records import Message, ScaleSet

MINUTE = 60.0
NOTHING = dict.fromkeys(
    (
        "totalAvailableJobs",
        "totalAcquiredJobs",
        "totalAssignedJobs",
        "totalRunningJobs",
        "totalRegisteredRunners",
        "totalBusyRunners",
        "totalIdleRunners",
    ),
    0,
)


def made(world: World) -> int:
    """How many machines were ever made."""
    return world.machines._made


# --- C13


async def again(world: World, choose: random.Random, times: int) -> None:
    """Deliver each message so many times more, in any order, also when it was deleted."""
    left: dict[int, int] = {}
    while True:
        await trio.sleep(choose.uniform(0.5, 6))
        for one in world.simulator.scale_sets:
            for message in one.acknowledged:
                left.setdefault(message.id, times)
            due = [number for number, more in left.items() if more]
            if due:
                number = choose.choice(due)
                left[number] -= 1
                world.simulator.redeliver(one.name, number)
                world.oracle.tell(f"message {number} comes again")


@pytest.mark.parametrize("ends", ["none", "stop", "crash"])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("seed", [1, 2])
async def test_c13_everything_two_or_three_times(
    autojump_clock: MockClock, faults: Faults, flow: str, ends: str, times: int, seed: int
) -> None:
    """Shuffled, with ends of the scaler in between: a job has one machine all the same."""
    choose = random.Random(seed)
    async with faults(flow=flow, seed=seed, most=3) as world, trio.open_nursery() as nursery:
        nursery.start_soon(again, world, choose, times)
        crashed = 0
        for _ in range(1 if ends == "none" else 3):
            async with world.scaler():
                world.queue(choose.randint(1, 4), run_time=choose.uniform(5, 90))
                await trio.sleep(choose.uniform(5, 120))
                if ends == "crash":
                    crashed += len(world.view().runners)
                    await world.crash()
        async with world.scaler():
            world.queue(2, run_time=10)
            await world.recovers()
            await world.settled()
            nursery.cancel_scope.cancel()
    # (what a crash took before its machine was made is made anew)
    assert made(world) <= len(world.simulator.jobs) + crashed


async def test_c13_one_cursor_twice(autojump_clock: MockClock, faults: Faults, flow: str) -> None:
    """The deletion is lost again and again: the same message answers poll after poll."""
    async with faults(flow=flow) as world, world.scaler():
        await world.listens()
        world.simulator.faults.add("delete-message", status=204, body=b"", times=3)
        world.queue(2, run_time=30)
        [one] = world.simulator.scale_sets
        for _ in range(6):
            await trio.sleep(3)
            for number in list(one.unacknowledged):
                one.again.append(one.unacknowledged[number])
            one.bell.ring()
        await world.recovers()
        await world.settled()
        assert made(world) == len(world.simulator.jobs)


# --- C14


@pytest.mark.parametrize("times", [1, 3, None])
async def test_c14_totals_of_nothing(
    autojump_clock: MockClock, faults: Faults, flow: str, times: int | None
) -> None:
    """Messages tell of jobs, and beside them that nothing is assigned: they are served."""
    async with faults(flow=flow, most=4) as world, world.scaler():
        await world.listens()
        world.simulator.faults.add("poll", fields={"statistics": NOTHING}, times=times)
        since = trio.current_time()
        world.queue(4, run_time=90)
        await world.until(lambda: len(world.simulator.jobs_in("running")) == 4, 60)
        assert trio.current_time() - since < 30
        await world.settled()
        assert made(world) == 4, "a machine was given up that a job was waiting for"


@pytest.mark.parametrize("boot", [20, 200])
async def test_c14_nothing_told_while_machines_boot(
    autojump_clock: MockClock, faults: Faults, flow: str, boot: float
) -> None:
    """One such message after the other, without a job in it."""
    async with faults(flow=flow, most=4, assign_timeout=None) as world, world.scaler():
        world.machines.times.boot = boot
        await world.listens()
        world.queue(3, run_time=30)
        await world.until(lambda: made(world) == 3)
        while not world.simulator.jobs_in("running"):
            world.simulator.inject_message("linux", [], statistics=NOTHING)
            await trio.sleep(5)
        await world.settled()
        assert made(world) == 3


@pytest.mark.parametrize("count", [1, 3])
async def test_c14_replay_of_what_was_reported(
    autojump_clock: MockClock, faults: Faults, flow: str, count: int
) -> None:
    """Jobs assigned that nobody ever hears of again: a machine each for 6 minutes, no longer."""
    async with faults(flow=flow, most=4) as world, world.scaler():
        await world.listens()
        ghosts = world.simulator.queue_jobs("nowhere", count)
        world.simulator.inject_message(
            "linux", [render.job_message("JobAssigned", job) for job in ghosts], statistics=NOTHING
        )
        await world.until(lambda: len(world.machines.boxes) == count)
        await trio.sleep(5 * MINUTE)
        assert len(world.machines.boxes) == count
        await trio.sleep(3 * MINUTE)
        assert not world.machines.boxes
        assert made(world) == count
        for job in ghosts:
            world.simulator.cancel_job(job)
        await world.recovers()
        await world.settled()


async def test_c14_fewer_is_told_twice(autojump_clock: MockClock, faults: Faults) -> None:
    """Jobs are cancelled: a lower total counts when it comes again, or has lasted."""
    async with faults(most=4) as world, world.scaler():
        await world.listens()
        jobs = world.queue(3)
        await world.until(lambda: made(world) == 3)
        for job in jobs:
            world.simulator.cancel_job(job)
        await trio.sleep(120)
        assert not world.machines.boxes
        await world.settled()
        assert made(world) == 3


# --- C15


@pytest.mark.parametrize("first", [1, 10_391, 100_000_001 * 50])
@pytest.mark.parametrize("busy", [False, True])
async def test_c15_numbers_go_on_elsewhere(
    autojump_clock: MockClock, faults: Faults, flow: str, first: int, busy: bool
) -> None:
    """Lower and higher than before, in the same queue: what comes is taken."""
    async with faults(flow=flow, most=4) as world, world.scaler():
        world.queue(2, run_time=100 if busy else 5)
        await world.online(2)
        if not busy:
            await world.settled()
        world.simulator.renumber_messages(first)
        world.queue(2, run_time=10)
        await world.recovers()
        await world.settled()
        cursor = int(world.calls("poll")[-1].query["lastMessageId"])
        assert first <= cursor <= first + 50


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """A poll shows nothing that is not above its cursor, be it ever so new."""
    fetch = messages.fetch

    def above(one: ScaleSet, cursor: int, ids: messages.MessageIds) -> Message | None:
        found = fetch(one, cursor, ids)
        return None if found is None or found.id <= cursor else found

    monkeypatch.setattr(messages, "fetch", above)


def started_again(world: World, since: float) -> list[float]:
    """When polls asked for the first message that is kept."""
    return [world.when(e) for e in world.calls("poll", since) if "lastMessageId" not in e.query]


@pytest.mark.parametrize("acquirable", [False, True])
async def test_c15_below_the_cursor_while_jobs_wait(
    autojump_clock: MockClock, faults: Faults, strict: None, flow: str, acquirable: bool
) -> None:
    """By the totals that were told last jobs wait, and every poll is answered 202."""
    some: dict[str, Any] = {"most": 4, "acquirable": acquirable, "assign_timeout": None}
    async with faults(flow=flow, **some) as world, world.scaler():
        await world.listens()
        world.queue(1, run_time=30)
        await world.until(lambda: made(world) == 1)
        since = trio.current_time()
        world.simulator.renumber_messages(1)
        jobs = world.queue(2, run_time=30)
        await world.until(lambda: all(job.state == "completed" for job in jobs), 900)
        assert trio.current_time() - since <= 5 * MINUTE + 50 + 90
        if not acquirable:
            await world.until(lambda: started_again(world, since), 7 * MINUTE)
            await world.recovers()
        await world.settled()


@pytest.mark.parametrize("acquirable", [False, True])
async def test_c15_below_the_cursor_from_idleness(
    autojump_clock: MockClock, faults: Faults, strict: None, flow: str, acquirable: bool
) -> None:
    """Nothing waited by the last totals: found by looking, or when the session is renewed."""
    async with faults(flow=flow, acquirable=acquirable, assign_timeout=None) as world:
        async with world.scaler():
            world.queue(1, run_time=5)
            await world.online()
            await world.settled()
            since = trio.current_time()
            world.simulator.renumber_messages(1)
            jobs = world.queue(2, run_time=30)
            await world.until(lambda: all(job.state == "completed" for job in jobs), 7200)
            longest = 3 if acquirable else 60 + 5 + 3
            assert trio.current_time() - since <= longest * MINUTE
            await world.settled()


@pytest.mark.parametrize("flow", ["assigned", "offered"])
async def test_c15_looks_do_not_hide_it(
    autojump_clock: MockClock, faults: Faults, strict: None, flow: str
) -> None:
    """`acquirable-jobs` serves what comes; all the same the cursor starts again before long."""
    async with faults(flow=flow, acquirable=True, assign_timeout=None) as world, world.scaler():
        world.queue(1, run_time=5)
        await world.online()
        await world.settled()
        since = trio.current_time()
        world.simulator.renumber_messages(1)
        for _ in range(10):
            world.queue(2, run_time=30)
            await trio.sleep(3 * MINUTE)
        assert started_again(world, since)
        await world.settled()


@pytest.mark.parametrize("first", [1, 10_391, 100_000_001 * 50])
async def test_c15_a_new_scale_set_with_other_numbers(
    autojump_clock: MockClock, faults: Faults, flow: str, first: int
) -> None:
    """The cursor belongs to the set that it came from."""
    async with faults(flow=flow, most=4) as world:
        async with world.scaler():
            world.queue(1, run_time=5)
            await world.online()
            await world.settled()
        world.simulator.delete_scale_set("linux")
        world.simulator.renumber_messages(first)
        async with world.scaler():
            since = trio.current_time()
            world.queue(3, run_time=30)
            await world.listens()
            assert "lastMessageId" not in world.calls("poll", since)[0].query
            await world.recovers()
            await world.settled()
