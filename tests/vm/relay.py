"""One TCP port that leads from one network into another; without the kernel's help."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

PIECE = 1 << 16


class Relay:
    """Takes connections from a listening socket and makes one of its own for each.

    Args:
        door: The socket that listens, in the network of those who come.
        connect: Makes a connection in the network of the one who is wanted.
    """

    def __init__(self, door: socket.socket, connect: Callable[[], socket.socket]) -> None:
        self._door = door
        self._connect = connect
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._door.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        shut(self._door)
        self._thread.join()
        for each in list(self._open):
            shut(each)

    def _serve(self) -> None:
        with self._door:
            while True:
                try:
                    caller, _ = self._door.accept()
                except OSError:
                    return
                threading.Thread(target=self._join, args=(caller,), daemon=True).start()

    def _join(self, caller: socket.socket) -> None:
        with caller:
            try:
                wanted = self._connect()
            except OSError:
                return
            with wanted:
                wanted.settimeout(None)
                both = {caller, wanted}
                self._open |= both
                back = threading.Thread(target=pour, args=(wanted, caller), daemon=True)
                back.start()
                pour(caller, wanted)
                back.join()
                self._open -= both


def pour(source: socket.socket, target: socket.socket) -> None:
    """Pass on all that comes, and then its end."""
    with suppress(OSError):
        while piece := source.recv(PIECE):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def shut(one: socket.socket) -> None:
    """End a socket in both directions; whoever waits for it goes on."""
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
