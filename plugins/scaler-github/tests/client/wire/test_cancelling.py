"""A request that is cancelled at any step leaves nothing behind."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from scaler_github.client.wire.connection import Timeouts
from scaler_github.client.wire.dial import Dialer
from scaler_github.client.wire.errors import ReadError, RemoteProtocolError, WireError
from scaler_github.client.wire.pool import Pool
from scaler_github.client.wire.route import Origin, Proxy, Route

Lab = Any
OTHER = Route(Origin(False, "other", 80))
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
Setting = Callable[[Pool], Awaitable[Callable[[], Awaitable[Any]]]]


async def once_kept_once_not(lab: Lab, pool: Pool) -> None:
    """After whatever happened the pool is whole, and the next requests are answered."""
    lab.check(pool)
    for _ in range(2):
        assert await lab.ask(pool) == (200, b"ok")
    lab.check(pool)


@pytest.mark.parametrize("size", [0, 1000, 200_000])
@pytest.mark.parametrize("kept", [False, True])
async def test_at_every_step_on_memory_streams(
    autojump_clock: MockClock,
    nursery: trio.Nursery,
    lab: Lab,
    size: int,
    kept: bool,
) -> None:
    async def handler(stream: trio.abc.Stream) -> None:
        while await lab.read_request(stream):
            for at in range(0, len(CHUNKED), 20):
                await trio.sleep(0.01)
                await stream.send_all(CHUNKED[at : at + 20])

    dial = lab.Memory(nursery, handler)
    pool = Pool(dial, limit=1)

    async def prepare() -> Callable[[], Awaitable[Any]]:
        await once_kept_once_not(lab, pool)
        lab.check(pool, dial.open, idle=1)
        if not kept:
            await pool._evict()
        return lambda: lab.ask(pool, "PUT", bytes(size))

    steps = await lab.cancelled_at_every_step(prepare)
    assert steps > 5
    await once_kept_once_not(lab, pool)
    lab.check(pool, dial.open, idle=1)


async def test_at_every_step_of_a_wait_for_a_turn(
    autojump_clock: MockClock, nursery: trio.Nursery, lab: Lab
) -> None:
    dial = lab.Memory(nursery, lab.answering())
    pool = Pool(dial, limit=1)

    async def prepare() -> Callable[[], Awaitable[Any]]:
        await once_kept_once_not(lab, pool)
        first = await pool.send(lab.route, lab.request(), b"", Timeouts())

        async def three() -> None:
            async with trio.open_nursery() as inner:
                for _ in range(3):
                    inner.start_soon(lab.ask, pool)
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)
                    await first.aclose()

        return three

    assert await lab.cancelled_at_every_step(prepare) > 8
    await once_kept_once_not(lab, pool)
    lab.check(pool, dial.open)


async def test_at_every_step_of_a_second_try(
    autojump_clock: MockClock, nursery: trio.Nursery, lab: Lab
) -> None:
    answers = iter([lab.OK, b""] * 1000)

    async def handler(stream: trio.abc.Stream) -> None:
        while await lab.read_request(stream):
            if not (answer := next(answers)):
                return
            await stream.send_all(answer)

    dial = lab.Memory(nursery, handler)

    async def prepare() -> Callable[[], Awaitable[Any]]:
        nonlocal answers
        answers = iter([lab.OK, b"", *[lab.OK] * 1000])
        pool = Pool(dial, limit=1)
        await lab.ask(pool)

        async def twice() -> None:
            try:
                await lab.ask(pool)
            finally:
                lab.check(pool, dial.open)
                with trio.CancelScope(shield=True):
                    answers = iter([lab.OK] * 1000)  # noqa: F841 - the handler's are used up
                    await pool.aclose()

        return twice

    assert await lab.cancelled_at_every_step(prepare) > 5
    assert dial.open == []


async def test_at_every_step_of_closing(
    autojump_clock: MockClock, nursery: trio.Nursery, lab: Lab
) -> None:
    dial = lab.Memory(nursery, lab.answering())

    async def prepare() -> Callable[[], Awaitable[Any]]:
        assert dial.open == []
        pool = Pool(dial)
        async with trio.open_nursery() as inner:
            for _ in range(3):
                inner.start_soon(lab.ask, pool)
        assert len(dial.open) == 3
        return pool.aclose

    await lab.cancelled_at_every_step(prepare)
    assert dial.open == []


@pytest.mark.parametrize("way", ["plain", "tls", "forward", "tunnel", "tls in tls"])
async def test_at_every_step_on_sockets(lab: Lab, certificates: Any, way: str) -> None:
    """From the first step of the dialling to the last of the answer, through any proxy."""
    tls = way not in ("plain", "forward")
    async with (
        lab.serving(lab.answering(CHUNKED), certificates.server() if tls else None) as server,
        lab.serving(
            lab.proxying(server) if tls else lab.answering(CHUNKED),
            certificates.server() if way == "tls in tls" else None,
        ) as proxy,
    ):
        through = None
        if way not in ("plain", "tls"):
            through = Proxy(Origin(way == "tls in tls", "127.0.0.1", proxy.port), b"Basic YTpi")
        route = Route(Origin(tls, "127.0.0.1", server.port), through)
        pool = Pool(Dialer(certificates.client), limit=1)

        async def prepare() -> Callable[[], Awaitable[Any]]:
            lab.check(pool)
            if pool._idle:
                await pool._evict()
            return lambda: lab.ask(pool, route=route)

        assert await lab.cancelled_at_every_step(prepare) > 5
        lab.check(pool)
        assert await lab.ask(pool, route=route) == (200, b"ok")
        await pool.aclose()
        for each in (server, proxy):  # each of them has seen the end
            await each.nothing_under_way()


@pytest.mark.parametrize("tls", [False, True])
async def test_a_server_sees_that_a_poll_was_left(lab: Lab, certificates: Any, tls: bool) -> None:
    asked, left = trio.Event(), trio.Event()

    async def handler(stream: trio.abc.Stream) -> None:
        await lab.read_request(stream)
        asked.set()
        with suppress(trio.BrokenResourceError):
            assert await stream.receive_some() == b""
        left.set()

    async with lab.serving(handler, certificates.server() if tls else None) as server:
        pool = Pool(lab.dialer(server, certificates if tls else None))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lab.ask, pool)
            await asked.wait()
            nursery.cancel_scope.cancel()
        with trio.fail_after(2):
            await left.wait()
        lab.check(pool, idle=0)


async def test_many_random_cancellations_on_sockets(lab: Lab) -> None:
    async def handler(stream: trio.abc.Stream) -> None:
        while await lab.read_request(stream):
            await trio.sleep(0.002)
            await stream.send_all(lab.OK)

    async with lab.serving(handler) as server:
        pool = Pool(lab.dialer(server), limit=4)
        done = 0

        async def one(number: int) -> None:
            nonlocal done
            patience = math.inf if number % 5 == 0 else number % 17 / 500
            with trio.move_on_after(patience), suppress(WireError):
                await lab.ask(pool, "POST", b"x" * (number * 997 % 3000))
                done += 1

        async with trio.open_nursery() as nursery:
            for number in range(300):
                nursery.start_soon(one, number)
        assert 0 < done < 300
        lab.check(pool)
        for _ in range(5):
            assert await lab.ask(pool) == (200, b"ok")
        assert len(pool._idle) <= 4
        await pool.aclose()


# --- any order of things ---------------------------------------------------------------

STEP = st.tuples(
    st.sampled_from(["ask", "leave", "unread", "wait", "close"]),
    st.sampled_from([0.0, 0.001, 0.5, 1.0, 61.0]),
    st.sampled_from(["GET", "POST"]),
    st.integers(0, 1),
)


@settings(
    max_examples=settings().max_examples * 3 // 5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEP, max_size=12), limit=st.sampled_from([1, 2, None]))
def test_any_order_of_requests_cancellations_and_closings_leaves_the_pool_whole(
    lab: Lab, steps: list[tuple[str, float, str, int]], limit: int | None
) -> None:
    async def main() -> None:
        servers: list[trio.CancelScope] = []

        async def handler(stream: trio.abc.Stream) -> None:
            with trio.CancelScope() as scope:
                servers.append(scope)
                await lab.answering(after=0.5)(stream)

        async with trio.open_nursery() as nursery:
            dial = lab.Memory(nursery, handler)
            pool = Pool(dial, limit=limit)

            async def ask(kind: str, seconds: float, method: str, number: int) -> None:
                route = (lab.route, OTHER)[number]
                with trio.move_on_after(seconds if kind == "leave" else math.inf):
                    try:
                        if kind == "unread":
                            request = lab.request(method)
                            exchange = await pool.send(route, request, b"", Timeouts())
                            await trio.sleep(seconds)
                            await exchange.aclose()
                        else:
                            assert await lab.ask(pool, method, route=route) == (200, b"ok")
                    except (ReadError, RemoteProtocolError):
                        pass  # a server was closed under it

            async with trio.open_nursery() as askers:
                for kind, seconds, method, number in steps:
                    if kind == "wait":
                        await trio.sleep(seconds)
                    elif kind == "close" and servers:
                        servers[number % len(servers)].cancel()
                    else:
                        askers.start_soon(ask, kind, seconds, method, number)
            lab.check(pool, dial.open)
            assert limit is None or len(pool._idle) <= limit
            assert await lab.ask(pool) == (200, b"ok")
            await pool.aclose()
            assert dial.open == []
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))
