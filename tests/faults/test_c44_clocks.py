"""C44: the wall clock jumps, the machine sleeps: no machine goes, and the next job comes."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest
import trio
from tests.faults.apps import install
from tests.faults.conftest import Faults
from trio.testing import MockClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.asymmetric import rsa

HOUR, DAY, YEAR = 3600.0, 86400.0, 365 * 86400.0
STEPS = [-YEAR, -HOUR, HOUR, YEAR]


class Wall:
    """The wall clock as this machine has it; GitHub has a right one of its own."""

    def __init__(self) -> None:
        self.wrong = 0.0


@pytest.fixture
def wall(one_time: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wall]:
    """A wall clock that can be set."""
    found, right = Wall(), time.time
    monkeypatch.setattr(time, "time", lambda: right() + found.wrong)
    yield found
    found.wrong = 0.0


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("state", ["idle", "booting", "busy"])
async def test_c44_a_step_moves_nothing(
    autojump_clock: MockClock, faults: Faults, wall: Wall, flow: str, step: float, state: str
) -> None:
    """No machine goes by the wall clock, whatever its runner does just then."""
    async with faults(flow=flow, target=0 if state == "busy" else 2) as world, world.scaler():
        await world.listens()
        if state == "busy":
            world.queue(2, run_time=300)
            await world.online(2)
        elif state == "idle":
            await world.settled()
        else:
            await world.until(lambda: len(world.machines.boxes) == 2)
        there = [box.machine.id for box in world.machines.boxes.values()]
        wall.wrong = step
        await trio.sleep(120)
        assert [box.machine.id for box in world.machines.boxes.values()] == there
        await world.recovers()
        await world.settled()
        assert not world.degraded()


@pytest.mark.parametrize("seed", range(4))
async def test_c44_steps_at_any_time(
    autojump_clock: MockClock,
    faults: Faults,
    wall: Wall,
    app: str,
    key: rsa.RSAPrivateKey,
    seed: int,
) -> None:
    """A day of jobs while somebody sets the clock again and again; tokens are signed with it."""
    chance = random.Random(seed)
    async with faults(credential=app, target=1, seed=seed) as world:
        install(world, key)
        async with world.scaler():
            await world.listens()
            for _ in range(8):
                world.queue(chance.randint(1, 3), run_time=chance.uniform(5, 900))
                await trio.sleep(chance.uniform(0, 3600))
                wall.wrong = chance.choice([*STEPS, 0.0, chance.uniform(-DAY, DAY)])
                await trio.sleep(chance.uniform(0, 3600))
            await world.recovers()
            await world.settled()
            assert not world.degraded()
        jobs = len(world.simulator.jobs)
    assert world.machines._made <= jobs + 1, "a machine for each job, and one that stands ready"


@pytest.mark.parametrize("step", STEPS)
async def test_c44_a_step_between_two_runs(
    autojump_clock: MockClock, faults: Faults, wall: Wall, step: float
) -> None:
    """The ledger's times are on a scale of their own: who was there is adopted, and stays."""
    async with faults(target=1) as world:
        async with world.scaler():
            world.queue(1, run_time=400)
            await world.online()
            await world.until(lambda: len(world.machines.boxes) == 2)
            await trio.sleep(60)
            await world.crash()
        there = [box.machine.id for box in world.machines.boxes.values()]
        wall.wrong = step
        async with world.scaler():
            await trio.sleep(60)
            assert [box.machine.id for box in world.machines.boxes.values()] == there
            await world.recovers()
            await world.settled()


@pytest.mark.parametrize("hours", [0.5, 3, 30])
async def test_c44_the_machine_slept(
    autojump_clock: MockClock, faults: Faults, flow: str, hours: float
) -> None:
    """Time passed everywhere else: connections, sessions and tokens are over, runners are not."""
    async with faults(flow=flow, target=1) as world, world.scaler():
        await world.settled()
        there = [box.machine.id for box in world.machines.boxes.values()]
        world.simulator.options.clock_offset += hours * HOUR
        world.network.cut()
        await trio.sleep(100)
        assert [box.machine.id for box in world.machines.boxes.values()] == there
        await world.recovers()
        await world.settled()
        assert not world.degraded()
