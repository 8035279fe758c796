"""A profile that a person paused starts no job, whatever else happens, until it is resumed."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import trio

from scaler.errors import Refused, Unavailable
from scaler.ledger.ledger import Transaction
from scaler.records import Order, Room

from .conftest import World, profile
from .promises import Labels, idle, reserving, take

if TYPE_CHECKING:
    from scaler.records import ProfileView


def linux(world: World) -> ProfileView:
    return world.engine.view().profiles["linux"]


def two(world: World) -> None:
    """Two profiles with room for all, one runner of each ready."""
    world.profiles = {
        name: profile(name, target_count=1, labels=(name,)) for name in ("linux", "bench")
    }
    world.rooms = [Room(name="a", total={"memory": 100})]


async def test_nothing_is_made_and_nothing_is_promised(
    world: World, autojump_clock: object
) -> None:
    two(world)
    async with world.running():
        await world.until(lambda: len(world.machines) == 2, 10)
        [order] = await world.engine.orders.pause(["linux"], "root")
        assert (order.kind, order.name, order.by) == ("pause", "linux", "root")
        # the answer comes when it holds: no job is asked for any more
        assert world.contexts["queue"].ceiling("linux") == 0
        assert world.contexts["queue"].ceiling("bench") > 0
        await world.deliver(3, world.job(1))
        await trio.sleep(120)
        assert {row.runner.profile for row in world.rows.values()} == {"bench"}
        assert world.made == 2
        seen = linux(world)
        assert seen.paused == order
        assert seen.why.startswith("paused since ")
        assert seen.why.endswith(" UTC by root")
        assert seen.cure == "scaler resume linux"
        assert seen.demand == 3
        assert seen.target == 0
        view = world.engine.view()
        assert view.orders == (order,)
        assert view.waiting["linux", "j1"] == seen.why
        assert view.cures["linux", "j1"] == "scaler resume linux"


async def test_resumed_it_does_what_waited(world: World, autojump_clock: object) -> None:
    async with world.running():
        await world.engine.orders.pause(["linux"], "root")
        await world.deliver(2, world.job(1), world.job(2))
        await trio.sleep(60)
        assert not world.rows
        assert await world.engine.orders.resume(["linux"], "root") == ["linux"]
        assert await world.engine.orders.resume(["linux"], "root") == []
        await world.until(lambda: len(world.machines) == 2, 5)
        assert linux(world).paused is None
        assert world.contexts["queue"].ceiling("linux") == 4


async def test_jobs_that_are_offered_are_not_acquired(world: World, autojump_clock: object) -> None:
    async with world.running():
        await world.until(lambda: world.contexts["queue"].ceiling("linux") == 4, 10)
        await world.engine.orders.pause(["linux"], "root")
        await world.deliver(0, world.job(1, "offered"))
        await trio.sleep(60)
        assert world.acquired == []
        view = world.engine.view()
        assert view.waiting["linux", "j1"].startswith("not acquired yet: paused since")
        assert view.cures["linux", "j1"] == "scaler resume linux"
        await world.engine.orders.resume(None, "root")
        await world.until(lambda: world.acquired == [["j1"]], 10)


async def test_what_works_goes_on(world: World, autojump_clock: object) -> None:
    """Also where its job came in the very moment in which it was to go."""
    async with world.running():
        await world.deliver(2, world.job(1), world.job(2))
        await world.until(lambda: len(world.machines) == 2, 5)
        world.works(1)
        await world.deliver(2, world.job(1, "running", world.name(1)))
        world.agents[world.name(2)].busy = True  # and nobody was told yet
        await world.engine.orders.pause(["linux"], "root")
        await world.until(lambda: world.states() == {1: "busy", 2: "busy"}, 30)
        await trio.sleep(600)
        assert world.states() == {1: "busy", 2: "busy"}
        assert len(world.machines) == 2
        world.agents.clear()
        for number in (1, 2):
            job = world.job(number, "done", world.name(number), result="succeeded")
            await world.deliver(2 - number, job)
        await world.until(lambda: not world.rows, 60)
        await trio.sleep(60)
        assert not world.rows


async def test_one_that_is_being_made_is_given_up(world: World, autojump_clock: object) -> None:
    world.script["provision"] = [World.HANG]
    async with world.running():
        await world.deliver(1, world.job(1))
        await world.until(lambda: world.count("provision") == 1, 5)
        await world.engine.orders.pause(["linux"], "root")
        await world.until(lambda: not world.rows, 30)
        assert not world.agents
        assert world.engine.state.backoffs.profiles == {}


@pytest.mark.parametrize("crash", [True, False])
async def test_it_outlasts_a_restart(world: World, autojump_clock: object, crash: bool) -> None:
    async with world.running(crash=crash):
        [order] = await world.engine.orders.pause(None, "root")
    async with world.running():
        await world.deliver(1, world.job(1))
        await trio.sleep(60)
        assert not world.rows
        assert linux(world).paused == order
        assert await world.engine.orders.pause(["linux"], "another") == [order]
        assert await world.engine.orders.resume(None, "root") == ["linux"]
    async with world.running():
        assert linux(world).paused is None
        await world.until(lambda: len(world.machines) == 1, 10)


async def test_spares_of_before_a_restart_go_without_any_list(
    world: World, autojump_clock: object
) -> None:
    world.profiles = {"linux": profile(target_count=1)}
    async with world.running(crash=True):
        await world.until(lambda: len(world.machines) == 1, 10)
        order = Order(kind="pause", name="linux", since=1.0, by="root")
        transaction = Transaction()
        transaction.order("pause", "linux", order)
        await world.engine.state.keep(transaction=transaction)  # and the power fails
    world.script["list registrations"] = [Unavailable("away")] * 50
    world.script["list machines"] = [Unavailable("away")] * 50
    async with world.running():
        await world.until(lambda: not world.rows, 30)
        assert not world.machines


async def test_an_unknown_profile_is_named(world: World, autojump_clock: object) -> None:
    async with world.running():
        orders = world.engine.orders
        for call in (orders.pause, orders.resume):
            with pytest.raises(
                LookupError, match=r"'lunix'; there are: linux; nothing was done with the others"
            ):
                await call(["linux", "lunix"], "root")
        assert world.engine.view().orders == ()


async def test_one_that_is_gone_from_the_settings_can_be_resumed(
    world: World, autojump_clock: object
) -> None:
    two(world)
    async with world.running():
        await world.engine.orders.pause(["bench"], "root")
    del world.profiles["bench"]
    async with world.running():
        assert [each.name for each in world.engine.view().orders] == ["bench"]
        assert await world.engine.orders.resume(["bench"], "root") == ["bench"]
        assert world.engine.view().orders == ()


async def test_it_counts_on_a_full_disk_and_is_written_later(
    world: World, autojump_clock: object
) -> None:
    """Whoever pauses at night does so since something is wrong."""
    async with world.running(crash=True):
        world.disk_full = True
        await world.engine.orders.pause(["linux"], "root")
        assert ("pause", "linux") in world.engine.orders.unwritten
        assert world.contexts["queue"].ceiling("linux") == 0
        with pytest.raises(Unavailable, match="holds still"):
            await world.engine.orders.resume(["linux"], "root")
        assert linux(world).paused is not None
        world.disk_full = False
        await world.until(lambda: not world.engine.orders.unwritten, 40)
    async with world.running():
        assert linux(world).paused is not None


async def test_who_asks_may_leave_at_any_moment(world: World, autojump_clock: object) -> None:
    """What is written and what is gone by are the same afterwards, whichever it is."""
    for patience in (0.0, 0.001, 0.01, 1.0):
        async with world.running(crash=True):
            with trio.move_on_after(patience):
                await world.engine.orders.pause(["linux"], "root")
            said = bool(world.engine.view().orders)
        async with world.running():
            assert bool(world.engine.view().orders) is said
            await world.engine.orders.resume(None, "root")


async def test_pausing_and_resuming_at_once_end_the_same_everywhere(
    world: World, autojump_clock: object
) -> None:
    async with world.running(crash=True):
        orders = world.engine.orders
        async with trio.open_nursery() as nursery:
            for number in range(20):
                call = orders.pause if number % 2 else orders.resume
                nursery.start_soon(call, ["linux"], str(number))
        said = world.engine.view().orders
    async with world.running():
        assert world.engine.view().orders == said


async def test_whoever_is_in_line_is_answered_at_once(world: World, autojump_clock: object) -> None:
    world.plugins["queue"] = reserving(world, Labels())
    async with idle(world, 1):
        answers: list[tuple[float, str]] = []

        async def ask(number: int) -> None:
            try:
                await take(world, number, 2, wait=60)
            except Unavailable as error:
                answers.append((trio.current_time(), str(error)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, 1)
            nursery.start_soon(ask, 2)
            await trio.sleep(1)
            began = trio.current_time()
            await world.engine.orders.pause(["linux"], "root")
        assert len(answers) == 2
        assert all(at < began + 1 and "linux is paused since" in text for at, text in answers)
        with pytest.raises(Unavailable, match="linux is paused since"):
            await take(world, 3, wait=60)
        assert trio.current_time() < began + 5


async def test_what_is_reserved_stays_so(world: World, autojump_clock: object) -> None:
    world.plugins["queue"] = reserving(world, Labels())
    async with idle(world, 2):
        [runner] = await take(world)
        await world.engine.orders.pause(["linux"], "root")
        await world.until(lambda: list(world.states().values()) == ["reserved"], 30)
        assert (await take(world)) == (runner,)  # the same question, the same answer
        # and when nobody came it is spare, too
        await world.until(lambda: not world.rows, 120)


async def test_the_override_adds_nothing_to_it(world: World, autojump_clock: object) -> None:
    two(world)
    async with world.running():
        await world.until(lambda: len(world.machines) == 2, 10)
        await world.engine.orders.pause(["linux"], "root")
        await world.until(lambda: len(world.machines) == 1, 30)
        with pytest.raises(Refused) as refused:
            await world.engine.override({"linux": 2}, "ci")
        assert refused.value.code == "override-idle"
        assert str(refused.value) == "takes no new runners now: linux"
        assert await world.engine.override({"linux": 2, "bench": 2}, "ci") == {
            "linux": 0,
            "bench": 1,
        }
        await world.until(lambda: len(world.machines) == 2, 30)
        assert {row.runner.profile for row in world.rows.values()} == {"bench"}
        assert linux(world).why.endswith("and the override adds nothing to it")
        await world.engine.orders.resume(["linux"], "root")
        await world.until(lambda: len(world.machines) == 3, 30)


async def test_a_ledger_that_hangs_holds_nobody_up(
    world: World, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.running(crash=True):
        ledger = world.engine.state.ledger
        really = ledger.write

        async def slow(transaction: Transaction) -> None:
            await trio.sleep(20)
            await really(transaction)

        monkeypatch.setattr(ledger, "write", slow)
        began = trio.current_time()
        await world.engine.orders.pause(["linux"], "root")
        assert trio.current_time() - began < 10  # what a client waits for
        assert world.contexts["queue"].ceiling("linux") == 0
        assert world.engine.orders.unwritten
        with pytest.raises(Unavailable, match="the ledger took more than 4 s"):
            await world.engine.orders.resume(["linux"], "root")
        monkeypatch.setattr(ledger, "write", really)
        await world.until(lambda: not world.engine.orders.unwritten, 120)
    async with world.running():
        assert linux(world).paused is not None


@pytest.mark.parametrize("seed", range(10))
async def test_whatever_is_told_while_the_disk_comes_and_goes(
    world: World, autojump_clock: object, seed: int
) -> None:
    """Once all is written, a restart finds what was gone by."""
    chance = random.Random(seed)
    two(world)
    async with world.running(crash=True):
        orders = world.engine.orders
        for _ in range(30):
            world.disk_full = chance.random() < 0.4
            call = chance.choice([orders.pause, orders.resume])
            name = chance.choice([["linux"], ["bench"], None])
            with suppress(Unavailable):
                await call(name, "root")
            await trio.sleep(chance.choice([0, 0, 0.1, 3]))
        world.disk_full = False
        await world.until(lambda: not orders.unwritten, 60)
        said = {each.name for each in world.engine.view().orders}
    async with world.running():
        assert {each.name for each in world.engine.view().orders} == said
