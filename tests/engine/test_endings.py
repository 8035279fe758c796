"""What the core keeps of a runner that failed, before its machine is destroyed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler.engine.endings import PATIENCE
from scaler.errors import Unavailable
from scaler.evidence.files import Files
from scaler.records import Runner
from scaler.units import Secret

from .conftest import World, profile
from .test_pictures import PNG, Screens, picture, with_screens

if TYPE_CHECKING:
    from collections.abc import Mapping


async def evidence(world: World, number: int) -> Mapping[str, bytes]:
    context = world.contexts["vm"]
    found = {each.name: await context.evidence(number, each.name) for each in context.kept(number)}
    return {name: data for name, data in found.items() if data is not None}


@pytest.fixture
def screens(world: World) -> Screens:
    return with_screens(world)


async def fails(world: World, result: str = "failed") -> None:
    """Runner 1 has had job 1, and is gone."""
    await world.deliver(1, world.job(1, name="build", repository="acme/widgets"))
    await world.until(lambda: list(world.states().values()) == ["booting"], 10)
    world.works(1)
    await world.deliver(1, world.job(1, "running", world.name(1)))
    del world.agents[world.name(1)]
    await world.deliver(0, world.job(1, "done", world.name(1), result=result))
    await world.until(lambda: not world.rows, 60)


async def test_what_is_kept_of_a_failed_job(
    world: World, screens: Screens, autojump_clock: object
) -> None:
    world.secrets = (Secret("acme/widgets"),)  # (whatever is one shows nowhere)
    there: list[list[str]] = []
    base = world.plugins["vm"]

    class Provisioner(base):  # type: ignore[misc, valid-type]
        async def destroy_runner(self, runner: Runner) -> None:
            there.append([each.name for each in world.contexts["vm"].kept(runner.id)])
            await super().destroy_runner(runner)

        destroy_runner.scaler_impl = base.destroy_runner.scaler_impl  # type: ignore[attr-defined]

    world.plugins["vm"] = Provisioner
    async with world.running():
        await fails(world)
        found = await evidence(world, 1)
        assert sorted(found) == ["events.txt", "reason.txt", "screenshot.png"]
        assert [sorted(each) for each in there] == [sorted(found)]  # before it was destroyed
        assert found["screenshot.png"] == PNG + b"1"
        reason = found["reason.txt"].decode()
        assert reason.startswith("linux.1@host failed: its job ended: failed\n")
        for text in (
            "job: j1 (build, ***)",
            "result: failed",
            "machine: vm-1, running",
            "registered",
            "booting: its machine exists",
            "busy",
            "retiring: its job ended: failed",
        ):
            assert text in reason
        events = found["events.txt"].decode()
        assert "job j1 (build) is done on linux.1@host: failed" in events
        assert "linux.1@host is booting" in events
        assert events.splitlines() == sorted(events.splitlines(), key=lambda line: line[:23])


async def test_of_what_went_well_nothing_is_kept(
    world: World, screens: Screens, autojump_clock: object
) -> None:
    async with world.running():
        await fails(world, "succeeded")
        assert await evidence(world, 1) == {}
        assert not (world.folder / "evidence").exists()


async def test_a_machine_that_stopped_shows_what_was_seen_last(
    world: World, screens: Screens, autojump_clock: object
) -> None:
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: picture(world, 1), 40)
        await world.deliver(0)
        world.stop_machine(1, "its system crashed\x1b[2J\nforged")
        await world.until(lambda: not world.rows, 60)
        found = await evidence(world, 1)
        assert found["screenshot.png"] == PNG + b"1"
        reason = found["reason.txt"].decode()
        assert "machine: vm-1, stopped (its system crashed\\x1b[2J\\nforged)" in reason


async def test_a_machine_that_could_not_be_made_leaves_its_reason(
    world: World, autojump_clock: object
) -> None:
    world.script["provision"] = [Unavailable("the pool is full")]
    world.script["register"] = [None, Unavailable("nobody answers")]
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: 3 in world.machines, 20)
        found = await evidence(world, 1)
        assert sorted(found) == ["events.txt", "reason.txt"]
        assert b"the pool is full" in found["reason.txt"]
        assert await evidence(world, 2) == {}  # no machine of it was ever asked for


@pytest.mark.parametrize("trouble", [60.0, Unavailable("no screen"), PNG + b"x" * (2 << 20)])
async def test_a_picture_that_does_not_come_holds_nothing_up(
    world: World, screens: Screens, autojump_clock: object, trouble: Any
) -> None:
    if isinstance(trouble, float):
        screens.slow["1"] = trouble
    else:
        screens.shown["1"] = trouble
    async with world.running():
        await fails(world)
        assert sorted(await evidence(world, 1)) == ["events.txt", "reason.txt"]
        [asked], [destroyed] = world.times("unregister 1"), world.times("destroy 1")
        assert destroyed - asked <= PATIENCE


async def test_many_at_once_take_few_pictures_and_are_not_held_up(
    world: World, screens: Screens, autojump_clock: object
) -> None:
    world.configs.pop("vm")  # none in the background
    screens.takes = 2.5
    async with world.running():
        await world.deliver(50)
        await world.until(lambda: len(world.machines) == 50, 30)
        for number in range(1, 51):
            world.works(number)
        world.agents.clear()
        done = [world.job(n, "done", world.name(n), result="failed") for n in range(1, 51)]
        await world.deliver(0, *done)
        began = trio.current_time()
        await world.until(lambda: not world.rows, 60)
        assert trio.current_time() - began <= PATIENCE + 3
        assert len(screens.shots) == 4
        assert len(list((world.folder / "evidence").iterdir())) == 50


async def test_c39_a_full_disk_keeps_no_machine_alive(
    world: World, screens: Screens, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Files, "write", full)
    async with world.running():
        await fails(world)
        assert await evidence(world, 1) == {}
        texts = [each.text for each in world.engine.view().events if "evidence" in each.text]
        assert texts == ["evidence of failures cannot be kept: No space left on device"]


async def test_it_is_kept_once_however_often_destroying_fails(
    world: World, screens: Screens, autojump_clock: object
) -> None:
    world.script["destroy"] = [Unavailable("later")] * 3
    async with world.running():
        await fails(world)
        assert world.count("destroy 1") == 4
        assert len(screens.times("1")) <= 2  # (one of them in the background)


async def test_nothing_is_remembered_of_who_is_gone(world: World, autojump_clock: object) -> None:
    world.profiles = {"linux": profile()}
    async with world.running():
        await fails(world)
        assert world.engine.state.stories._known == {}
