"""Whoever connects, however they behave: nobody is harmed, and everybody is answered."""

from __future__ import annotations

import os
import pwd
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
import trio
from tests.control.conftest import ask, blocking, calling, error, result
from tests.engine.conftest import World

from scaler.control import client, connections, listening, peer
from scaler.control.connections import Connections
from scaler.control.protocol import LINE
from scaler.errors import Busy, Refused, Unavailable
from scaler.records import Order
from scaler.units import Secret

STATUS = {"command": "status"}


@pytest.mark.parametrize(
    "data",
    [b"\xff\xfe\n", b"[" * 60_000 + b"\n", b"GET / HTTP/1.1\n", b"\0\n", b"{}\n", b"[1]\n"],
    ids=["no utf-8", "deep", "other protocol", "zero", "empty", "list"],
)
async def test_what_is_no_request_is_answered_and_the_next_one_works(
    world: World, data: bytes
) -> None:
    async with world.running(), calling(world.folder) as caller:
        assert (await caller.ask(data))["error"]["code"] == "malformed"
        assert (await caller.ask(STATUS))["ok"]


@pytest.mark.parametrize("ends", [True, False])
async def test_a_line_that_is_too_long_is_answered_and_ends_it(world: World, ends: bool) -> None:
    async with world.running(), calling(world.folder) as caller:
        data = b"x" * (LINE + 10) + (b"\n" if ends else b"")
        answer = await caller.ask(data)
        assert answer["error"]["text"] == f"the request is longer than {LINE} bytes"
        assert await caller.is_closed()
        assert (await result(world.folder, "status"))["ok"]


async def test_the_longest_line_is_taken(world: World) -> None:
    async with world.running(), calling(world.folder) as caller:
        request = b'{"command": "status"}'
        assert (await caller.ask(request.ljust(LINE) + b"\n"))["ok"]


async def test_a_line_that_does_not_end_is_answered_and_ends_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LATE", 0.3)
    async with world.running(), calling(world.folder) as caller:
        for byte in b'{"comm':  # each of them in time, and all together not
            await caller.send(bytes([byte]))
            await trio.sleep(0.04)
        assert "did not end within 0.3 s" in (await caller.answer())["error"]["text"]
        assert await caller.is_closed()


async def test_who_says_nothing_is_let_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE", 0.1)
    async with world.running(), calling(world.folder) as caller:
        assert await caller.is_closed()


async def test_half_closed_and_without_an_end_of_the_line_it_is_answered(world: World) -> None:
    async with world.running(), calling(world.folder) as caller:
        await caller.send(b'{"command": "status"}')
        await caller.stream.send_eof()
        assert (await caller.answer())["ok"]
        assert await caller.is_closed()


async def test_of_many_the_one_that_is_idle_for_longest_makes_room(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST", 4)
    async with world.running(), AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(calling(world.folder)) for _ in range(4)]
        for caller in callers:
            assert (await caller.ask(STATUS))["ok"]
        assert (await callers[0].ask(STATUS))["ok"]
        assert (await ask(world.folder, STATUS))["ok"]
        assert await callers[1].is_closed()
        assert (await callers[0].ask(STATUS))["ok"]


async def test_where_all_are_at_work_the_next_one_is_told_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST", 2)
    async with world.running(), AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(calling(world.folder)) for _ in range(2)]
        for caller in callers:
            assert (await caller.ask(STATUS | {"watch": True}))["ok"]
        async with calling(world.folder) as another:
            assert (await another.answer())["error"]["text"] == "2 ask already"
            assert await another.is_closed()


async def test_hundreds_at_once_are_all_answered_or_told(
    world: World, served: list[Connections], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "WAITING", 4)  # of those that wait to be let in
    answers: list[str] = []

    async def one() -> None:
        try:
            found = await blocking(world.folder, STATUS)
        except client.ControlError as refused:
            answers.append(refused.code)
        else:
            answers.append(found["scaler"])

    async with world.running():
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                for _ in range(200):
                    nursery.start_soon(one)
        assert len(answers) == 200
        assert set(answers) <= {"host", "unavailable"}
        assert (await result(world.folder, "status"))["ok"]
        await world.until(lambda: not served[0]._all, 5)


