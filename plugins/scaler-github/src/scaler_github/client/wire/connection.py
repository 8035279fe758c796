"""One HTTP/1.1 connection: h11 above a stream of trio, one exchange at a time."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable
from dataclasses import dataclass

import h11
import trio

from scaler_github.client.wire.errors import (
    LocalProtocolError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    WriteTimeout,
    plain,
)

Body = bytes | AsyncIterable[bytes]

LARGEST_HEAD = 100 << 10  # bytes of a status line with all headers, or of one chunk's line
_READ = 64 << 10
_AT_ONCE = 64 << 10  # a socket takes this much of a body even when the server reads nothing
_MOST_INTERIM = 32  # answers of 100 to 199 before the real one


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for one thing: a turn, a connection, bytes to leave, bytes to come."""

    pool: float | None = None
    connect: float | None = None
    write: float | None = None
    read: float | None = None


class Connection:
    """A connection that is open. After an error or a cancellation it can only be closed.

    Attributes:
        heard: Whether anything of the current answer has come.
        complete: Whether the current answer has been read to its end.
    """

    __slots__ = ("_h11", "_sent", "_stream", "_timeouts", "complete", "heard")

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD)
        self._timeouts = Timeouts()
        self._sent = False
        self.heard = False
        self.complete = False

    async def ask(self, request: h11.Request, body: Body, timeouts: Timeouts) -> h11.Response:
        """Send a request and wait for the head of its answer.

        An answer may come before the request has left whole. One that refuses it (400 and above)
        ends the sending; any other is kept until the rest is sent.

        Raises:
            LocalProtocolError, WriteTimeout, ReadError, ReadTimeout, RemoteProtocolError: As the
                names say. Where `heard` is still False, the server may not have seen the request.
        """
        self._timeouts = timeouts
        self._sent = self.heard = self.complete = False
        head = self._encode(request)
        if isinstance(body, bytes) and len(body) <= _AT_ONCE:
            if body:
                head += self._encode(h11.Data(data=body))
            self._sent = await self._write(head + self._encode(h11.EndOfMessage()))
            return await self._head()
        return await self._ask_at_length(head, body)

    async def _ask_at_length(self, head: bytes, body: Body) -> h11.Response:
        answer: h11.Response | None = None
        failure: Exception | None = None  # kept out of the nursery, which would wrap it in a group

        async def send() -> None:
            nonlocal failure
            try:
                await self._write(head)
                if isinstance(body, bytes):
                    await self._write(self._encode(h11.Data(data=body)))
                else:
                    async for part in body:
                        await self._write(self._encode(h11.Data(data=part)))
                self._sent = await self._write(self._encode(h11.EndOfMessage()))
            except Exception as error:
                failure = error
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            try:
                answer = await self._head()
                if answer.status_code >= 400:
                    nursery.cancel_scope.cancel()
            except Exception as error:
                failure = error
                nursery.cancel_scope.cancel()
        if answer is not None and (failure is None or answer.status_code >= 400):
            return answer
        raise failure or ReadError("the connection was closed")

    async def read(self) -> bytes:
        """More of the answer's body; nothing when it is at its end.

        Raises:
            ReadError, ReadTimeout, RemoteProtocolError: The rest will not come.
        """
        parts = []
        while not self.complete:
            event = self._next()
            if type(event) is h11.Data:
                parts.append(event.data)
            elif type(event) is h11.EndOfMessage:
                self.complete = True
            elif event is not h11.NEED_DATA:
                raise RemoteProtocolError("the answer's body ended in the middle")
            elif parts:
                break
            else:
                await self._receive()
        return b"".join(parts)

    def renew(self) -> bool:
        """Get ready for another request. False when there can be none."""
        if not (
            self._sent
            and self._h11.our_state is h11.DONE
            and self._h11.their_state is h11.DONE
            and self._h11.trailing_data == (b"", False)
        ):
            return False
        self._h11.start_next_cycle()
        return True

    def quiet(self) -> bool:
        """Whether nothing came unasked: neither bytes nor the connection's end.

        Either makes it useless: bytes would be taken for the answer to the next request.
        """
        stream = self._stream
        while isinstance(stream, trio.SSLStream):
            # What the socket gave and TLS has not looked at yet; trio has no name for it
            kept: ssl.MemoryBIO | None = getattr(stream, "_incoming", None)
            if kept is None or kept.pending or stream.pending():
                return False
            stream = stream.transport_stream
        return not (isinstance(stream, trio.SocketStream) and stream.socket.is_readable())

    async def aclose(self) -> None:
        """Close it at once, whoever is cancelled."""
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(self._stream)

    async def _head(self) -> h11.Response:
        interim = 0
        while True:
            event = self._next()
            if event is h11.NEED_DATA:
                await self._receive()
            elif type(event) is h11.Response:
                return event
            elif type(event) is h11.InformationalResponse and event.status_code != 101:
                interim += 1
                if interim > _MOST_INTERIM:
                    raise RemoteProtocolError(f"more than {_MOST_INTERIM} interim answers")
            else:
                raise RemoteProtocolError("the server changed to another protocol")

    def _next(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as error:
            raise RemoteProtocolError(plain(error)) from None

    def _encode(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> bytes:
        try:
            return self._h11.send(event)
        except h11.LocalProtocolError as error:
            raise LocalProtocolError(plain(error)) from None

    async def _write(self, data: bytes) -> bool:
        """Send; False when the server takes no more."""
        timeout = self._timeouts.write
        try:
            if timeout is None:
                await self._stream.send_all(data)
            else:
                with trio.fail_after(timeout):
                    await self._stream.send_all(data)
        except trio.TooSlowError:
            raise WriteTimeout(f"the server took nothing for {timeout:g} s") from None
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return False  # it may have answered before it closed: what reads will see
        return True

    async def _receive(self) -> None:
        timeout = self._timeouts.read
        try:
            if timeout is None:
                data = await self._stream.receive_some(_READ)
            else:
                with trio.fail_after(timeout):
                    data = await self._stream.receive_some(_READ)
        except trio.TooSlowError:
            raise ReadTimeout(f"the server sent nothing for {timeout:g} s") from None
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            reason = error.__cause__ or error
            raise ReadError(getattr(reason, "strerror", None) or str(reason) or "closed") from None
        if data:
            self.heard = True
        elif self._h11.their_state is h11.SEND_RESPONSE:
            where = "in the middle of its answer" if self.heard else "without an answer"
            raise RemoteProtocolError(f"the server closed the connection {where}")
        self._h11.receive_data(bytes(data))
