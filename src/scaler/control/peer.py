"""Who is at the other end of a connection, as the kernel knows it."""

from __future__ import annotations

import pwd
import struct
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 2.0  # seconds for a user's name, which a directory somewhere may have to be asked for
UNSET = 2**32 - 1  # what stands for nobody: the process was not begun by a login
_CREDENTIALS = struct.Struct("3i")
_LIMITER = trio.CapacityLimiter(2)


async def name_of(stream: trio.SocketStream) -> str:
    """The user who connected: `root`, `alice (as root)` where they became that user after login."""
    # (a plain option is not told by trio's socket as bytes without its length)
    data = stream.socket.getsockopt(
        trio.socket.SOL_SOCKET, trio.socket.SO_PEERCRED, _CREDENTIALS.size
    )
    pid, uid, _ = _CREDENTIALS.unpack(data)
    login = _login(pid)
    name = await _user(uid)
    if login is None or login == uid:
        return name
    return f"{await _user(login)} (as {name})"


def _login(pid: int) -> int | None:
    """Who logged in and begot this process, where that is known; it may have ended."""
    try:
        with open(f"/proc/{pid}/loginuid", encoding="ascii") as file:
            uid = int(file.read())
    except (OSError, ValueError):
        return None
    return None if uid == UNSET else uid


async def _user(uid: int, look: Callable[[int], pwd.struct_passwd] = pwd.getpwuid) -> str:
    """A user's name; `uid 7` where there is none, or it is not told in time."""
    with trio.move_on_after(PATIENCE):
        try:
            found = await trio.to_thread.run_sync(
                look, uid, abandon_on_cancel=True, limiter=_LIMITER
            )
        except (KeyError, OSError):
            return f"uid {uid}"
        return found.pw_name
    return f"uid {uid}"
