"""What a service manager hears, by a socket of the test's own."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing
from tests.ledger.books import a_row

from scaler import supervisor
from scaler.records import RunnerState
from scaler.supervisor import Supervisor


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def heard(self) -> list[dict[str, str]]:
        """Every datagram since the last time, each as its assignments."""
        found: list[dict[str, str]] = []
        while True:
            try:
                data = self.socket.recv(4096)
            except BlockingIOError:
                return found
            lines = data.decode().splitlines()
            found.append(dict(line.split("=", 1) for line in lines))

    async def listens(self, seconds: float) -> list[dict[str, str]]:
        """Everything that is said within this time: a queue holds ten datagrams or so."""
        found: list[dict[str, str]] = []
        until = trio.current_time() + seconds
        while trio.current_time() < until:
            await trio.sleep(min(5.0, until - trio.current_time()))
            found += self.heard()
        return found


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    name = str(tmp_path / "notify")
    made = Manager(name if request.param == "path" else f"@{name}")
    yield made
    made.socket.close()


async def test_ready_reloading_stopping(manager: Manager) -> None:
    told = Supervisor(manager.address)
    told.attach(trio.current_time, lambda: 30.0, lambda: "2 runners\n(1 busy)")
    told.ready()
    assert manager.heard() == [{"READY": "1", "STATUS": "2 runners (1 busy)"}]
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    told.reloading()
    told.ready()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    reloading, ready = manager.heard()
    assert reloading.pop("RELOADING") == "1"
    assert before <= int(reloading.pop("MONOTONIC_USEC")) <= after
    assert (reloading, ready) == ({}, {"READY": "1"})
    told.stopping()
    told.reloading()
    told.ready()  # too late: it would look as if it ran again
    (stopping,) = manager.heard()
    assert stopping["STOPPING"] == "1"
    assert int(stopping["EXTEND_TIMEOUT_USEC"]) > 0


async def test_signs_of_life_at_half_of_what_is_wanted(
    manager: Manager, autojump_clock: trio.testing.MockClock
) -> None:
    told = Supervisor(manager.address, watchdog=8.0)
    told.ready()
    manager.heard()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(told.run)
        assert await manager.listens(81.0) == [{"WATCHDOG": "1"}] * 21
        nursery.cancel_scope.cancel()


async def test_no_sign_of_life_once_nothing_is_planned_any_more(
    manager: Manager, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    told = Supervisor(manager.address, watchdog=8.0)
    looked = trio.current_time()
    told.attach(lambda: looked, lambda: 30.0)
    told.ready()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(told.run)
        assert len(await manager.listens(85)) == 1 + 22
        assert len(await manager.listens(100)) == 1  # by then three ticks are over
        assert caplog.text.count("nothing was planned for") == 1
        looked = trio.current_time()
        assert {"WATCHDOG": "1"} in await manager.listens(9)
        looked -= 1000
        told.stopping()  # the end has its own limits
        manager.heard()
        await trio.sleep(9)
        assert {"WATCHDOG": "1"}.items() <= manager.heard()[0].items()
        nursery.cancel_scope.cancel()


async def test_a_slow_start_and_a_slow_stop_ask_for_time(
    manager: Manager, autojump_clock: trio.testing.MockClock
) -> None:
    told = Supervisor(manager.address)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(told.run)
        await trio.sleep(35)
        assert manager.heard() == [{"EXTEND_TIMEOUT_USEC": "30000000"}] * 4
        told.ready()
        assert manager.heard() == [{"READY": "1"}]
        await trio.sleep(60)
        assert not manager.heard()
        told.stopping()
        await trio.sleep(25)
        assert all("EXTEND_TIMEOUT_USEC" in each for each in manager.heard())
        nursery.cancel_scope.cancel()


async def test_a_start_that_never_ends_is_given_up(
    manager: Manager, autojump_clock: trio.testing.MockClock
) -> None:
    told = Supervisor(manager.address)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(told.run)
        heard = await manager.listens(supervisor.STARTING + 300)
        assert len(heard) == supervisor.STARTING / supervisor.TURN
        nursery.cancel_scope.cancel()


async def test_what_it_does_is_said_when_it_changes(
    manager: Manager, autojump_clock: trio.testing.MockClock
) -> None:
    told = Supervisor(manager.address)
    words = ["0 runners"]
    told.attach(trio.current_time, lambda: 30.0, lambda: words[-1])
    told.ready()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(told.run)
        await trio.sleep(35)
        assert manager.heard() == [{"READY": "1", "STATUS": "0 runners"}]
        words.append("1 runner")
        await trio.sleep(35)
        assert manager.heard() == [{"STATUS": "1 runner"}]
        nursery.cancel_scope.cancel()


async def test_what_has_no_room_is_sent_again(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    manager = Manager(str(tmp_path / "notify"))
    told = Supervisor(manager.address)
    sent = 0
    while told._send("X=1"):  # as a manager that does not read
        sent += 1
    assert sent > 0
    told.ready()
    manager.heard()
    with trio.move_on_after(1):
        await told.run()
    assert {"READY": "1"} in manager.heard()
    manager.socket.close()


async def test_a_manager_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    told = Supervisor(str(tmp_path / "nobody"), watchdog=0.01)
    told.ready()
    told.reloading()
    with trio.move_on_after(0.1) as scope:
        await told.run()
    assert scope.cancelled_caught
    told.stopping()


async def test_who_was_not_started_by_a_manager_says_nothing(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, "socket")
    for told in (Supervisor(), Supervisor.of_this_process({}), Supervisor("vsock:2:1234")):
        told.ready()
        told.reloading()
        told.stopping()
        with trio.move_on_after(100) as scope:
            await told.run()
        assert scope.cancelled_caught


@pytest.mark.parametrize(
    ("pid", "usec", "wanted"),
    [
        ("", "2000000", 2.0),
        ("own", "2000000", 2.0),
        ("1", "2000000", 0.0),
        ("own", "", 0.0),
        ("own", "-5", 0.0),
        ("own", "soon", 0.0),
    ],
)
async def test_children_do_not_find_it_in_the_environment(
    pid: str, usec: str, wanted: float
) -> None:
    given = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": usec, "PATH": "/bin"}
    if pid:
        given["WATCHDOG_PID"] = str(os.getpid()) if pid == "own" else pid
    told = Supervisor.of_this_process(given)
    assert given == {"PATH": "/bin"}
    assert told._watchdog == wanted


def test_runners_in_a_few_words() -> None:
    assert supervisor.in_a_few_words([]) == "0 runners, 0 busy"
    row = a_row(1, RunnerState.BUSY)
    assert supervisor.in_a_few_words([row]) == "1 runner, 1 busy"
    assert supervisor.in_a_few_words([row, a_row(2)]) == "2 runners, 1 busy"
