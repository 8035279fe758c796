"""Hypercorn's protocol on connections of our own, in a nursery of ours.

Every connection is known, so that the end of the service ends them all in time.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import trio
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.utils import wrap_app

from scaler_monitor.serving.addresses import normalised
from scaler_monitor.serving.connection import Connection, Stream
from scaler_monitor.serving.guarded import Guarded
from scaler_monitor.serving.protocol import refusal

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable

    from hypercorn.typing import AppWrapper, ASGIFramework

    from scaler_monitor.serving.certificate import Certificate
    from scaler_monitor.serving.listening import Listener
    from scaler_monitor.serving.places import Places

GRACE = 3.0  # seconds that requests in hand get at the end: a runner may be reserved just now
_QUIET = 60.0  # seconds between two lines about clients that found no place

_headers, _body = refusal(503, "too many connections")
_lines = "".join(f"{name}: {value}\r\n" for name, value in _headers.items())
_FULL = f"HTTP/1.1 503 \r\nRetry-After: 5\r\n{_lines}\r\n".encode() + _body


@dataclass(frozen=True)
class Opening:
    """Where one comes in, and what is behind it.

    Attributes:
        certificate: What it is encrypted with; None where it is not.
        places: Shared by all openings of a door.
    """

    listener: Listener
    app: ASGIFramework
    places: Places
    certificate: Certificate | None = None


class Server:
    """Serves openings.

    Args:
        log: Where faults go.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._config = Config()
        self._config.errorlog = log
        self._config.include_server_header = False
        self._context = WorkerContext(None)
        self._connections: set[Connection] = set()
        self._told_full = -_QUIET

    async def serve(self, openings: Iterable[Opening], stopping: trio.Event) -> None:
        """Serve until `stopping` is set, and a moment longer what is in hand."""
        async with trio.open_nursery() as outer:
            outer.start_soon(self._hang_up, name="monitor: hang up")
            async with trio.open_nursery() as connections:
                async with trio.open_nursery() as accepting:
                    for opening in openings:
                        accepting.start_soon(
                            partial(
                                trio.serve_listeners,
                                self._handler(opening),
                                [opening.listener],
                                handler_nursery=connections,
                            ),
                            name="monitor: accept",
                        )
                    await stopping.wait()
                    accepting.cancel_scope.cancel()
                await self._context.terminated.set()
                for connection in self._connections:
                    connection.end()
                outer.cancel_scope.deadline = trio.current_time() + GRACE
            outer.cancel_scope.cancel()

    def _handler(self, opening: Opening) -> Any:
        app = wrap_app(Guarded(opening.app), self._config.wsgi_max_body_size, "asgi")

        async def handle(stream: trio.SocketStream) -> None:
            address = _peer(stream)
            if not opening.places.take(address):
                self._turn_away(stream, address, plain=opening.certificate is None)
                return
            try:
                await self._serve(app, _over(stream, opening.certificate))
            finally:
                opening.places.leave(address)

        return handle

    async def _serve(self, app: AppWrapper, stream: Stream) -> None:
        connection = Connection(app, self._config, self._context, stream)
        self._connections.add(connection)
        try:
            await connection.run()
        except* Exception as group:
            self._log.error("a connection broke off", exc_info=group)  # and no other one
        finally:
            self._connections.discard(connection)

    def _turn_away(self, stream: trio.SocketStream, address: str, *, plain: bool) -> None:
        """Say so without waiting: who holds all places must not hold these, too."""
        now = trio.current_time()
        if now >= self._told_full + _QUIET:
            self._told_full = now
            self._log.warning("no place for a connection from %s", address or "a unix socket")
        raw = stream.socket
        with suppress(OSError):
            if plain:
                os.write(raw.fileno(), _FULL)
        raw.close()

    async def _hang_up(self) -> None:
        """Once cancelled, end every connection."""
        try:
            await trio.sleep_forever()
        finally:
            for connection in self._connections:
                connection.hang_up()


def _peer(stream: trio.SocketStream) -> str:
    try:
        name = stream.socket.getpeername()
    except OSError:
        return ""
    return normalised(name[0]) if isinstance(name, tuple) else ""


def _over(stream: trio.SocketStream, certificate: Certificate | None) -> Stream:
    if certificate is None:
        return stream
    return trio.SSLStream(stream, certificate.context, server_side=True, https_compatible=True)
