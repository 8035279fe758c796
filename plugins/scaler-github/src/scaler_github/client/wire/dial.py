"""From a route to a stream: TCP, TLS, and the tunnel through a proxy."""

from __future__ import annotations

import math
import os
import re
import ssl
from http.client import responses
from typing import TYPE_CHECKING

import h11
import trio

from scaler_github.client.wire.connection import LARGEST_HEAD
from scaler_github.client.wire.errors import ConnectError, ConnectTimeout, ProxyError, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaler_github.client.wire.route import Origin, Proxy, Route


_AT_ONCE = 20  # names are looked up in trio's worker threads, 40 for all that the program does


class Dialer:
    """Opens streams.

    Args:
        tls: For origins and proxies alike. It must offer "http/1.1" alone (ALPN), or nothing.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._dialling = trio.Semaphore(_AT_ONCE)

    async def __call__(self, route: Route, timeout: float | None = None) -> trio.abc.Stream:
        """A stream to the route's origin, or to the proxy that will forward.

        Args:
            timeout: Seconds for all of it.

        Raises:
            ConnectError, ConnectTimeout, ProxyError: There is none.
        """
        try:
            with trio.fail_after(math.inf if timeout is None else timeout):
                return await self._dial(route)
        except trio.TooSlowError:
            way = f" through the proxy {route.proxy.origin.authority}" if route.proxy else ""
            text = f"no connection to {route.origin.authority}{way} within {timeout:g} s"
            raise ConnectTimeout(text) from None

    async def _dial(self, route: Route) -> trio.abc.Stream:
        origin, proxy = route
        if proxy is None:
            stream = await self._tcp(origin, origin.authority)
            return await self._secure(stream, origin, origin.authority) if origin.tls else stream
        name = f"the proxy {proxy.origin.authority}"
        stream = await self._tcp(proxy.origin, name)
        if proxy.origin.tls:
            stream = await self._secure(stream, proxy.origin, name)
        if not origin.tls:
            return stream
        await _tunnel(stream, origin, proxy)
        return await self._secure(stream, origin, origin.authority)

    async def _tcp(self, to: Origin, name: str) -> trio.abc.Stream:
        try:
            async with self._dialling:
                return await trio.open_tcp_stream(to.host, to.port)
        except (OSError, ValueError) as error:  # ValueError: a name that no name server could know
            raise ConnectError(f"{name}: {_reason(error)}") from None

    async def _secure(self, stream: trio.abc.Stream, to: Origin, name: str) -> trio.abc.Stream:
        try:
            # Servers of HTTP close without TLS's goodbye, hence https_compatible
            secured = trio.SSLStream(
                stream, self._tls, server_hostname=to.host, https_compatible=True
            )
            await secured.do_handshake()
            return secured
        except BaseException as error:
            await _close(stream)
            if isinstance(error, (trio.BrokenResourceError, OSError, ValueError)):
                raise ConnectError(f"{name}: TLS: {_reason(error)}") from None
            raise


async def _tunnel(stream: trio.abc.Stream, to: Origin, proxy: Proxy) -> None:
    try:
        await _connect(stream, to, proxy)
    except BaseException as error:
        await _close(stream)
        if isinstance(error, h11.RemoteProtocolError):
            raise ProxyError(f"it does not speak HTTP: {plain(error)}") from None
        if isinstance(error, trio.BrokenResourceError):
            raise ProxyError("it closed the connection") from None
        raise


async def _connect(stream: trio.abc.Stream, to: Origin, proxy: Proxy) -> None:
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD)
    target = to.authority.encode()
    request = h11.Request(
        method=b"CONNECT", target=target, headers=[(b"Host", target), *proxy.headers]
    )
    await stream.send_all(http.send(request) + http.send(h11.EndOfMessage()))
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            data = await stream.receive_some()
            if not data:
                raise ProxyError("it closed the connection")
            http.receive_data(bytes(data))
        elif type(event) is h11.Response:
            break
    if not 200 <= event.status_code < 300:
        # (its own words may echo what it was sent, the password among it)
        raise ProxyError(f"{event.status_code} {responses.get(event.status_code, '')}".rstrip())
    if http.trailing_data[0]:
        raise ProxyError("it spoke before the server could")


async def _close(stream: trio.abc.Stream) -> None:
    with trio.CancelScope(shield=True):
        await trio.aclose_forcefully(stream)


def _reason(error: BaseException) -> str:
    """In words, from the innermost errors: trio tells them some levels down."""
    return "; ".join(dict.fromkeys(_words(each) for each in _innermost(error)))


def _words(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is refused: {error.verify_message}"
    if isinstance(error, UnicodeError):  # its own words differ between Pythons
        return "no host can have this name"
    if isinstance(error, ConnectionError | TimeoutError):
        return os.strerror(error.errno) if error.errno else type(error).__name__
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return re.sub(r" ?\(_ssl\.c:\d+\)", "", text)


def _innermost(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _innermost(each)
    elif error.__cause__ is not None:
        yield from _innermost(error.__cause__)
    else:
        yield error
