"""Servers on the loopback and on memory streams, to be answered from and to be broken."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from typing import Any

import h11
import pytest
import trio
import trustme
from trio.testing import memory_stream_pair

from scaler_github.client.wire.connection import Body, Timeouts
from scaler_github.client.wire.dial import Dialer
from scaler_github.client.wire.pool import Pool
from scaler_github.client.wire.route import Origin, Route

Handler = Callable[[trio.abc.Stream], Awaitable[None]]
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Watched(trio.abc.Stream):
    """A stream that knows whether it was closed."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self.inner = inner
        self.closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        self.closed = True
        await self.inner.aclose()


class Script(trio.abc.Stream):
    """Gives pieces in turn, then the end, and keeps what is sent.

    Its trouble: "stuck" takes nothing, "silent" gives nothing either, "gone" has closed, "reset"
    breaks after the pieces.
    """

    def __init__(self, *pieces: bytes, trouble: str = "") -> None:
        self.pieces = [piece for piece in pieces if piece]
        self.trouble = trouble
        self.sent = b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        if self.trouble in ("stuck", "silent"):
            await trio.sleep_forever()
        if self.trouble == "gone":
            raise trio.BrokenResourceError from BrokenPipeError(32, "Broken pipe")
        self.sent += data

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        if self.pieces:
            return self.pieces.pop(0)
        if self.trouble == "silent":
            await trio.sleep_forever()
        if self.trouble == "reset":
            reason = ConnectionResetError(104, "Connection reset by peer")
            raise trio.BrokenResourceError from reason
        return b""

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


class Memory:
    """Dials memory streams; the other end of each goes to a handler."""

    def __init__(self, nursery: trio.Nursery, handler: Handler) -> None:
        self.nursery = nursery
        self.handler = handler
        self.streams: list[Watched] = []

    async def __call__(self, route: Route, timeout: float | None = None) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        client, server = memory_stream_pair()
        stream = Watched(client)
        self.streams.append(stream)
        self.nursery.start_soon(_serve, self.handler, server)
        return stream

    @property
    def open(self) -> list[Watched]:
        return [stream for stream in self.streams if not stream.closed]


class Server:
    """A server on the loopback."""

    def __init__(self, handler: Handler, port: int) -> None:
        self.handler = handler
        self.port = port
        self.accepted = 0
        self.under_way = 0
        self.ended = trio.Event()

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.accepted += 1
        self.under_way += 1
        try:
            await _serve(self.handler, stream)
        finally:
            self.under_way -= 1
            self.ended.set()

    async def nothing_under_way(self) -> None:
        """Wait until every connection has been seen to end."""
        with trio.fail_after(2):
            while self.under_way:
                self.ended = trio.Event()
                await self.ended.wait()


async def _serve(handler: Handler, stream: trio.abc.Stream) -> None:
    try:
        await handler(stream)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the client went
    finally:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)


async def _pump(source: trio.abc.Stream, sink: trio.abc.Stream, both: trio.CancelScope) -> None:
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while data := await source.receive_some():
            await sink.send_all(data)
    both.cancel()


class CancelAt(trio.abc.Instrument):
    """Cancels a task, with those below it, at a step of theirs: as it begins, or as it ends."""

    def __init__(self, step: int, *, ending: bool) -> None:
        self.step = step
        self.ending = ending
        self.scope = trio.CancelScope()
        self.top: trio.lowlevel.Task | None = None

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if not self.ending:
            self._count(task)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.ending:
            self._count(task)

    def _count(self, task: trio.lowlevel.Task) -> None:
        above: trio.lowlevel.Task | None = task
        while above is not None and above is not self.top:
            above = above.parent_nursery.parent_task if above.parent_nursery else None
        if above is not None:
            if self.step == 0:
                self.scope.cancel()
            self.step -= 1


