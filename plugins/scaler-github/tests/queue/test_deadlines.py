"""Every hook ends before the core's deadline, with an outcome."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from scaler import Machine, Unavailable
from scaler_github.patience import HOOK, patience
from scaler_github.queue import plugin

pytestmark = pytest.mark.once

World = Any

OFFERED = {"flow": "offered"}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody has little patience."""
    monkeypatch.setattr(plugin, "HOOK", 1.5)
    monkeypatch.setattr(plugin, "ACQUIRING", 1.5)


@pytest.mark.parametrize("route", ["jitconfig", "list-agents"])
async def test_registering(world: World, short: None, route: str) -> None:
    async with world.running():
        await world.listening()
        await world.queue.register_runner(world.runner())  # its name is taken from now on
        world.sim.faults.add(route, kind="hang", times=None)
        with pytest.raises(Unavailable, match=r"register runner linux\.1@host-1: .* 1\.5 s"):
            await world.queue.register_runner(world.runner())


@pytest.mark.parametrize(
    ("route", "fields"),
    [
        ("delete-agent", {}),
        ("get-agent", {"machine": Machine(runner=1, id="m", state="stopped")}),
        ("list-agents", {"registration": None}),
    ],
    ids=["by its number", "while it is looked at", "by its name"],
)
async def test_removing(world: World, short: None, route: str, fields: dict[str, Any]) -> None:
    async with world.running():
        made = await world.queue.register_runner(world.runner())
        world.sim.faults.add(route, kind="hang", times=None)
        runner = world.runner(**{"registration": made, **fields})
        with pytest.raises(Unavailable, match=r"remove runner linux\.1@host-1: .* 1\.5 s"):
            await world.queue.unregister_runner(runner)
        assert world.core.registrations == []


async def test_listing(world: World, short: None) -> None:
    world.sim.faults.add("list-agents", kind="hang", times=None)
    with pytest.raises(Unavailable, match=r"list runners: .* 1\.5 s"):
        await world.queue.list_registrations()


@pytest.mark.parametrize("sim_options", [OFFERED])
@pytest.mark.parametrize("skip", [0, 1], ids=["together", "one by one"])
async def test_acquiring(world: World, short: None, skip: int) -> None:
    sim, profile = world.sim, world.profiles["linux"]
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux", 3)
        jobs = await world.core.until(lambda: len(world.core.jobs) == 3 and world.core.jobs)
        if skip:
            sim.faults.add("acquire", status=400, times=3)
            for _ in range(2):
                with pytest.raises(Unavailable, match="400"):
                    await world.queue.acquire_jobs(profile, jobs)
        sim.faults.add("acquire", kind="hang", times=None, skip=skip)
        with pytest.raises(Unavailable, match=r"acquire jobs of linux: .* 1\.5 s"):
            await world.queue.acquire_jobs(profile, jobs)


async def test_they_are_shorter_than_the_cores() -> None:
    assert HOOK < 60
    assert plugin.ACQUIRING < 30


async def test_an_error_of_the_block_is_its_own() -> None:
    with pytest.raises(KeyError), patience(5, "look"):
        raise KeyError
    with trio.move_on_after(0.01) as scope, patience(5, "look"):
        await trio.sleep_forever()
    assert scope.cancelled_caught, "who is cancelled from outside has no outcome"