async def test_who_never_reads_is_let_go_and_harms_nobody(
    world: World, served: list[Connections], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LATE", 0.3)
    world.profiles = {
        f"p{number}": replace(world.profiles["linux"], name=f"p{number}", labels=("x" * 1000,))
        for number in range(300)
    }
    async with world.running(), calling(world.folder) as caller:
        await caller.send(b'{"command": "status"}\n' * 20)
        await world.until(lambda: len(served[0]._all) == 1, 2)
        with trio.fail_after(2):
            assert (await result(world.folder, "status"))["running"]
        await world.until(lambda: len(served[0]._all) == 0, 5)


# --- orders


class Orders:
    """Does what a test says, in place of the engine's own."""

    def __init__(self) -> None:
        self.unwritten: dict[tuple[str, str], Any] = {}
        self.done: list[tuple[Any, ...]] = []
        self.begun = trio.Event()
        self.go = trio.Event()
        self.error: Exception | None = None

    async def pause(self, profiles: Any, by: str) -> list[Order]:
        self.begun.set()
        await self.go.wait()
        if self.error is not None:
            raise self.error
        self.done.append(("pause", profiles, by))
        return [Order(kind="pause", name=each, since=1.0, by=by) for each in profiles or ["linux"]]


@pytest.fixture
def orders(world: World, monkeypatch: pytest.MonkeyPatch) -> Orders:
    made = Orders()
    made.go.set()
    return made


async def test_an_order_is_given_in_the_name_of_who_asks(world: World, orders: Orders) -> None:
    async with world.running():
        world.engine.orders = orders  # type: ignore[assignment]
        found = await result(world.folder, "pause", profiles=["linux"])
        by = orders.done[0][2]
        assert found == {"orders": [{"kind": "pause", "name": "linux", "since": 1.0, "by": by}]}
        assert by == await _me()


async def test_an_order_that_could_not_be_written_is_warned_of(
    world: World, orders: Orders
) -> None:
    async with world.running():
        world.engine.orders = orders  # type: ignore[assignment]
        orders.unwritten["pause", "linux"] = None
        found = await result(world.folder, "pause", all=True)
        assert "a restart loses it (linux)" in found["warning"]


@pytest.mark.parametrize(
    ("raised", "code", "text"),
    [
        (LookupError("there is no profile lynux"), "not-found", "there is no profile lynux"),
        (Busy("linux.7@host runs job 4711"), "busy", "linux.7@host runs job 4711"),
        (Refused("idle", "linux.7@host is idle"), "refused", "linux.7@host is idle"),
        (Unavailable("the disk is full"), "unavailable", "the disk is full"),
        (ZeroDivisionError("secret"), "internal", "scaler itself is at fault"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_refused_is_an_answer_and_never_a_traceback(
    world: World, orders: Orders, raised: Exception, code: str, text: str
) -> None:
    async with world.running():
        world.engine.orders = orders  # type: ignore[assignment]
        orders.error = raised
        found = await error(world.folder, "pause", all=True)
        assert (found["code"], found["text"]) == (code, text)
        orders.error = None
        assert await result(world.folder, "pause", all=True)


async def test_a_command_is_brought_to_its_end_though_nobody_waits_any_more(
    world: World, orders: Orders
) -> None:
    orders.go = trio.Event()
    async with world.running():
        world.engine.orders = orders  # type: ignore[assignment]
        async with calling(world.folder) as caller:
            await caller.send({"command": "pause", "all": True})
            with trio.fail_after(5):
                await orders.begun.wait()
            assert (await result(world.folder, "status"))["running"]
        orders.go.set()
        await world.until(lambda: orders.done != [], 5)
        assert (await result(world.folder, "status"))["running"]


# --- watching


async def test_a_watch_tells_of_changes_at_most_once_a_second(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "OFTEN", 0.4)
    async with world.running(), calling(world.folder) as caller:
        first = await caller.ask(STATUS | {"watch": True})
        assert first["result"]["runners"] == []
        at = trio.current_time()
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"})
        second = await caller.answer()
        assert [each["state"] for each in second["result"]["runners"]] == ["booting"]
        assert trio.current_time() - at > 0.25


async def test_a_watch_shows_that_it_is_alive_though_nothing_changes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BEAT", 0.2)
    monkeypatch.setattr(connections, "OFTEN", 0.1)
    async with world.running(), calling(world.folder) as caller:
        await caller.send(STATUS | {"watch": True})
        await caller.stream.send_eof()  # as `nc` does at the end of its input
        times = [(await caller.answer())["result"]["time"] for _ in range(3)]
        assert times == sorted(times)


async def test_watching_much_takes_a_share_of_the_time_however_many_watch(
    world: World, served: list[Connections], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "OFTEN", 0.01)
    async with world.running():
        made: list[float] = []
        status = served[0]._status

        async def slow() -> bytes:
            made.append(trio.current_time())
            await trio.sleep(0.05)
            return await status()

        monkeypatch.setattr(served[0], "_status", slow)

        async def one() -> None:
            async with calling(world.folder) as caller:
                await caller.send(STATUS | {"watch": True})
                while True:
                    await caller.answer()

        with trio.move_on_after(1.2):
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(one)
                while True:
                    world.engine.state.shown()
                    await trio.sleep(0.01)
        first = [each for each in made if each - made[0] < 0.05]
        later = [each for each in made if each - made[0] >= 0.05]
        assert len(first) <= 3
        assert 1 <= len(later) <= 3 * 3, "three who look at once, every half a second"


async def test_watchers_leave_room_for_others_and_their_place_when_they_go(
    world: World, served: list[Connections], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "WATCHERS", 2)
    async with world.running():
        async with calling(world.folder) as one, calling(world.folder) as two:
            for caller in (one, two):
                assert (await caller.ask(STATUS | {"watch": True}))["ok"]
            refused = await error(world.folder, "status", watch=True)
            assert (refused["code"], refused["text"]) == ("unavailable", "2 watch already")
            assert (await ask(world.folder, STATUS))["ok"]
        await world.until(lambda: served[0]._watchers == 0, 3)
        assert await result(world.folder, "status", watch=True)


async def test_who_says_something_while_it_watches_is_let_go(world: World) -> None:
    async with world.running(), calling(world.folder) as caller:
        assert (await caller.ask(STATUS | {"watch": True}))["ok"]
        await caller.send(STATUS)
        assert await caller.is_closed()


# --- who, and secrets


async def test_a_user_without_a_name_is_a_number() -> None:
    assert await peer._user(4_000_000) == "uid 4000000"


async def test_a_user_whose_name_is_not_told_in_time_is_a_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer, "PATIENCE", 0.05)

    def slow(uid: int) -> pwd.struct_passwd:
        time.sleep(0.3)
        return pwd.getpwuid(uid)

    assert await peer._user(0, slow) == "uid 0"


@pytest.mark.parametrize(
    ("login", "told"),
    [(None, "{name}"), (os.geteuid(), "{name}"), (4_000_000, "uid 4000000 (as {name})")],
    ids=["no login", "the same", "another"],
)
async def test_who_became_another_user_is_told_with_both(
    monkeypatch: pytest.MonkeyPatch, login: int | None, told: str
) -> None:
    monkeypatch.setattr(peer, "_login", lambda _pid: login)
    name = pwd.getpwuid(os.geteuid()).pw_name
    assert await _me() == told.format(name=name)


async def test_d25_secrets_of_the_settings_are_told_to_nobody(world: World) -> None:
    world.secrets = (Secret("t0ken-of-the-settings"),)
    async with world.running():
        context = world.contexts["queue"]
        context.report("found t0ken-of-the-settings, wanted another", ok=False)
        async with calling(world.folder) as caller:
            for request in (STATUS, {"command": "why"}, {"command": "why", "about": "queue"}):
                await caller.send(request)
                line = await caller.line()
                assert b"t0ken" not in line
                assert b"found ***, wanted another" in line


async def test_d25_the_config_of_a_runner_is_told_to_nobody(world: World) -> None:
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"})
        async with calling(world.folder) as caller:
            for request in (STATUS, {"command": "why", "about": 1}):
                await caller.send(request)
                assert b"s3cret" not in await caller.line()


async def _me() -> str:
    mine, other = trio.socket.socketpair()
    with mine, other:
        return await peer.name_of(trio.SocketStream(mine))
