"""A client of the Monitor that costs little itself: bytes on sockets, in this process."""

from __future__ import annotations

import re
import selectors
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.processes import Failed

TIMEOUT = 30.0  # seconds for one answer
_PIECE = 1 << 20
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)


def request(method: str, target: str, **headers: str) -> bytes:
    """A request without a body, as bytes; `x_y="1"` becomes the header `x-y: 1`."""
    told = {"host": "localhost", **{name.replace("_", "-"): text for name, text in headers.items()}}
    if method == "POST":
        told["content-length"] = "0"
    lines = "".join(f"{name}: {text}\r\n" for name, text in told.items())
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode()


def take(profile: str, token: str) -> bytes:
    """A request for one runner, by somebody who has not asked before."""
    query = f"unique_id={uuid.uuid4()}&qualified_repo=acme/widgets&run_id={time.time_ns()}"
    return request("POST", f"/profile/{profile}/take?{query}", authorization=f"Bearer {token}")


@dataclass
class Answer:
    """What came back. `length`: bytes of the whole, once they are known; 0 before."""

    data: bytearray = field(default_factory=bytearray)
    length: int = 0

    def add(self, data: bytes) -> bool:
        """More of it; whether it is whole."""
        self.data += data
        if not self.length:
            end = self.data.find(b"\r\n\r\n")
            if end < 0:
                return False
            found = _LENGTH.search(self.data, 0, end + 2)
            self.length = end + 4 + (int(found[1]) if found else 0)
        return len(self.data) >= self.length

    @property
    def status(self) -> int:
        """Its HTTP status."""
        return int(self.data[9:12])

    @property
    def last(self) -> bool:
        """Whether the connection ends with it, as after a thousand answers."""
        return b"\r\nconnection: close\r\n" in self.data[: self.data.find(b"\r\n\r\n") + 2].lower()

    @property
    def body(self) -> bytes:
        """What follows its headers."""
        return bytes(self.data[self.data.find(b"\r\n\r\n") + 4 :])


class Connection:
    """A kept-alive connection; one that was idle for too long is made anew."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = _open(port)

    def fresh(self) -> None:
        """Connect again, and ask something, so that what is measured next finds it warm."""
        self.close()
        self._socket = _open(self._port)
        self.ask(request("GET", "/healthz"), 200)

    def ask(self, asked: bytes, wanted: int) -> tuple[float, Answer]:
        """Ask; the seconds until the whole answer was here, and it.

        Raises:
            Failed: It has another status, or there is none.
        """
        answer = Answer()
        began = time.perf_counter()
        self._socket.sendall(asked)
        while not answer.add(data := self._socket.recv(_PIECE)):
            if not data:
                raise Failed(f"the Monitor closed a connection: {asked[:40]!r}")
        took = time.perf_counter() - began
        if answer.status != wanted:
            text = bytes(answer.data[:600]).decode(errors="replace")
            raise Failed(f"wanted {wanted} from {asked[:60]!r}, got {text}")
        if answer.last:
            self.close()
            self._socket = _open(self._port)
        return took, answer

    def close(self) -> None:
        """Close it."""
        self._socket.close()


@contextmanager
def connection(port: int) -> Iterator[Connection]:
    """A connection for as long as the block lasts."""
    made = Connection(port)
    try:
        yield made
    finally:
        made.close()


def load(port: int, asked: bytes, wanted: int, *, connections: int, seconds: float) -> float:
    """Ask the same on several connections, each as soon as it has its answer; answers a second.

    Raises:
        Failed: An answer has another status, or does not come.
    """
    count = 0
    waiting = selectors.DefaultSelector()

    def begin(made: socket.socket) -> None:
        waiting.register(made, selectors.EVENT_READ, Answer())
        made.sendall(asked)

    try:
        for _ in range(connections):
            begin(_open(port))
        began = time.perf_counter()
        end = began + seconds
        while time.perf_counter() < end:
            for key, _ in waiting.select(TIMEOUT) or _nothing():
                made, answer = key.fileobj, key.data
                assert isinstance(made, socket.socket)
                data = made.recv(_PIECE)
                if not answer.add(data):
                    if not data:
                        raise Failed("the Monitor closed a connection")
                    continue
                if answer.status != wanted:
                    raise Failed(f"wanted {wanted}, got {bytes(answer.data[:600])!r}")
                count += 1
                waiting.unregister(made)
                if answer.last:
                    made.close()
                    made = _open(port)
                begin(made)
        return count / (time.perf_counter() - began)
    finally:
        for key in list(waiting.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        waiting.close()


def _open(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _nothing() -> Sequence[tuple[selectors.SelectorKey, int]]:
    raise Failed(f"no answer from the Monitor within {TIMEOUT:g} s")


class Browsers:
    """Open pages: each listens to `/events`, and reads whatever comes."""

    def __init__(self, port: int, count: int) -> None:
        self._waiting = selectors.DefaultSelector()
        self._sockets: list[socket.socket] = []
        self.events = 0
        self.bytes = 0
        for _ in range(count):
            made = socket.create_connection(("127.0.0.1", port), TIMEOUT)
            made.sendall(request("GET", "/events", accept="text/event-stream"))
            self._sockets.append(made)
            self._waiting.register(made, selectors.EVENT_READ)

    def read(self, seconds: float) -> None:
        """Read for a while; `events` and `bytes` count what came in it."""
        self.events = self.bytes = 0
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for key, _ in self._waiting.select(left):
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(_PIECE)
                if not data:
                    raise Failed("the Monitor ended a browser's events")
                self.events += data.count(b"event: parts")
                self.bytes += len(data)

    def close(self) -> None:
        """Close all of them."""
        for each in self._sockets:
            each.close()
        self._waiting.close()


@contextmanager
def browsers(port: int, count: int) -> Iterator[Browsers]:
    """So many open pages for as long as the block lasts."""
    made = Browsers(port, count)
    try:
        yield made
    finally:
        made.close()
