"""Evidence: kept in files, bounded, for its owner alone, and never in anybody's way."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler.engine import evidence
from scaler.evidence import index
from scaler.evidence.files import PART, Files
from scaler.records import Kept

from .conftest import World, profile

if TYPE_CHECKING:
    from pathlib import Path

    from scaler import Context

MONTH = 30 * 86400.0


def vm(world: World) -> Context[Any, Any]:
    return world.contexts["vm"]


def names(world: World, subject: int | str) -> list[str]:
    return [each.name for each in vm(world).kept(subject)]


def told(world: World) -> list[str]:
    return [each.text for each in world.engine.view().events if "evidence" in each.text]


def present(path: Path) -> bool:
    return path.exists()


def modes(folder: Path) -> list[int]:
    return [path.stat().st_mode & 0o777 for path in (folder, *sorted(folder.rglob("*")))]


def parts(folder: Path) -> list[Path]:
    return list(folder.glob(f"*/{PART}"))


def litter(folder: Path) -> None:
    (folder / "profile-linux" / PART).write_bytes(b"it crashed in the middle")
    (folder / "something else").mkdir()


def links(folder: Path) -> None:
    (folder / "runner-3").mkdir(parents=True)
    (folder / "runner-3" / "x.log").symlink_to("/etc/passwd")
    (folder / "runner-4").symlink_to("/etc")


def no_folder(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.write_text("a file")


@pytest.fixture
def folder(world: World) -> Path:
    return world.folder / "evidence"


async def test_what_is_kept_is_there_again_after_a_restart(
    world: World, folder: Path, autojump_clock: object
) -> None:
    async with world.running():
        assert not present(folder)  # nothing is made that nobody needs
        assert vm(world).kept("linux") == ()
        assert await vm(world).evidence("linux", "serial.log") is None
        assert await vm(world).keep("linux", "serial.log", b"panic!")
        assert await vm(world).keep("linux", "reason.txt", b"no disk")
        assert await vm(world).keep("linux", "serial.log", b"panic again")
        [first, second] = vm(world).kept("linux")
        assert (first.name, first.size, second.name) == ("reason.txt", 7, "serial.log")
        before = vm(world).kept("linux")
    litter(folder)
    async with world.running():
        assert [each.name for each in vm(world).kept("linux")] == [each.name for each in before]
        assert await vm(world).evidence("linux", "serial.log") == b"panic again"
        assert await vm(world).keep("linux", "serial.log", b"")
        assert names(world, "linux") == ["reason.txt"]
        assert await vm(world).evidence("linux", "serial.log") is None
        assert os.listdir(folder / "profile-linux") == ["reason.txt"]
        assert await vm(world).keep("linux", "reason.txt", b"")
        assert os.listdir(folder) == ["something else"]


async def test_it_is_its_owners_alone(world: World, folder: Path, autojump_clock: object) -> None:
    async with world.running():
        assert await vm(world).keep("linux", "serial.log", b"x")
        assert modes(folder) == [0o700, 0o700, 0o600]


@pytest.mark.parametrize(
    "name", ["", "..", ".part", "a/b", "A.log", "a b", "-x", "x" * 65, "é.txt", "a\n"]
)
async def test_a_name_that_is_none_is_refused(
    world: World, folder: Path, autojump_clock: object, name: str
) -> None:
    async with world.running():
        with pytest.raises(ValueError, match="found the name"):
            await vm(world).keep("linux", name, b"x")
        assert not present(folder)
        assert await vm(world).evidence("linux", name) is None


async def test_what_is_too_large_or_of_nobody_is_refused(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        with pytest.raises(ValueError, match="found 1048577 bytes, wanted 1048576"):
            await vm(world).keep("linux", "serial.log", b"x" * ((1 << 20) + 1))
        assert await vm(world).keep("linux", "serial.log", b"x" * (1 << 20))
        for nobody in (7, "mac", "../linux"):
            with pytest.raises(LookupError, match="no runner or profile"):
                await vm(world).keep(nobody, "serial.log", b"x")
            assert vm(world).kept(nobody) == ()


async def test_of_a_runner_that_is_just_gone_there_may_still_be_something(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: 1 in world.machines, 5)
        await world.deliver(0)
        await world.until(lambda: not world.rows, 60)
        assert await vm(world).keep(1, "serial.log", b"late")
        assert names(world, 1) == ["serial.log"]


async def test_the_config_of_that_runner_is_cut_out(world: World, autojump_clock: object) -> None:
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: list(world.states().values()) == ["booting"], 5)
        await vm(world).keep(1, "serial.log", b"env: s3cret s3cret.")
        assert await vm(world).evidence(1, "serial.log") == b"env: *** ***."


# --- bounds


async def test_what_is_too_old_goes(
    world: World, folder: Path, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.profiles["mac"] = profile("mac")
    async with world.running():
        await vm(world).keep("linux", "serial.log", b"x")
        await vm(world).keep("mac", "serial.log", b"x")
    old = folder / "profile-linux" / "serial.log"
    os.utime(old, (1e9, 1e9))
    async with world.running():
        assert (names(world, "linux"), names(world, "mac")) == ([], ["serial.log"])
        assert not present(old.parent)
        monkeypatch.setattr(index, "AGE", -1.0)
        await trio.sleep(evidence.ROUND + 1)  # and without a restart
        assert names(world, "mac") == []


def kept(name: str = "a.txt", size: int = 1, time: float = 0.0) -> Kept:
    return Kept(name=name, size=size, time=time)


def test_too_many_and_too_large_go_the_oldest_first_and_profiles_last() -> None:
    many = [(index.shelf_of(n), kept(time=float(n))) for n in range(1, index.SUBJECTS + 4)]
    found = index.Index([("profile-linux", kept(time=0.5)), *many])
    assert found.surplus(1000.0, "runner-1") == [(f"runner-{n}", None) for n in (2, 3, 4, 5)]
    large = [(f"runner-{n}", kept(size=index.ALL // 2, time=float(n))) for n in (1, 2, 3)]
    assert index.Index(large).surplus(1000.0, "runner-1") == [("runner-2", None)]
    two = [(f"profile-{n}", kept(size=index.ALL, time=float(n))) for n in (1, 2)]
    assert index.Index(two).surplus(1000.0) == [("profile-1", None)]
    assert index.Index(large[:2]).surplus(1000.0) == []


def test_age_goes_by_the_newest_item() -> None:
    found = index.Index([("runner-1", kept("a")), ("runner-1", kept("b", time=MONTH))])
    assert found.surplus(MONTH + index.AGE) == []
    assert found.surplus(MONTH + index.AGE + 1) == [("runner-1", None)]


async def test_of_one_subject_the_oldest_items_go(world: World, autojump_clock: object) -> None:
    async with world.running():
        for number in range(index.ITEMS + 3):
            assert await vm(world).keep("linux", f"log.{number}", b"x")
        assert len(names(world, "linux")) == index.ITEMS
        assert await vm(world).evidence("linux", "log.2") is None
        assert await vm(world).evidence("linux", "log.3") == b"x"


async def test_room_is_made_before_it_is_used(
    world: World, folder: Path, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "ALL", 100)
    async with world.running():
        await world.deliver(3)
        await world.until(lambda: len(world.machines) == 3, 5)
        for number in (1, 2, 3):
            assert await vm(world).keep(number, "serial.log", b"x" * 50)
        assert sorted(os.listdir(folder)) == ["runner-2", "runner-3"]


# --- a disk that does not do its part


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("call", ["mkdir", "open", "utime", "rename"])
async def test_c39_a_disk_that_fails_is_told_once_and_leaves_nothing_half(
    world: World,
    folder: Path,
    autojump_clock: object,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    call: str,
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    async with world.running():
        assert await vm(world).keep("linux", "serial.log", b"before")
        await world.deliver(1)
        await world.until(lambda: 1 in world.machines, 5)
        with monkeypatch.context() as broken:
            broken.setattr(os, call, fail)
            for _ in range(3):
                assert not await vm(world).keep(1, "serial.log", b"x")
                kept = await vm(world).keep("linux", "serial.log", b"x")
                assert kept == (call == "mkdir")  # (its folder is there)
                assert kept or names(world, "linux") == ["serial.log"]
        [text] = [each for each in told(world) if "cannot" in each]
        assert os.strerror(number) in text
        assert vm(world).kept(1) == ()
        assert not parts(folder)
        assert await vm(world).keep(1, "serial.log", b"x")
        assert told(world)[1:] == ["evidence of failures can be kept again"]
        before = b"x" if call == "mkdir" else b"before"
        assert await vm(world).evidence("linux", "serial.log") == before


async def test_c39_a_folder_that_cannot_be_read_is_no_reason_not_to_start(
    world: World, folder: Path, autojump_clock: object
) -> None:
    links(folder)
    async with world.running():
        assert vm(world).kept(3) == vm(world).kept(4) == ()
        world.disk_full = True
        assert not await vm(world).keep("linux", "x.log", b"x")
        world.disk_full = False
    no_folder(folder)
    async with world.running():
        assert not await vm(world).keep("linux", "x.log", b"x")
        assert len(told(world)) == 1


async def test_c39_a_disk_that_hangs_is_waited_for_once(
    real_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "PATIENCE", 0.2)
    hangs, write = threading.Event(), Files.write

    def slow(self: Files, *arguments: Any) -> None:
        hangs.wait(20)
        write(self, *arguments)

    monkeypatch.setattr(Files, "write", slow)
    async with real_world.running():
        context = vm(real_world)
        began = trio.current_time()
        assert not await context.keep("linux", "serial.log", b"x")
        for _ in range(50):
            assert not await context.keep("linux", "serial.log", b"x")
        assert trio.current_time() - began < 2
        assert [text for text in told(real_world) if "more than 0.2 s" in text] == told(real_world)
        assert len(told(real_world)) == 1
        hangs.set()
        with trio.fail_after(10):
            while not await context.keep("linux", "serial.log", b"again"):  # noqa: ASYNC110
                await trio.sleep(0.05)
        assert await context.evidence("linux", "serial.log") == b"again"


def test_what_is_odd_costs_nothing_else(tmp_path: Path) -> None:
    files = Files(tmp_path)
    for shelf in ("runner-1", "runner-2"):
        files.write(shelf, "serial.log", b"x", 5.0)
    (tmp_path / "runner-1" / PART).mkdir()  # what nobody can unlink
    wanted = Kept(name="serial.log", size=1, time=5.0)
    assert sorted(files.found(), key=str) == [("runner-1", wanted), ("runner-2", wanted)]
