"""What can go wrong on the wire. Each has the name that httpx gives it.

Texts never hold what was sent: a header may be a token, a query a signature.
"""

from __future__ import annotations

import re

_QUOTED = re.compile(r":| b['\"]| bytearray| <")


class WireError(Exception):
    """No answer came, or no whole one."""


class LocalProtocolError(WireError):
    """The request cannot be sent as HTTP; nothing of it was."""


class ConnectError(WireError):
    """There is no connection to the server, or to the proxy before it."""


class ConnectTimeout(WireError):
    """The connection, TLS and a proxy's tunnel included, took too long."""


class ProxyError(WireError):
    """The proxy refused the tunnel."""


class PoolTimeout(WireError):
    """No connection came free in time."""


class ReadError(WireError):
    """The connection broke while the answer was awaited."""


class ReadTimeout(WireError):
    """The server sent nothing for too long."""


class WriteTimeout(WireError):
    """The server took nothing for too long."""


class RemoteProtocolError(WireError):
    """What came is not HTTP, or ended too early."""


def plain(error: Exception) -> str:
    """What h11 complains of, without the bytes that it quotes: a server may echo a token."""
    return _QUOTED.split(str(error), maxsplit=1)[0][:100]
