"""D10: where an archive may be fetched from, by name and by address."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest
import trio

from scaler_github.client.transport import TooLarge, Transport, TransportError
from scaler_github.client.vetted import Elsewhere, VettedDialer, Vetting
from scaler_github.client.wire.errors import ConnectError
from scaler_github.client.wire.route import Origin, Proxy, Route

HOSTED = "https://api.github.com"
TENANT = "https://api.acme.ghe.com"
SERVER = "https://ghes.example.org/api/v3"
LOCAL = "http://127.0.0.1:8/api/v3"
LOCAL_TLS = "https://localhost:8/api/v3"
BLOB = "https://productionresultssa0.blob.core.windows.net/actions-results/x?sig=y%2Bz"


@pytest.mark.parametrize(
    ("api", "url", "good"),
    [
        (HOSTED, BLOB, True),
        (HOSTED, "https://pipelines.actions.githubusercontent.com/x", True),
        (HOSTED, "https://objects.githubusercontent.com:443/x", True),
        (HOSTED, "https://objects.GitHubUserContent.com/x#y", True),
        (HOSTED, "http://objects.githubusercontent.com/x", False),
        (HOSTED, "https://objects.githubusercontent.com:8443/x", False),
        (HOSTED, "https://objects.githubusercontent.com:port/x", False),
        (HOSTED, "https://githubusercontent.com/x", False),
        (HOSTED, "https://evilgithubusercontent.com/x", False),
        (HOSTED, "https://objects.githubusercontent.com.evil.org/x", False),
        (HOSTED, "https://objects.githubusercontent.com./x", False),
        (HOSTED, "https://evil.org/objects.githubusercontent.com", False),
        (HOSTED, "https://evil.org\\.githubusercontent.com/", False),
        (HOSTED, "https://evil.org@objects.githubusercontent.com/", False),
        (HOSTED, "https://user:pass@objects.githubusercontent.com/", False),
        (HOSTED, "https://x y.githubusercontent.com/", False),
        (HOSTED, "https://x\r\n.githubusercontent.com/", False),
        (HOSTED, "https://ä.githubusercontent.com/", False),
        (HOSTED, "https://169.254.169.254/latest", False),
        (HOSTED, "https://127.0.0.1/x", False),
        (HOSTED, "https://localhost/x", False),
        (HOSTED, "https://api.github.com/x", False),
        (HOSTED, "", False),
        (HOSTED, "/relative", False),
        (HOSTED, "//objects.githubusercontent.com/x", False),
        (HOSTED, "ftp://objects.githubusercontent.com/x", False),
        (HOSTED, "file:///etc/passwd", False),
        (HOSTED, "https:///x", False),
        (HOSTED, "https://[::1", False),
        (HOSTED, f"{BLOB}{'x' * 9000}", False),
        (TENANT, BLOB, True),
        (TENANT, "https://artifacts.acme.ghe.com/x", True),
        (TENANT, "https://artifacts.other.ghe.com/x", False),
        (SERVER, "https://ghes.example.org/_services/x", True),
        (SERVER, "https://ghes.example.org:8443/x", True),
        (SERVER, "https://store.example.net/x", True),
        (SERVER, "https://93.184.216.34/x", True),
        (SERVER, "https://[2606:2800:220:1::1]/x", True),
        (SERVER, "http://ghes.example.org/x", False),
        (SERVER, "https://10.0.0.1/x", False),
        (SERVER, "https://192.168.1.1/x", False),
        (SERVER, "https://100.64.0.1/x", False),
        (SERVER, "https://0.0.0.0/x", False),
        (SERVER, "https://224.0.0.1/x", False),
        (SERVER, "https://169.254.169.254/x", False),
        (SERVER, "https://[::1]/x", False),
        (SERVER, "https://[::ffff:127.0.0.1]/x", False),
        (SERVER, "https://[::ffff:10.0.0.1]/x", False),
        (SERVER, "https://[64:ff9b::a00:1]/x", False),
        (SERVER, "https://[64:ff9b::5db8:d822]/x", True),
        (SERVER, "https://[2002:a00:1::1]/x", False),
        (SERVER, "https://[fe80::1]/x", False),
        (SERVER, "https://[fc00::1]/x", False),
        (LOCAL, "http://127.0.0.1:9/x", True),
        (LOCAL, "http://localhost:9/x", True),
        (LOCAL, "http://[::1]:9/x", True),
        (LOCAL, "https://127.0.0.1:9/x", True),
        (LOCAL, "http://127.0.0.2:9/x", True),
        (LOCAL, "http://10.0.0.1/x", False),
        (LOCAL, "https://objects.githubusercontent.com/x", False),
        (LOCAL_TLS, "https://127.0.0.1:9/x", True),
        (LOCAL_TLS, "http://127.0.0.1:9/x", False),
    ],
    ids=range(62),
)
def test_d10_addresses(api: str, url: str, good: bool) -> None:
    vetting = Vetting(api)
    if good:
        assert vetting.url(url) == url.partition("#")[0]
    else:
        with pytest.raises(Elsewhere):
            vetting.url(url)


PUBLIC, PRIVATE = "93.184.216.34", "10.0.0.1"


@pytest.mark.parametrize(
    ("api", "host", "found", "good"),
    [
        (HOSTED, "a.githubusercontent.com", [PUBLIC], True),
        (HOSTED, "a.githubusercontent.com", [PUBLIC, PRIVATE], False),
        (HOSTED, "a.githubusercontent.com", [PRIVATE], False),
        (HOSTED, "evil.org", [PUBLIC], False),
        (SERVER, "store.example.net", [PUBLIC], True),
        (SERVER, "store.example.net", ["127.0.0.1"], False),
        (SERVER, "ghes.example.org", [PRIVATE], True),
        (SERVER, "GHES.example.org", [PRIVATE], True),
        (SERVER, "sub.ghes.example.org", [PRIVATE], False),
        (LOCAL, "localhost", ["127.0.0.1", "::1"], True),
        (LOCAL, "localhost", [PUBLIC], False),
    ],
    ids=range(11),
)
def test_d10_what_names_lead_to(api: str, host: str, found: list[str], good: bool) -> None:
    vetting = Vetting(api)
    if good:
        vetting.addresses(host, found)
    else:
        with pytest.raises(Elsewhere):
            vetting.addresses(host, found)


@pytest.mark.parametrize(
    ("api", "host", "good"),
    [
        (HOSTED, "a.githubusercontent.com", True),
        (HOSTED, "evil.org", False),
        (SERVER, "ghes.example.org", True),
        (SERVER, "store.example.net", False),
        (LOCAL, "127.0.0.1", False),
    ],
)
def test_d10_through_a_proxy(api: str, host: str, good: bool) -> None:
    vetting = Vetting(api)
    if good:
        vetting.by_proxy(host)
    else:
        with pytest.raises(Elsewhere):
            vetting.by_proxy(host)


# --- connecting ------------------------------------------------------------------------


class Names(trio.abc.HostnameResolver):
    """Names as they are told here; each answer once, the last one for ever."""

    def __init__(self, **told: list[list[str]]) -> None:
        self.told = {name.replace("_", "."): answers for name, answers in told.items()}
        self.asked: list[str] = []

    async def getaddrinfo(self, host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        await trio.lowlevel.checkpoint()
        name = host.decode() if isinstance(host, bytes) else host
        self.asked.append(name)
        answers = self.told.get(name)
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        kind = socket.SOCK_STREAM
        return [
            (socket.AF_INET6, kind, 6, "", (each, port, 0, 0))
            if ":" in each
            else (socket.AF_INET, kind, 6, "", (each, port))
            for each in found
        ]

    async def getnameinfo(self, *_: Any) -> Any:
        raise AssertionError


@pytest.fixture
def plain() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def test_d10_a_name_that_changes_where_it_leads_is_looked_up_once(
    nursery: trio.Nursery, plain: ssl.SSLContext
) -> None:
    """It leads to the loopback, as it may here; the next moment it would lead elsewhere."""
    names = Names(localhost=[["127.0.0.1"], ["192.0.2.1"]])
    trio.socket.set_custom_hostname_resolver(names)
    listeners = await nursery.start(trio.serve_tcp, lambda stream: stream.send_all(b"hi"), 0)
    port = listeners[0].socket.getsockname()[1]
    dial = VettedDialer(plain, Vetting(LOCAL))
    stream = await dial(Route(Origin(False, "localhost", port)), 5)
    assert await stream.receive_some() == b"hi"
    assert stream.socket.getpeername()[0] == "127.0.0.1"  # type: ignore[attr-defined]
    assert names.asked == ["localhost"]
    await stream.aclose()
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("found", [["10.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::1"]])
async def test_d10_nobody_is_connected_to_in_a_private_network(
    found: list[str], plain: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    trio.socket.set_custom_hostname_resolver(Names(store_example_net=[found]))

    async def connected(*_: Any, **__: Any) -> Any:
        raise AssertionError("somebody was connected to")

    monkeypatch.setattr("scaler_github.client.wire.dial.trio.open_tcp_stream", connected)
    dial = VettedDialer(plain, Vetting(SERVER))
    with pytest.raises(Elsewhere, match="outside of the public network"):
        await dial(Route(Origin(True, "store.example.net", 443)), 5)


async def test_d10_a_name_without_an_address(plain: ssl.SSLContext) -> None:
    trio.socket.set_custom_hostname_resolver(Names())
    dial = VettedDialer(plain, Vetting(SERVER))
    with pytest.raises(ConnectError, match="no address"):
        await dial(Route(Origin(True, "store.example.net", 443)), 5)


async def test_d10_a_proxy_is_not_asked_for_what_cannot_be_seen(plain: ssl.SSLContext) -> None:
    dial = VettedDialer(plain, Vetting(SERVER))
    proxy = Proxy(Origin(False, "127.0.0.1", 1))
    with pytest.raises(Elsewhere, match="through a proxy"):
        await dial(Route(Origin(True, "store.example.net", 443), proxy), 5)
    with pytest.raises(ConnectError):  # it is tried, and nobody is there
        await dial(Route(Origin(True, "ghes.example.org", 443), proxy), 5)


# --- reading ---------------------------------------------------------------------------


def answer(body: bytes, *, told: int | None = None, head: str = "HTTP/1.1 200 OK") -> bytes:
    length = len(body) if told is None else told
    return f"{head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode() + body


async def fetched(nursery: trio.Nursery, reply: bytes, seen: list[bytes]) -> Any:
    async def serve(stream: trio.SocketStream) -> None:
        seen.append(bytes(await stream.receive_some(65536)))
        try:
            await stream.send_all(reply)
        except trio.BrokenResourceError:
            return

    listeners = await nursery.start(trio.serve_tcp, serve, 0)
    port = listeners[0].socket.getsockname()[1]
    async with Transport(authorities=False) as transport:
        url = f"http://127.0.0.1:{port}/x?sig=1"
        return await transport.fetch(url, Vetting(LOCAL), most=1024, deadline=5)


async def test_d10_nothing_is_sent_but_the_address(nursery: trio.Nursery) -> None:
    seen: list[bytes] = []
    found = await fetched(nursery, answer(b"x" * 1024), seen)
    assert (found.status, found.body) == (200, b"x" * 1024)
    [request] = seen
    names = [line.partition(b":")[0].lower() for line in request.split(b"\r\n")[1:] if line]
    assert names == [b"host", b"user-agent", b"accept", b"accept-encoding"]
    assert request.startswith(b"GET /x?sig=1 HTTP/1.1\r\n")
    nursery.cancel_scope.cancel()


async def test_d10_no_redirect_is_followed(nursery: trio.Nursery) -> None:
    seen: list[bytes] = []
    head = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/"
    assert (await fetched(nursery, answer(b"", head=head), seen)).status == 302
    assert len(seen) == 1
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("told", [None, 1025])
async def test_d9_more_than_the_bound_is_not_read(nursery: trio.Nursery, told: int | None) -> None:
    with pytest.raises(TooLarge, match="larger than 1 KiB"):
        await fetched(nursery, answer(b"x" * (50 << 20 if told is None else told)), [])
    nursery.cancel_scope.cancel()


async def test_a_body_that_ends_early(nursery: trio.Nursery) -> None:
    with pytest.raises(TransportError):
        await fetched(nursery, answer(b"x", told=10), [])
    nursery.cancel_scope.cancel()


async def test_d10_what_may_not_be_asked_is_not(nursery: trio.Nursery) -> None:
    async with Transport(authorities=False) as transport:
        with pytest.raises(Elsewhere):
            await transport.fetch("http://10.0.0.1/x", Vetting(LOCAL), most=10)
