"""Ways to a server: TCP, TLS, proxies, all on the loopback, and what is told when there is none."""

from __future__ import annotations

import datetime as dt
import ssl
from typing import Any

import pytest
import trio
import trustme
from trio.testing import MockClock, memory_stream_pair

from scaler_github.client.wire.connection import Timeouts
from scaler_github.client.wire.dial import Dialer
from scaler_github.client.wire.errors import ConnectError, ConnectTimeout, ProxyError, WireError
from scaler_github.client.wire.pool import Pool
from scaler_github.client.wire.proxies import read_proxy
from scaler_github.client.wire.route import Origin, Proxy, Route

Lab = Any
Certificates = Any
SECRET = "p%40ss"


def nowhere() -> Dialer:
    return Dialer(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


async def free_port() -> int:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port: int = listener.socket.getsockname()[1]
    await listener.aclose()
    return port


# --- TCP -------------------------------------------------------------------------------


async def test_a_refused_connection_is_told_with_its_address() -> None:
    port = await free_port()
    with pytest.raises(ConnectError) as caught:
        await nowhere()(Route(Origin(False, "127.0.0.1", port)))
    assert str(caught.value) == f"127.0.0.1:{port}: Connection refused"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".invalid", "a..b"])
async def test_a_name_that_nobody_knows_is_told(host: str) -> None:
    with pytest.raises(ConnectError, match=r"^[a-z.-]+:80: \w"):
        await nowhere()(Route(Origin(False, host, 80)))


async def test_every_address_of_a_name_is_tried(lab: Lab) -> None:
    async with lab.serving(lab.answering()) as server:  # on 127.0.0.1, where ::1 is nothing
        pool = Pool(nowhere())
        route = Route(Origin(False, "localhost", server.port))
        assert await lab.ask(pool, route=route) == (200, b"ok")
        await pool.aclose()


async def test_a_connection_that_is_not_made_in_time(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*arguments: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(trio, "open_tcp_stream", never)
    with pytest.raises(ConnectTimeout, match=r"no connection to h:1 within 3 s"):
        await nowhere()(Route(Origin(False, "h", 1)), 3)
    with pytest.raises(ConnectTimeout, match=r"to \[::1\]:1 through the proxy p:2 within 3 s"):
        await nowhere()(Route(Origin(False, "::1", 1), Proxy(Origin(False, "p", 2))), 3)


async def test_a_burst_leaves_worker_threads_to_others(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way = most = 0

    async def look_up(*arguments: object) -> trio.abc.Stream:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await trio.sleep(0.1)
        under_way -= 1
        return memory_stream_pair()[0]

    monkeypatch.setattr(trio, "open_tcp_stream", look_up)
    dialer = nowhere()
    async with trio.open_nursery() as nursery:
        for _ in range(64):
            nursery.start_soon(dialer, Route(Origin(False, "h", 1)))
    assert most <= trio.to_thread.current_default_thread_limiter().total_tokens / 2


# --- TLS -------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_certificate_for_the_name_or_the_address(
    lab: Lab, certificates: Certificates, host: str
) -> None:
    told: list[Any] = []
    context = certificates.server(host)
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.sni_callback = lambda _stream, name, _context: told.append(name)

    async def handler(stream: trio.abc.Stream) -> None:
        assert isinstance(stream, trio.SSLStream)
        await lab.read_request(stream)
        told.append(stream.selected_alpn_protocol())
        await stream.send_all(lab.OK)

    async with lab.serving(handler, context) as server:
        pool = Pool(Dialer(certificates.client))
        route = Route(Origin(True, host, server.port))
        assert await lab.ask(pool, route=route) == (200, b"ok")
        await pool.aclose()
    assert told == [None if host == "127.0.0.1" else host, "http/1.1"]


YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "127.0.0.1",
            {"not_before": YESTERDAY - dt.timedelta(2), "not_after": YESTERDAY},
            "expired",
        ),
        ("other.example", {}, "not valid for '127.0.0.1'"),
        ("127.0.0.1", {"authority": trustme.CA()}, r"self.signed|unable to get"),
    ],
    ids=["expired", "wrong host", "unknown authority"],
)
async def test_a_refused_certificate_is_told_with_its_reason(
    lab: Lab, certificates: Certificates, name: str, options: dict[str, Any], said: str
) -> None:
    async with lab.serving(lab.answering(), certificates.server(name, **options)) as server:
        with pytest.raises(ConnectError, match=said) as caught:
            await Dialer(certificates.client)(Route(Origin(True, "127.0.0.1", server.port)))
        text = str(caught.value)
        assert text.startswith(f"127.0.0.1:{server.port}: TLS: the certificate is refused: ")
        assert "_ssl.c" not in text
        await server.nothing_under_way()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
