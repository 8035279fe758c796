"""A room that a person drains takes nothing new, lets its spares go, and ends no job by itself."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio

from scaler.errors import Refused, Unavailable
from scaler.records import Room, RoomState

from .conftest import profile
from .promises import Labels, idle, reserving, take

if TYPE_CHECKING:
    from tests.engine.conftest import World


def rooms_of(world: World) -> set[str]:
    return {row.runner.room for row in world.rows.values()}


def told(world: World, name: str) -> Room:
    [found] = [each for each in world.engine.view().rooms["vm"] if each.name == name]
    return found


@pytest.fixture
def spread(world: World) -> World:
    """Four idle runners, two in each of two rooms."""
    world.profiles = {"linux": profile(target_count=4, max_count=8)}
    world.rooms = [Room(name=name, total={"memory": 12}) for name in ("a", "b")]
    return world


async def all_idle(world: World) -> None:
    await world.until(lambda: len(world.machines) == 4, 10)
    for number in list(world.rows):
        world.online(number)
    assert [row.runner.room for row in world.rows.values()].count("a") == 2


async def test_spares_go_and_come_back_elsewhere(spread: World, autojump_clock: object) -> None:
    world = spread
    async with world.running():
        await all_idle(world)
        order, ended = await world.engine.orders.drain("a", "root")
        assert (order.kind, order.name, order.by) == ("drain", "vm/a", "root")
        assert ended == []
        assert told(world, "a").state is RoomState.DRAINING
        assert told(world, "b").state is RoomState.UP
        await world.until(lambda: rooms_of(world) == {"b"}, 30)
        await world.until(lambda: len(world.machines) == 4, 30)
        await trio.sleep(120)
        assert rooms_of(world) == {"b"}
        assert world.made == 6
        assert world.engine.view().orders == (order,)


async def test_what_works_there_goes_on(spread: World, autojump_clock: object) -> None:
    world = spread
    async with world.running():
        await all_idle(world)
        [busy, coming] = [n for n, row in world.rows.items() if row.runner.room == "a"]
        world.works(busy)
        await world.deliver(1, world.job(1, "running", world.name(busy)))
        world.agents[world.name(coming)].busy = True  # its job came in this very moment
        await world.engine.orders.drain("vm/a", "root")
        await trio.sleep(600)
        assert world.states()[busy] == world.states()[coming] == "busy"
        assert {busy, coming} <= set(world.machines)
        world.agents.pop(world.name(busy))
        await world.deliver(0, world.job(1, "done", world.name(busy), result="succeeded"))
        await world.until(lambda: busy not in world.rows, 30)
        await trio.sleep(60)
        assert [row.runner.id for row in world.rows.values() if row.runner.room == "a"] == [coming]


async def test_c48_a_host_is_drained_in_the_middle_of_a_burst(
    spread: World, autojump_clock: object
) -> None:
    """The promise falls first, and none of the jobs that are ours already is left waiting."""
    world = spread
    world.profiles = {"linux": profile(max_count=12)}
    async with world.running():
        await world.deliver(8, *(world.job(number) for number in range(8)))
        await world.until(lambda: len(world.machines) == 8, 10)
        assert world.contexts["queue"].ceiling("linux") == 12
        busy = [n for n, row in world.rows.items() if row.runner.room == "a"][:2]
        for number in busy:
            world.works(number)
        destroyed: list[int] = []  # ceilings at each end of a machine
        world.script["destroy"] = [
            lambda: destroyed.append(world.contexts["queue"].ceiling("linux"))
        ] * 8
        await world.engine.orders.drain("a", "root")
        assert world.contexts["queue"].ceiling("linux") == 8  # what works there, and what fits b
        assert destroyed == []
        await world.until(lambda: len(destroyed) == 2, 30)
        assert set(destroyed) == {8}
        await world.until(lambda: len(world.machines) == 8, 30)
        assert set(busy) <= set(world.machines)
        assert [row.runner.room for row in world.rows.values()].count("b") == 6


async def test_now_ends_what_works_there_and_says_which(
    spread: World, autojump_clock: object
) -> None:
    world = spread
    async with world.running():
        await all_idle(world)
        [busy, _] = [n for n, row in world.rows.items() if row.runner.room == "a"]
        [other, _] = [n for n, row in world.rows.items() if row.runner.room == "b"]
        for number, job in ((busy, 1), (other, 2)):
            world.works(number)
            await world.deliver(2, world.job(job, "running", world.name(number)))
        destroyed = _unguarded(world)
        order, ended = await world.engine.orders.drain("a", "root", now=True)
        assert [(each.id, each.job) for each in ended] == [(busy, "j1")]
        await world.until(lambda: busy in destroyed, 30)
        assert other not in destroyed
        texts = [each.text for each in world.engine.view().events]
        assert any("is ended with its job j1: a is drained at once by root" in t for t in texts)
        await trio.sleep(60)
        assert world.states()[other] == "busy"
        assert order.name == "vm/a"


async def test_who_is_told_that_runners_end_need_not_fear_a_crash(
    spread: World, autojump_clock: object
) -> None:
    world = spread
    async with world.running():
        await all_idle(world)
        [busy, *_] = [n for n, row in world.rows.items() if row.runner.room == "a"]
        world.works(busy)
        await world.deliver(2, world.job(1, "running", world.name(busy)))
        await world.engine.orders.drain("a", "root", now=True)
        with closing(sqlite3.connect(world.folder / "ledger.sqlite3")) as ledger:
            (row,) = ledger.execute("SELECT row FROM runners WHERE id = ?", (busy,)).fetchone()
        assert json.loads(row)["forced"]


async def test_where_it_cannot_be_written_that_runners_end_the_order_is_told_as_unwritten(
    spread: World, autojump_clock: object
) -> None:
    world = spread
    async with world.running():
        await all_idle(world)
        [busy, *_] = [n for n, row in world.rows.items() if row.runner.room == "a"]
        world.works(busy)
        await world.deliver(2, world.job(1, "running", world.name(busy)))
        orders = world.engine.orders
        await orders.drain("a", "root")
        world.disk_full = True
        _, ended = await orders.drain("a", "root", now=True)
        assert [each.id for each in ended] == [busy]
        assert ("drain", "vm/a") in orders.unwritten
        world.disk_full = False


def _unguarded(world: World) -> list[int]:
    """From now on machines with a job may be destroyed: somebody says so. Who was."""
    destroyed: list[int] = []
    machines = world.machines

    class Stopping(dict[int, object]):
        """What the world's provisioner looks in for a machine that runs."""

        def get(self, key: int, default: object = None) -> object:
            destroyed.append(key)
            found = machines.get(key)
            return replace(found, state="stopped") if found is not None else default

        def pop(self, key: int, default: object = None) -> object:
            return machines.pop(key, default)

    guarded = Stopping(machines)
    world.__dict__["machines"] = guarded
    return destroyed