class Lab:
    """What the tests of this folder share."""

    OK = OK
    Memory = Memory
    Script = Script
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    route = Route(Origin(False, "server", 80))

    @staticmethod
    def request(
        method: str = "GET", target: str = "/", *, length: int = 0, host: str = "server"
    ) -> h11.Request:
        headers = [("Host", host), ("Content-Length", str(length))]
        return h11.Request(method=method, target=target, headers=headers)

    @classmethod
    async def ask(
        cls,
        pool: Pool,
        method: str = "GET",
        body: Body = b"",
        *,
        route: Route | None = None,
        timeouts: Timeouts | None = None,
        target: str = "/",
    ) -> tuple[int, bytes]:
        """Send a request and read the whole answer."""
        length = len(body) if isinstance(body, bytes) else 0
        request = cls.request(method, target, length=length)
        exchange = await pool.send(route or cls.route, request, body, timeouts or Timeouts())
        parts = []
        try:
            while part := await exchange.read():
                parts.append(part)
        finally:
            await exchange.aclose()
        return exchange.head.status_code, b"".join(parts)

    @staticmethod
    async def read_request(stream: trio.abc.ReceiveStream) -> bytes:
        """One request, head and body; nothing when the client is gone."""
        data = b""
        while b"\r\n\r\n" not in data:
            part = await stream.receive_some()
            if not part:
                return b""
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                while len(body) < int(line.partition(b":")[2]):
                    part = await stream.receive_some()
                    if not part:
                        return b""
                    body += part
        return head + b"\r\n\r\n" + body

    @classmethod
    def answering(cls, answer: bytes = OK, *, times: int = 1_000_000, after: float = 0) -> Handler:
        """A handler that answers so many requests, each after so many seconds, and closes."""

        async def handler(stream: trio.abc.Stream) -> None:
            for _ in range(times):
                if not await cls.read_request(stream):
                    return
                await trio.sleep(after)
                await stream.send_all(answer)

        return handler

    @classmethod
    def proxying(
        cls, server: Server, seen: list[bytes] | None = None, answer: bytes = ESTABLISHED
    ) -> Handler:
        """A proxy that opens tunnels, to one server whatever it is asked for."""

        async def handler(stream: trio.abc.Stream) -> None:
            head = await cls.read_request(stream)
            if seen is not None:
                seen.append(head)
            if not head.startswith(b"CONNECT ") or b" 200" not in answer:
                await stream.send_all(answer)
                return
            async with await trio.open_tcp_stream("127.0.0.1", server.port) as onward:
                await stream.send_all(answer)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_pump, stream, onward, nursery.cancel_scope)
                    nursery.start_soon(_pump, onward, stream, nursery.cancel_scope)

        return handler

    @staticmethod
    @asynccontextmanager
    async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
        """A server on the loopback for as long as the block lasts."""
        if tls is None:
            listeners: Any = await trio.open_tcp_listeners(0, host="127.0.0.1")
            port = listeners[0].socket.getsockname()[1]
        else:
            listeners = await trio.open_ssl_over_tcp_listeners(
                0, tls, host="127.0.0.1", https_compatible=True
            )
            port = listeners[0].transport_listener.socket.getsockname()[1]
        server = Server(handler, port)
        failure: Exception | None = None  # of the test: it comes out as it is, and in no group
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(trio.serve_listeners, server.serve, listeners))
            try:
                yield server
            except Exception as error:
                failure = error
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    @staticmethod
    def dialer(server: Server, certificates: Certificates | None = None) -> Any:
        """A dialer that reaches a server of ours for every origin."""
        dialer = Dialer(certificates.client if certificates else Lab.no_tls)
        origin = Origin(certificates is not None, "127.0.0.1", server.port)

        async def dial(_route: Route, timeout: float | None) -> trio.abc.Stream:
            return await dialer(Route(origin), timeout)

        return dial

    @staticmethod
    async def cancelled_at_every_step(work: Callable[[], Awaitable[Callable[[], Any]]]) -> int:
        """Cancel at the first step, at the second one, and so on, until it ends before.

        Args:
            work: Answers what is to be cancelled, made anew. What stands before runs each time.

        Answers the number of steps that there were.
        """
        for step in range(1000):
            uncancelled, left = 0, 0
            for ending in (False, True):
                todo = await work()
                instrument = CancelAt(step, ending=ending)

                async def run(instrument: CancelAt = instrument, todo: Any = todo) -> None:
                    instrument.top = trio.lowlevel.current_task()
                    with instrument.scope:
                        await todo()

                trio.lowlevel.add_instrument(instrument)
                try:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(run)
                finally:
                    trio.lowlevel.remove_instrument(instrument)
                uncancelled += not instrument.scope.cancelled_caught
                left = instrument.step
            if uncancelled == 2 and left > 0:
                return step
        raise AssertionError

    @staticmethod
    def check(pool: Pool, streams: list[Watched] | None = None, *, idle: int | None = None) -> None:
        """That nothing is left of any request but idle connections."""
        assert pool._turns == 0
        assert not pool._busy
        assert sorted(map(id, pool._idle)) == sorted(
            id(each) for stack in pool._stacks.values() for each in stack
        )
        if streams is not None:
            assert len(streams) == len(pool._idle)
        if idle is not None:
            assert len(pool._idle) == idle


@cache
def _authority() -> trustme.CA:
    return trustme.CA()


class Certificates:
    """An authority, what trusts it, and servers' certificates by it."""

    def __init__(self) -> None:
        self.authority = _authority()
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(self.client)
        self.client.set_alpn_protocols(["http/1.1"])

    def server(self, *names: str, authority: trustme.CA | None = None, **options: Any) -> Any:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued = (authority or self.authority).issue_cert(*(names or ("127.0.0.1",)), **options)
        issued.configure_cert(context)
        return context


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    return Certificates()