async def test_a_server_without_tls_is_told(
    lab: Lab, certificates: Certificates, answer: bytes
) -> None:
    async def handler(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        if answer:
            await stream.send_all(answer)

    async with lab.serving(handler) as server:
        with pytest.raises(ConnectError, match=r"TLS: .+"):
            await Dialer(certificates.client)(Route(Origin(True, "127.0.0.1", server.port)))
        await server.nothing_under_way()


@pytest.mark.parametrize("goodbye", [True, False])
async def test_a_body_until_the_end_with_and_without_a_goodbye_of_tls(
    lab: Lab, certificates: Certificates, goodbye: bool
) -> None:
    async def handler(stream: trio.abc.Stream) -> None:
        assert isinstance(stream, trio.SSLStream)
        await lab.read_request(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000)
        below = stream.transport_stream  # a stream that is unwrapped lets go of it
        try:
            if goodbye:
                with trio.move_on_after(1):
                    await stream.unwrap()
        finally:
            await trio.aclose_forcefully(below)

    async with lab.serving(handler, certificates.server()) as server:
        pool = Pool(lab.dialer(server, certificates))
        assert await lab.ask(pool) == (200, b"x" * 100_000)
        lab.check(pool, idle=0)


async def test_an_answer_of_many_records(lab: Lab, certificates: Certificates) -> None:
    body = bytes(range(256)) * 4000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    async with lab.serving(lab.answering(answer), certificates.server()) as server:
        pool = Pool(lab.dialer(server, certificates))
        for _ in range(3):
            assert await lab.ask(pool, "POST", body[:300_000]) == (200, body)
        assert server.accepted == 1
        await pool.aclose()


# --- proxies ---------------------------------------------------------------------------


@pytest.mark.parametrize("secure", [False, True], ids=["http proxy", "https proxy"])
@pytest.mark.parametrize("user", ["", f"me:{SECRET}@"])
async def test_a_tunnel(lab: Lab, certificates: Certificates, secure: bool, user: str) -> None:
    seen: list[bytes] = []
    inside: list[bytes] = []

    async def origin(stream: trio.abc.Stream) -> None:
        while request := await lab.read_request(stream):
            inside.append(request)
            await stream.send_all(lab.OK)

    async with (
        lab.serving(origin, certificates.server()) as server,
        lab.serving(
            lab.proxying(server, seen), certificates.server() if secure else None
        ) as proxying,
    ):
        proxy = read_proxy(f"http{'s' * secure}://{user}127.0.0.1:{proxying.port}")
        pool = Pool(Dialer(certificates.client))
        route = Route(Origin(True, "127.0.0.1", server.port), proxy)
        for _ in range(3):
            assert await lab.ask(pool, route=route, target="/a?b") == (200, b"ok")
        await pool.aclose()
    at = f"127.0.0.1:{server.port}"
    authorization = "Proxy-Authorization: Basic bWU6cEBzcw==\r\n" if user else ""
    assert seen == [f"CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n{authorization}\r\n".encode()]
    assert len(inside) == 3
    assert all(each.startswith(b"GET /a?b HTTP/1.1\r\n") for each in inside)
    assert b"authorization" not in b"".join(inside).lower()


REFUSALS = [
    (b"HTTP/1.1 407 bad SECRET\r\nContent-Length: 3\r\n\r\nno!", "^407 Proxy Auth"),
    (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 3\r\n\r\nno!", "^407 Proxy A"),
    (
        b"HTTP/1.1 403 No\x07pe\r\nTransfer-Encoding: chunked\r\n\r\n",
        "^it does not speak|^403 Forb",
    ),
    (b"HTTP/1.0 502 Bad Gateway\r\n\r\n<html>", "^502 Bad Gateway$"),
    (b"HTTP/1.1 301\r\nLocation: /\r\n\r\n", "^301 Moved Perm"),
    (b"SSH-2.0-OpenSSH\r\n\r\n", "does not speak HTTP: illegal status line$"),
    (b"HTTP/1.1 100 Continue\r\n\r\n", "closed the connection"),
    (b"", "closed the connection"),
    (b"HTTP/1.1 200 OK\r\n\r\nsurprise", "spoke before"),
]


@pytest.mark.parametrize(("answer", "said"), REFUSALS)
async def test_a_proxy_that_opens_no_tunnel(
    lab: Lab, certificates: Certificates, answer: bytes, said: str
) -> None:
    answer = answer.replace(b"SECRET", SECRET.encode())
    async with lab.serving(lab.answering(answer, times=1)) as proxying:
        proxy = read_proxy(f"http://me:{SECRET}@127.0.0.1:{proxying.port}")
        pool = Pool(Dialer(certificates.client))
        with pytest.raises(ProxyError, match=said) as caught:
            await lab.ask(pool, route=Route(Origin(True, "origin.example", 443), proxy))
        assert SECRET not in str(caught.value)
        assert "p@ss" not in repr(proxy)
        lab.check(pool, idle=0)
        await proxying.nothing_under_way()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 201 Made\r\n\r\n".replace(
            b"201 Made", b"200 OK"
        ),
    ],
)
async def test_a_tunnel_has_no_body_whatever_its_answer_says(
    lab: Lab, certificates: Certificates, answer: bytes
) -> None:
    async with (
        lab.serving(lab.answering(), certificates.server()) as server,
        lab.serving(lab.proxying(server, answer=answer)) as proxying,
    ):
        proxy = Proxy(Origin(False, "127.0.0.1", proxying.port))
        pool = Pool(Dialer(certificates.client))
        route = Route(Origin(True, "127.0.0.1", server.port), proxy)
        assert await lab.ask(pool, route=route) == (200, b"ok")
        await pool.aclose()


