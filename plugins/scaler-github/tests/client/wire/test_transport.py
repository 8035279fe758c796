"""The transport as the client uses it, and as httpx does, against servers on the loopback."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from scaler_github.client import transport as module
from scaler_github.client.transport import HTTP, Request, Response, Transport, TransportError

Lab = Any
Certificates = Any
TOKEN = "ghp_s3cret"
SECRET = {"Authorization": f"Bearer {TOKEN}"}


def plain(**options: Any) -> Transport:
    return Transport(authorities=False, **options)


def url(server: Any, path: str = "/") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


# --- what is sent ----------------------------------------------------------------------


async def test_what_a_request_carries(lab: Lab) -> None:
    seen: list[bytes] = []

    async def handler(stream: trio.abc.Stream) -> None:
        while request := await lab.read_request(stream):
            seen.append(request)
            await stream.send_all(lab.OK)

    async with lab.serving(handler) as server, plain() as transport:
        await transport.call(Request("GET", url(server, "/a%2Fb?c=d%20e")))
        own = {"accept": "text/x", "USER-AGENT": "me", "X-One": "1"}
        await transport.poll(Request("POST", url(server), own, b"body"), deadline=5)
    agent, host = module.USER_AGENT, f"127.0.0.1:{server.port}"
    assert seen[0].decode() == (
        f"GET /a%2Fb?c=d%20e HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n"
        "Accept: */*\r\nAccept-Encoding: gzip\r\n\r\n"
    )
    head, _, body = seen[1].decode().partition("\r\n\r\n")
    assert head.splitlines()[1:] == [
        *(f"Host: {host}", "Accept-Encoding: gzip", "accept: text/x", "USER-AGENT: me"),
        *("X-One: 1", "Content-Length: 4"),
    ]
    assert body == "body"


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("http://[::1]:8080/", "[::1]:8080"),
        ("https://[::1]/", "[::1]"),
        ("https://h:443/", "h"),
        ("http://h:443/", "h:443"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
    ],
)
async def test_the_host_is_told_as_it_should_be(address: str, host: str) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    async with plain(handler=httpx.MockTransport(handler)) as transport:
        assert (await transport.call(Request("GET", address))).status == 200
    assert seen[0].headers["host"] == host


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", "", {"X": f"{TOKEN}\r\nEvil: 1"}),
        Request("GET", "", {"X": f"{TOKEN}\x00"}),
        Request("GET", "", {"X": f"{TOKEN}\n"}),
        Request("GET", "", {"X": f"it's {TOKEN}\r"}),
        Request("GET", "", {"X": f"{TOKEN}ö"}),
        Request("GET", "", {f"X{TOKEN}\r\nEvil": "1"}),
        Request("GET", "", {f"X {TOKEN}": "1"}),
        Request(f"GET /{TOKEN} HTTP/1.1\r\nEvil: 1\r\n", ""),
        Request(f"{TOKEN} T", ""),
        Request("GET", f"?{TOKEN}\r\nEvil: 1"),
        Request("POST", "", {"Content-Length": "3"}, TOKEN.encode()),
    ],
)
async def test_what_cannot_be_said_in_http_is_not_sent_nor_shown(
    lab: Lab, request_: Request
) -> None:
    async with lab.serving(lab.answering()) as server, plain() as transport:
        address = url(server, f"/{request_.url}")
        request = Request(request_.method, address, request_.headers, request_.body)
        with pytest.raises(TransportError) as caught:
            await transport.call(request)
        assert TOKEN not in str(caught.value)
        assert TOKEN.lower() not in repr(request).lower() or TOKEN in request.method
        await server.nothing_under_way()
        assert transport._turns.value == 64


@pytest.mark.parametrize("address", ["ftp://h/", "h", "", "http://", "http://h:x/", "http://h:0/"])
async def test_addresses_that_are_none(address: str) -> None:
    async with plain() as transport:
        with pytest.raises(TransportError, match=r"\w"):
            await transport.call(Request("GET", address))


# --- what comes ------------------------------------------------------------------------


async def replied(lab: Lab, reply: bytes, method: str = "GET") -> Response:
    async with lab.serving(lab.answering(reply, times=1)) as server, plain() as transport:
        try:
            return await transport.call(Request(method, url(server, f"/?sig={TOKEN}"), SECRET))
        finally:
            assert isinstance(transport._calls, HTTP)
            lab.check(transport._calls._pool)


async def test_an_answer(lab: Lab) -> None:
    reply = answer(b"\xef\xbb\xbf{}", "X-Twice: 1", "x-twice: \xe9", status="201 Made")
    assert await replied(lab, reply) == Response(
        201, {"content-length": "5", "x-twice": "1, \xe9"}, b"{}"
    )
    assert (await replied(lab, answer(b"")[:-4] + b"\r\n\r\n", "HEAD")).body == b""
    assert await replied(lab, b"HTTP/1.1 204 No Content\r\n\r\n") == Response(204)
    redirect = await replied(lab, answer(b"", "Location: http://elsewhere/", status="302 Found"))
    assert redirect.status == 302


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "identity": bytes,
}


@pytest.mark.parametrize("encoding", PACKED)
async def test_a_body_that_comes_packed(lab: Lab, encoding: str) -> None:
    body = b'{"a": 1}' * 100
    reply = answer(PACKED[encoding](body), f"Content-Encoding: {encoding}")
    assert (await replied(lab, reply)).body == body


async def test_no_answer_is_larger_than_the_bound(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LARGEST_BODY", 1 << 20)
    largest = bytes(1 << 20)
    assert len((await replied(lab, answer(largest))).body) == 1 << 20
    for reply in (
        answer(largest + b"1"),
        b"HTTP/1.1 200 OK\r\n\r\n" + largest + b"1",
        answer(gzip.compress(largest + b"1"), "Content-Encoding: gzip"),
    ):
        with pytest.raises(TransportError, match="larger than 1 MiB"):
            await replied(lab, reply)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"", "RemoteProtocolError: the server closed the connection without an answer"),
        (b"GET /?sig=%s\r\n\r\n" % TOKEN.encode(), "RemoteProtocolError: illegal status line"),
        (b"HTTP/1.1 200\r\n%s\r\n\r\n" % TOKEN.encode(), "RemoteProtocolError: illegal header"),
        (answer(b"abc")[:-1], "RemoteProtocolError: peer closed connection without"),
        (answer(TOKEN.encode(), "Content-Encoding: gzip"), "ValueError: the answer is not comp"),
        (answer(b"x", f"Content-Encoding: {TOKEN}"), "ValueError: the answer is compressed in"),
    ],
)
async def test_what_is_no_answer_is_told_without_what_was_sent(
    lab: Lab, reply: bytes, said: str
) -> None:
    with pytest.raises(TransportError) as caught:
        await replied(lab, reply)
    assert str(caught.value).startswith(said)
    assert TOKEN not in str(caught.value)


# --- turns and time --------------------------------------------------------------------


def slow(seconds: float) -> httpx.MockTransport:
    async def handler(request: httpx.Request) -> httpx.Response:
        await trio.sleep(seconds)
        return httpx.Response(200)

    return httpx.MockTransport(handler)


async def test_a_deadline_begins_with_the_turn(autojump_clock: MockClock) -> None:
    request = Request("GET", "http://h")
    async with plain(handler=slow(3), connections=2) as transport:
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(lambda: transport.call(request, deadline=4))
        assert trio.current_time() == pytest.approx(30)
        assert transport._turns.value == 2
        with pytest.raises(TransportError, match="no whole answer within 2 s"):
            await transport.call(Request("GET", "http://h"), deadline=2)


async def test_the_deadline_bounds_what_has_no_timeout(lab: Lab) -> None:
    async def handler(stream: trio.abc.Stream) -> None:
        await lab.read_request(stream)
        for byte in lab.OK:
            await trio.sleep(0.01)
            await stream.send_all(bytes([byte]))
        await trio.sleep(math.inf)

    async with lab.serving(handler) as server, plain() as transport:
        with pytest.raises(TransportError, match=r"no whole answer within 0\.1 s"):
            await transport.call(Request("GET", url(server)), deadline=0.1)
        await server.nothing_under_way()


async def test_polls_wait_for_no_turn_and_take_none(autojump_clock: MockClock) -> None:
    async with plain(handler=slow(50), connections=1) as transport, trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(lambda: transport.poll(Request("GET", "http://h"), deadline=80))
        nursery.start_soon(lambda: transport.call(Request("GET", "http://h"), deadline=60))
        await trio.sleep(1)
        with pytest.raises(TransportError, match="within 30 s"):
            await transport.call(Request("GET", "http://h"))


async def test_a_call_cancelled_at_any_step_takes_no_turn_along(lab: Lab) -> None:
    async with lab.serving(lab.answering()) as server, plain(connections=1) as transport:

        async def prepare() -> Callable[[], Awaitable[Any]]:
            assert transport._turns.value == 1
            assert isinstance(transport._calls, HTTP)
            lab.check(transport._calls._pool)
            return lambda: transport.call(Request("POST", url(server), body=b"x"))

        assert await lab.cancelled_at_every_step(prepare) > 2
        assert (await transport.call(Request("GET", url(server)))).body == b"ok"


async def test_open_for_as_long_as_anybody_is_in_it(lab: Lab) -> None:
    transport = plain()
    with pytest.raises(RuntimeError, match="not open"):
        await transport.call(Request("GET", "http://h"))
    async with lab.serving(lab.answering()) as server:
        async with transport:
            async with transport:
                await transport.call(Request("GET", url(server)))
            await transport.call(Request("GET", url(server)))
            assert server.accepted == 1
        await server.nothing_under_way()
        async with transport:
            await transport.poll(Request("GET", url(server)), deadline=5)
        await server.nothing_under_way()
        assert server.accepted == 2


async def test_five_hundred_at_once_are_no_more_connections_than_turns(lab: Lab) -> None:
    async def handler(stream: trio.abc.Stream) -> None:
        while await lab.read_request(stream):
            await trio.sleep(0.01)
            await stream.send_all(lab.OK)

    async with lab.serving(handler) as server, plain() as transport:
        async with trio.open_nursery() as nursery:
            for _ in range(500):
                nursery.start_soon(transport.call, Request("POST", url(server), SECRET, b"x"))
        assert server.accepted == 64


# --- TLS and proxies -------------------------------------------------------------------


async def test_an_authority_of_ones_own(
    lab: Lab, certificates: Certificates, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    certificates.authority.cert_pem.write_to_path(str(file))
    async with lab.serving(lab.answering(), certificates.server("localhost")) as server:
        async with plain(ca_file=str(file)) as transport:
            for _ in range(2):
                answer = await transport.call(
                    Request("GET", f"https://localhost:{server.port}/", SECRET)
                )
                assert answer.body == b"ok"
            with pytest.raises(TransportError, match=r"refused: .*not valid for '127.0.0.1'"):
                await transport.call(Request("GET", f"https://127.0.0.1:{server.port}/"))
        async with plain() as transport:
            with pytest.raises(TransportError, match=r"ConnectError: localhost:.*certificate"):
                await transport.call(Request("GET", f"https://localhost:{server.port}/", SECRET))


async def test_a_proxy_for_plain_addresses(lab: Lab) -> None:
    seen: list[bytes] = []

    async def handler(stream: trio.abc.Stream) -> None:
        while request := await lab.read_request(stream):
            seen.append(request)
            await stream.send_all(lab.OK)

    async with (
        lab.serving(handler) as server,
        plain(proxy=f"http://me:p%40ss@127.0.0.1:{server.port}") as transport,
    ):
        for address in ("http://one.example/a?b", "http://[::1]:8080/", "http://one.example/c"):
            assert (await transport.call(Request("GET", address))).body == b"ok"
        assert server.accepted == 2
    lines = [request.decode().splitlines() for request in seen]
    assert [each[0] for each in lines] == [
        "GET http://one.example/a?b HTTP/1.1",
        "GET http://[::1]:8080/ HTTP/1.1",
        "GET http://one.example/c HTTP/1.1",
    ]
    assert [each[1] for each in lines] == [
        *("Host: one.example", "Host: [::1]:8080", "Host: one.example")
    ]
    assert all("Proxy-Authorization: Basic bWU6cEBzcw==" in each for each in lines)


async def test_what_a_proxy_refuses(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = answer(b"no", status="407 Proxy Authentication Required")
    async with lab.serving(lab.answering(refusal)) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:{TOKEN}@127.0.0.1:{server.port}")
        async with plain() as transport:
            with pytest.raises(TransportError) as caught:
                await transport.call(Request("GET", "https://origin.example/", SECRET))
            assert str(caught.value) == (
                "the proxy refused: ProxyError: 407 Proxy Authentication Required"
            )
            with pytest.raises(TransportError, match=r"ConnectError: 127\.0\.0\.1"):
                await transport.call(Request("GET", "https://127.0.0.1:1/"))  # the loopback: direct
        monkeypatch.setenv("HTTPS_PROXY", f"socks5://me:{TOKEN}@127.0.0.1:{server.port}")
        async with plain() as transport:
            with pytest.raises(TransportError, match=r"HTTPS_PROXY.*a proxy is http://") as caught:
                await transport.call(Request("GET", "https://origin.example/", SECRET))
    assert TOKEN not in str(caught.value)
