"""C49: a file server that never answers holds nobody: neither clients, nor places, nor the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from scaler_monitor.api import static
from scaler_monitor.settings import Config, StaticFolder

from .fakes import FakeCore, asking, served


class Stuck:
    """Holds threads until it is let go.

    Attributes:
        held: Threads that came.
    """

    def __init__(self) -> None:
        self.held = 0
        self._go = threading.Event()

    def hold(self) -> None:
        self.held += 1
        self._go.wait(20)

    def go(self) -> None:
        self._go.set()


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    made = Stuck()
    yield made
    made.go()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "served"
    made.mkdir()
    (made / "a.txt").write_text("a file\n")
    return made


@pytest.fixture
def opening_hangs(stuck: Stuck, monkeypatch: pytest.MonkeyPatch) -> None:
    real = static._open

    def hanging(folder: Path, name: tuple[str, ...]) -> Any:
        stuck.hold()
        return real(folder, name)

    monkeypatch.setattr(static, "_open", hanging)


@pytest.fixture
def reading_hangs(stuck: Stuck, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pread

    def hanging(descriptor: int, size: int, at: int) -> bytes:
        stuck.hold()
        return real(descriptor, size, at)

    monkeypatch.setattr(os, "pread", hanging)


def descriptors(folder: Path) -> list[str]:
    """Which files of the folder this process has open."""
    found = []
    for each in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{each}")
        except OSError:  # that of the list itself
            continue
        if name.startswith(str(folder)):
            found.append(name)
    return found


async def none_open(folder: Path) -> None:
    with trio.fail_after(5):
        while descriptors(folder):  # noqa: ASYNC110 - a thread does it, and tells nobody
            await trio.sleep(0.01)


@pytest.mark.usefixtures("opening_hangs")
async def test_c49_what_cannot_be_opened_in_time_is_not_ready(
    core: FakeCore, folder: Path, stuck: Stuck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static, "PATIENCE", 0.2)
    ask = asking(core, folder, Config(static={"/x": StaticFolder(path=folder)}))
    answers = []

    async def one() -> None:
        answers.append(await ask("GET", "/x/a.txt"))

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for _ in range(static.THREADS + 4):  # the last have no thread
                nursery.start_soon(one)
    assert [(each.status, each.code) for each in answers] == [(503, "not-ready")] * len(answers)
    assert {each.headers["Retry-After"] for each in answers} == {"5"}
    assert stuck.held == static.THREADS
    stuck.go()
    monkeypatch.setattr(static, "PATIENCE", 5.0)
    with trio.fail_after(5):
        assert (await ask("GET", "/x/a.txt")).body == b"a file\n"
    await none_open(folder)


@pytest.mark.usefixtures("reading_hangs")
async def test_c49_what_cannot_be_read_in_time_is_broken_off_and_its_thread_closes_it(
    folder: Path, stuck: Stuck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static, "PATIENCE", 0.2)
    opened = static._open(folder, ("a.txt",))
    assert opened is not None
    with trio.fail_after(5):
        async with static._Body(opened, trio.CapacityLimiter(1)) as body:
            with pytest.raises(OSError, match=r"not be read within 0\.2 s"):
                await anext(body)
    assert len(descriptors(folder)) == 1, "its number is another file's once it is closed"
    stuck.go()
    await none_open(folder)


@pytest.mark.usefixtures("opening_hangs")
async def test_c49_the_service_ends_in_time_while_an_opening_hangs(
    core: FakeCore, folder: Path, stuck: Stuck
) -> None:
    await ends_in_time(core, folder, stuck)


@pytest.mark.usefixtures("reading_hangs")
async def test_c49_the_service_ends_in_time_while_a_read_hangs(
    core: FakeCore, folder: Path, stuck: Stuck
) -> None:
    await ends_in_time(core, folder, stuck)


async def ends_in_time(core: FakeCore, folder: Path, stuck: Stuck) -> None:
    with trio.fail_after(5):
        async with served(core, folder, static={"/x": StaticFolder(path=folder)}) as monitor:
            port = int(monitor.addresses[0].rpartition(":")[2])
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(b"GET /x/a.txt HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while not stuck.held:  # noqa: ASYNC110 - a thread does it, and tells nobody
                await trio.sleep(0.01)
        await stream.aclose()
    stuck.go()
    await none_open(folder)