async def test_what_is_reserved_there_stays_so(world: World, autojump_clock: object) -> None:
    world.plugins["queue"] = reserving(world, Labels())
    async with idle(world, 2):
        [runner] = await take(world)
        await world.engine.orders.drain("a", "root")
        await world.until(lambda: list(world.states().values()) == ["reserved"], 30)
        await trio.sleep(5)
        assert world.states() == {runner.id: "reserved"}


async def test_undrained_it_takes_machines_again(world: World, autojump_clock: object) -> None:
    async with world.running():
        await world.engine.orders.drain("a", "root")
        await world.deliver(1, world.job(1))
        await trio.sleep(60)
        assert not world.rows
        view = world.engine.view()
        assert view.profiles["linux"].why == "no room: a is draining"
        assert view.profiles["linux"].cure == "scaler undrain a"
        assert view.cures["linux", "j1"] == "scaler undrain a"
        assert view.profiles["linux"].ceiling == 0
        assert await world.engine.orders.undrain("a", "root") == ("vm/a", True)
        await world.until(lambda: len(world.machines) == 1, 5)
        assert told(world, "a").state is RoomState.UP
        assert await world.engine.orders.undrain("vm/a", "root") == ("vm/a", False)


async def test_it_outlasts_a_restart(world: World, autojump_clock: object) -> None:
    async with world.running(crash=True):
        await world.engine.orders.drain("a", "root")
    async with world.running():
        await world.deliver(1, world.job(1))
        await trio.sleep(60)
        assert not world.rows
        order, _ = await world.engine.orders.drain("a", "another")
        assert order.by == "root"


