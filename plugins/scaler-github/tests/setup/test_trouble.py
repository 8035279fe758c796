"""What the transport's words mean: each trouble is made to happen, on the loopback."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
import trio
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from scaler_github.client import Transport, TransportError, transport
from scaler_github.client.transport import Request
from scaler_github.setup.trouble import Kind, Trouble, read

Handler = Callable[[trio.SocketStream], Awaitable[None]]


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[int]:
    """A server on the loopback: its port."""
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, handler, [listener])
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def saying(text: bytes) -> Handler:
    async def handler(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(text)

    return handler


async def silent(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


def speaking_tls(certificate: Path) -> Handler:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def handler(stream: trio.SocketStream) -> None:
        secured = trio.SSLStream(stream, context, server_side=True)
        try:
            await secured.do_handshake()
            await secured.receive_some()
        except trio.BrokenResourceError:
            await trio.aclose_forcefully(secured)

    return handler


async def trouble(url: str, deadline: float = 5.0, **options: Any) -> Trouble:
    """What is read of the error that a call ends with."""
    async with Transport(**options) as opened:
        with pytest.raises(TransportError) as error:
            await opened.call(Request("GET", url), deadline=deadline)
    return read(str(error.value))


class Names(trio.abc.HostnameResolver):
    """Knows no name, in the words of this machine's C library."""

    def __init__(self, error: socket.gaierror) -> None:
        self.error = error

    async def getaddrinfo(self, *asked: Any) -> NoReturn:
        raise self.error

    async def getnameinfo(self, *asked: Any) -> NoReturn:
        raise self.error


@pytest.fixture
def unknown() -> Names:
    with pytest.raises(socket.gaierror) as error:  # as of a name, and without asking anybody
        socket.getaddrinfo("git.invalid", 443, flags=socket.AI_NUMERICHOST)
    assert error.value.errno == socket.EAI_NONAME
    return Names(error.value)


async def test_a_name_that_is_not_known(unknown: Names) -> None:
    trio.socket.set_custom_hostname_resolver(unknown)
    kind, words = await trouble("https://git.invalid/")
    assert kind is Kind.UNKNOWN_NAME
    assert words == unknown.error.strerror


async def test_no_name_can_be_looked_up(unknown: Names) -> None:
    again = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    trio.socket.set_custom_hostname_resolver(Names(again))
    assert await trouble("https://git.invalid/") == (Kind.NO_NAMES, again.strerror)


async def test_a_name_that_no_host_can_have() -> None:
    kind, _ = await trouble(f"https://{'a' * 64}.invalid/")
    assert kind is Kind.UNKNOWN_NAME


async def test_a_port_where_nobody_listens() -> None:
    assert await trouble("http://127.0.0.1:9/") == (Kind.REFUSED, "Connection refused")


async def test_a_host_that_says_nothing() -> None:
    async with listening(silent) as port:
        kind, words = await trouble(f"http://127.0.0.1:{port}/", 0.2)
        assert kind is Kind.SILENT
        assert "0.2 s" in words
        kind, _ = await trouble(f"https://127.0.0.1:{port}/", 0.2)  # no end of TLS's greeting
        assert kind is Kind.SILENT


async def test_a_host_that_hangs_up_or_does_not_speak_http() -> None:
    for text in (b"", b"hello\r\n\r\n"):
        async with listening(saying(text)) as port:
            kind, words = await trouble(f"http://127.0.0.1:{port}/")
        assert kind is Kind.OTHER
        assert words
        assert "Error" not in words


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def file(folder: Path, *pems: bytes) -> Path:
    path = folder / "certificate.pem"
    path.write_bytes(b"".join(pems))
    return path


def issued(folder: Path, authority: trustme.CA, *names: str, **options: Any) -> Path:
    made = authority.issue_cert(*names, **options)
    return file(folder, made.private_key_and_cert_chain_pem.bytes())


def self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, SHA256())
    )
    form = PrivateFormat.TraditionalOpenSSL
    pem = key.private_bytes(Encoding.PEM, form, NoEncryption())
    return file(folder, pem, made.public_bytes(Encoding.PEM))


async def over_tls(certificate: Path, authority: trustme.CA, *, trusted: bool = True) -> Trouble:
    """What is read where a server shows this certificate."""
    with authority.cert_pem.tempfile() as ca_file:
        async with listening(speaking_tls(certificate)) as port:
            url = f"https://127.0.0.1:{port}/"
            return await trouble(url, ca_file=ca_file if trusted else None)


async def test_a_certificate_that_is_signed_by_itself(
    tmp_path: Path, authority: trustme.CA
) -> None:
    kind, words = await over_tls(self_signed(tmp_path), authority)
    assert kind is Kind.UNKNOWN_AUTHORITY
    assert words.startswith("the certificate is refused: self")


async def test_an_authority_that_is_not_known(tmp_path: Path, authority: trustme.CA) -> None:
    certificate = issued(tmp_path, authority, "127.0.0.1")
    kind, words = await over_tls(certificate, authority, trusted=False)
    assert kind is Kind.UNKNOWN_AUTHORITY
    assert words.startswith("the certificate is refused: unable")


async def test_a_certificate_for_another_name(tmp_path: Path, authority: trustme.CA) -> None:
    for names in (("git.corp",), ("127.0.0.2",)):
        kind, _ = await over_tls(issued(tmp_path, authority, *names), authority)
        assert kind is Kind.ANOTHER_NAME


async def test_a_certificate_that_is_over(tmp_path: Path, authority: trustme.CA) -> None:
    over = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    kind, _ = await over_tls(issued(tmp_path, authority, "127.0.0.1", not_after=over), authority)
    assert kind is Kind.OUT_OF_DATE


async def test_a_host_that_does_not_speak_tls() -> None:
    async with listening(saying(b"hello\r\n\r\n")) as port:
        kind, words = await trouble(f"https://127.0.0.1:{port}/")
    assert kind is Kind.NO_TLS
    assert words


async def test_a_proxy_that_is_down() -> None:
    for scheme in ("http", "https"):
        kind, words = await trouble(f"{scheme}://git.corp/", proxy="http://me:p4ss@127.0.0.1:9")
        assert (kind, words) == (Kind.NO_PROXY, "127.0.0.1:9: Connection refused")


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (b"HTTP/1.1 407 Who\r\n\r\n", (Kind.PROXY_ASKS_WHO, "407 Proxy Authentication Required")),
        (b"HTTP/1.1 403 No\r\n\r\n", (Kind.PROXY_FORBIDS, "403 Forbidden")),
        (b"", (Kind.PROXY_FORBIDS, "it closed the connection")),
    ],
)
async def test_a_proxy_that_refuses(answer: bytes, wanted: tuple[Kind, str]) -> None:
    async with listening(saying(answer)) as port:
        proxy = f"http://me:p4ss@127.0.0.1:{port}"
        assert await trouble("https://git.corp/", proxy=proxy) == wanted


async def test_a_proxy_that_gets_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_CONNECT", 0.2)  # a call has more time than its connection
    async with listening(silent) as port:
        proxy = f"http://me:p4ss@127.0.0.1:{port}"
        kind, words = await trouble("https://git.corp/", proxy=proxy)
    assert kind is Kind.BEHIND_PROXY
    assert f"git.corp:443 through the proxy 127.0.0.1:{port}" in words
