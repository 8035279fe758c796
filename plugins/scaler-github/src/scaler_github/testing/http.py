"""A small HTTP/1.1 server on trio and h11: keep-alive, pipelining, and room for faults.

One connection's error ends that connection and nothing else.
"""

from __future__ import annotations

import logging
import socket
import struct
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, unquote

import h11
import msgspec
import trio

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

#: A request body above this is answered with 413.
MAX_BODY = 16 * 1024 * 1024


@dataclass(slots=True)
class Request:
    """One request, read to its end."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int
    path: str = field(init=False)
    query: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        path, _, query = self.target.partition("?")
        self.path = path
        self.query = dict(parse_qsl(query, keep_blank_values=True)) if query else {}

    @property
    def decoded_path(self) -> str:
        """The path for people; routes match the raw one and decode each part."""
        return unquote(self.path)

    def json(self) -> Any:
        """The body as JSON; `None` when it is empty; raises `msgspec.DecodeError`."""
        return msgspec.json.decode(self.body) if self.body else None


@dataclass(slots=True)
class Response:
    """What is sent, and how the connection is treated.

    `ending`: `"close"` sends nothing and closes, `"reset"` sends nothing and resets the
    connection, `"raw"` sends `body` alone, without a status line, and closes. `keep` cuts
    the body after so many bytes, although Content-Length promised all of it, and closes.
    `pace` sends the body a byte at a time, so many seconds apart.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    ending: Literal["normal", "close", "reset", "raw"] = "normal"
    keep: int | None = None
    pace: float = 0.0


def json_response(status: int, value: object, **headers: str) -> Response:
    """A JSON answer; `x_y="1"` becomes the header `x-y: 1`."""
    named = {"content-type": "application/json; charset=utf-8"}
    named.update((name.replace("_", "-"), text) for name, text in headers.items())
    return Response(status, msgspec.json.encode(value), named)


class Server:
    """Accepts connections and hands each request to `handle`."""

    def __init__(
        self,
        handle: Callable[[Request], Awaitable[Response]],
        now: Callable[[], float],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._handle = handle
        self._now = now
        self._tls = tls
        self._scopes: dict[int, trio.CancelScope] = {}
        self._count = 0

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._scopes)

    def drop_connections(self, spare: int | None = None) -> int:
        """Close all connections at once, whatever they do; returns how many.

        Args:
            spare: the number of a connection that is kept.
        """
        chosen = [scope for number, scope in self._scopes.items() if number != spare]
        for scope in chosen:
            scope.cancel()
        return len(chosen)

    async def serve(
        self,
        host: str,
        port: int,
        *,
        task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen until cancelled; `started` gives the port.

        Raises:
            OSError: the address cannot be used.
        """
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=4096)
        task_status.started(listeners[0].socket.getsockname()[1])
        await trio.serve_listeners(self._connection, listeners)

    async def _connection(self, stream: trio.SocketStream) -> None:
        self._count += 1
        number = self._count
        with trio.CancelScope() as scope:
            self._scopes[number] = scope
            talk: trio.abc.Stream = stream
            if self._tls is not None:
                talk = trio.SSLStream(stream, self._tls, server_side=True, https_compatible=True)
            try:
                await _Conversation(talk, stream, number, self._handle, self._now).run()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # the client has gone, or a fault was to close the connection
            except Exception:
                log.exception("connection %d failed", number)
            finally:
                del self._scopes[number]
                await trio.aclose_forcefully(stream)


class _Conversation:
    """All requests of one connection, one after another."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        raw: trio.SocketStream,
        number: int,
        handle: Callable[[Request], Awaitable[Response]],
        now: Callable[[], float],
    ) -> None:
        self._stream = stream
        self._raw = raw
        self._number = number
        self._handle = handle
        self._now = now
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=128 * 1024)

    async def run(self) -> None:
        while True:
            try:
                request = await self._read()
            except h11.RemoteProtocolError as exc:
                await self._refuse(exc.error_status_hint or 400, str(exc))
                return
            if request is None:
                return
            try:
                response = await self._handle(request)
            except Exception as exc:
                log.exception("%s %s failed", request.method, request.path)
                response = json_response(500, {"message": f"simulator error: {exc!r}"})
            if not await self._write(request, response):
                return
            self._h11.start_next_cycle()

    async def _event(self) -> Any:
        while True:
            event = self._h11.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._h11.they_are_waiting_for_100_continue:
                go = h11.InformationalResponse(status_code=100, headers=[])
                await self._stream.send_all(self._h11.send(go) or b"")
            self._h11.receive_data(bytes(await self._stream.receive_some(65536)))

    async def _read(self) -> Request | None:
        event = await self._event()
        if not isinstance(event, h11.Request):
            return None
        body: list[bytes] = []
        size = 0
        while isinstance(data := await self._event(), h11.Data):
            size += len(data.data)
            if size > MAX_BODY:
                raise h11.RemoteProtocolError("body too large", error_status_hint=413)
            body.append(bytes(data.data))
        return Request(
            method=event.method.decode("ascii"),
            target=event.target.decode("ascii"),
            headers={n.decode("latin-1"): v.decode("latin-1") for n, v in event.headers},
            body=b"".join(body),
            connection=self._number,
        )

    async def _refuse(self, status: int, reason: str) -> None:
        if self._h11.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            head = h11.Response(
                status_code=status, headers=[("connection", "close"), ("content-length", "0")]
            )
            log.debug("connection %d: %s", self._number, reason)
            await self._stream.send_all(self._h11.send(head) or b"")

    async def _write(self, request: Request, response: Response) -> bool:
        """Send the answer; tells whether the connection can be used again."""
        if response.ending == "reset":
            linger = struct.pack("ii", 1, 0)
            self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if response.ending in {"close", "reset"}:
            return False
        if response.ending == "raw":
            await self._stream.send_all(response.body)
            return False
        send = self._h11.send
        body = b"" if response.status in {204, 304} or request.method == "HEAD" else response.body
        head = send(
            h11.Response(
                status_code=response.status,
                headers=self._headers(response),
                reason=_REASONS.get(response.status, b""),
            )
        )
        if response.keep is not None or response.pace:
            return await self._write_badly(head or b"", body, response)
        data = (send(h11.Data(data=body)) or b"") if body else b""
        await self._stream.send_all((head or b"") + data + (send(h11.EndOfMessage()) or b""))
        return self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE

    def _headers(self, response: Response) -> list[tuple[str, str]]:
        headers = list(response.headers.items())
        headers.append(("date", formatdate(self._now(), usegmt=True)))
        if response.status not in {204, 304}:
            headers.append(("content-length", str(len(response.body))))
        return headers

    async def _write_badly(self, head: bytes, body: bytes, response: Response) -> bool:
        part = body if response.keep is None else body[: response.keep]
        await self._stream.send_all(head)
        step = 1 if response.pace else max(1, len(part))
        for start in range(0, len(part), step):
            await self._stream.send_all(part[start : start + step])
            await trio.sleep(response.pace)
        if response.keep is None:
            self._h11.send(h11.Data(data=body))
            self._h11.send(h11.EndOfMessage())
        return response.keep is None and self._h11.our_state is h11.DONE


_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