async def test_spares_there_go_after_a_restart_whatever_lists_say(
    spread: World, autojump_clock: object
) -> None:
    """A person said so: neither its rooms nor its source are waited for."""
    world = spread
    async with world.running(crash=True):
        await all_idle(world)
        world.script["unregister"] = [Unavailable("away")] * 50
        await world.engine.orders.drain("a", "root")
    world.script = {"capacity": [Unavailable("away")] * 100}
    async with world.running():
        await world.until(lambda: rooms_of(world) == {"b"}, 60)


async def test_a_plugins_own_draining_counts_as_well(spread: World, autojump_clock: object) -> None:
    """`drain = true` of a host: the same as if a person had said it here."""
    world = spread
    async with world.running():
        await world.deliver(0)
        await all_idle(world)
        world.rooms[0] = replace(world.rooms[0], state=RoomState.DRAINING)
        world.contexts["vm"].capacity_changed()
        await world.until(lambda: rooms_of(world) == {"b"}, 60)
        await world.until(lambda: len(world.machines) == 4, 30)
        with pytest.raises(Refused, match="a is draining, says vm by itself"):
            await world.engine.orders.undrain("a", "root")


async def test_its_host_may_be_down(world: World, autojump_clock: object) -> None:
    world.rooms = [Room(name="a", state=RoomState.DOWN), Room(name="b")]
    async with world.running():
        await world.until(lambda: world.engine.view().rooms, 5)
        await world.engine.orders.drain("a", "root", now=True)
        assert told(world, "a").state is RoomState.DOWN  # which says more
        world.rooms = [Room(name="a"), Room(name="b")]
        world.contexts["vm"].capacity_changed()
        await world.until(lambda: told(world, "a").state is RoomState.DRAINING, 10)


async def test_names_that_are_not_known_or_not_clear(world: World, autojump_clock: object) -> None:
    other = world.plugins["vm"]

    class Second(other):  # type: ignore[misc, valid-type]
        """Another with a room of the same name."""

    world.plugins["two"] = Second
    world.profiles = {"linux": profile(provisioners=("vm", "two"))}
    world.rooms = [Room(name="a"), Room(name="a/b")]
    async with world.running():
        orders = world.engine.orders
        await world.until(lambda: len(world.engine.view().rooms) == 2, 5)
        with pytest.raises(LookupError, match="more than one host 'a': say vm/a or two/a"):
            await orders.drain("a", "root")
        with pytest.raises(LookupError, match=r"no host 'c'; there are: a, a/b"):
            await orders.drain("c", "root")
        with pytest.raises(LookupError, match="no host 'c'"):
            await orders.undrain("c", "root")
        assert (await orders.drain("two/a/b", "root"))[0].name == "two/a/b"
        await world.deliver(1, world.job(1))
        await world.until(lambda: world.rows, 5)
        # one order for a room of the name is enough to know which is meant
        with pytest.raises(LookupError, match="more than one host 'a/b'"):
            await orders.undrain("a/b", "root")
        assert await orders.undrain("two/a/b", "root") == ("two/a/b", True)


async def test_a_provisioner_without_rooms_is_called_by_its_name(
    world: World, autojump_clock: object
) -> None:
    world.rooms = [Room(name="")]
    async with world.running():
        await world.until(lambda: world.engine.view().rooms, 5)
        order, _ = await world.engine.orders.drain("vm", "root")
        assert order.name == "vm/"
        await world.deliver(1, world.job(1))
        await trio.sleep(60)
        assert not world.rows
        assert world.engine.view().profiles["linux"].cure == "scaler undrain vm"
        assert await world.engine.orders.undrain("vm", "root") == ("vm/", True)
        await world.until(lambda: world.rows, 5)
