"""C24 and C25: registrations that GitHub removes while nobody uses them, and slow machines."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import pytest
import trio
from tests.faults import by_rest, oracle
from tests.faults.conftest import Faults
from tests.faults.machines import Times
from tests.faults.world import World
from trio.testing import MockClock

from scaler.ledger.writer import Writer

if TYPE_CHECKING:
    from scaler import Registration, Runner

MINUTE = 60.0
DEADLINE = 240.0  # start_timeout
LOOK = 30.0  # a list of runners is as old as that, at most
NEVER = math.inf
LASTS = 45 * MINUTE


def tick(minutes: int) -> str:
    """Looks are rarer where hours are to pass quickly."""
    return "30s" if minutes < 10 else "2m"


def no_failure(world: World) -> None:
    """Neither the profile nor the host has failed."""
    assert world.running is not None
    backoffs = world.running._engine.state.backoffs
    assert not backoffs.profiles
    assert not backoffs.halts
    assert not backoffs.rooms
    assert not [each for each in world.view().events if "came to nothing" in each.text]


# --- C24


@pytest.mark.parametrize("minutes", [2, 6, 60])
async def test_c24_idle_runner_evicted(
    autojump_clock: MockClock, faults: Faults, flow: str, minutes: int
) -> None:
    more: dict[str, Any] = {"idle_timeout": minutes * MINUTE, "tick": tick(minutes)}
    async with faults(flow=flow, target=2, **more) as world, world.scaler():
        await world.settled()
        first = [box.machine.id for box in world.machines.boxes.values()]
        await trio.sleep(1.5 * minutes * MINUTE)
        assert world.machines._made == 4, "each is to be replaced, once"
        assert not set(first) & {box.machine.id for box in world.machines.boxes.values()}
        no_failure(world)
        await world.recovers()
        await world.settled()
        assert not world.degraded()


@pytest.mark.parametrize("minutes", [2, 6, 60])
async def test_c24_idle_runner_evicted_by_rest(
    autojump_clock: MockClock, faults: Faults, minutes: int
) -> None:
    more: dict[str, Any] = {"idle_timeout": minutes * MINUTE, "tick": tick(minutes)}
    async with faults(**by_rest.settings(2), **more) as world:
        by_rest.count_in(world, 2)
        async with world.scaler():
            await world.settled()
            await trio.sleep(1.5 * minutes * MINUTE)
            assert world.machines._made == 4, "each is to be replaced, once"
            no_failure(world)
            await world.until(lambda: by_rest.idle(world, 2))
            await world.settled()


@pytest.mark.parametrize("minutes", [2, 6, 60])
async def test_c24_evicted_before_its_machine_was_up(
    autojump_clock: MockClock, faults: Faults, flow: str, minutes: int
) -> None:
    """It is made anew with another config, and its host is not to blame."""
    slow = minutes * MINUTE + 30
    times = Times(boot=slow)
    more: dict[str, Any] = {"times": times, "profile": f'start_timeout = "{slow + 600:g}s"'}
    options = {"jit_timeout": minutes * MINUTE, "assign_timeout": None}
    async with faults(flow=flow, **more, **options) as world, world.scaler():
        world.queue(1, run_time=30)
        await world.until(lambda: len(world.machines.boxes) == 1)
        await trio.sleep(0.1)  # it boots by now
        times.boot = 20.0
        await trio.sleep(minutes * MINUTE - 10)
        await world.until(lambda: world.simulator.jobs_in("completed"), 180)
        assert world.machines._made == 2
        assert world.running is not None
        assert not world.running._engine.state.backoffs.rooms
        await world.recovers()
        await world.settled()


def watched(world: World, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How old the configs were that machines were asked for with."""
    ages: list[float] = []
    make = world.machines.make

    async def look(runner: Runner, registration: Registration) -> Any:
        assert registration.expires is not None
        ages.append(LASTS - (registration.expires - time.time()))
        return await make(runner, registration)

    monkeypatch.setattr(world.machines, "make", look)
    return ages


