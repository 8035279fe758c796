"""One connection: what is sent, how long it waits, and when it can be used again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import h11
import httpx
import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from scaler_github.client.wire.connection import Connection, Timeouts
from scaler_github.client.wire.errors import (
    LocalProtocolError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    WireError,
    WriteTimeout,
)
from scaler_github.client.wire.pool import Pool

Lab = Any
UNTIMED = Timeouts()
HEAD = b"HTTP/1.1 200 OK\r\n"


# --- requests --------------------------------------------------------------------------


async def test_a_request_leaves_in_one_piece(lab: Lab) -> None:
    stream = lab.Script(lab.OK)
    request = lab.request("POST", "/a?b=c", length=4)
    await Connection(stream).ask(request, b"body", UNTIMED)
    assert stream.sent == b"POST /a?b=c HTTP/1.1\r\nHost: server\r\nContent-Length: 4\r\n\r\nbody"


async def test_a_body_in_parts(lab: Lab) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for part in (b"ab", b"", b"c"):
            await trio.lowlevel.checkpoint()
            yield part

    stream = lab.Script(lab.OK)
    headers = [("Host", "a"), ("Transfer-Encoding", "chunked")]
    request = h11.Request(method="POST", target="/", headers=headers)
    connection = Connection(stream)
    await connection.ask(request, parts(), UNTIMED)
    assert stream.sent.endswith(b"\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert await connection.read() == b"ok"
    assert connection.renew()


@pytest.mark.parametrize("body", [b"", b"abc", b"x" * 100_000])
async def test_a_body_of_another_length_than_it_says(lab: Lab, body: bytes) -> None:
    connection = Connection(lab.Script(lab.OK))
    with pytest.raises(LocalProtocolError):
        await connection.ask(lab.request("POST", length=2), body, UNTIMED)
    assert not connection.renew()


async def test_an_error_of_the_body_comes_through(lab: Lab) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"a"
        raise KeyError("mine")

    headers = [("Host", "a"), ("Transfer-Encoding", "chunked")]
    request = h11.Request(method="POST", target="/", headers=headers)
    client, _server = memory_stream_pair()
    with pytest.raises(KeyError, match="mine"):
        await Connection(client).ask(request, parts(), UNTIMED)


async def test_a_refusal_comes_before_the_body_is_sent(autojump_clock: MockClock, lab: Lab) -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"
    connection = Connection(lab.Script(refusal, trouble="stuck"))
    body = bytes(1 << 20)
    head = await connection.ask(lab.request("POST", length=len(body)), body, UNTIMED)
    assert head.status_code == 413
    assert await connection.read() == b"no"
    assert not connection.renew()  # the rest of the body is still owed


async def test_an_early_answer_waits_for_the_body_to_leave(
    autojump_clock: MockClock, lab: Lab
) -> None:
    client, server = memory_stream_pair()
    body = bytes(1 << 20)
    connection = Connection(client)

    async def serve() -> None:
        await server.send_all(lab.OK)
        await trio.sleep(5)
        while b"\r\n\r\n" not in await server.receive_some(1 << 21):
            pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        head = await connection.ask(lab.request("POST", length=len(body)), body, UNTIMED)
        assert head.status_code == 200
        assert await connection.read() == b"ok"
    assert connection.renew()


@pytest.mark.parametrize("size", [0, 1 << 20])
async def test_an_answer_is_read_from_a_server_that_takes_nothing_more(lab: Lab, size: int) -> None:
    connection = Connection(lab.Script(lab.OK, trouble="gone"))
    assert (await connection.ask(lab.request("PUT", length=size), bytes(size), UNTIMED)).status_code
    assert await connection.read() == b"ok"
    assert not connection.renew()
    with pytest.raises(RemoteProtocolError, match="without an answer"):
        await Connection(lab.Script(trouble="gone")).ask(
            lab.request("PUT", length=size), bytes(size), UNTIMED
        )


# --- time ------------------------------------------------------------------------------


async def test_bytes_that_do_not_come(autojump_clock: MockClock, lab: Lab) -> None:
    client, server = memory_stream_pair()
    connection = Connection(client)
    with pytest.raises(ReadTimeout, match="nothing for 7 s"):
        await connection.ask(lab.request(), b"", Timeouts(read=7))
    assert trio.current_time() == pytest.approx(7)
    client, server = memory_stream_pair()
    connection = Connection(client)
    await server.send_all(lab.OK[:-1])
    await connection.ask(lab.request(), b"", Timeouts(read=7))
    assert await connection.read() == b"o"
    with pytest.raises(ReadTimeout):
        await connection.read()


@pytest.mark.parametrize("size", [3, 1 << 20])
async def test_bytes_that_do_not_leave(autojump_clock: MockClock, lab: Lab, size: int) -> None:
    connection = Connection(lab.Script(trouble="silent"))
    with pytest.raises(WriteTimeout, match="nothing for 7 s"):
        await connection.ask(lab.request("PUT", length=size), bytes(size), Timeouts(write=7))
    assert trio.current_time() == pytest.approx(7)


async def test_the_wait_of_the_caller_is_not_taken_for_a_timeout(
    autojump_clock: MockClock, lab: Lab
) -> None:
    client, _server = memory_stream_pair()
    with pytest.raises(trio.TooSlowError):
        with trio.fail_after(1):
            await Connection(client).ask(lab.request(), b"", Timeouts(read=7))


# --- broken connections ----------------------------------------------------------------


@pytest.mark.parametrize("given", [b"", HEAD, HEAD + b"Content-Length: 5\r\n\r\nhel"])
async def test_a_reset_is_told(lab: Lab, given: bytes) -> None:
    async def all_of_it() -> None:
        connection = Connection(lab.Script(given, trouble="reset"))
        await connection.ask(lab.request(), b"", UNTIMED)
        while await connection.read():
            pass

    with pytest.raises(ReadError, match="Connection reset by peer"):
        await all_of_it()


async def test_a_kept_connection_that_is_not_quiet_is_not_used(lab: Lab, certificates: Any) -> None:
    """Closed by the server, or with bytes that nobody asked for, plain and above TLS."""
    for tls in (None, certificates.server()):
        for more in (b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"):
            accepted = 0

            said = trio.Semaphore(0)

            async def handler(
                stream: trio.abc.Stream, more: bytes = more, said: trio.Semaphore = said
            ) -> None:
                nonlocal accepted
                accepted += 1
                await lab.read_request(stream)
                await stream.send_all(lab.OK)
                await trio.sleep(0.01)  # so that the answer has been read
                if more:
                    await stream.send_all(more)
                    said.release()
                    await trio.sleep_forever()

            async with lab.serving(handler, tls) as server:
                pool = Pool(lab.dialer(server, certificates if tls else None))
                for turn in (1, 2):
                    assert await lab.ask(pool, "POST") == (200, b"ok")
                    assert accepted == turn
                    if more:
                        with trio.fail_after(2):
                            await said.acquire()
                    else:
                        await server.nothing_under_way()
                await pool.aclose()


async def test_bytes_in_the_same_packet_of_tls_are_seen(lab: Lab, certificates: Any) -> None:
    """They are decrypted one record at a time: the socket has nothing more to tell."""

    async def handler(stream: trio.abc.Stream) -> None:
        assert isinstance(stream, trio.SSLStream)
        while await lab.read_request(stream):
            raw = stream.transport_stream
            both = stream.transport_stream = lab.Script()
            await stream.send_all(lab.OK)
            await stream.send_all(lab.OK.replace(b"ok", b"no"))
            stream.transport_stream = raw
            await raw.send_all(both.sent)

    async with lab.serving(handler, certificates.server()) as server:
        pool = Pool(lab.dialer(server, certificates))
        for _ in range(3):
            assert await lab.ask(pool, "POST") == (200, b"ok")
        assert server.accepted == 3
        await pool.aclose()


async def test_errors_are_of_one_family() -> None:
    assert issubclass(ReadError, WireError)
    for error in WireError.__subclasses__():
        assert issubclass(getattr(httpx, error.__name__), httpx.TransportError)
