"""Sockets to listen on."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import trio

from scaler_monitor.settings import Address, parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

UNREAD = 10_000  # milliseconds that a client may leave what it was sent unacknowledged

Listener: TypeAlias = trio.SocketListener


@asynccontextmanager
async def listening(texts: Iterable[str]) -> AsyncIterator[list[Listener]]:
    """Sockets for all of these, or for none; closed at the end, with the files of unix sockets.

    Raises:
        OSError: One cannot be had; the text says which and why.
    """
    listeners: list[Listener] = []
    paths: list[str] = []
    try:
        for text in texts:
            try:
                opened = await _open(parse(text))
            except OSError as error:
                raise OSError(f"cannot listen on {text}: {error.strerror or error}") from None
            listeners += opened
            paths += [each.socket.getsockname() for each in opened if is_unix(each)]
        yield listeners
    finally:
        for path in paths:
            _forget(path)
        for listener in listeners:
            listener.socket.close()


def url(listener: Listener, *, tls: bool = False) -> str:
    """Where it really listens."""
    name = listener.socket.getsockname()
    if is_unix(listener):
        return f"unix:{name}"
    host = f"[{name[0]}]" if listener.socket.family == socket.AF_INET6 else name[0]
    return f"{'https' if tls else 'http'}://{host}:{name[1]}"


def is_unix(listener: Listener) -> bool:
    """Whether it is a socket in the file system."""
    return listener.socket.family == socket.AF_UNIX


async def _open(address: Address) -> list[Listener]:
    if isinstance(address, str):
        return [await _open_unix(address)]
    host, port = address
    listeners = await trio.open_tcp_listeners(port, host=host)
    for listener in listeners:
        # Inherited by every connection: a client that is gone without a word is noticed
        listener.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD)
    return listeners


async def _open_unix(path: str) -> Listener:
    """A socket for its owner alone. A file that an earlier process left is replaced."""
    if await _answers(path):
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    _forget(path)
    opened = trio.socket.socket(socket.AF_UNIX)
    try:
        os.fchmod(opened.fileno(), 0o600)  # before there is a file: Linux makes it with this mode
        await opened.bind(path)
        opened.listen()
    except BaseException:
        opened.close()
        raise
    return Listener(opened)


async def _answers(path: str) -> bool:
    with trio.socket.socket(socket.AF_UNIX) as asking:
        try:
            await asking.connect(path)
        except OSError:
            return False
    return True


def _forget(path: str) -> None:
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
    except FileNotFoundError:
        return
