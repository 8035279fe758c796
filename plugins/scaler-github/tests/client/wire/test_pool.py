"""Turns and kept connections, on memory streams and a clock that jumps."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import h11
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from scaler_github.client.wire.connection import Timeouts
from scaler_github.client.wire.errors import (
    ConnectError,
    PoolTimeout,
    ReadError,
    RemoteProtocolError,
)
from scaler_github.client.wire.pool import Pool
from scaler_github.client.wire.route import Origin, Proxy, Route

Lab = Any
OTHER = Route(Origin(False, "other", 80))


async def test_a_connection_is_kept_and_used_again(nursery: trio.Nursery, lab: Lab) -> None:
    dial = lab.Memory(nursery, lab.answering())
    pool = Pool(dial)
    for _ in range(5):
        assert await lab.ask(pool) == (200, b"ok")
    assert len(dial.streams) == 1
    lab.check(pool, dial.open, idle=1)
    await pool.aclose()
    assert dial.open == []


async def test_each_route_has_connections_of_its_own(nursery: trio.Nursery, lab: Lab) -> None:
    dial = lab.Memory(nursery, lab.answering())
    pool = Pool(dial)
    proxy = Proxy(Origin(False, "proxy", 80))
    routes = [lab.route, OTHER, Route(OTHER.origin, proxy)]
    routes.append(Route(OTHER.origin, Proxy(proxy.origin, b"Basic YTpi")))
    for _ in range(2):
        for route in routes:
            await lab.ask(pool, route=route)
    assert len(dial.streams) == len(routes)


async def test_the_connection_used_last_is_used_first_and_the_others_expire(
    autojump_clock: MockClock, nursery: trio.Nursery, lab: Lab
) -> None:
    dial = lab.Memory(nursery, lab.answering())
    pool = Pool(dial, expiry=60)
    async with trio.open_nursery() as three:
        for _ in range(3):
            three.start_soon(lab.ask, pool)
    assert len(pool._idle) == 3
    last = list(pool._idle)[-1]
    for _ in range(3):
        await trio.sleep(25)
        await lab.ask(pool)
        assert list(pool._idle)[-1] is last
    lab.check(pool, dial.open, idle=1)  # the other two were closed on the way
    await trio.sleep(61)
    await lab.ask(pool)
    assert len(dial.streams) == 4
    lab.check(pool, dial.open, idle=1)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n",
    ],
)
async def test_a_connection_that_is_over_or_says_too_much_is_closed(
    nursery: trio.Nursery, lab: Lab, answer: bytes
) -> None:
    dial = lab.Memory(nursery, lab.answering(answer))
    pool = Pool(dial)
    for turn in range(2):
        assert await lab.ask(pool) == (200, b"ok")
        assert len(dial.streams) == turn + 1
    lab.check(pool, dial.open, idle=0)


async def test_an_answer_not_read_to_its_end_takes_its_connection_along(
    nursery: trio.Nursery, lab: Lab
) -> None:
    dial = lab.Memory(nursery, lab.answering())
    pool = Pool(dial, limit=1)
    exchange = await pool.send(lab.route, lab.request(), b"", Timeouts())
    await exchange.aclose()
    await exchange.aclose()
    assert await exchange.read() == b""
    lab.check(pool, dial.open, idle=0)
    assert await lab.ask(pool) == (200, b"ok")


# --- once more on a new connection -----------------------------------------------------


async def second(stream: trio.abc.Stream, lab: Lab, answer: bytes) -> None:
    """A good answer to the first request on a connection, and another one to the second."""
    await lab.read_request(stream)
    await stream.send_all(lab.OK)
    await lab.read_request(stream)
    await stream.send_all(answer)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_what_may_be_repeated_survives_a_kept_connection_that_closes(
    nursery: trio.Nursery, lab: Lab, method: str
) -> None:
    dial = lab.Memory(nursery, lambda stream: second(stream, lab, b""))
    pool = Pool(dial)
    await lab.ask(pool)
    assert (await lab.ask(pool, method))[0] == 200
    assert len(dial.streams) == 2
    lab.check(pool, dial.open)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_what_may_have_acted_is_not_repeated(
    nursery: trio.Nursery, lab: Lab, method: str
) -> None:
    dial = lab.Memory(nursery, lambda stream: second(stream, lab, b""))
    pool = Pool(dial)
    await lab.ask(pool)
    with pytest.raises(RemoteProtocolError, match="without an answer"):
        await lab.ask(pool, method, b"{}")
    assert len(dial.streams) == 1
    lab.check(pool, dial.open, idle=0)


async def test_nothing_is_repeated_once_a_byte_of_an_answer_came(
    nursery: trio.Nursery, lab: Lab
) -> None:
    dial = lab.Memory(nursery, lambda stream: second(stream, lab, b"H"))
    pool = Pool(dial)
    await lab.ask(pool)
    with pytest.raises(RemoteProtocolError, match="in the middle"):
        await lab.ask(pool)
    lab.check(pool, dial.open, idle=0)


async def test_a_new_connection_that_closes_is_the_answer(nursery: trio.Nursery, lab: Lab) -> None:
    dial = lab.Memory(nursery, lab.answering(b"", times=1))
    pool = Pool(dial)
    with pytest.raises(RemoteProtocolError):
        await lab.ask(pool)
    assert len(dial.streams) == 1


async def test_a_body_that_was_read_in_parts_is_not_there_a_second_time(
    nursery: trio.Nursery, lab: Lab
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"x"

    dial = lab.Memory(nursery, lambda stream: second(stream, lab, b""))
    pool = Pool(dial)
    await lab.ask(pool)
    headers = [("Host", "server"), ("Transfer-Encoding", "chunked")]
    request = h11.Request(method="PUT", target="/", headers=headers)
    with pytest.raises(RemoteProtocolError, match="without an answer"):
        await pool.send(lab.route, request, parts(), Timeouts())
    assert len(dial.streams) == 1
    lab.check(pool, dial.open)


async def test_a_body_that_breaks_or_is_left_gives_its_turn_back_by_itself(
    autojump_clock: MockClock, nursery: trio.Nursery, lab: Lab
) -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"

    async def handler(stream: trio.abc.Stream) -> None:
        await lab.read_request(stream)
        await stream.send_all(half)
        await trio.sleep(5)

    dial = lab.Memory(nursery, handler)
    pool = Pool(dial, limit=1)
    for patience in (1, 10):
        exchange = await pool.send(lab.route, lab.request(), b"", Timeouts())
        assert await exchange.read() == b"half"
        with trio.move_on_after(patience), suppress(RemoteProtocolError):
            await exchange.read()
        assert await exchange.read() == b""
        lab.check(pool, dial.open, idle=0)


async def test_it_is_repeated_once_and_not_for_ever(nursery: trio.Nursery, lab: Lab) -> None:
    answers = [lab.OK, b""]

    async def handler(stream: trio.abc.Stream) -> None:
        while await lab.read_request(stream):
            answer = answers.pop(0) if answers else b""
            if not answer:
                return
            await stream.send_all(answer)

    dial = lab.Memory(nursery, handler)
    pool = Pool(dial)
    await lab.ask(pool)
    with pytest.raises(RemoteProtocolError):
        await lab.ask(pool)
    assert len(dial.streams) == 2


# --- turns -----------------------------------------------------------------------------


async def test_no_more_at_once_than_the_limit_and_first_come_first_served(
    autojump_clock: MockClock, nursery: trio.Nursery, lab: Lab
) -> None:
    dial = lab.Memory(nursery, lab.answering(after=1))
    pool = Pool(dial, limit=3)
    served = []

    async def one(number: int) -> None:
        await trio.sleep(number / 1000)
        await lab.ask(pool)
        served.append(number)

    async with trio.open_nursery() as many:
        for number in range(10):
            many.start_soon(one, number)
    assert served == list(range(10))
    assert len(dial.streams) == 3
    assert trio.current_time() == pytest.approx(4, abs=0.1)
    lab.check(pool, dial.open, idle=3)


async def test_who_stops_waiting_takes_no_turn_along(
    autojump_clock: MockClock, nursery: trio.Nursery, lab: Lab
) -> None:
    pool = Pool(lab.Memory(nursery, lab.answering(after=1)), limit=1)
    async with trio.open_nursery() as one:
        one.start_soon(lab.ask, pool)
        await trio.sleep(0.1)
        with pytest.raises(PoolTimeout, match=r"within 0\.5 s"):
            await lab.ask(pool, timeouts=Timeouts(pool=0.5))
    lab.check(pool)

    async def leave(after: float) -> None:
        with trio.move_on_after(after):
            await lab.ask(pool)

    async with trio.open_nursery() as many:
        for each in (1, 1, 0.2, 0.4, 1, 2, 2.5, 9, 9):
            many.start_soon(leave, each)
    lab.check(pool)
    assert await lab.ask(pool) == (200, b"ok")


async def test_one_who_ends_wakes_one_who_waits(
    autojump_clock: MockClock, nursery: trio.Nursery, lab: Lab
) -> None:
    pool = Pool(lab.Memory(nursery, lab.answering()), limit=1)
    await pool._enter(None)
    async with trio.open_nursery() as many:
        for _ in range(1000):
            many.start_soon(pool._enter, None)
        await wait_all_tasks_blocked()
        for left in (999, 998):
            pool._leave()
            await wait_all_tasks_blocked()
            assert len(pool._waiting) == left
        many.cancel_scope.cancel()
    assert not pool._waiting
    pool._leave()
    lab.check(pool)


async def test_idle_connections_make_room_for_another_server(
    nursery: trio.Nursery, lab: Lab
) -> None:
    dial = lab.Memory(nursery, lab.answering())
    pool = Pool(dial, limit=2)
    for number in range(6):
        await lab.ask(pool, route=Route(Origin(False, f"host{number % 3}", 80)))
        assert len(dial.open) <= 2
    lab.check(pool, dial.open, idle=2)


async def test_without_a_limit_all_go_at_once(
    autojump_clock: MockClock, nursery: trio.Nursery, lab: Lab
) -> None:
    dial = lab.Memory(nursery, lab.answering(after=1))
    pool = Pool(dial)
    async with trio.open_nursery() as many:
        for _ in range(200):
            many.start_soon(lab.ask, pool)
    assert trio.current_time() == pytest.approx(1, abs=0.1)
    lab.check(pool, dial.open, idle=200)
    await pool.aclose()
    assert dial.open == []


async def test_no_connection_gives_the_turn_back(nursery: trio.Nursery, lab: Lab) -> None:
    async def refuse(route: Route, timeout: float | None) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise ConnectError("refused")

    pool = Pool(refuse, limit=1)
    for _ in range(3):
        with pytest.raises(ConnectError):
            await lab.ask(pool)
    lab.check(pool)


# --- closing ---------------------------------------------------------------------------


async def test_closing_ends_what_waits_and_what_is_under_way(
    autojump_clock: MockClock, nursery: trio.Nursery, lab: Lab
) -> None:
    gate = trio.Event()
    dial = lab.Memory(nursery, lab.answering(after=math.inf))

    async def late(route: Route, timeout: float | None) -> trio.abc.Stream:
        stream: trio.abc.Stream = await dial(route)
        if route == OTHER:
            await gate.wait()
        return stream

    pool = Pool(late, limit=2)
    ended = []

    async def one(route: Route) -> None:
        with pytest.raises((ConnectError, ReadError)) as caught:
            await lab.ask(pool, route=route)
        ended.append(type(caught.value))

    async with trio.open_nursery() as many:
        for route in (lab.route, OTHER, lab.route, lab.route):
            many.start_soon(one, route)
            await trio.sleep(0.1)
        await pool.aclose()
        await trio.sleep(0.1)
        assert sorted(each.__name__ for each in ended) == ["ConnectError"] * 2 + ["ReadError"]
        gate.set()
    assert ended[-1] is ConnectError
    assert dial.open == []
    with pytest.raises(ConnectError, match="closed"):
        await lab.ask(pool)
