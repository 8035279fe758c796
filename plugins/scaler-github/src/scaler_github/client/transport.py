"""HTTP. The one place that imports httpx: swap the library, or its transport, here.

`HTTP` is a transport for httpx, on `wire`. `Transport` is what the client calls: it builds httpx's
requests and gives them to a transport itself, since cookies, redirects and hooks are not wanted
and httpx's client costs more than the request does. Message polls have a pool of their own,
without a bound: they sit on their connections for most of a minute and would starve the calls.
"""

from __future__ import annotations

import math
import re
import ssl
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Self

import h11
import httpx
import trio

from scaler_github.client.vetted import VettedDialer
from scaler_github.client.wire import errors
from scaler_github.client.wire.connection import Timeouts
from scaler_github.client.wire.decoding import ACCEPTED, decode
from scaler_github.client.wire.dial import Dialer
from scaler_github.client.wire.errors import WireError
from scaler_github.client.wire.pool import Pool
from scaler_github.client.wire.proxies import Proxies
from scaler_github.client.wire.route import Origin, Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler_github.client.vetted import Vetting
    from scaler_github.client.wire.pool import Exchange

USER_AGENT = "scaler-github/0.1.0"
CALL_DEADLINE = 30.0
_CONNECT = 10.0
_LARGEST_BODY = 32 << 20
_BOM = b"\xef\xbb\xbf"
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}", re.ASCII)
_DEFAULTS = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": ACCEPTED}


class TransportError(Exception):
    """No usable answer came: the connection failed, broke, or took too long."""


class TooLarge(TransportError):
    """More came than is read."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call. Its repr shows neither headers nor the query, which may be secret."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, read whole. Header names are lower-case; a byte-order mark is gone.

    Attributes:
        sent: When its request was sent, on trio's clock.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    sent: float = field(default=math.inf, compare=False)


def authorization(scheme: str, token: str) -> dict[str, str]:
    """The header that carries a token.

    Raises:
        ValueError: The token cannot stand in a header. (The HTTP library would say so too, and
            print the token.)
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError(
            "the token is empty, or holds a space, a line end or another odd character"
        )
    return {"Authorization": f"{scheme} {token}"}


class HTTP(httpx.AsyncBaseTransport):
    """HTTP/1.1 for httpx, on h11 and trio. Without HTTP/2, SOCKS and upgrades.

    Args:
        tls: For servers and proxies.
        proxies: Which proxy for which address; otherwise the environment's.
        connections: How many there may be; None for no bound.
        expiry: Seconds after which an idle connection is not used again.
        dial: Opens streams in place of a plain `Dialer(tls)`.
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        *,
        proxies: Proxies | None = None,
        connections: int | None = None,
        expiry: float = 60.0,
        dial: Dialer | None = None,
    ) -> None:
        self._pool = Pool(dial or Dialer(tls), limit=connections, expiry=expiry)
        self._proxies = proxies or Proxies()
        self._routes: dict[tuple[str, bytes, int | None], Route] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the answer's body is still to be read, or to be closed.

        Raises:
            httpx.TransportError: No answer came; as httpx's own transport does, without a text
                that holds what was sent.
        """
        url = request.url
        route = self._route(url)
        target, headers = url.raw_path, request.headers.raw
        if route.forwarded:
            target = b"http://" + url.netloc + target
            headers = [*headers, *(route.proxy.headers if route.proxy else ())]
        whole = isinstance(request.stream, httpx.ByteStream)
        stream = request.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        timeouts = Timeouts(**request.extensions.get("timeout", {}))
        try:
            event = h11.Request(method=request.method, target=target, headers=headers)
            body = request.content if whole else stream
            exchange = await self._pool.send(route, event, body, timeouts)
        except h11.LocalProtocolError as error:
            raise httpx.LocalProtocolError(errors.plain(error)) from None
        except WireError as error:
            raise _translated(error) from None
        head = exchange.head
        return httpx.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=_Body(exchange),
            extensions={
                "http_version": b"HTTP/" + head.http_version,
                "reason_phrase": bytes(head.reason),
            },
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    def _route(self, url: httpx.URL) -> Route:
        key = (url.scheme, url.raw_host, url.port)
        if (known := self._routes.get(key)) is not None:
            return known
        if url.scheme not in ("http", "https") or not url.raw_host:
            raise httpx.UnsupportedProtocol("a URL is http://host or https://host")
        tls = url.scheme == "https"
        origin = Origin(tls, url.raw_host.decode("ascii"), url.port or (443 if tls else 80))
        try:
            found = self._proxies.find(url.scheme, origin.host, origin.port)
        except ValueError as error:
            raise httpx.ProxyError(str(error)) from None
        route = self._routes[key] = Route(origin, found)
        return route


class _Body(httpx.AsyncByteStream):
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            data = await self._exchange.read()
        except WireError as error:
            raise _translated(error) from None
        if not data:
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        await self._exchange.aclose()


def _translated(error: WireError) -> httpx.TransportError:
    same: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
    return same(str(error))


