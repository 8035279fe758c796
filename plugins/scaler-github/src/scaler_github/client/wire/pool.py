"""Turns, and the connections that wait for the next request.

Everything costs the same however many wait: a turn is handed over by whoever ends, first come
first served, and idle connections lie on one stack for each route, the one used last on top.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

import trio

from scaler_github.client.wire.connection import Connection, Timeouts
from scaler_github.client.wire.errors import (
    ConnectError,
    PoolTimeout,
    ReadError,
    RemoteProtocolError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import h11

    from scaler_github.client.wire.connection import Body
    from scaler_github.client.wire.route import Route

    Dial = Callable[[Route, float | None], Awaitable[trio.abc.Stream]]

_REPEATABLE = {b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"}


class Pool:
    """Connections by route.

    A server may close an idle connection in the moment that a request is sent on it. Such a
    request, one that had no byte of an answer on a connection used before, is sent once more on a
    new connection if that does no harm (RFC 9110, 9.2.2). A POST may have acted and is not
    repeated: its sender has to look.

    Args:
        dial: Opens a stream for a route, within so many seconds.
        limit: How many connections there may be, idle ones included; None for no bound.
        expiry: Seconds after which an idle connection is not used again.
    """

    def __init__(self, dial: Dial, *, limit: int | None = None, expiry: float = 60.0) -> None:
        self._dial = dial
        self._limit: float = math.inf if limit is None else limit
        self._expiry = expiry
        self._turns = 0  # taken; each has at most one connection
        self._waiting = trio.lowlevel.ParkingLot()
        self._busy: set[Connection] = set()
        self._idle: dict[Connection, tuple[Route, float]] = {}  # since when; the oldest first
        self._stacks: dict[Route, deque[Connection]] = {}
        self._closed = False

    async def send(
        self, route: Route, request: h11.Request, body: Body, timeouts: Timeouts
    ) -> Exchange:
        """Send a request and wait for the head of its answer.

        Raises:
            WireError: There is no answer.
        """
        await self._enter(timeouts.pool)
        try:
            connection = await self._take(route)
            if connection is not None:
                try:
                    head = await connection.ask(request, body, timeouts)
                    return Exchange(self, route, connection, head)
                except BaseException as error:
                    await self._drop(connection)
                    if not _may_repeat(connection, request, body, error):
                        raise
            connection = await self._open(route, timeouts.connect)
            try:
                head = await connection.ask(request, body, timeouts)
                return Exchange(self, route, connection, head)
            except BaseException:
                await self._drop(connection)
                raise
        except BaseException:
            self._leave()
            raise

    async def aclose(self) -> None:
        """Close all connections; whoever waits or uses one gets an error."""
        self._closed = True
        self._waiting.unpark_all()
        connections = [*self._busy, *self._idle]
        self._idle.clear()
        self._stacks.clear()
        for connection in connections:
            await connection.aclose()

    async def finish(self, route: Route, connection: Connection) -> None:
        """An exchange has ended: keep its connection if it can be used again."""
        self._busy.discard(connection)
        self._leave()
        if self._closed or not connection.renew():
            await connection.aclose()
            return
        now = trio.current_time()
        self._idle[connection] = (route, now)
        self._stacks.setdefault(route, deque()).append(connection)
        while (since := self._oldest()) is not None and since + self._expiry <= now:
            await self._evict()

    # --- turns -------------------------------------------------------------------------

    async def _enter(self, timeout: float | None) -> None:
        self._check_open()
        if self._turns < self._limit:
            self._turns += 1
            return
        try:
            with trio.fail_after(math.inf if timeout is None else timeout):
                await self._waiting.park()  # whoever wakes us leaves us the turn
        except trio.TooSlowError:
            raise PoolTimeout(f"no connection came free within {timeout:g} s") from None
        self._check_open()

    def _leave(self) -> None:
        if self._waiting:
            self._waiting.unpark()
        else:
            self._turns -= 1

    # --- connections -------------------------------------------------------------------

    async def _take(self, route: Route) -> Connection | None:
        stack = self._stacks.get(route)
        while stack:
            connection = stack.pop()
            _, since = self._idle.pop(connection)
            if since + self._expiry > trio.current_time() and connection.quiet():
                self._busy.add(connection)
                return connection
            await connection.aclose()
        return None

    async def _open(self, route: Route, timeout: float | None) -> Connection:
        self._check_open()
        while self._idle and self._turns + len(self._idle) > self._limit:
            await self._evict()
        connection = Connection(await self._dial(route, timeout))
        if self._closed:
            await connection.aclose()
            self._check_open()
        self._busy.add(connection)
        return connection

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectError("the pool of connections is closed")

    async def _drop(self, connection: Connection) -> None:
        self._busy.discard(connection)
        await connection.aclose()

    def _oldest(self) -> float | None:
        return next(iter(self._idle.values()))[1] if self._idle else None

    async def _evict(self) -> None:
        connection, (route, _) = next(iter(self._idle.items()))
        del self._idle[connection]
        stack = self._stacks[route]
        stack.popleft()  # the oldest of all is the oldest of its route
        if not stack:
            del self._stacks[route]
        await connection.aclose()


class Exchange:
    """An answer under way. It holds its turn and connection until it is read or closed.

    Attributes:
        head: Status and headers.
    """

    __slots__ = ("_connection", "_ended", "_pool", "_route", "head")

    def __init__(
        self, pool: Pool, route: Route, connection: Connection, head: h11.Response
    ) -> None:
        self._pool = pool
        self._route = route
        self._connection = connection
        self._ended = False
        self.head = head

    async def read(self) -> bytes:
        """More of the body; nothing when it is at its end.

        Raises:
            WireError: The rest will not come.
        """
        if self._ended:
            return b""
        try:
            data = await self._connection.read()
        except BaseException:
            await self.aclose()
            raise
        if self._connection.complete:
            await self.aclose()
        return data

    async def aclose(self) -> None:
        """Give the connection back, or close it where the answer was not read to its end."""
        if not self._ended:
            self._ended = True
            await self._pool.finish(self._route, self._connection)


def _may_repeat(
    connection: Connection, request: h11.Request, body: Body, error: BaseException
) -> bool:
    return (
        isinstance(error, (ReadError, RemoteProtocolError))
        and not connection.heard
        and request.method in _REPEATABLE
        and isinstance(body, bytes)
    )
