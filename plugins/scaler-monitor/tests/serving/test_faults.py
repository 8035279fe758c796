"""C49: clients that are slow, break off, say half, or never read; and faults of our own."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
import trio
from quart import Blueprint, Response

from scaler import Job
from scaler_monitor import app
from scaler_monitor.serving import connection, server
from scaler_monitor.serving.places import Places
from scaler_monitor.site import Door

pytestmark = pytest.mark.once

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
GET_ONE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
POST = b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n123456789"


async def healthy(served: Any) -> bool:
    with trio.fail_after(2):
        async with served.client() as client:
            return bool((await client.get("/healthz")).status_code == 200)


async def answered(stream: trio.SocketStream) -> None:
    """Ask once, and read the answer."""
    await stream.send_all(GET)
    heard = b""
    with trio.fail_after(5):
        while not heard.endswith(b'{"ok": true}'):
            more = await stream.receive_some()
            assert more
            heard += more
    assert heard.startswith(b"HTTP/1.1 200")


async def left(stream: trio.abc.ReceiveStream) -> bytes:
    """All that comes until the other end closes."""
    heard = b""
    with suppress(trio.BrokenResourceError):
        while more := await stream.receive_some():
            heard += more
    return heard


@pytest.mark.parametrize("how", ["close", "reset", "half"])
async def test_c49_a_client_may_break_off_at_any_byte(serving: Any, how: str, caplog: Any) -> None:
    async with serving() as served:
        before = len(os.listdir("/proc/self/fd"))

        async def part(size: int) -> None:
            stream = await served.connect()
            if how == "reset":
                stream.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER: end by a reset
            await stream.send_all(POST[:size])
            if how == "half":
                await stream.send_eof()
                with trio.fail_after(5):
                    await left(stream)
            await stream.aclose()

        async with trio.open_nursery() as nursery:
            for size in range(len(POST) + 1):
                nursery.start_soon(part, size)
        assert await healthy(served)
        with trio.fail_after(5):
            while len(os.listdir("/proc/self/fd")) > before:  # noqa: ASYNC110 - nobody tells
                await trio.sleep(0.02)
    assert not caplog.records


@pytest.mark.parametrize(
    "said",
    [b"", GET[:5], GET[:-2], GET + GET[:-2], b"GET / HTTP/1.1\r\nX: "],
    ids=["nothing", "a word", "all but the end", "one and a half", "half a header"],
)
async def test_c49_who_does_not_end_a_head_is_dropped(
    serving: Any, monkeypatch: Any, said: bytes
) -> None:
    monkeypatch.setattr(connection, "KEEP_ALIVE", 1.0)
    async with serving() as served:
        async with await served.connect() as stream:
            await stream.send_all(said)
            with trio.fail_after(4):
                heard = await left(stream)
        assert heard.count(b"HTTP/1.1") == said.count(b"\r\n\r\n")
        assert await healthy(served)


async def test_c49_a_dripping_head_has_no_more_time_than_a_silent_one(
    serving: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(connection, "KEEP_ALIVE", 1.0)
    async with serving() as served:
        sent = 0
        async with await served.connect() as stream:
            with trio.fail_after(5), suppress(trio.BrokenResourceError):
                while sent < 200:
                    await stream.send_all(b"x")
                    sent += 1
                    await trio.sleep(0.02)
        assert sent < 100


async def test_c49_a_slow_body_is_a_408(serving: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(app, "BODY_TIMEOUT", 0.3)
    async with serving() as served:
        with trio.fail_after(3):
            heard = await served.say(POST[:-1])
        assert heard.startswith(b"HTTP/1.1 408 ")
        assert b'"error": "request-timeout"' in heard
        assert b"connection: close" in heard.lower()
        assert await healthy(served)


@pytest.mark.parametrize("where", ["tcp", "unix"])
async def test_c49_who_never_reads_is_dropped_and_holds_nobody_up(
    serving: Any, world: Any, monkeypatch: Any, tmp_path: Any, where: str
) -> None:
    monkeypatch.setattr(connection, "READ_WITHIN", 0.4)
    jobs = tuple(Job(id=str(number), state="done", name="x" * 5000) for number in range(4000))
    world.change(jobs=jobs)
    path = tmp_path / "monitor.sock"
    async with serving("127.0.0.1:0", f"unix:{path}") as served:
        before = len(os.listdir("/proc/self/fd"))
        stream: trio.SocketStream = (
            await trio.open_unix_socket(str(path)) if where == "unix" else await served.connect()
        )
        await stream.send_all(b"GET /dashboard.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        await stream.receive_some(1)
        assert await healthy(served)
        with trio.fail_after(5):
            while len(os.listdir("/proc/self/fd")) > before + 1:  # noqa: ASYNC110
                await trio.sleep(0.05)
        await stream.aclose()


async def test_c49_who_reads_slowly_gets_all_of_it(
    serving: Any, world: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(connection, "READ_WITHIN", 0.5)
    jobs = tuple(Job(id=str(number), state="done", name="x" * 5000) for number in range(2000))
    world.change(jobs=jobs)
    async with serving() as served:
        async with served.client() as client:
            whole = len((await client.get("/dashboard.json")).content)
        asked = b"GET /dashboard.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        heard = 0
        began = trio.current_time()
        async with await served.connect() as stream:
            await stream.send_all(asked)
            while more := await stream.receive_some(1 << 19):
                heard += len(more)
                await trio.sleep(0.05)
        assert whole < heard < whole + 1000
        assert trio.current_time() - began > 0.5


async def test_c49_a_full_house_turns_away_and_serves_those_inside(
    serving: Any, monkeypatch: Any, caplog: Any
) -> None:
    monkeypatch.setattr("scaler_monitor.doors.PLACES", {Door.PEOPLE: (6, 4), Door.GUESTS: (2, 2)})
    async with serving(guest_listen=("127.0.0.1:0",)) as served:
        async with AsyncExitStack() as stack:
            inside = [await stack.enter_async_context(await served.connect()) for _ in range(4)]
            for stream in inside:
                await answered(stream)
            for _ in range(3):
                with trio.fail_after(2):
                    assert b"HTTP/1.1 200" not in await served.say(GET)
            await answered(inside[0])
            async with served.client(guests=True) as client:  # another door, other places
                assert (await client.get("/boot")).status_code == 404
        with trio.fail_after(2):
            while b"HTTP/1.1 200" not in await served.say(GET_ONE):  # noqa: ASYNC110
                await trio.sleep(0.02)
        assert await healthy(served)
    assert [record.getMessage() for record in caplog.records] == [
        "no place for a connection from 127.0.0.1"
    ]


async def test_two_hundred_browsers_from_one_address(serving: Any) -> None:
    async with serving() as served:
        streams = [await served.connect() for _ in range(200)]
        for stream in streams:
            await stream.send_all(GET)
        for stream in streams:
            with trio.fail_after(10):
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
            await stream.aclose()


def test_places() -> None:
    places = Places(5, 2, exempt=lambda address: address == "10.0.0.9")
    assert [places.take(each) for each in ("10.0.0.1",) * 3] == [True, True, False]
    assert places.take("10.0.0.2")
    places.leave("10.0.0.1")
    assert places.take("10.0.0.1")
    assert [places.take("10.0.0.9") for _ in range(3)] == [True, True, False]  # the house is full
    places.leave("10.0.0.9")
    assert [places.take(each) for each in ("10.0.0.1", "10.0.0.9")] == [False, True]


def test_neighbours_in_one_ipv6_network_are_one_caller() -> None:
    places = Places(9, 2)
    assert [places.take(f"2001:db8::{each:x}") for each in range(1, 4)] == [True, True, False]
    assert places.take("2001:db8:0:1::1")
    assert [places.take("fe80::1%eth0") for _ in range(3)] == [True, True, False]
    places.leave("2001:db8::1")
    assert places.take("2001:db8::ffff")


async def test_c49_a_fault_in_a_request_ends_that_request_alone(
    serving: Any, monkeypatch: Any, caplog: Any, capfd: Any
) -> None:
    def routes(_site: Any) -> Blueprint:
        blueprint = Blueprint("broken", __name__)

        @blueprint.get("/raises/<kind>")
        async def raises(kind: str) -> Response:
            if kind == "group":
                raise ExceptionGroup("two", [ValueError("a"), TypeError("b")])
            if kind == "nursery":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio.sleep_forever)
                    raise LookupError("within")
            if kind == "late":
                return Response(late(), content_type="text/plain")
            if kind == "slow":
                with trio.fail_after(0.01):
                    await trio.sleep_forever()
            if kind == "group of none":
                raise BaseExceptionGroup("odd", [ValueError("a")])
            raise RuntimeError("plain")

        async def late() -> AsyncIterator[bytes]:
            yield b"begun"
            raise RuntimeError("in the middle")

        return blueprint

    monkeypatch.setitem(app._ROUTES, Door.PEOPLE, (*app._ROUTES[Door.PEOPLE], routes))
    async with serving() as served, served.client() as client:
        for kind in ("plain", "group", "nursery", "slow", "group of none"):
            response = await client.get(f"/raises/{kind}")
            assert response.status_code == 500, kind
            assert response.json()["error"] == "internal"
            assert response.json()["request_id"] in caplog.text
            assert len(response.json()) == 2
        close = b"GET /raises/late HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with trio.fail_after(3):
            heard = await served.say(close)
        assert heard.startswith(b"HTTP/1.1 200")
        assert not heard.endswith(b"0\r\n\r\n")  # nobody takes it for the whole
        assert "in the middle" in caplog.text
        assert await healthy(served)
        assert not served.ended.is_set()
    assert capfd.readouterr().out == ""


async def test_c49_a_fault_of_a_connection_ends_that_connection_alone(
    serving: Any, monkeypatch: Any, caplog: Any
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("cannot be")

    async with serving() as served:
        with monkeypatch.context() as patch:
            patch.setattr(connection, "Protocol", broken)
            with trio.fail_after(2):
                assert await served.say(GET) == b""
        assert await healthy(served)
        assert not served.ended.is_set()
    assert [record.getMessage() for record in caplog.records] == ["a connection broke off"]


async def test_streams_that_end_themselves_and_streams_that_do_not_end_in_time(
    serving: Any, monkeypatch: Any
) -> None:
    async def ticks() -> AsyncIterator[bytes]:
        while True:
            yield b"data: x\n\n"
            await trio.sleep(0.01)

    def routes(site: Any) -> Blueprint:
        blueprint = Blueprint("streams", __name__)

        async def polite() -> AsyncIterator[bytes]:
            yield b"data: x\n\n"
            await site.context.stopping.wait()
            yield b"data: bye\n\n"

        @blueprint.get("/ticks")
        async def endless() -> Response:
            return Response(ticks(), content_type="text/event-stream")

        @blueprint.get("/polite")
        async def ending() -> Response:
            return Response(polite(), content_type="text/event-stream")

        return blueprint

    monkeypatch.setitem(app._ROUTES, Door.PEOPLE, (*app._ROUTES[Door.PEOPLE], routes))
    for path, whole in ((b"/polite", True), (b"/ticks", False)):
        if not whole:
            monkeypatch.setattr(server, "GRACE", 0.5)
        async with serving() as served:
            streams = [await served.connect() for _ in range(20)]
            for stream in streams:
                await stream.send_all(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
            for stream in streams:
                assert re.match(rb"HTTP/1\.1 200", await stream.receive_some())
            began = trio.current_time()
            served.stopping.set()
            for stream in streams:
                heard = await left(stream)
                assert heard.endswith(b"bye\n\n\r\n0\r\n\r\n") is whole
                await stream.aclose()
            await served.ended.wait()
            took = trio.current_time() - began
            assert took < (server.GRACE if whole else 3)
