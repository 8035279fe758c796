"""Everyone who is connected: bounded in number, in time and in what they may send."""

from __future__ import annotations

import logging
import math
import select
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import trio

from scaler import __version__
from scaler.control import protocol
from scaler.control.commands import LARGE
from scaler.control.peer import name_of
from scaler.control.protocol import LINE, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler.control.commands import Commands
    from scaler.engine import Engine

log = logging.getLogger("scaler.control")

MOST = 32  # connections
WATCHERS = 16  # of them that watch, so that others come through
IDLE = 60.0  # seconds for which a connection may say nothing
LATE = 10.0  # seconds for the rest of a line once it has begun, and for an answer to be taken
OFTEN = 1.0  # seconds between two lines for one watcher, at least
SHARE = 10.0  # times as long as making a status took, it is good for those who watch
BEAT = 15.0  # seconds between them at most: whoever watches sees that it is alive


class _Closed(Exception):
    """The other side has gone, or is too slow."""


class _Connection:
    """One of them.

    Attributes:
        stream: Its bytes.
        scope: Cancelled to break it off.
        idle: Since when nothing of it is being worked at; None while something is.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.scope = trio.CancelScope()
        self.idle: float | None = trio.current_time()
        self._buffer = bytearray()

    async def line(self) -> bytes | None:
        """The next line; None where no more come.

        Raises:
            Trouble: It is too long or takes too long.
        """
        self.idle = trio.current_time()
        with trio.move_on_after(IDLE if not self._buffer else LATE) as waiting:
            while (end := self._buffer.find(b"\n")) < 0:
                if len(self._buffer) > LINE:
                    raise Trouble("malformed", f"the request is longer than {LINE} bytes")
                if not await self._more():
                    rest, self._buffer = bytes(self._buffer), bytearray()
                    return rest or None
                if waiting.deadline - trio.current_time() > LATE:
                    waiting.deadline = trio.current_time() + LATE
            if end > LINE:
                raise Trouble("malformed", f"the request is longer than {LINE} bytes")
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self.idle = None
            return line
        if self._buffer:
            raise Trouble("malformed", f"a request that was begun did not end within {LATE:g} s")
        return None

    async def send(self, line: bytes) -> None:
        """Have it taken."""
        with trio.move_on_after(LATE) as waiting:
            try:
                await self.stream.send_all(line)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise _Closed from None
        if waiting.cancelled_caught:
            raise _Closed

    async def left(self) -> None:
        """Wait until the other side goes, or says something although it watches."""
        if not self._buffer.strip() and not await self._more() and not self._hung_up():
            await trio.sleep_forever()  # it has only said that nothing more comes from it

    async def _more(self) -> bool:
        try:
            data = await self.stream.receive_some(LINE + 1)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        self._buffer += data
        return bool(data)

    def _hung_up(self) -> bool:
        poll = select.poll()
        poll.register(self.stream.socket.fileno(), 0)
        return any(event & select.POLLHUP for _, event in poll.poll(0))


class Connections:
    """Reads what each of them asks, has it done, and answers.

    Args:
        commands: What does it.
        engine: What is watched.
        hide: Puts `***` in place of secrets.
    """

    def __init__(self, commands: Commands, engine: Engine, hide: Callable[[str], str]) -> None:
        self._commands = commands
        self._engine = engine
        self._hide = hide
        self._all: set[_Connection] = set()
        self._watchers = 0
        self._line: tuple[object, bytes] = None, b""
        self._glimpse = -math.inf, 0.0, b""
        self._limiter = trio.CapacityLimiter(1)

    async def take(self, stream: trio.SocketStream, nursery: trio.Nursery) -> None:
        """Serve one more; where there are too many, the one that is idle for longest goes."""
        if len(self._all) >= MOST and not self._make_room():
            trouble = Trouble("unavailable", f"{MOST} ask already", "try again in a moment")
            with trio.move_on_after(1), suppress(trio.BrokenResourceError):
                await stream.send_all(protocol.refusal(trouble, __version__))
            await trio.aclose_forcefully(stream)
            return
        connection = _Connection(stream)
        self._all.add(connection)
        nursery.start_soon(self._serve, connection, name="control connection")

    def _make_room(self) -> bool:
        idle = [each for each in self._all if each.idle is not None]
        if not idle:
            return False
        oldest = min(idle, key=lambda each: each.idle or 0.0)
        self._all.discard(oldest)
        oldest.scope.cancel()
        return True

    async def _serve(self, connection: _Connection) -> None:
        try:
            with connection.scope, suppress(_Closed):
                while (line := await self._line_of(connection)) is not None:
                    if line.strip():
                        await self._answer(connection, line)
        finally:
            self._all.discard(connection)
            await trio.aclose_forcefully(connection.stream)

    async def _line_of(self, connection: _Connection) -> bytes | None:
        try:
            return await connection.line()
        except Trouble as trouble:  # where the next request begins is not known any more
            await connection.send(self._refused(trouble))
            raise _Closed from None

    async def _answer(self, connection: _Connection, line: bytes) -> None:
        try:
            request = protocol.parse(line, __version__)
            if request.options.get("watch"):
                await self._watch(connection)
            if request.command == "status":
                answer = await self._status()
            else:
                by = await name_of(connection.stream)
                answer = await self._answered(await self._commands.run(request, by))
        except Trouble as trouble:
            answer = self._refused(trouble)
        except _Closed:
            raise
        except Exception:
            log.exception("a command through the control socket failed")
            fault = Trouble("internal", "scaler itself is at fault", "see its log, and report it")
            answer = self._refused(fault)
        await connection.send(answer)

    # -- watching

    async def _watch(self, connection: _Connection) -> None:
        """Tell of every change, until the other side goes."""
        if self._watchers >= WATCHERS:
            text = f"{WATCHERS} watch already"
            raise Trouble("unavailable", text, "ask without watch, or end another that watches")
        self._watchers += 1
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._tell, connection)
                await connection.left()
                nursery.cancel_scope.cancel()
        except* _Closed:
            pass
        finally:
            self._watchers -= 1
        raise _Closed

    async def _tell(self, connection: _Connection) -> None:
        while True:
            began, seen = trio.current_time(), self._engine.view()
            await connection.send(await self._watched())
            with trio.move_on_after(BEAT):
                await self._engine.next_view(seen)
            await trio.sleep_until(began + OFTEN)

    async def _watched(self) -> bytes:
        """The status for who watches: where there is so much that it takes long, not the newest."""
        began = trio.current_time()
        made, took, line = self._glimpse
        if began - made >= took * SHARE:
            line = await self._status()
            self._glimpse = began, trio.current_time() - began, line
        return line

    # -- answers

    async def _status(self) -> bytes:
        """The status as a line; one for all who ask within a second."""
        result = await self._commands.status()
        if self._line[0] is not result:
            self._line = result, await self._answered(result)
        return self._line[1]

    async def _answered(self, result: dict[str, Any]) -> bytes:
        """The answer as a line: where that is long, not made within the loop."""
        if len(result.get("runners", ())) + len(result.get("jobs", ())) < LARGE:
            return protocol.answer(result, __version__, self._hide)
        return await trio.to_thread.run_sync(
            protocol.answer, result, __version__, self._hide, limiter=self._limiter
        )

    def _refused(self, trouble: Trouble) -> bytes:
        return protocol.refusal(trouble, __version__, self._hide)
