"""Builders, and the boot script that they get as runners do."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio

from scaler.errors import GuestNotReady, GuestUnknown, Incomplete, Unavailable
from scaler.records import Machine

from .conftest import profile
from .test_guests import KEY, boots, builder, digest, guest
from .test_pictures import PNG, Screens, picture, with_screens

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.engine.conftest import World

    from scaler.records import Picture


async def test_a_builder_boots_and_is_not_registered(real_world: World, tmp_path: Path) -> None:
    (tmp_path / "boot.sh").write_text("build!")
    real_world.profiles["linux"] = profile(boot_script=str(tmp_path / "boot.sh"))
    async with real_world.running():
        machine = builder(real_world, addresses=("192.0.2.9",))
        builder(real_world, id="b2", key=digest(KEY), addresses=("192.0.2.10",))
        assert len(real_world.engine.view().builders) == 2
        for found in (guest(real_world, "192.0.2.9"), guest(real_world, "192.0.2.1", KEY)):
            assert (found.profile, found.runner) == ("linux", None)
            assert await found.boot() == "build!"
            with pytest.raises(GuestUnknown, match="image"):
                await found.registration()
        with pytest.raises(GuestUnknown):
            guest(real_world, "192.0.2.10")
        real_world.contexts["vm"].machine_changed(replace(machine, state="stopped"))
        with pytest.raises(GuestUnknown):
            guest(real_world, "192.0.2.9")
        assert [each.id for each in real_world.engine.view().builders] == ["b2"]


async def test_builders_are_as_lists_tell(world: World, autojump_clock: object) -> None:
    def ids() -> list[str]:
        return [each.id for each in world.engine.view().builders]

    def there(*machines: Machine) -> None:
        world.machines = {-number: each for number, each in enumerate(machines, 1)}

    one, two = (Machine(runner=None, id=each, profile="linux") for each in ("b1", "b2"))
    there(one, two, Machine(runner=None, id="b3", profile="linux", state="stopped"))
    async with world.running():
        assert ids() == ["b1", "b2"]
        await trio.sleep(100)
        version = world.engine.view().version
        there(two, one)
        await trio.sleep(100)
        assert world.engine.view().version == version  # nothing changed
        there()
        world.script["list machines"] = [Incomplete([two], "a host is away")] * 3
        await world.until(lambda: not world.script["list machines"], 100)
        assert ids() == ["b1", "b2"]
        there(two)
        await world.until(lambda: ids() == ["b2"], 60)
        there()
        await world.until(lambda: ids() == [], 60)


async def test_a_list_that_began_earlier_does_not_bring_a_builder_back(
    world: World, autojump_clock: object
) -> None:
    one = Machine(runner=None, id="b1", profile="linux")
    gone = replace(one, state="stopped")
    async with world.running():
        world.contexts["vm"].machine_changed(one)
        assert world.engine.view().builders == (one,)
        world.machines[-1] = one
        world.script["list machines"] = [lambda: world.contexts["vm"].machine_changed(gone)]
        await world.until(lambda: not world.script["list machines"], 60)
        world.machines.clear()
        assert world.engine.view().builders == ()
        # and one that was told of is not forgotten
        world.script["list machines"] = [lambda: world.contexts["vm"].machine_changed(one)]
        await world.until(lambda: not world.script["list machines"], 60)
        assert world.engine.view().builders == (one,)


# --- the boot script


async def test_a_boot_script_is_as_the_file_is_now(real_world: World, tmp_path: Path) -> None:
    script = tmp_path / "boot.sh"
    script.write_text("one é")
    real_world.profiles["linux"] = profile(boot_script=str(script))
    async with real_world.running():
        await boots(real_world)
        assert await guest(real_world).boot() == "one é"
        script.write_text("two")
        assert await guest(real_world).boot() == "two"
        real_world.online(1)
        assert await guest(real_world).boot() == "two"


async def test_a_profile_without_one_has_none(real_world: World) -> None:
    async with real_world.running():
        await boots(real_world)
        with pytest.raises(GuestUnknown, match="linux has no boot script"):
            await guest(real_world).boot()


def missing(path: Path) -> None:
    path.unlink()


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def huge(path: Path) -> None:
    path.write_bytes(b"x" * ((1 << 20) + 1))


def binary(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (missing, "No such file"),
        (folder, "directory"),
        (pipe, "not a file"),
        (huge, "more than 1048576 bytes"),
        (binary, "not UTF-8"),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
async def test_what_cannot_be_read_is_told_to_people_once(
    real_world: World,
    tmp_path: Path,
    spoil: Callable[[Path], None],
    why: str,
) -> None:
    script = tmp_path / "boot.sh"
    script.write_text("one")
    real_world.profiles["linux"] = profile(boot_script=str(script))

    def told() -> list[str]:
        return [each.text for each in real_world.engine.view().events if "boot" in each.text]

    async with real_world.running():
        await boots(real_world)
        before = len(told())
        spoil(script)
        for _ in range(3):
            with pytest.raises(GuestNotReady) as caught:
                await guest(real_world).boot()
            assert str(tmp_path) not in str(caught.value)
        [text] = told()[before:]
        assert why in text
        assert str(script) in text
        script.rmdir() if script.is_dir() else script.unlink(missing_ok=True)
        script.write_text("x" * (1 << 20))
        assert len(await guest(real_world).boot()) == 1 << 20
        assert "can be read again" in told()[-1]


# --- what a builder shows, and what is left of it when it is gone


async def shows(world: World, screens: Screens, machine: str, text: bytes) -> Picture:
    screens.shown[machine] = PNG + text
    builder(world, id=machine)
    await world.until(lambda: picture(world, "linux"), 40)
    shown = picture(world, "linux")
    assert shown is not None
    assert shown.png == PNG + text
    return shown


def gone(world: World, machine: str) -> None:
    builder(world, id=machine, state="stopped")


async def test_the_last_picture_stays_until_there_is_another_builder(
    world: World, autojump_clock: object
) -> None:
    screens = with_screens(world)
    world.tick = 1e5  # (no list tells of builders that are only told of)
    async with world.running():
        await trio.sleep(40)
        first = await shows(world, screens, "b1", b"kernel panic")
        gone(world, "b1")
        await trio.sleep(1000)
        assert picture(world, "linux") == first
        screens.shown["b2"] = Unavailable("it has no screen yet")
        builder(world, id="b2")
        await trio.sleep(5)
        assert picture(world, "linux") is None  # what b1 showed is not of this one
        screens.shown["b2"] = PNG + b"login:"
        await world.until(lambda: picture(world, "linux"), 700)
        gone(world, "b2")
        assert await world.contexts["vm"].keep("linux", "screenshot.png", b"")  # it went well
        assert picture(world, "linux") is None


async def test_a_picture_that_was_kept_is_shown_over_restarts(
    world: World, autojump_clock: object
) -> None:
    screens = with_screens(world)
    world.tick = 1e5
    async with world.running():
        await trio.sleep(40)
        keep = world.contexts["vm"].keep
        assert await keep("linux", "screenshot.png", PNG + b"kept")
        shown = picture(world, "linux")
        assert shown is not None
        assert shown.png == PNG + b"kept"
        await shows(world, screens, "b1", b"live")
        gone(world, "b1")
        assert await keep("linux", "serial.log", b"")
        assert (last := picture(world, "linux"))
        assert last.png == PNG + b"live"  # it is newer
        await keep("linux", "screenshot.png", PNG + b"at its end")
    async with world.running():
        again = picture(world, "linux")
        assert again is not None
        assert again.png == PNG + b"at its end"
        assert len(again.etag) > 8
        assert await world.contexts["vm"].keep("linux", "screenshot.png", b"no picture")
        assert picture(world, "linux") is None
        await world.contexts["vm"].keep("linux", "screenshot.png", PNG)
        (world.folder / "evidence" / "profile-linux" / "screenshot.png").unlink()
        assert await world.contexts["vm"].evidence("linux", "screenshot.png") is None
        assert picture(world, "linux") is None
