"""Hypercorn's connections in a nursery of ours.

Hypercorn's own `serve` cannot be ended while a client does not read: it shields what it sends, also
from a cancelled nursery. Here every connection is known, so that its socket can be shut down.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import trio
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.utils import wrap_app

from scaler_monitor.settings import Address, parse

if TYPE_CHECKING:
    import logging
    from collections.abc import AsyncIterator, Iterable

    from quart import Quart

GRACE = 0.5  # seconds that requests in hand get at the end
KEEP_ALIVE = 5.0  # seconds that a connection may be idle, or take for the head of a request
UNREAD = 10_000  # milliseconds that a client may leave what it was sent unacknowledged

Listener: TypeAlias = trio.SocketListener


@asynccontextmanager
async def listening(texts: Iterable[str]) -> AsyncIterator[list[Listener]]:
    """Sockets for all of these, or for none; closed at the end, with the files of unix sockets.

    Raises:
        OSError: One cannot be had; the text says which and why.
    """
    listeners: list[Listener] = []
    paths: list[str] = []
    try:
        for text in texts:
            try:
                opened = await _open(parse(text))
            except OSError as error:
                raise OSError(f"cannot listen on {text}: {error.strerror or error}") from None
            listeners += opened
            paths += [each.socket.getsockname() for each in opened if _is_unix(each)]
        yield listeners
    finally:
        for path in paths:
            _forget(path)
        for listener in listeners:
            listener.socket.close()


def url(listener: Listener) -> str:
    """Where it really listens."""
    name = listener.socket.getsockname()
    if _is_unix(listener):
        return f"unix:{name}"
    host = f"[{name[0]}]" if listener.socket.family == socket.AF_INET6 else name[0]
    return f"http://{host}:{name[1]}"


async def serve(
    app: Quart, listeners: list[Listener], stopping: trio.Event, log: logging.Logger
) -> None:
    """Serve until `stopping` is set, and a moment longer what is in hand."""
    config = Config()
    config.errorlog = log
    config.include_server_header = False
    config.keep_alive_timeout = KEEP_ALIVE
    context = WorkerContext(None)
    wrapped = wrap_app(_Shielded(app), config.wsgi_max_body_size, "asgi")
    streams: set[trio.SocketStream] = set()

    async def connection(stream: trio.SocketStream) -> None:
        streams.add(stream)
        try:
            await TCPServer(wrapped, config, context, {}, stream)  # type: ignore[arg-type]
        except* Exception as group:
            log.error("a connection broke off", exc_info=group)  # and no other one
        finally:
            streams.discard(stream)

    async with trio.open_nursery() as outer:
        outer.start_soon(_hang_up, streams, name="monitor: hang up")
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(
                    partial(
                        trio.serve_listeners, connection, listeners, handler_nursery=connections
                    ),
                    name="monitor: accept",
                )
                await stopping.wait()
                accepting.cancel_scope.cancel()
            await context.terminated.set()
            outer.cancel_scope.deadline = trio.current_time() + GRACE
        outer.cancel_scope.cancel()


async def _hang_up(streams: set[trio.SocketStream]) -> None:
    """Once cancelled, end every connection: who waits to send gets an error instead."""
    try:
        await trio.sleep_forever()
    finally:
        for stream in streams:
            try:
                stream.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it has ended already


async def _open(address: Address) -> list[Listener]:
    if isinstance(address, str):
        return [await _open_unix(address)]
    host, port = address
    listeners = await trio.open_tcp_listeners(port, host=host)
    for listener in listeners:
        # Inherited by every connection: a client that is gone without a word is noticed
        listener.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD)
    return listeners


async def _open_unix(path: str) -> Listener:
    """A socket for its owner alone. A file that an earlier process left is replaced."""
    if await _answers(path):
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    _forget(path)
    opened = trio.socket.socket(socket.AF_UNIX)
    try:
        os.fchmod(opened.fileno(), 0o600)  # before there is a file: Linux makes it with this mode
        await opened.bind(path)
        opened.listen()
    except BaseException:
        opened.close()
        raise
    return Listener(opened)


def _is_unix(listener: Listener) -> bool:
    return listener.socket.family == socket.AF_UNIX


async def _answers(path: str) -> bool:
    with trio.socket.socket(socket.AF_UNIX) as asking:
        try:
            await asking.connect(path)
        except OSError:
            return False
    return True


def _forget(path: str) -> None:
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
    except FileNotFoundError:
        return


class _Shielded:
    """Lets the last part of an answer out, although the request's own task is being cancelled.

    quart-trio 0.12 cancels a request when hypercorn ends it, in the middle of hypercorn's own end;
    the task and its socket would stay for ever.
    """

    def __init__(self, app: Quart) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})
            return

        async def send_whole(message: Any) -> None:
            last = message["type"] == "http.response.body" and not message.get("more_body")
            with trio.CancelScope(shield=last):
                await send(message)

        await self._app(scope, receive, send_whole)
