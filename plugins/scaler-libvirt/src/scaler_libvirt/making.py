"""A machine that is being made: one call to libvirt, however many ask for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler_libvirt import driver
    from scaler_libvirt.domain import Identity
    from scaler_libvirt.events import Feed


class NotSentError(Exception):
    """The call was given up before it was sent."""


class Making:
    """A create call, which may outlive whoever asked for it.

    Past a deadline the call goes on in its thread, and may well succeed. Until it came back, the
    machine can neither be made again nor be called gone; `landed` says when it did.

    Attributes:
        landed: Set when the call came back, or was never sent.
        seen, error: Then, how it went: one of them is not None.
    """

    def __init__(self, identity: Identity, uuid: str) -> None:
        self.identity = identity
        self.uuid = uuid
        self.landed = trio.Event()
        self.seen: driver.Seen | None = None
        self.error: Exception | None = None
        self._lock = threading.Lock()
        self._sent = False
        self._dropped = False

    def run(
        self,
        create: Callable[[driver.Connection], driver.Seen],
        feed: Feed,
        landed: Callable[[Making], None],
        connection: driver.Connection,
    ) -> None:
        """Make the call, in a worker thread; `landed` is called in the trio run afterwards."""
        with self._lock:
            if self._dropped:
                raise NotSentError
            self._sent = True
        try:
            self.seen = create(connection)
        except Exception as error:
            self.error = error
            raise
        finally:
            feed.soon(lambda: landed(self))

    def drop(self) -> bool:
        """Give up on a call that was not sent yet. False: it was, and it will come back."""
        with self._lock:
            self._dropped = not self._sent
            return self._dropped
