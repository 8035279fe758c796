"""What a person does to one runner: a job ends only where that was said in so many words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio

from scaler.errors import Busy, Refused, Unavailable

from .conftest import profile
from .promises import Labels, idle, reserved, reserving, take

if TYPE_CHECKING:
    from tests.engine.conftest import World

    from scaler.records import Runner


async def destroy(world: World, runner: int | str = 1, *, busy: bool = False) -> Runner:
    return await world.engine.orders.destroy(runner, "root", busy=busy)


async def booting(world: World) -> None:
    await world.deliver(1, world.job(1))
    await world.until(lambda: world.states() == {1: "booting"}, 10)


async def busy(world: World) -> None:
    await booting(world)
    world.works(1)
    await world.deliver(1, world.job(1, "running", world.name(1)))


@pytest.mark.parametrize("called", [1, "1", "linux.1", "linux.1@host"])
async def test_a_spare_one_is_destroyed(
    world: World, autojump_clock: object, called: int | str
) -> None:
    async with world.running():
        await booting(world)
        assert (await destroy(world, called)).state == "gone"
        assert 1 not in world.machines
        assert any("destroyed by root" in each.text for each in world.engine.view().events)
        await world.until(lambda: world.states() == {2: "booting"}, 10)  # its job is waiting


async def test_one_that_is_not_there_is_told(world: World, autojump_clock: object) -> None:
    async with world.running():
        await booting(world)
        for called in (7, "7", "linux.7", "bench.1", "linux.1@other", "", "²", "9" * 30):
            with pytest.raises(LookupError, match="there is no runner"):
                await destroy(world, called)
            with pytest.raises(LookupError, match="there is no runner"):
                await world.engine.orders.release(called, "root")


async def test_one_with_a_job_is_left_alone(world: World, autojump_clock: object) -> None:
    async with world.running():
        await busy(world)
        with pytest.raises(Busy, match=r"linux.1@host runs job j1: nothing was done"):
            await destroy(world)
        await trio.sleep(60)
        assert world.states() == {1: "busy"}
        assert world.count("unregister") == 0


async def test_one_that_gets_a_job_meanwhile_is_left_alone(
    world: World, autojump_clock: object
) -> None:
    """I4 holds in the race, too: what is said here is idle has got a job a moment ago."""
    async with world.running():
        await booting(world)
        world.agents[world.name(1)].busy = True
        with pytest.raises(Busy, match="runs a job now: nothing was done"):
            await destroy(world)
        await trio.sleep(60)
        assert world.states() == {1: "busy"}
        assert 1 in world.machines


async def test_its_job_ends_where_that_is_said(
    world: World, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.running():
        await busy(world)
        name = world.name(1)
        world.machines[1] = replace(world.machines[1], state="stopped")  # the world's own guard
        after = await destroy(world, busy=True)
        assert 1 not in world.machines
        # the other side knows of its job a while longer, and keeps its registration
        assert after.state == "retiring"
        assert after.reason == f"destroyed by root; {name}"
        [line] = [each for each in caplog.records if "destroyed by root" in each.message
                  and each.levelname == "WARNING"]  # fmt: skip
        assert "runs job j1" in line.message
        world.agents.clear()
        await world.until(lambda: 1 not in world.rows, 60)


async def test_it_says_why_one_is_not_gone_yet(world: World, autojump_clock: object) -> None:
    async with world.running():
        await booting(world)
        world.script["unregister"] = [Unavailable("no answer")] * 5
        began = trio.current_time()
        after = await destroy(world)
        assert trio.current_time() - began <= 16
        assert after.state == "retiring"
        assert after.reason == "destroyed by root; no answer"
        assert 1 in world.machines  # its registration may have a job
        await world.until(lambda: 1 not in world.machines, 60)


async def test_told_again_it_answers_the_same(world: World, autojump_clock: object) -> None:
    async with world.running():
        await booting(world)
        states: list[str] = []

        async def one() -> None:
            states.append((await destroy(world)).state)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one)
            nursery.start_soon(one)
        assert states == ["gone", "gone"]
        assert world.count("destroy") == 1


async def test_a_reservation_is_taken_back(world: World, autojump_clock: object) -> None:
    labels = Labels()
    world.plugins["queue"] = reserving(world, labels)
    async with idle(world, 1):
        [runner] = await take(world)
        after = await world.engine.orders.release(runner.id, "root")
        assert (after.state, after.reason) == ("idle", "released by root")
        assert labels.seen == {}
        assert reserved(world) == []


async def test_a_reservation_that_cannot_be_taken_back_stays(
    world: World, autojump_clock: object
) -> None:
    world.plugins["queue"] = reserving(world, Labels())
    async with idle(world, 1):
        [runner] = await take(world)
        world.script["release"] = [Unavailable("away")] * 8
        with pytest.raises(Unavailable, match="is reserved still"):
            await world.engine.orders.release(runner.id, "root")
        assert reserved(world) == [runner.id]


async def test_a_held_machine_is_let_go(world: World, autojump_clock: object) -> None:
    world.profiles = {"linux": profile(hold_failed=3600.0)}
    async with world.running():
        await busy(world)
        await world.deliver(0, world.job(1, "done", world.name(1), result="failed"))
        assert world.states() == {1: "held"}
        world.agents.clear()
        assert (await world.engine.orders.release(1, "root")).state == "retiring"
        await world.until(lambda: not world.rows, 30)
        assert not world.machines


@pytest.mark.parametrize("is_", ["booting", "busy"])
async def test_what_is_neither_cannot_be_released(
    world: World, autojump_clock: object, is_: str
) -> None:
    async with world.running():
        await {"booting": booting, "busy": busy}[is_](world)
        with pytest.raises(Refused, match=f"linux.1@host is {is_}: only what is reserved or held"):
            await world.engine.orders.release(1, "root")
        assert world.states() == {1: is_}


async def test_the_list_that_is_missing_is_named(world: World, autojump_clock: object) -> None:
    """With a new ledger nothing is made: whose list holds that up, and what it says."""
    world.script["list machines"] = [Unavailable("no route to host")] * 5
    async with world.running():
        await world.deliver(1, world.job(1))
        await trio.sleep(1)
        seen = world.engine.view().profiles["linux"]
        assert seen.why.startswith("with a new ledger, nothing is made until every list")
        assert "vm.list_machines is not complete: no route to host" in seen.why
        assert "vm" in seen.cure
        assert world.engine.view().cures["linux", "j1"] == seen.cure
        await world.until(lambda: len(world.machines) == 1, 300)
        assert world.engine.view().profiles["linux"].why == ""
