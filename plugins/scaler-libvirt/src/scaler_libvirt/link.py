"""One open connection to libvirt, for as long as it lasts."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import libvirt

from scaler_libvirt import driver
from scaler_libvirt.events import Feed, LifecycleEvent, turn_event_loop

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_CLOSED = {
    libvirt.VIR_CONNECT_CLOSE_REASON_ERROR: "it ended with an error",
    libvirt.VIR_CONNECT_CLOSE_REASON_EOF: "libvirt's daemon ended",
    libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "libvirt's daemon does not answer",
    libvirt.VIR_CONNECT_CLOSE_REASON_CLIENT: "it was closed from here",
}


class LinkLostError(Exception):
    """The connection is gone: the operation was not begun, or its outcome is not known."""


class Link:
    """An open connection, counted by its users: closed when it is retired and the last one left.

    libvirt frees a connection that is closed, also under a call that still runs in it. Everything
    here blocks and is for worker threads.
    """

    def __init__(self, connection: driver.Connection, callback: int | None = None) -> None:
        self._connection = connection
        self._callback = callback
        self._lock = threading.Lock()
        self._users = 0
        self._retired = False
        self.facts = driver.facts(connection)

    def use(self, work: Callable[[driver.Connection], T]) -> T:
        """Run one operation.

        Raises:
            LinkLostError: The connection is gone, or went meanwhile.
        """
        self._enter()
        try:
            return work(self._connection)
        except driver.Error as error:
            if self._alive():
                raise
            raise LinkLostError(str(error)) from error
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._lock:
            if self._retired:
                raise LinkLostError("the connection was closed")
            self._users += 1

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            last = self._retired and not self._users
        if last:
            self._close()

    def _alive(self) -> bool:
        try:
            return bool(self._connection.isAlive())
        except driver.Error:
            return False

    def retire(self) -> None:
        """Let nobody in any more, and close it behind the last one."""
        with self._lock:
            if self._retired:
                return
            self._retired = True
            last = not self._users
        if last:
            self._close()

    def _close(self) -> None:
        # the callbacks hold the connection: without this it would never be freed
        if self._callback is not None:
            with suppress(driver.Error):
                self._connection.domainEventDeregisterAny(self._callback)
        with suppress(driver.Error):
            self._connection.unregisterCloseCallback()
        with suppress(driver.Error):
            self._connection.close()


def open_link(
    uri: str,
    *,
    feed: Feed,
    on_close: Callable[[str], None],
    keepalive: tuple[int, int],
) -> Link:
    """Open a connection, with events and keepalive where the driver has them.

    Args:
        uri: libvirt's connection URI.
        feed: Where lifecycle events go.
        on_close: Called in the trio run with the reason, once libvirt gave the connection up.
        keepalive: Seconds between questions, and how many may stay unanswered.
    """
    turn_event_loop()
    connection = libvirt.open(uri)
    callback = None
    try:
        # where the driver has none there is no daemon that could hang or die either
        with suppress(driver.Error):
            connection.setKeepAlive(*keepalive)
        with suppress(driver.Error):
            connection.registerCloseCallback(_closed, (feed, on_close))
        callback = connection.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, _stepped, feed
        )
        return Link(connection, callback)
    except BaseException:
        if callback is not None:
            with suppress(driver.Error):
                connection.domainEventDeregisterAny(callback)
        with suppress(driver.Error):
            connection.unregisterCloseCallback()
        connection.close()
        raise


def ask_facts(uri: str) -> driver.Facts:
    """Open a connection, ask the hypervisor who it is, and close it again."""
    turn_event_loop()
    connection = libvirt.open(uri)
    try:
        return driver.facts(connection)
    finally:
        connection.close()


def _stepped(_connection: Any, domain: Any, step: int, detail: int, feed: Feed) -> None:
    """Called by libvirt's thread: must neither raise nor wait."""
    with suppress(driver.Error):
        feed.post(LifecycleEvent(domain.UUIDString(), domain.name(), step, detail))


def _closed(_connection: Any, reason: int, opaque: tuple[Feed, Callable[[str], None]]) -> None:
    """Called by libvirt's thread: must neither raise nor wait."""
    feed, on_close = opaque
    feed.soon(lambda: on_close(_CLOSED.get(reason, "it was closed")))