class Transport:
    """Two pools of connections with one TLS context. Open it with `async with`.

    It may be opened several times over: the connections are closed with the last one to leave.

    Args:
        proxy: URL of an HTTP proxy; otherwise the environment's (HTTPS_PROXY, NO_PROXY) counts.
        ca_file: More certificate authorities to trust, beside the system's.
        authorities: Whether to trust the system's; without them only http and `ca_file` work.
        handler: For tests: answers instead of the network.
        connections: How many calls are under way at once; the others wait for their turn.
    """

    def __init__(
        self,
        *,
        proxy: str | None = None,
        ca_file: str | None = None,
        authorities: bool = True,
        handler: httpx.AsyncBaseTransport | None = None,
        connections: int = 64,
    ) -> None:
        self._proxy = proxy
        self._ca_file = ca_file
        self._authorities = authorities
        self._handler = handler
        self._connections = connections
        self._turns = trio.Semaphore(connections)
        self._users = 0
        self._tls: ssl.SSLContext | None = None
        self._calls: httpx.AsyncBaseTransport | None = None
        self._polls: httpx.AsyncBaseTransport | None = None

    async def __aenter__(self) -> Self:
        if self._calls is None:
            if self._tls is None:  # reading the authorities takes 30 ms, so once
                self._tls = self._context()
            proxies = Proxies(self._proxy)
            self._calls = self._handler or HTTP(
                self._tls, proxies=proxies, connections=self._connections
            )
            self._polls = self._handler or HTTP(self._tls, proxies=proxies)
        self._users += 1
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._users -= 1
        if self._users == 0:
            pools, self._calls, self._polls = (self._calls, self._polls), None, None
            with trio.move_on_after(2, shield=True):
                for pool in pools:
                    if pool is not None:
                        await pool.aclose()

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self._authorities:
            context = ssl.create_default_context()
        if self._ca_file:
            context.load_verify_locations(self._ca_file)
        context.set_alpn_protocols(["http/1.1"])
        return context

    async def call(self, request: Request, *, deadline: float = CALL_DEADLINE) -> Response:
        """Make a call; the whole of it, body included, within the deadline.

        The deadline begins with the call's turn: only so many are under way at once.

        Raises:
            TransportError: No answer came that could be read.
        """
        try:
            self._turns.acquire_nowait()  # overtakes nobody: while some wait, no turn is free
        except trio.WouldBlock:
            await self._turns.acquire()
        try:
            return await self._send(self._calls, request, deadline)
        finally:
            self._turns.release()

    async def poll(self, request: Request, *, deadline: float) -> Response:
        """As `call`, for calls that the server answers late on purpose."""
        return await self._send(self._polls, request, deadline)

    async def fetch(
        self, url: str, vetting: Vetting, *, most: int, deadline: float = CALL_DEADLINE
    ) -> Response:
        """Read what an address that GitHub told holds, as somebody whom nobody knows.

        Nothing is sent but the address: no credential, no cookie; no redirect is followed. It takes
        a connection of its own, to an address that was vetted.

        Args:
            most: Bytes of the body, at most.

        Raises:
            TransportError: No answer came that could be read; `TooLarge`: it is that.
            Elsewhere: Nothing is fetched from where it leads.
        """
        url = vetting.url(url)
        if self._tls is None:
            raise RuntimeError("the transport is not open")
        pool = self._handler
        if pool is not None:
            return await self._send(pool, Request("GET", url), deadline, most)
        dial = VettedDialer(self._tls, vetting)
        pool = HTTP(self._tls, proxies=Proxies(self._proxy), connections=1, dial=dial)
        try:
            return await self._send(pool, Request("GET", url), deadline, most)
        finally:
            with trio.move_on_after(2, shield=True):
                await pool.aclose()

    async def _send(
        self,
        pool: httpx.AsyncBaseTransport | None,
        request: Request,
        deadline: float,
        most: int | None = None,
    ) -> Response:
        if pool is None:
            raise RuntimeError("the transport is not open")
        sent, most = trio.current_time(), most or _LARGEST_BODY
        try:
            with trio.move_on_after(deadline):
                answer = await pool.handle_async_request(_built(request, deadline))
                body = await _read(answer, most)
                headers = _headers(answer)
                if encoding := headers.get("content-encoding"):
                    body = decode(body, encoding, most)
                return Response(answer.status_code, headers, body.removeprefix(_BOM), sent)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
            # Not chained: the library's errors hold the request, and with it the token
            raise TransportError(_describe(error)) from None
        raise TransportError(f"no whole answer within {deadline:g} s")


_address = lru_cache(256)(httpx.URL)  # reading one takes as long as all else here


def _built(request: Request, deadline: float) -> httpx.Request:
    given = {name.lower() for name in request.headers}
    headers = {name: value for name, value in _DEFAULTS.items() if name.lower() not in given}
    headers.update(request.headers)
    return httpx.Request(
        request.method,
        _address(request.url),
        headers=headers,
        content=request.body or None,
        # The deadline bounds the rest
        extensions={"timeout": {"connect": min(_CONNECT, deadline)}},
    )


async def _read(answer: httpx.Response, most: int) -> bytes:
    stream = answer.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    parts, size = [], 0
    try:
        async for part in stream:
            parts.append(part)
            size += len(part)
            if size > most:
                large = f"{most >> 20} MiB" if most >> 20 else f"{most >> 10} KiB"
                raise TooLarge(f"the answer is larger than {large}")
    except BaseException:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 2):
            await stream.aclose()
        raise
    await stream.aclose()
    return b"".join(parts)


def _headers(answer: httpx.Response) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in answer.headers.raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _describe(error: Exception) -> str:
    proxy = isinstance(error, httpx.ProxyError)
    reason: BaseException = error
    while not str(reason) and (deeper := reason.__cause__ or reason.__context__):
        reason = deeper  # a refused certificate is told some levels down
    text = f"{type(reason).__name__}: {' '.join(str(reason).split())[:200]}".removesuffix(": ")
    return f"the proxy refused: {text}" if proxy else text
