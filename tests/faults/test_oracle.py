"""The oracle can fail: each invariant is found to be broken where a test breaks it."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
import trio
from tests.faults.conftest import Faults
from trio.testing import MockClock

from scaler import Registration, Runner
from scaler_github.client import Backoff
from scaler_github.queue.runners import Runners


async def test_a_world_without_faults(autojump_clock: MockClock, faults: Faults, flow: str) -> None:
    async with faults(flow=flow, target=1) as world, world.scaler():
        world.queue(4, run_time=30)
        await world.settled()
        assert len(world.simulator.jobs_in("completed")) == 4
        assert not world.degraded()


async def test_one_seed_is_one_run(autojump_clock: MockClock, faults: Faults) -> None:
    stories: list[list[str]] = []
    for seed in (5, 5, 6):
        async with faults(seed=seed, folder=f"{len(stories)}") as world, world.scaler():
            await world.listens()
            world.queue(2, run_time=30)
            world.simulator.faults.add("poll", status=500, times=4)
            world.simulator.faults.add("jitconfig", kind="lose", times=2)
            await world.settled()
        calls = world.simulator.history.exchanges
        stories.append(
            [*world.oracle.story, *(f"{e.route} {e.at - calls[0].at:.4f}" for e in calls)]
        )
    assert stories[0] == stories[1]
    assert stories[0] != stories[2]


async def test_i1_a_lost_job(autojump_clock: MockClock, faults: Faults) -> None:
    async with faults() as world, world.scaler():
        world.expect("I1")
        world.simulator.queue_jobs("another scale set", 1)
        await world.settled(60)


async def test_i1_a_job_that_runs_twice(autojump_clock: MockClock, faults: Faults) -> None:
    async with faults() as world, world.scaler():
        world.expect("I1")
        [job] = world.queue(1, run_time=60)
        await world.online()
        world.simulator._world.flow.requeue(job)
        await world.settled()


async def test_i2_too_many(autojump_clock: MockClock, faults: Faults) -> None:
    async with faults(most=2) as world, world.scaler():
        world.expect("I2")
        world.oracle.most = 1
        world.queue(2)
        await world.settled()


async def test_i3_a_machine_is_left(
    autojump_clock: MockClock, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(runner: Runner) -> None:
        await trio.lowlevel.checkpoint()

    async with faults() as world, world.scaler():
        world.expect("I3")
        monkeypatch.setattr(world.machines, "destroy", nothing)
        world.queue(1)
        await world.settled(300)


async def test_i4_destroyed_at_work(autojump_clock: MockClock, faults: Faults) -> None:
    async with faults() as world, world.scaler():
        world.expect("I4", "I1")
        world.queue(1)
        await world.online()
        [box] = world.machines.boxes.values()
        assert world.machines.context is not None
        world.machines.context.machine_changed(replace(box.machine, state="stopped", why="no"))
        await world.settled()


async def test_i5_a_config_for_two(
    autojump_clock: MockClock, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = Runners.register
    made: list[Registration] = []

    async def registered(self: Runners, *args: Any) -> Registration:
        made.append(await register(self, *args))
        config = made[0].config if len(made) == 2 else made[-1].config
        return replace(made[-1], config=config)

    monkeypatch.setattr(Runners, "register", registered)
    async with faults() as world, world.scaler():
        world.expect("I5")
        world.queue(2)
        await world.settled()


PLACES = ["log", "traceback", "report", "fact"]


@pytest.mark.parametrize(
    ("what", "where"),
    [("token", place) for place in ("log", "traceback")]  # the rest: the test after this
    + [(secret, place) for secret in ("config", "queue token") for place in PLACES],
)
async def test_i7_a_secret_is_told(
    autojump_clock: MockClock, faults: Faults, where: str, what: str
) -> None:
    async with faults() as world, world.scaler():
        world.expect("I7")
        world.queue(1)
        await world.online()
        [box] = world.machines.boxes.values()
        known = world.simulator._tokens._known.values()
        secrets = {"token": world.simulator.token, "config": box.config}
        secrets["queue token"] = next(each.text for each in known if each.kind == "queue")
        secret = secrets[what]
        context = world.machines.context
        assert context is not None
        if where == "log":
            logging.getLogger("scaler.anything").debug("it is %s", secret)
        elif where == "traceback":
            try:
                raise ValueError(secret)
            except ValueError:
                logging.getLogger("scaler.anything").exception("no")
        elif where == "report":
            context.report(f"it is {secret}")
        else:
            context.report("all is well", fact=[secret])
        await world.settled()


async def test_what_the_settings_say_is_secret_cannot_be_reported(
    autojump_clock: MockClock, faults: Faults
) -> None:
    async with faults() as world, world.scaler():
        await world.listens()
        secret, context = world.simulator.token, world.machines.context
        assert context is not None
        context.report(f"it is {secret}", fact=[secret])
        await world.settled()
        story = "\n".join(world.oracle.story)
    assert "it is ***" in story
    assert secret not in story


async def test_i8_haste(
    autojump_clock: MockClock, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Backoff, "after", lambda self, error: 0.5)
    async with faults() as world, world.scaler():
        world.expect("I8")
        await world.listens()
        world.simulator.faults.add("poll", status=500, times=12)
        world.network.cut()
        await trio.sleep(60)


async def test_i8_no_pause_at_all(
    autojump_clock: MockClock, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Backoff, "after", lambda self, error: 0.0)
    async with faults() as world, world.scaler():
        world.expect("I8")
        await world.listens()
        world.simulator.faults.add("poll", status=500, times=None)
        world.network.cut()
        await trio.sleep(60)


async def test_i8_polls_that_bring_nothing(autojump_clock: MockClock, faults: Faults) -> None:
    async with faults(poll_seconds=40.0) as world, world.scaler():
        world.expect("I8")
        await trio.sleep(3700)


async def test_i9_no_progress(autojump_clock: MockClock, faults: Faults) -> None:
    async with faults() as world, world.scaler():
        world.expect("I9")
        world.simulator.faults.add("jitconfig", status=500, times=None)
        world.queue(1)
        await world.recovers()
        world.simulator.faults.clear()
        await world.settled()
