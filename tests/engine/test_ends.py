"""Runners that end by themselves: with a job that nobody told of, without one, or evicted."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio

from scaler.errors import Unavailable
from scaler.records import Profile, Registration, Runner, RunnerState
from scaler.units import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.conftest import World

    from scaler.model.row import Row


def events(world: World) -> str:
    return "\n".join(event.text for event in world.engine.view().events)


def removed(world: World, number: int) -> None:
    """The other side removes a registration by itself, as when its one job is over."""
    world.agents.pop(f"linux.{number}@host", None)


def tells(world: World, number: int) -> Callable[[], None]:
    """What a source does in `unregister_runner` where it finds nothing."""

    def tell() -> None:
        name = f"linux.{number}@host"
        assert name not in world.agents
        world.contexts["queue"].registration_changed(Registration(name=name, gone=True))

    return tell


async def one(world: World, *, online: bool = False) -> None:
    await world.deliver(1, world.job(1))
    await world.until(lambda: world.states() == {1: "booting"}, 5)
    if online:
        world.online(1)


# --- it had its job


@pytest.mark.parametrize("online", [True, False])
async def test_who_came_and_went_is_no_failed_start(
    world: World, autojump_clock: object, online: bool
) -> None:
    world.script["unregister"] = [tells(world, 1)]
    async with world.running():
        await one(world, online=online)
        removed(world, 1)
        world.stop_machine(1)
        await world.until(lambda: 1 not in world.rows, 5)
        assert world.engine.state.backoffs.profiles == {}
        assert world.engine.state.backoffs.halts == {}
        assert "linux.1@host came and went: its job is over" in events(world)
        assert world.count("destroy 1") == 1


async def test_told_before_its_machine_stops_it_is_the_same(
    world: World, autojump_clock: object
) -> None:
    world.script["unregister"] = [5.0]  # the source takes its time
    async with world.running():
        await one(world)
        removed(world, 1)
        tells(world, 1)()
        await trio.sleep(3)
        assert world.engine.state.backoffs.profiles  # it was still booting: perhaps evicted
        world.stop_machine(1)
        assert world.engine.state.backoffs.profiles == {}
        await world.until(lambda: 1 not in world.rows, 15)
        assert events(world).count("came and went") == 1


async def test_what_a_lost_answer_may_have_removed_shows_nothing(
    world: World, autojump_clock: object
) -> None:
    """The first try to unregister it may have been what removed it."""
    world.script["unregister"] = [Unavailable("the answer was lost"), tells(world, 1)]
    async with world.running():
        await one(world)
        removed(world, 1)
        world.stop_machine(1)
        await world.until(lambda: 1 not in world.rows, 15)
        assert world.count("unregister 1") == 2
        assert world.engine.state.backoffs.profiles["linux"].failures == 1
        assert "came and went" not in events(world)


async def test_between_two_tries_it_shows_nothing_either(
    world: World, autojump_clock: object
) -> None:
    world.script["unregister"] = [Unavailable("the answer was lost", 10)]
    async with world.running():
        await one(world)
        removed(world, 1)
        world.stop_machine(1)
        await trio.sleep(5)
        tells(world, 1)()
        assert "came and went" not in events(world)


async def test_what_the_run_before_may_have_removed_shows_nothing(
    world: World, autojump_clock: object, row: Callable[..., Row]
) -> None:
    old = row(7, RunnerState.RETIRING)
    machine = old.runner.machine
    assert machine is not None
    runner = replace(old.runner, machine=replace(machine, state="stopped"))
    await world.stored(replace(old, runner=runner))
    world.script["unregister"] = [tells(world, 7)]
    async with world.running():
        await world.until(lambda: not world.rows, 30)
        assert "came and went" not in events(world)


async def test_after_busy_it_is_known_to_have_been_there(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await one(world)
        world.agents["linux.1@host"].busy = True  # and nobody has told
        world.stop_machine(1, "panic")
        await world.until(lambda: world.count("destroy 1"), 5)
        assert world.engine.state.backoffs.profiles == {}
        assert "linux.1@host ran a job when its machine stopped" in events(world)


async def test_a_runner_that_a_list_shows_busy_ends_the_count(
    world: World, autojump_clock: object
) -> None:
    """Not every source has messages."""
    world.script["register"] = [Unavailable("away")]
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {2: "booting"}, 10)
        assert world.engine.state.backoffs.profiles
        world.agents["linux.2@host"].online = world.agents["linux.2@host"].busy = True
        await world.until(lambda: world.states() == {2: "busy"}, 40)
        assert world.engine.state.backoffs.profiles == {}


# --- evicted, expired


async def test_an_idle_runner_that_was_evicted_is_replaced_and_is_no_failure(
    world: World, autojump_clock: object
) -> None:
    """C24: absent from two lists, or told."""
    async with world.running():
        await one(world, online=True)
        await trio.sleep(150)
        removed(world, 1)
        await world.until(lambda: world.states().get(2) == "booting", 100)
        world.online(2)
        removed(world, 2)
        tells(world, 2)()
        await world.until(lambda: world.states() == {3: "booting"}, 5)
        assert world.engine.state.backoffs.profiles == {}
        assert "came to nothing" not in events(world)
        assert world.engine.state.backoffs.rooms == {}


async def test_an_expired_config_is_never_put_into_a_machine(
    world: World, autojump_clock: object
) -> None:
    def expired(seconds: float) -> Callable[[], Registration]:
        return lambda: Registration(
            name=f"linux.{world.count('register')}@host",
            ref="r",
            config=Secret("s3cret"),
            expires=time.time() + seconds,
        )

    world.script["register"] = [expired(-1), expired(3600)]
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {2: "booting"}, 10)
        assert "provision 1" not in world.calls
        assert world.count("unregister 1") == 1
        assert world.rows[2].runner.machine is not None
        assert "linux.1@host is retiring: its config has expired" in events(world)
        assert world.engine.state.backoffs.rooms == {}  # no room is to blame
        first, second = world.times("register")
        assert second - first >= 1  # and a source that only gives such ones is not asked at once


# --- an outdated image


async def stops_again(world: World, *, after: float = 5.0, job: bool = False) -> None:
    """What happens to every machine: it runs for a while, and stops."""
    seen: set[int] = set()
    while True:
        await trio.sleep(0.25)
        for number, each in list(world.machines.items()):
            if each.state == "running" and number not in seen:
                seen.add(number)
                await trio.sleep(after)
                if job:
                    world.works(number)
                    await world.deliver(1, world.job(1, "running", world.name(number)))
                world.stop_machine(number, "exit 7")


def is_stopped(world: World) -> bool:
    halt = world.engine.state.backoffs.halts.get("linux")
    return halt is not None and halt.stopped


async def test_a_profile_whose_machines_all_stop_without_a_job_is_stopped(
    world: World, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    """C29: the runner in the image is too old, so every machine stops at once."""
    async with world.running(), trio.open_nursery() as nursery:
        nursery.start_soon(stops_again, world)
        await world.deliver(1, world.job(1))
        await world.until(lambda: is_stopped(world))
        assert world.made == 3
        text = "3 machines in a row stopped without a job: is its image outdated?"
        assert f"linux is stopped: {text} (its machine stopped: exit 7)" in events(world)
        assert [r.levelname for r in caplog.records if text in r.message] == ["ERROR"]
        await world.until(lambda: not world.rows, 5)
        view = world.engine.view().profiles["linux"]
        assert view.why.startswith(f"{text} (its machine stopped: exit 7) one is tried again in ")
        assert world.engine.ceiling("linux") == view.ceiling == 0
        # one is tried after each wait, and there is never more than one
        await world.deliver(4, world.job(1))  # more are wanted all the time
        before = trio.current_time()
        for made, wait in [(4, 600), (5, 1200), (6, 2400), (7, 3600), (8, 3600)]:
            while world.made < made:
                await trio.sleep(1)
                assert len(world.machines) <= 1
            assert wait - 5 <= trio.current_time() - before <= wait + 15
            before = trio.current_time()
        nursery.cancel_scope.cancel()


async def test_a_job_that_runs_ends_the_count(world: World, autojump_clock: object) -> None:
    async with world.running():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stops_again, world)
            await world.deliver(4, world.job(1))
            await world.until(lambda: is_stopped(world))
            nursery.cancel_scope.cancel()
        made = world.made
        assert made <= 12  # three turns of what was wanted
        await world.deliver(4, world.job(1))
        await world.until(lambda: world.made == made + 1, 700)
        await trio.sleep(100)
        assert world.made == made + 1
        assert world.engine.ceiling("linux") == 1
        trial = max(world.rows)
        world.works(trial)
        await world.deliver(4, world.job(1, "running", world.name(trial)))
        await world.until(lambda: len(world.machines) == 4, 5)
        assert world.engine.ceiling("linux") == 4


async def test_who_is_not_online_in_time_waits_as_ever(
    world: World, autojump_clock: object
) -> None:
    """C25: nobody says that its image is outdated."""
    world.profiles["linux"] = replace(world.profiles["linux"], start_timeout=60.0)
    async with world.running():
        await world.deliver(1, world.job(1))
        await world.until(lambda: world.made == 6, 3600)
        assert world.engine.state.backoffs.halts == {}


async def test_other_profiles_go_on(world: World, autojump_clock: object) -> None:
    other = replace(world.profiles["linux"], name="other")
    world.profiles["other"] = other
    assert isinstance(other, Profile)
    async with world.running():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stops_again, world)
            await world.deliver(1, world.job(1))
            await world.until(lambda: is_stopped(world))
            nursery.cancel_scope.cancel()
        await world.deliver(2, profile="other")
        await world.until(lambda: len(world.machines) == 2, 5)
        runners: list[Runner] = [row.runner for row in world.rows.values()]
        assert [runner.profile for runner in runners if runner.state == "booting"] == ["other"] * 2
