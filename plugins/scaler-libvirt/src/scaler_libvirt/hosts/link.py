"""The connections to one hypervisor, for as long as they last."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import libvirt

from scaler_libvirt.hosts import driver
from scaler_libvirt.hosts.events import REBOOTED, Feed, LifecycleEvent, turn_event_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
    """All connections to one hypervisor, from when it was reached until it is lost.

    One of them watches: it brings the events, and notices that the daemon died or hangs. Work is
    done in others, **one call at a time in each**: where several calls share a connection that ends
    by keepalive, libvirt 9 wakes only the first of them, and the process may crash. Drivers
    without a daemon have one connection for everything, because each of theirs may be a world of
    its own.

    libvirt frees a connection that is closed also under a call that still runs in it. So users
    are counted, and a link that is retired is closed behind the last one. Everything here blocks
    and is for worker threads.
    """

    def __init__(
        self,
        watcher: driver.Connection,
        callbacks: Iterable[int],
        another: Callable[[], driver.Connection] | None,
    ) -> None:
        self._watcher = watcher
        self._callbacks = tuple(callbacks)
        self._another = another
        self._idle: list[driver.Connection] = []
        self._lock = threading.Lock()
        self._users = 0
        self._retired = False
        self.facts = driver.facts(watcher)

    def use(self, work: Callable[[driver.Connection], T]) -> T:
        """Run one operation.

        Raises:
            LinkLostError: The connection is gone, or went meanwhile.
        """
        self._enter()
        try:
            connection = self._take()
            try:
                if self._retired:  # while another connection was being opened
                    raise LinkLostError("the connection was closed")
                return _work_in(connection, work)
            finally:
                self._give_back(connection)
        finally:
            self._leave()

    def probe(self) -> None:
        """Ask the daemon for a sign of life, beside all other calls. One at a time.

        Raises:
            LinkLostError: The connection is gone, or went meanwhile.
        """
        self._enter()
        try:
            _work_in(self._watcher, lambda connection: connection.getLibVersion())
        finally:
            self._leave()

    def retire(self) -> None:
        """Let nobody in any more, and close it behind the last one."""
        with self._lock:
            if self._retired:
                return
            self._retired = True
            last = not self._users
        if last:
            self._close()

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

    def _take(self) -> driver.Connection:
        if self._another is None:
            return self._watcher
        with self._lock:
            if self._idle:
                return self._idle.pop()
        try:
            return self._another()
        except driver.Error as error:
            raise LinkLostError(str(error)) from error

    def _give_back(self, connection: driver.Connection) -> None:
        if connection is self._watcher:
            return
        if alive(connection):
            with self._lock:
                self._idle.append(connection)
        else:
            with suppress(driver.Error):
                connection.close()

    def _close(self) -> None:
        # callbacks hold their connection: without this it would never be freed
        for callback in self._callbacks:
            with suppress(driver.Error):
                self._watcher.domainEventDeregisterAny(callback)
        with suppress(driver.Error):
            self._watcher.unregisterCloseCallback()
        for connection in (self._watcher, *self._idle):
            with suppress(driver.Error):
                connection.close()
        self._idle.clear()


def _work_in(connection: driver.Connection, work: Callable[[driver.Connection], T]) -> T:
    try:
        return work(connection)
    except driver.Error as error:
        if lost(connection, error):
            raise LinkLostError(str(error)) from error
        raise


def lost(connection: driver.Connection, error: driver.Error) -> bool:
    """Whether a call failed for its connection, and says nothing of what it asked for.

    Where several threads use a connection as its socket breaks, only one of them closes it: to
    the others it looks alive yet, and only the error tells.
    """
    return driver.is_broken_wire(error) or not alive(connection)


def alive(connection: driver.Connection) -> bool:
    """Whether libvirt still believes in it. Does not ask the other side."""
    try:
        return bool(connection.isAlive())
    except driver.Error:
        return False


def open_link(
    uri: str,
    *,
    feed: Feed,
    on_close: Callable[[str], None],
    keepalive: tuple[int, int],
) -> Link:
    """Reach a hypervisor, with events, and with keepalive where there is a daemon.

    Args:
        uri: libvirt's connection URI.
        feed: Where lifecycle events go.
        on_close: Called in the trio run with the reason, once libvirt gave the connection up.
        keepalive: Seconds between questions, and how many may stay unanswered.
    """
    turn_event_loop()
    watcher = libvirt.open(uri)
    callbacks: list[int] = []
    try:
        has_daemon = _keepalive(watcher, keepalive)
        with suppress(driver.Error):
            watcher.registerCloseCallback(_closed, (feed, on_close))
        for kind, told in (
            (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, _stepped),
            (libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, _rebooted),
        ):
            callbacks.append(watcher.domainEventRegisterAny(None, kind, told, feed))
        return Link(watcher, callbacks, partial(_another, uri, keepalive) if has_daemon else None)
    except BaseException:
        for callback in callbacks:
            with suppress(driver.Error):
                watcher.domainEventDeregisterAny(callback)
        with suppress(driver.Error):
            watcher.unregisterCloseCallback()
        watcher.close()
        raise


def _another(uri: str, keepalive: tuple[int, int]) -> driver.Connection:
    connection = libvirt.open(uri)
    _keepalive(connection, keepalive)
    return connection


def _keepalive(connection: driver.Connection, keepalive: tuple[int, int]) -> bool:
    """Switch keepalive on. False: the driver is in this process, and no daemon can hang or die."""
    try:
        connection.setKeepAlive(*keepalive)
    except driver.Error as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return False
        raise
    return True


def ask(uri: str, work: Callable[[driver.Connection], T]) -> T:
    """Open a connection, run one operation in it, and close it again."""
    turn_event_loop()
    connection = libvirt.open(uri)
    try:
        return work(connection)
    finally:
        connection.close()


def _stepped(_connection: Any, domain: Any, step: int, detail: int, feed: Feed) -> None:
    """Called by libvirt's thread: must neither raise nor wait.

    (Every question to libvirt gives Python's lock up and has to wait for it: one is enough.)
    """
    with suppress(driver.Error):
        feed.post(LifecycleEvent(domain.UUIDString(), step, detail))


def _rebooted(_connection: Any, domain: Any, feed: Feed) -> None:
    """Called by libvirt's thread: must neither raise nor wait."""
    with suppress(driver.Error):
        feed.post(LifecycleEvent(domain.UUIDString(), REBOOTED, 0))


def _closed(_connection: Any, reason: int, opaque: tuple[Feed, Callable[[str], None]]) -> None:
    """Called by libvirt's thread: must neither raise nor wait."""
    feed, on_close = opaque
    feed.soon(lambda: on_close(_CLOSED.get(reason, "it was closed")))
