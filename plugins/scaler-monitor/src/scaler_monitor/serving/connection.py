"""One connection: its bytes between the socket and the protocol, each wait with an end.

In place of hypercorn's own, which lets a client that reads nothing hold it for ever, and loses an
answer to a client that is still sending.
"""

from __future__ import annotations

import math
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import h11
import trio
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.task_group import TaskGroup
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr

from scaler_monitor.serving.protocol import Protocol

if TYPE_CHECKING:
    from hypercorn.config import Config
    from hypercorn.trio.worker_context import WorkerContext
    from hypercorn.typing import AppWrapper

KEEP_ALIVE = 5.0  # seconds that it may be idle, or take for the head of a request
HANDSHAKE = 5.0  # seconds for that of TLS
READ_WITHIN = 10.0  # seconds that a client may take to read a piece of what it is sent
LINGER = 1.0  # seconds that a refused client is still listened to, so that it reads why
CLOSING = 0.5  # seconds for the last words of TLS

_PIECE = 64 << 10  # bytes
_DISCARDED = 4 << 20  # bytes of what follows a refused request

Stream: TypeAlias = "trio.SocketStream | trio.SSLStream[trio.SocketStream]"


class Connection:
    """What an accepted socket becomes.

    Args:
        app: What answers requests.
        config: Hypercorn's.
        context: Hypercorn's; once it is terminated no further request is read.
        stream: The socket, or TLS over it.
    """

    def __init__(
        self, app: AppWrapper, config: Config, context: WorkerContext, stream: Stream
    ) -> None:
        self._app = app
        self._config = config
        self._context = context
        self._stream = stream
        self._tls = isinstance(stream, trio.SSLStream)
        plain = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
        self._socket = plain.socket
        self._sending = trio.Lock()
        self._reading = trio.CancelScope()
        self._busy = False
        self._ending = False
        self._broken = False
        self._protocol: Protocol

    async def run(self) -> None:
        """Serve until either side ends it; what the other side does to it raises nothing."""
        try:
            if isinstance(self._stream, trio.SSLStream):
                with trio.fail_after(HANDSHAKE):
                    await self._stream.do_handshake()
            family = self._socket.family
            client = parse_socket_addr(family, self._socket.getpeername())
            server = parse_socket_addr(family, self._socket.getsockname())
            async with TaskGroup() as tasks:
                self._protocol = Protocol(
                    *(self._app, self._config, self._context, tasks, ConnectionState({})),
                    *(self._tls, client, server, self._send),
                )
                self._set_busy(False)
                with self._reading:
                    await self._read()
                await self._protocol.handle(Closed())
        except (OSError, trio.BrokenResourceError, trio.TooSlowError):
            return  # it is gone, or no client of ours
        finally:
            with trio.move_on_after(CLOSING, shield=True):
                await self._stream.aclose()

    def end(self) -> None:
        """End it if it is idle; otherwise it ends after the request in hand."""
        if not self._busy:
            self._reading.cancel()

    def hang_up(self) -> None:
        """End it now: who waits to send or to receive gets an error instead."""
        with suppress(OSError):  # it has ended already
            self._socket.shutdown(socket.SHUT_RDWR)

    async def _read(self) -> None:
        discarded = 0
        while True:
            try:
                data = await self._stream.receive_some(_PIECE)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            if self._reading.cancel_called:
                return  # too late: a request that begins now would be broken off
            if not self._ending:
                await self._protocol.handle(RawData(bytes(data)))
            else:
                discarded += len(data)
            if not data or discarded > _DISCARDED:
                return

    async def _send(self, event: Event) -> None:
        """What the protocol has for the other side."""
        if isinstance(event, RawData):
            await self._send_all(event.data)
        elif isinstance(event, Updated):
            self._set_busy(not event.idle)
        elif isinstance(event, Closed):
            await self._end_gracefully()
        if self._broken or isinstance(event, Closed):
            await self._protocol.handle(Closed())

    async def _send_all(self, data: bytes) -> None:
        """In pieces, each with a deadline: a slow reader is served, and one that never reads ends.

        It is shielded: half of an answer is of no use, and what breaks it off ends the socket.
        """
        view = memoryview(data)
        with trio.CancelScope(shield=True):
            async with self._sending:
                try:
                    for start in range(0, 0 if self._broken else len(view), _PIECE):
                        with trio.fail_after(READ_WITHIN):
                            await self._stream.send_all(view[start : start + _PIECE])
                except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
                    self._broken = True
                    self.hang_up()

    async def _end_gracefully(self) -> None:
        """Say that nothing more comes, and read on a little.

        A socket that is closed with something unread loses what it has sent, too.
        """
        self._ending = True
        nothing_unread = self._protocol.connection.their_state in (h11.DONE, h11.MUST_CLOSE)
        if self._broken or self._context.terminated.is_set() or (self._tls and nothing_unread):
            self._reading.cancel()
            return
        self._reading.deadline = trio.current_time() + LINGER
        if isinstance(self._stream, trio.SocketStream):  # TLS cannot end one way alone
            async with self._sending:
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    await self._stream.send_eof()

    def _set_busy(self, busy: bool) -> None:
        self._busy = busy
        if not self._ending:
            self._reading.deadline = math.inf if busy else trio.current_time() + KEEP_ALIVE
