"""The socket of a scaler that runs: where it is, whose it is, and that it comes back."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

import pytest
import trio
from tests.control.conftest import ask, blocking, calling, result
from tests.engine.conftest import World

from scaler import __version__
from scaler.control import client, server
from scaler.control.place import SOCKET


async def until_back(folder: Path, other_than: int | None = None) -> None:
    with trio.fail_after(5):
        while True:
            path = folder / SOCKET
            if path.is_socket() and path.lstat().st_ino != other_than:
                return
            await trio.sleep(0.01)


async def test_the_status_says_what_is_there(world: World) -> None:
    async with world.running():
        await world.deliver(1, world.job(1))
        await world.until(lambda: world.states() == {1: "booting"})
        found = await result(world.folder, "status")
    assert (found["scaler"], found["running"], found["stopping"]) == ("host", True, False)
    assert (found["version"], found["pid"]) == (__version__, os.getpid())
    assert found["ok"], found["problems"]
    assert [each["name"] for each in found["runners"]] == ["linux.1@host"]
    assert found["jobs"][0]["why"] == "linux.1@host is booting"
    assert found["rooms"][0]["used"] == {"memory": 2}


async def test_several_requests_come_through_one_connection(world: World) -> None:
    async with world.running(), calling(world.folder) as caller:
        await caller.send(b'{"command": "status"}\n\n{"command": "why", "about": "linux"}\nno\n')
        assert (await caller.answer())["result"]["running"]
        assert (await caller.answer())["result"]["found"][0]["kind"] == "profile"
        assert (await caller.answer())["error"]["code"] == "malformed"
        assert (await caller.ask({"command": "status"}))["version"] == __version__


async def test_it_is_for_its_owner_alone_and_goes_at_the_end(world: World) -> None:
    path = world.folder / SOCKET
    async with world.running():
        facts = path.lstat()
        assert stat.S_ISSOCK(facts.st_mode)
        assert stat.S_IMODE(facts.st_mode) == 0o600
        assert not list(world.folder.glob(".control*"))
    assert not path.exists()
    with pytest.raises(client.NotRunning, match="scaler is not running"):
        await blocking(world.folder, {"command": "status"})


async def test_it_is_gone_before_the_next_one_may_have_the_folder(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    close = os.close

    async with world.running():
        lock = world.engine.state.ledger._lock

        def closing(descriptor: int) -> None:
            if descriptor == lock:
                seen.append((world.folder / SOCKET).exists())
            close(descriptor)

        monkeypatch.setattr(os, "close", closing)
    assert seen == [False]


async def test_a_path_longer_than_an_address_may_be(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 100) / ("b" * 100)
    folder.mkdir(parents=True)
    world = World(folder)
    async with world.running():
        assert (await result(folder, "status"))["running"]
        assert (await blocking(folder, {"command": "status"}))["scaler"] == "host"
        assert not list(folder.glob(".control*"))


async def test_a_socket_that_a_killed_scaler_left_is_replaced(world: World) -> None:
    left = world.folder / ".control-1234"
    left.mkdir()
    (left / SOCKET).touch()
    with trio.socket.socket(trio.socket.AF_UNIX) as old:
        await old.bind(str(world.folder / SOCKET))
    async with world.running():
        assert (await result(world.folder, "status"))["running"]
        assert not left.exists()


async def test_whatever_else_has_its_name_is_replaced_but_a_folder(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "LOOK", 0.05)
    path = world.folder / SOCKET
    path.mkdir()
    (path / "precious").touch()
    async with world.running():
        reports = [each for each in world.engine.view().reports if each.plugin == "control"]
        assert not reports[0].ok
        assert "cannot be made: it is a folder: remove it" in reports[0].text
        await trio.sleep(0.2)
        assert caplog.text.count("cannot be made") == 1
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"})  # it works all the same
        (path / "precious").unlink()
        path.rmdir()
        await until_back(world.folder)
        found = await result(world.folder, "status")
        assert found["ok"], found["problems"]


async def test_a_folder_that_cannot_be_written_to_is_a_fault_and_no_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**_where: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", refused)
    async with world.running():
        text = "control.sock cannot be made: Permission denied"
        assert any(text in each.text for each in world.engine.view().reports)
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"})


@pytest.mark.parametrize("how", ["removed", "replaced"])
async def test_a_socket_that_goes_while_it_runs_is_made_anew(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(server, "LOOK", 0.05)
    path = world.folder / SOCKET
    async with world.running(), calling(world.folder) as before:
        inode = path.lstat().st_ino
        if how == "removed":
            path.unlink()
        else:
            other = world.folder / "other"
            other.touch()
            other.rename(path)
        await until_back(world.folder, inode)
        assert (await result(world.folder, "status"))["running"]
        assert (await before.ask({"command": "status"}))["ok"], "who is connected stays so"
    assert not path.exists()


async def test_what_another_put_in_its_place_stays_at_the_end(world: World) -> None:
    path = world.folder / SOCKET
    async with world.running():
        path.unlink()
        path.touch()
    assert path.exists()


async def test_a_folder_that_is_open_to_others_is_warned_of(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.folder.chmod(0o755)
    async with world.running():
        assert (await result(world.folder, "status"))["running"]
    assert f"is open to other users (mode 755): chmod 700 {world.folder}" in caplog.text


async def test_it_answers_while_the_start_waits_and_every_plugin_hangs(world: World) -> None:
    for hook in ("list registrations", "list machines", "capacity", "register"):
        world.script[hook] = [World.HANG] * 10
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            async with world.running(crash=True):
                await trio.sleep_forever()

        nursery.start_soon(run)
        await until_back(world.folder)
        with trio.fail_after(2):
            found = await result(world.folder, "status")
            told = await result(world.folder, "why", about="linux")
        assert found["running"]
        assert told["found"][0]["name"] == "linux"
        nursery.cancel_scope.cancel()


async def test_while_it_stops_it_tells_and_takes_no_orders(world: World) -> None:
    world.script["register"] = [World.HANG]
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.count("register") == 1)
        world.stop()
        await world.until(lambda: world.engine.state.stopping)
        assert (await result(world.folder, "status"))["stopping"]
        answer = await ask(world.folder, {"command": "pause", "all": True})
        assert answer["error"]["code"] == "stopping"
        world.crash()
