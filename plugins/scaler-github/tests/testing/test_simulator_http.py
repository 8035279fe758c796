"""The HTTP server itself, with clients that no library would write."""

import pytest
import trio

from scaler_github.testing import Simulator
from scaler_github.testing import http as simulated_http
from scaler_github.testing.probe import probed

USER = b"GET /api/v3/user HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n"


async def connect(sim: Simulator) -> trio.SocketStream:
    return await trio.open_tcp_stream("127.0.0.1", int(sim.origin.rpartition(":")[2]))


async def read_all(stream: trio.SocketStream) -> bytes:
    data = b""
    with trio.fail_after(5):
        async with stream:
            try:
                while part := await stream.receive_some(65536):
                    data += part
            except trio.BrokenResourceError:
                pass
    return data


async def test_a_half_closed_client_gets_its_answer() -> None:
    async with probed(ready=False) as (sim, _):
        stream = await connect(sim)
        await stream.send_all(USER % sim.token.encode())
        await stream.send_eof()
        data = await read_all(stream)
        assert data.startswith(b"HTTP/1.1 200 OK\r\n")
        assert data.endswith(b'"type":"User"}')


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with probed(ready=False) as (sim, _):
        stream = await connect(sim)
        other = b"GET /api/v3/nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
        await stream.send_all((USER % sim.token.encode()) + other + (USER % sim.token.encode()))
        await stream.send_eof()
        data = await read_all(stream)
        assert [part[:3] for part in data.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]


async def test_byte_by_byte_and_100_continue() -> None:
    async with probed(ready=False) as (sim, _):
        stream = await connect(sim)
        for byte in USER % sim.token.encode():
            await stream.send_all(bytes([byte]))
        assert b"200 OK" in await stream.receive_some(65536)
        await stream.send_all(
            b"POST /api/v3/actions/runner-registration HTTP/1.1\r\nHost: x\r\n"
            b"Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
        )
        assert (await stream.receive_some(65536)).startswith(b"HTTP/1.1 100")
        await stream.send_all(b"{}")
        assert (await read_all(stream)).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02garbage\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200_000, b"431"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"400"),
        (b"", b""),
    ],
)
async def test_broken_requests_end_their_connection_only(sent: bytes, status: bytes) -> None:
    async with probed(ready=False) as (sim, probe):
        stream = await connect(sim)
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                try:
                    await stream.send_all(sent)
                    await stream.send_eof()
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    pass

            nursery.start_soon(send)
            data = await read_all(stream)
        assert data[9:12] == status or (status == b"431" and data == b"")
        assert (await probe.rest("GET", "/user")).status_code == 200


async def test_a_body_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated_http, "MAX_BODY", 10)
    async with probed(ready=False) as (_, probe):
        assert (await probe.rest("POST", "/user", body="x" * 20)).status_code == 413


async def test_clients_that_go_away_while_they_are_served() -> None:
    async with probed() as (sim, probe):
        before = sim.connections
        for _ in range(5):
            with trio.move_on_after(0.01):
                await probe.poll()
        sim.queue_jobs("vm")
        assert len(await probe.news()) == 1
        await sim.wait_for(lambda: sim.connections <= before + 1)


async def test_a_handler_that_fails_is_a_500_and_no_more(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with probed(ready=False) as (sim, probe):
        monkeypatch.setattr(sim.rate, "limit", "broken")
        assert (await probe.rest("GET", "/user")).status_code == 500
        assert "failed" in caplog.text
        monkeypatch.undo()
        assert (await probe.rest("GET", "/user")).status_code == 200
