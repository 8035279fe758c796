"""Pictures: whose turn it is, what they may cost, and what is kept of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler import hookimpl
from scaler.engine import pictures
from scaler.errors import Unavailable
from scaler.records import Machine, Picture
from scaler.units import Duration

from .conftest import profile

if TYPE_CHECKING:
    from tests.engine.conftest import World

PNG = pictures.SIGNATURE + b"screen "


@dataclass
class Config:
    """What a plugin's settings may hold."""

    screenshot_interval: Duration


class Screens:
    """What the machines show, and when each was looked at."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.shown: dict[str, Any] = {}
        self.shots: list[tuple[float, str]] = []
        self.under_way = self.most = 0
        self.takes = 0.0
        self.slow: dict[str, float] = {}
        screens = self
        provisioner = world.plugins["vm"]

        class Provisioner(provisioner):  # type: ignore[misc, valid-type]
            @hookimpl
            async def screenshot(self, machine: Machine) -> Any:
                return await screens.shoot(machine)

        world.plugins["vm"] = Provisioner
        world.configs["vm"] = Config(Duration(30))

    async def shoot(self, machine: Machine) -> Any:
        name = str(machine.runner or machine.id)
        self.shots.append((trio.current_time(), name))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await trio.sleep(self.slow.get(name, self.takes))
        finally:
            self.under_way -= 1
        shown = self.shown.get(name, PNG + name.encode())
        if isinstance(shown, Exception):
            raise shown
        return shown

    def times(self, machine: str) -> list[float]:
        return [at for at, each in self.shots if each == machine]


@pytest.fixture
def screens(world: World) -> Screens:
    return with_screens(world)


def with_screens(world: World) -> Screens:
    world.rooms = [replace(world.rooms[0], total={})]
    world.profiles["linux"] = profile(max_count=100, start_timeout=1e6)
    return Screens(world)


async def boots(world: World, count: int) -> None:
    await world.deliver(count)
    await world.until(lambda: list(world.states().values()) == ["booting"] * count, 30)


def builder(world: World, name: str = "b1", **more: Any) -> Machine:
    machine = Machine(**{"runner": None, "id": name, "profile": "linux", **more})
    world.machines[-len(world.machines) - 1000] = machine
    world.contexts["vm"].machine_changed(machine)
    return machine


def picture(world: World, subject: int | str) -> Picture | None:
    return world.contexts["queue"].picture(subject)


async def now(world: World, number: int) -> Picture:
    return await world.contexts["queue"].screenshot(world.machines[number])


def no_cost(monkeypatch: pytest.MonkeyPatch, cost: float = 0.0) -> None:
    """Every turn costs so many seconds of the processor, whatever this machine needs."""
    spent = iter(range(10**9))
    monkeypatch.setattr(time, "process_time", lambda: next(spent) * cost)


# --- in the background


async def test_every_machine_is_pictured_on_the_interval(
    world: World, screens: Screens, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_cost(monkeypatch)
    async with world.running():
        await boots(world, 3)
        builder(world)
        assert picture(world, 1) is None
        await trio.sleep(5)
        for subject, machine in ((1, "1"), (2, "2"), (3, "3"), ("linux", "b1")):
            shown = picture(world, subject)
            assert shown is not None
            assert shown.png == PNG + machine.encode()
        await trio.sleep(300)
        for machine in ("1", "2", "3", "b1"):
            times = screens.times(machine)
            apart = [after - before for before, after in pairwise(times)]
            assert 9 <= len(times) <= 11
            assert all(30 <= each < 33 for each in apart)


async def test_never_more_than_5_percent_of_a_core(
    world: World, screens: Screens, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_cost(monkeypatch, 0.2)
    screens.takes = 0.2
    async with world.running():
        await boots(world, 20)
        await trio.sleep(10)
        screens.shots.clear()
        await trio.sleep(1000)
        # 0.2 s each: one in 5 s
        assert 190 <= len(screens.shots) <= 201
        counts = [len(screens.times(str(number))) for number in range(1, 21)]
        assert max(counts) - min(counts) <= 1  # and everyone has its turn
        assert screens.most == 1


async def test_what_others_spend_while_a_picture_is_waited_for_costs_no_long_rest(
    world: World, screens: Screens, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "process_time", lambda: trio.current_time() / 2)
    screens.slow["1"] = 8.0
    async with world.running():
        await boots(world, 10)
        await trio.sleep(100)
        screens.shots.clear()
        await trio.sleep(1000)
        for machine in map(str, range(1, 11)):
            assert all(after - before < 45 for before, after in pairwise(screens.times(machine)))
        screens.slow.update(dict.fromkeys(map(str, range(2, 11)), 8.0))
        await trio.sleep(1000)
        screens.shots.clear()
        await trio.sleep(1000)  # what all seem to cost is charged, but not without end
        assert all(30 < after - before < 39 for (before, _), (after, _) in pairwise(screens.shots))


async def test_looking_round_among_very_many_is_rested_from_too(
    world: World, screens: Screens, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_cost(monkeypatch, 0.2)
    looks: list[float] = []
    async with world.running():
        look = world.engine.pictures._look

        def noted(*args: Any) -> None:
            looks.append(trio.current_time())
            look(*args)

        monkeypatch.setattr(world.engine.pictures, "_look", noted)
        await trio.sleep(100)
    assert 18 <= len(looks) <= 22


async def test_builders_first_then_who_is_watched_then_the_oldest(
    world: World, screens: Screens, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_cost(monkeypatch, 0.2)
    async with world.running():
        await boots(world, 40)
        builder(world)
        screens.shots.clear()
        began = trio.current_time()
        while trio.current_time() < began + 600:
            picture(world, 33)
            await trio.sleep(10)

        def every(machine: str) -> float:
            return 600 / len(screens.times(machine))

        assert 30 <= every("b1") <= 36
        assert 30 <= every("33") <= 40
        assert every("1") > 150  # the others share what is left
        await trio.sleep(80)
        screens.shots.clear()
        await trio.sleep(600)  # nobody looks any more
        assert every("33") > 150
        assert every("b1") <= 36


async def test_who_is_asked_for_without_being_there_is_not_remembered(
    world: World, screens: Screens, autojump_clock: object
) -> None:
    async with world.running():
        for subject in (7, "windows", -1, 10**30):
            assert picture(world, subject) is None
        assert world.engine.pictures._watched == {}


async def test_who_is_watched_is_not_remembered_where_nothing_is_taken_in_the_background(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await boots(world, 3)
        for subject in (1, 2, 3, "linux"):
            assert picture(world, subject) is None
        assert world.engine.pictures._watched == {}


async def test_nor_while_stopping(world: World, screens: Screens, autojump_clock: object) -> None:
    async with world.running():
        await boots(world, 1)
        picture(world, 1)
        assert list(world.engine.pictures._watched) == [1]
        world.stop()
        await trio.sleep(2)
        picture(world, 1)
        assert world.engine.pictures._watched == {}


@pytest.mark.parametrize("config", [None, Config(Duration(0)), object()], ids=["none", "0", "else"])
async def test_without_an_interval_there_are_only_those_asked_for(
    world: World, screens: Screens, autojump_clock: object, config: object
) -> None:
    world.configs["vm"] = config
    async with world.running():
        await boots(world, 1)
        await trio.sleep(300)
        assert screens.shots == []
        assert (await now(world, 1)).png == PNG + b"1"
        assert picture(world, 1) is not None


async def test_a_machine_that_gives_none_is_left_alone_for_longer_and_longer(
    world: World, screens: Screens, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_cost(monkeypatch)
    screens.shown["1"] = Unavailable("no screen")
    async with world.running():
        await boots(world, 2)
        await trio.sleep(3000)
        times = screens.times("1")
        apart = [after - before for before, after in pairwise(times)]
        wanted = [60, 120, 240, 480, 600, 600]
        assert [round(each, -1) for each in apart[:6]] == wanted
        assert len(screens.times("2")) >= 90
        assert picture(world, 1) is None
        screens.shown.clear()
        assert (await now(world, 1)).png == PNG + b"1"
        await trio.sleep(700)  # it works again
        screens.shots.clear()
        await trio.sleep(300)
        assert len(screens.times("1")) >= 9


async def test_what_is_gone_leaves_no_picture_but_a_builders_stays(
    world: World, screens: Screens, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_cost(monkeypatch)
    async with world.running():
        await boots(world, 1)
        machine = builder(world)
        await trio.sleep(5)
        before = picture(world, "linux")
        assert before is not None
        assert picture(world, 1) is not None
        world.machines = {1: world.machines[1]}
        world.contexts["vm"].machine_changed(replace(machine, state="stopped"))
        await world.deliver(0)
        world.stop_machine(1)
        world.agents.clear()
        await world.until(lambda: not world.rows, 200)
        assert picture(world, 1) is None
        await trio.sleep(5)
        assert picture(world, "linux") == before
        kept = world.engine.pictures
        assert (list(kept._last), kept._bytes) == (["linux"], len(before.png))
        assert kept._subjects == {}


async def test_memory_is_bounded(
    world: World, screens: Screens, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_cost(monkeypatch)
    monkeypatch.setattr(pictures, "MOST", 1000)
    async with world.running():
        await boots(world, 10)
        for number in range(1, 11):
            screens.shown[str(number)] = PNG + b"x" * (150 - len(PNG))
        world.engine.pictures._last.clear()
        world.engine.pictures._bytes = 0
        for number in range(1, 11):
            await trio.sleep(2)
            await now(world, number)
        there = [number for number in range(1, 11) if picture(world, number) is not None]
        assert there == [5, 6, 7, 8, 9, 10]
        assert world.engine.pictures._bytes == 900
