"""Pictures that are taken at once, for whoever asks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio

from scaler.errors import Unavailable
from scaler.records import Picture
from scaler.units import Duration

from .test_pictures import PNG, Config, Screens, boots, builder, now, picture, with_screens

if TYPE_CHECKING:
    from tests.engine.conftest import World


@pytest.fixture
def screens(world: World) -> Screens:
    made = with_screens(world)
    world.configs.clear()
    return made


async def test_d29_at_most_one_a_second_of_each(
    world: World, screens: Screens, autojump_clock: object
) -> None:
    screens.takes = 0.5
    got: list[Picture] = []
    async with world.running():
        await boots(world, 2)

        async def client() -> None:
            got.append(await now(world, 1))

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(client)
        assert len(screens.shots) == 1  # all at once: one
        assert len({id(each) for each in got}) == 1
        began = trio.current_time()
        while trio.current_time() < began + 10:
            await now(world, 1)
            await trio.sleep(0.1)
        assert len(screens.shots) <= 1 + 7  # 1 s of rest, and 0.5 s that it takes
        again = await now(world, 2)
        assert again.png == PNG + b"2"


async def test_d29_few_at_the_same_time(
    world: World, screens: Screens, autojump_clock: object
) -> None:
    screens.takes = 4.0
    refused: list[object] = []

    async def client(number: int) -> None:
        try:
            await now(world, number)
        except Unavailable as error:
            refused.append((str(error), error.retry_after))

    async with world.running():
        await boots(world, 20)
        async with trio.open_nursery() as nursery:
            for number in range(1, 21):
                nursery.start_soon(client, number)
        assert screens.most == 4
        assert len(screens.shots) == 12  # in 12 s; who stood in line for 10 s is told to come again
        assert refused == [("too many pictures are being taken", 1.0)] * 8


async def test_who_gives_up_spoils_it_for_nobody(
    world: World, screens: Screens, autojump_clock: object
) -> None:
    screens.takes = 2.0
    got: list[Picture] = []

    async def client() -> None:
        got.append(await now(world, 1))

    async with world.running():
        await boots(world, 1)
        async with trio.open_nursery() as impatient, trio.open_nursery() as patient:
            impatient.start_soon(client)
            await trio.sleep(0.5)
            patient.start_soon(client)
            patient.start_soon(client)
            await trio.sleep(0.5)
            patient.cancel_scope.shield = True
            impatient.cancel_scope.cancel()
        assert len(got) == 2
        assert len(screens.shots) == 2


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (b"", "no PNG"),
        (b"GIF89a", "no PNG"),
        (b"P6 1 1", "no PNG"),
        (PNG + b"x" * (4 << 20), "more than 4194304 bytes"),
        ("text", "cannot take a picture"),
        (None, "cannot take a picture"),
        (RuntimeError("broken"), "cannot take a picture"),
        (Unavailable("the host is away", 7.0), "the host is away"),
    ],
    ids=["empty", "gif", "ppm", "huge", "text", "none", "broken", "away"],
)
async def test_what_is_no_picture_is_none(
    world: World, screens: Screens, autojump_clock: object, shown: object, why: str
) -> None:
    screens.shown["1"] = shown
    async with world.running():
        await boots(world, 1)
        for _ in range(3):
            with pytest.raises(Unavailable, match=why):
                await now(world, 1)
        assert len(screens.shots) == 1
        assert picture(world, 1) is None
        screens.shown.clear()
        await trio.sleep(1.1)
        good = await now(world, 1)
        screens.shown["1"] = shown
        await trio.sleep(1.1)
        with pytest.raises(Unavailable, match=why):
            await now(world, 1)
        assert picture(world, 1) == good  # the last good one stays


async def test_the_same_picture_has_the_same_name(
    world: World, screens: Screens, autojump_clock: object
) -> None:
    async with world.running():
        await boots(world, 2)
        one, two = await now(world, 1), await now(world, 2)
        await trio.sleep(2)
        again = await now(world, 1)
        assert one.etag == again.etag != two.etag
        assert again.etag.isalnum()
        assert world.engine.pictures._bytes == len(again.png) + len(two.png)


async def test_a_machine_that_is_not_there_has_no_screen(
    world: World, screens: Screens, autojump_clock: object
) -> None:
    context = world.contexts
    async with world.running():
        await boots(world, 1)
        machine = world.machines[1]
        for other in (
            replace(machine, runner=7),
            replace(machine, id="vm-9"),
            replace(machine, runner=None),
        ):
            with pytest.raises(LookupError, match="no machine"):
                await context["queue"].screenshot(other)
        built = builder(world)
        assert (await context["queue"].screenshot(built)).png == PNG + b"b1"
        world.script["destroy"] = [5.0]
        world.stop_machine(1)
        with pytest.raises(Unavailable, match="stopped"):
            await context["queue"].screenshot(machine)
        world.agents.clear()


async def test_a_provisioner_without_screenshots_has_none(
    world: World, autojump_clock: object
) -> None:
    world.configs["vm"] = Config(Duration(30))
    async with world.running():
        await boots(world, 1)
        await trio.sleep(60)
        with pytest.raises(LookupError, match="vm takes no pictures"):
            await now(world, 1)
        assert picture(world, 1) is None