@pytest.mark.parametrize("minutes", [44, 46])
async def test_c24_config_ages_before_there_is_a_machine(
    autojump_clock: MockClock,
    faults: Faults,
    flow: str,
    monkeypatch: pytest.MonkeyPatch,
    minutes: float,
) -> None:
    """The ledger takes its time: what has aged meanwhile is given to no machine."""
    async with faults(flow=flow, assign_timeout=None, jit_timeout=60 * MINUTE) as world:
        ages = watched(world, monkeypatch)
        held: list[float] = []
        really = Writer.write

        async def write(self: Writer, changes: Any) -> None:
            if world.simulator.count("jitconfig"):
                held.append(trio.current_time())
                await trio.sleep_until(held[0] + minutes * MINUTE)
            await really(self, changes)

        async with world.scaler():
            await world.listens()
            monkeypatch.setattr(Writer, "write", write)
            world.queue(1, run_time=30)
            await trio.sleep(minutes * MINUTE - 10)
            await world.until(lambda: world.machines.boxes, 90)
            assert all(age < LASTS for age in ages), ages
            assert len(world.calls("jitconfig")) == (1 if minutes < 45 else 2)
            assert world.running is not None
            assert not world.running._engine.state.backoffs.rooms
            await world.recovers()
            await world.settled()


# --- C25


@pytest.mark.parametrize("boot", [0.0, 1.0, 100.0, 239.0, 241.0])
async def test_c25_boots_slowly(
    autojump_clock: MockClock, faults: Faults, flow: str, boot: float
) -> None:
    async with faults(flow=flow, times=Times(boot=boot), assign_timeout=None) as world:
        async with world.scaler():
            await world.listens()
            jobs = world.queue(3, run_time=30)
            await world.until(lambda: all(job.started_at for job in jobs), 2 * boot + 150)
            late = boot >= DEADLINE
            assert world.machines._made <= 3 * (1 + late), "a storm"
            if boot < DEADLINE:
                no_failure(world)
            await world.settled()


@pytest.mark.parametrize(("by", "boot"), [("queue", 400.0), ("queue", NEVER), ("rest", NEVER)])
async def test_c25_never_online_in_time(
    autojump_clock: MockClock,
    faults: Faults,
    monkeypatch: pytest.MonkeyPatch,
    boot: float,
    by: str,
) -> None:
    """Each is given up at its deadline; how often another one is tried is bounded."""
    # Nothing is promised while nothing is tried: with each round the ceiling falls, and rises
    rounds = 3600 / DEADLINE
    monkeypatch.setattr(oracle, "POLLS", oracle.POLLS + 2 * rounds)
    times = Times(boot=boot)
    more: dict[str, Any] = by_rest.settings(2) if by == "rest" else {"target": 2}
    async with faults(times=times, assign_timeout=None, **more) as world:
        by_rest.count_in(world, 2)
        async with world.scaler():
            if by == "queue":
                world.queue(1, run_time=30)
            await trio.sleep(3600)
            assert rounds / 2 <= world.machines._made <= 3 * rounds
            assert any("not online within" in text for text in world.oracle.texts["view"])
            times.boot = 20.0
            # Those that were begun before are waited for until their own deadlines
            await world.until(lambda: online(world) == 2, DEADLINE + 2 * LOOK + 60 + 30)
            await world.settled()


def online(world: World) -> int:
    return sum(agent.online for agent in world.simulator.agents)


@pytest.mark.parametrize("boot", [300.0, NEVER])
async def test_c25_one_of_three_is_slow(
    autojump_clock: MockClock, faults: Faults, flow: str, boot: float
) -> None:
    """The others do their jobs meanwhile, and the slow one's job is done by its successor."""
    times = Times(boot=boot)
    async with faults(flow=flow, times=times, assign_timeout=None, most=3) as world, world.scaler():
        await world.listens()
        world.queue(1, run_time=30)
        await world.until(lambda: len(world.machines.boxes) == 1)
        await trio.sleep(0.1)  # it boots by now
        times.boot = 20.0
        world.queue(4, run_time=30)
        # the last one waits for the slow one's deadline, and starts in the time of a recovery
        done = DEADLINE + 90 + 30
        await world.until(lambda: len(world.simulator.jobs_in("completed")) == 5, done)
        await world.settled()
        assert world.machines._made <= 6
