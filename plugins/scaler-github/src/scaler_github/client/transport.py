"""HTTP. The one place that imports httpx: swap the library, or its transport, here.

HTTP/1.1 only: over HTTP/2 a cancelled long poll breaks the connection's bookkeeping, and the server
is never told (encode/httpcore#943). Message polls have a pool of their own, without a bound: they
sit on their connections for most of a minute and would starve the calls.
"""

from __future__ import annotations

import logging
import re
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import httpx
import trio

if TYPE_CHECKING:
    from collections.abc import Mapping

USER_AGENT = "scaler-github/0.1.0"
CALL_DEADLINE = 30.0
_CONNECT = 10.0
_LARGEST_BODY = 32 << 20
_BOM = b"\xef\xbb\xbf"
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}", re.ASCII)
_LOOPBACK = ("all://localhost", "all://127.0.0.1", "all://[::1]")


class TransportError(Exception):
    """No usable answer came: the connection failed, broke, or took too long."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call. Its repr shows neither headers nor the query, which may be secret."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, read whole. Header names are lower-case; a byte-order mark is gone."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


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


def check_authorities(path: str) -> None:
    """Whether a file holds certificates that can be trusted. Raises ValueError, which says why."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise ValueError(f"there are no certificates (PEM) in {path}") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    if not context.cert_store_stats()["x509"]:
        raise ValueError(f"there are no certificates (PEM) in {path}")


class Transport:
    """Two pools of connections with one TLS context. Open it with `async with`.

    It may be opened several times over: the connections are closed with the last one to leave.

    Args:
        proxy: URL of an HTTP proxy; otherwise the environment's (HTTPS_PROXY, NO_PROXY) counts.
        ca_file: More certificate authorities to trust, beside the system's.
        authorities: Whether to trust the system's; without them only http and `ca_file` work.
        handler: For tests: answers instead of the network.
    """

    def __init__(
        self,
        *,
        proxy: str | None = None,
        ca_file: str | None = None,
        authorities: bool = True,
        handler: httpx.AsyncBaseTransport | None = None,
        connections: int = 20,
    ) -> None:
        self._proxy = proxy
        self._ca_file = ca_file
        self._authorities = authorities
        self._handler = handler
        self._connections = connections
        # httpcore's pool costs more for every call the more of them wait in it: they wait here
        self._turns = trio.Semaphore(connections)
        self._users = 0
        self._tls: ssl.SSLContext | None = None
        self._calls: httpx.AsyncClient | None = None
        self._polls: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        if self._calls is None:
            _quieten()
            if self._tls is None:  # reading the authorities takes 30 ms, so once
                self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                if self._authorities:
                    self._tls = ssl.create_default_context()
                if self._ca_file:
                    self._tls.load_verify_locations(self._ca_file)
            self._calls = self._client(self._tls, self._connections)
            self._polls = self._client(self._tls, None)
        self._users += 1
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._users -= 1
        if self._users == 0:
            clients, self._calls, self._polls = (self._calls, self._polls), None, None
            with trio.move_on_after(2, shield=True):
                for client in clients:
                    if client is not None:
                        await client.aclose()

    def _client(self, context: ssl.SSLContext, connections: int | None) -> httpx.AsyncClient:
        direct = None if self._proxy else dict.fromkeys(_LOOPBACK, None)
        return httpx.AsyncClient(
            http2=False,
            verify=context,
            proxy=self._proxy,
            mounts=direct,
            transport=self._handler,
            limits=httpx.Limits(
                max_connections=connections,
                max_keepalive_connections=connections,
                keepalive_expiry=60,
            ),
            headers={"User-Agent": USER_AGENT},
            follow_redirects=False,
        )

    async def call(self, request: Request, *, deadline: float = CALL_DEADLINE) -> Response:
        """Make a call; the whole of it, body included, within the deadline.

        The deadline begins with the call's turn: only so many are under way at once.

        Raises:
            TransportError: No answer came that could be read.
        """
        async with self._turns:
            return await self._send(self._calls, request, deadline)

    async def poll(self, request: Request, *, deadline: float) -> Response:
        """As `call`, for calls that the server answers late on purpose."""
        return await self._send(self._polls, request, deadline)

    async def _send(
        self, client: httpx.AsyncClient | None, request: Request, deadline: float
    ) -> Response:
        if client is None:
            raise RuntimeError("the transport is not open")
        timeout = httpx.Timeout(deadline, connect=min(_CONNECT, deadline))
        try:
            with trio.fail_after(deadline):
                built = client.build_request(
                    request.method,
                    request.url,
                    headers=dict(request.headers),
                    content=request.body or None,
                    timeout=timeout,
                )
                answer = await client.send(built, stream=True)
                try:
                    return Response(
                        answer.status_code,
                        {key.lower(): value for key, value in answer.headers.items()},
                        (await _read(answer)).removeprefix(_BOM),
                    )
                finally:
                    with trio.CancelScope(shield=True, deadline=trio.current_time() + 2):
                        await answer.aclose()
        except trio.TooSlowError:
            raise TransportError(f"no whole answer within {deadline:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
            # Not chained: the library's errors hold the request, and with it the token
            raise TransportError(_describe(error)) from None


async def _read(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise TransportError(f"the answer is larger than {_LARGEST_BODY >> 20} MiB")
    return bytes(body)


def _describe(error: Exception) -> str:
    proxy = isinstance(error, httpx.ProxyError)
    reason: BaseException = error
    while not str(reason) and (deeper := reason.__cause__ or reason.__context__):
        reason = deeper  # a refused certificate is told some levels down
    text = f"{type(reason).__name__}: {' '.join(str(reason).split())[:200]}".removesuffix(": ")
    return f"the proxy refused: {text}" if proxy else text


def _quieten() -> None:
    # One line per request at "info", with the query of the queue's address in it
    for name in ("httpx", "httpcore"):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)
