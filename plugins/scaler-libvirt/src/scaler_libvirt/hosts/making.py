"""A machine that is being made: one call to libvirt, however many ask for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler_libvirt.hosts import driver
    from scaler_libvirt.machine.identity import Identity


class Making:
    """A create call, which may outlive whoever asked for it.

    Past a deadline the call goes on in its thread, and may well succeed. Until it came back, the
    machine can neither be made again nor be called gone; `landed` says when it did.

    Attributes:
        landed: Set in the trio run when the call came back, or was never sent.
        seen, error: Then, how it went: one of them is not None.
        overdue: Why nobody waits for it any more, though it has not come back; empty otherwise.
        news: Set when it landed or is overdue.
        since: When it was asked for, on trio's clock.
    """

    def __init__(
        self, identity: Identity, uuid: str, create: Callable[[driver.Connection], driver.Seen]
    ) -> None:
        self.identity = identity
        self.uuid = uuid
        self.landed = trio.Event()
        self.seen: driver.Seen | None = None
        self.error: Exception | None = None
        self.overdue = ""
        self.news = trio.Event()
        self.since = trio.current_time()
        self._create = create
        self._lock = threading.Lock()
        self._sent = False
        self._dropped = False

    def run(self, connection: driver.Connection) -> bool:
        """Make the call, in a worker thread; False: it was dropped, and is not made."""
        with self._lock:
            if self._dropped:
                return False
            self._sent = True
        try:
            self.seen = self._create(connection)
        except Exception as error:
            self.error = error
        return True

    def land(self) -> None:
        """It came back, or was never sent."""
        self.landed.set()
        self.news.set()

    def give_up(self, why: str) -> None:
        """Let nobody wait for it any longer; it may land yet."""
        self.overdue = why
        self.news.set()

    def drop(self) -> bool:
        """Give up on a call that was not sent yet. False: it was, and it will come back."""
        with self._lock:
            self._dropped = not self._sent
            return self._dropped
