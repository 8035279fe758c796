"""A network in memory, in the place of trio's TCP: connections that can be cut, muted and refused.

`Network.install` puts it where production code and the simulator ask trio for TCP. All above that
is the real thing: wire code, h11, and TLS where the simulator has it. There are no sockets and no
real waits, so a mock clock may jump.
"""

from __future__ import annotations

import errno
import itertools
import math
import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

SPINS = 2500  # pieces sent in one second of the clock: nobody waits for anything any more


@dataclass(eq=False)
class _Port:
    """What `socket` is asked for by whoever listens."""

    number: int

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", self.number


class End(trio.abc.Stream):
    """One end of a connection. What is sent lies at the other end at once, without a bound."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._came = bytearray()
        self._news = trio.Event()
        self._over = False  # the other end has closed
        self._reset = False
        self._closed = False
        self._lingers = True
        self.lost = False  # packets vanished: nothing more will ever come through
        self.other: End

    @property
    def readable(self) -> bool:
        """Whether a read would not wait: bytes, or the end."""
        return bool(self._came) or self._over or self._reset

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """SO_LINGER with 0 s is what resets a connection when it is closed."""
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER), value
        self._lingers = False

    async def send_all(self, data: Any) -> None:
        await trio.lowlevel.checkpoint()
        self._check()
        self._network.sent()
        if self.other._closed and not self.lost:
            raise trio.BrokenResourceError from BrokenPipeError(errno.EPIPE, "Broken pipe")
        if self._network.muted:
            self.lost = self.other.lost = True
        if not self.lost:
            self.other._came += data
            self.other._wake()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        self._check()
        while not self.readable:
            await self._news.wait()
            self._check()
        if not self._came and self._reset:
            text = os.strerror(errno.ECONNRESET)
            raise trio.BrokenResourceError from ConnectionResetError(errno.ECONNRESET, text)
        size = len(self._came) if max_bytes is None else max_bytes
        data = bytes(self._came[:size])
        del self._came[:size]
        return data

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._wake()
            if not self.lost and not self._network.muted:
                self.other._over = True
                self.other._reset = not self._lingers
                self.other._wake()
            self._network.ends.pop(self, None)
        await trio.lowlevel.checkpoint()

    def cut(self, *, reset: bool = True) -> None:
        """Let the connection end under whoever uses it, at both ends."""
        for end in (self, self.other):
            end._over, end._reset = True, reset
            end._came.clear()
            end._wake()

    def _check(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this end was closed")
        if self._reset and not self._came and self._over and self.lost:
            raise trio.BrokenResourceError

    def _wake(self) -> None:
        self._news.set()
        self._news = trio.Event()


class _Listener(trio.abc.Listener[End]):
    def __init__(self, network: Network, port: int) -> None:
        self.socket = _Port(port)
        self.send, self.receive = trio.open_memory_channel[End](math.inf)
        self._network = network

    async def accept(self) -> End:
        return await self.receive.receive()

    async def aclose(self) -> None:
        self._network.listeners.pop(self.socket.number, None)
        await trio.lowlevel.checkpoint()


@dataclass
class Network:
    """All connections, and how the next one fails.

    Attributes:
        muted: Packets vanish, in both directions; a connection that lost one is lost for good.
        fault: Called with host and port before a connection is made: it may raise an `OSError`.
            Nothing is made while it hangs (`black_hole`).
        ends: The clients' ends of all connections that are open.
        opened: When each connection was asked for.
        on_spin: Called when nobody waits any more.
    """

    muted: bool = False
    fault: Callable[[str, int], None] | None = None
    black_hole: bool = False
    listeners: dict[int, _Listener] = field(default_factory=dict)
    ends: dict[End, None] = field(default_factory=dict)
    opened: list[float] = field(default_factory=list)
    on_spin: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self._second = (-1.0, 0)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the place of trio's TCP for the rest of a test."""
        monkeypatch.setattr(trio, "open_tcp_stream", self.open)
        monkeypatch.setattr(trio, "open_tcp_listeners", self.listen)

    async def listen(self, port: int, **_: Any) -> list[_Listener]:
        """As `trio.open_tcp_listeners`."""
        await trio.lowlevel.checkpoint()
        number = port or next(n for n in itertools.count(50_001) if n not in self.listeners)
        listener = self.listeners[number] = _Listener(self, number)
        return [listener]

    async def open(self, host: str | bytes, port: int, **_: Any) -> End:
        """As `trio.open_tcp_stream`."""
        await trio.lowlevel.checkpoint()
        self.opened.append(trio.current_time())
        if self.muted or self.black_hole:
            await trio.sleep_forever()
        if self.fault is not None:
            self.fault(str(host), port)
        if port not in self.listeners:
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        near, far = End(self), End(self)
        near.other, far.other = far, near
        self.ends[near] = None
        await self.listeners[port].send.send(far)
        return near

    def cut(self, *, reset: bool = True) -> int:
        """End every connection now; how many there were."""
        chosen = list(self.ends)
        for end in chosen:
            end.cut(reset=reset)
        return len(chosen)

    def lose(self) -> None:
        """Let every connection die unheard: whoever reads there waits for ever."""
        for end in self.ends:
            end.lost = end.other.lost = True

    def sent(self) -> None:
        """Count, lest a loop without a pause runs for ever on a clock that stands still."""
        now = trio.current_time()
        second, count = self._second
        self._second = (second, count + 1) if now - second < 1 else (now, 1)
        if self._second[1] == SPINS and self.on_spin is not None:
            self.on_spin()
