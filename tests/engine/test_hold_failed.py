"""The machine of a failed job stays for a person, also where it stopped before that was known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio

from scaler import hookimpl
from scaler.errors import Unavailable
from scaler.model.holding import RESULT, WAITING
from scaler.records import Registration, Runner, RunnerState

from .conftest import profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.conftest import World

    from scaler.model.row import Row

HOLD = 600.0


async def works(world: World) -> None:
    """Runner 1 runs job 1."""
    world.profiles["linux"] = replace(world.profiles["linux"], hold_failed=HOLD)
    await world.deliver(1, world.job(1))
    await world.until(lambda: list(world.states().values()) == ["booting"], 10)
    world.works(1)
    await world.deliver(1, world.job(1, "running", world.name(1)))
    assert world.states() == {1: "busy"}


async def ends(world: World) -> None:
    """Its job is over, its machine powers itself off; the source's total is ahead of its news."""
    del world.agents[world.name(1)]
    await world.deliver(0)
    world.stop_machine(1)


@pytest.fixture(autouse=True)
def held(world: World) -> None:
    world.profiles = {"linux": profile(hold_failed=HOLD)}


async def test_a_machine_that_stops_before_its_job_is_known_to_have_failed_is_held(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await works(world)
        await ends(world)
        await trio.sleep(RESULT - 2)
        assert world.states() == {1: "busy"}
        assert world.rows[1].runner.reason == WAITING
        await world.deliver(0, world.job(1, "done", world.name(1), result="failed"))
        runner = world.rows[1].runner
        assert (runner.state, runner.failed, runner.result) == ("held", True, "failed")
        assert runner.until == pytest.approx(world.engine.state.clock.wall() + HOLD, abs=1)
        assert world.engine.view().runners == (runner,)
        await trio.sleep(HOLD - 5)
        assert world.states() == {1: "held"}
        assert world.count("destroy") == world.count("unregister") == 0
        assert 1 in world.machines  # its disk
        await world.until(lambda: 1 not in world.rows, 10)
        assert world.count("destroy 1") == 1


@pytest.mark.parametrize("result", ["succeeded", "canceled"])
async def test_a_machine_whose_job_did_not_fail_goes_at_once(
    world: World, autojump_clock: object, result: str
) -> None:
    async with world.running():
        await works(world)
        await ends(world)
        await trio.sleep(3)
        assert world.count("destroy") == 0
        await world.deliver(0, world.job(1, "done", world.name(1), result=result))
        await world.until(lambda: 1 not in world.rows, 5)


async def test_without_a_result_it_goes_after_ninety_seconds_and_nobody_waits_for_its_place(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await works(world)
        await ends(world)
        stopped = trio.current_time()
        await world.deliver(1, world.job(2))  # the source owes another one meanwhile
        await world.until(lambda: 2 in world.machines, 5)
        await world.until(lambda: 1 not in world.rows, 200)
        [destroyed] = world.times("destroy 1")
        assert RESULT <= destroyed - stopped < RESULT + 3


async def test_what_nobody_told_of_a_job_waits_once_it_shows_that_it_had_one(
    world: World, autojump_clock: object
) -> None:
    """The messages of a short job are all late; that its registration was removed shows it."""
    async with world.running():
        await world.deliver(1, world.job(1))
        await world.until(lambda: list(world.states().values()) == ["booting"], 10)
        world.online(1)
        del world.agents[world.name(1)]
        await world.deliver(0)
        gone = Registration(name=world.name(1), gone=True)
        world.script["unregister"] = [lambda: world.contexts["queue"].registration_changed(gone)]
        world.stop_machine(1)
        await world.until(lambda: world.rows[1].unregistered, 5)
        await trio.sleep(60)
        assert (world.states()[1], world.count("destroy")) == ("busy", 0)
        await world.deliver(0, world.job(1, "done", world.name(1), result="failed"))
        assert world.states()[1] == "held"
        await world.until(lambda: 1 not in world.rows, HOLD + 5)
        assert world.count("unregister 1") == 1


async def test_the_message_comes_while_it_is_being_unregistered(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await world.deliver(1, world.job(1))
        await world.until(lambda: list(world.states().values()) == ["booting"], 10)
        world.online(1)
        world.script["unregister"] = [20.0]
        world.stop_machine(1)
        await world.until(lambda: world.count("unregister") == 1, 5)
        await world.deliver(0, world.job(1, "done", world.name(1), result="failed"))
        await trio.sleep(60)
        assert (world.states(), world.count("destroy")) == ({1: "held"}, 0)
        assert not world.rows[1].runner.registration or world.rows[1].unregistered


async def test_a_start_that_failed_is_not_held(world: World, autojump_clock: object) -> None:
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: list(world.states().values()) == ["booting"], 10)
        world.stop_machine(1)
        await world.until(lambda: 1 not in world.rows, 5)


async def test_it_waits_and_is_held_over_restarts(world: World, autojump_clock: object) -> None:
    async with world.running():
        await works(world)
        await ends(world)
        await trio.sleep(5)
    async with world.running():
        await trio.sleep(20)
        assert world.states() == {1: "busy"}
        await world.deliver(0, world.job(1, "done", world.name(1), result="failed"))
        await trio.sleep(60)
        assert world.states() == {1: "held"}
    async with world.running():
        runner = world.rows[1].runner
        assert runner.state == "held"
        # (how long it was stopped is not known, and does not count)
        assert runner.until == pytest.approx(world.engine.state.clock.wall() + HOLD - 60, abs=3)
        await world.until(lambda: 1 not in world.rows, HOLD)


async def test_shorter_settings_count_for_those_that_are_held_already(
    world: World, autojump_clock: object, row: Callable[..., Row]
) -> None:
    old = row(1, RunnerState.HELD, result="failed", done=True, hold=HOLD)
    await world.stored(replace(old, entered=10_000.0))
    world.profiles = {"linux": profile(hold_failed=30.0)}
    async with world.running():
        await world.until(lambda: world.rows[1].hold == 30.0, 5)
        until = world.rows[1].runner.until
        assert until == pytest.approx(world.engine.state.clock.wall() + 30, abs=4)
        await world.until(lambda: 1 not in world.rows, 35)


async def test_the_provisioner_is_told_what_failed(world: World, autojump_clock: object) -> None:
    told: dict[int, tuple[bool, str]] = {}
    base = world.plugins["vm"]

    class Provisioner(base):  # type: ignore[misc, valid-type]
        @hookimpl
        async def destroy_runner(self, runner: Runner) -> None:
            told[runner.id] = (runner.failed, runner.result)
            await super().destroy_runner(runner)

    world.plugins["vm"] = Provisioner
    world.profiles = {"linux": profile()}
    world.script["provision"] = [Unavailable("no disk")]
    async with world.running():
        await world.deliver(1)  # 1 cannot be made
        await world.until(lambda: 2 in world.machines, 20)
        world.works(2)
        done = world.job(2, "done", world.name(2), result="failed")
        del world.agents[world.name(2)]
        await world.deliver(1, done)
        await world.until(lambda: 3 in world.machines, 20)
        world.stop_machine(3)  # without ever having had a job
        await world.until(lambda: 4 in world.machines, 20)
        world.works(4)
        del world.agents[world.name(4)]
        await world.deliver(0, world.job(4, "done", world.name(4), result="succeeded"))
        await world.until(lambda: not world.rows, 20)
    failed = {1: (True, ""), 2: (True, "failed"), 3: (True, "")}
    assert told == {**failed, 4: (False, "succeeded")}