async def test_a_proxy_that_is_not_there_is_named() -> None:
    port = await free_port()
    proxy = Proxy(Origin(False, "127.0.0.1", port))
    with pytest.raises(ConnectError, match=f"^the proxy 127.0.0.1:{port}: Connection refused$"):
        await nowhere()(Route(Origin(True, "h", 1), proxy))


async def test_a_proxy_that_does_not_answer(lab: Lab, certificates: Certificates) -> None:
    async def handler(stream: trio.abc.Stream) -> None:
        await lab.read_request(stream)
        await stream.receive_some()

    async with lab.serving(handler) as proxying:
        proxy = Proxy(Origin(False, "127.0.0.1", proxying.port))
        route = Route(Origin(True, "origin.example", 443), proxy)
        pool = Pool(Dialer(certificates.client))
        with pytest.raises(ConnectTimeout, match=r"origin\.example:443 through the proxy"):
            await lab.ask(pool, route=route, timeouts=Timeouts(connect=0.1))
        lab.check(pool, idle=0)
        await proxying.nothing_under_way()


@pytest.mark.parametrize("bad", ["proxy", "origin"])
async def test_a_refused_certificate_on_either_side_of_a_tunnel_is_told_apart(
    lab: Lab, certificates: Certificates, bad: str
) -> None:
    good, other = certificates.server(), certificates.server("other.example")
    async with (
        lab.serving(lab.answering(), other if bad == "origin" else good) as server,
        lab.serving(lab.proxying(server), other if bad == "proxy" else good) as proxying,
    ):
        proxy = Proxy(Origin(True, "127.0.0.1", proxying.port))
        origin = Origin(True, "127.0.0.1", server.port)
        start = f"the proxy {proxy.origin.authority}" if bad == "proxy" else origin.authority
        with pytest.raises(WireError, match=f"^{start}: TLS: the certificate is refused"):
            await Dialer(certificates.client)(Route(origin, proxy))
        await server.nothing_under_way()
        await proxying.nothing_under_way()
