"""The settings of `[plugins.monitor]`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TypeAlias

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_WANTED = 'wanted "host:port", "[IPv6]:port" or "unix:/path"'
_LONGEST_PATH = 107  # bytes that the kernel takes as a socket's path

Address: TypeAlias = tuple[str, int] | str
"""A host and a port, or the path of a unix socket."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """`[plugins.monitor]`.

    Attributes:
        listen: Where to serve people and workflows: `"host:port"`, `"[IPv6]:port"` or
            `"unix:/path"`. Port 0 is any free one.
    """

    listen: tuple[str, ...] = ("127.0.0.1:8000",)

    def __post_init__(self) -> None:
        if not self.listen:
            raise ValueError("listen: at least one address is needed")
        taken: set[Address] = set()
        for text in self.listen:
            try:
                address = parse(text)
            except ValueError as error:
                raise ValueError(f"listen: {text!r}: {error}") from None
            if address in taken:
                raise ValueError(f"listen: {text!r} is there twice")
            if isinstance(address, str) or address[1]:
                taken.add(address)


def parse(text: str) -> Address:
    """What an entry of `listen` means.

    Raises:
        ValueError: It is none; the text says what was wanted.
    """
    kind, _, path = text.partition(":")
    if kind == "unix":
        if not path.startswith("/") or "\0" in path:
            raise ValueError("wanted the whole path of the socket, from / on")
        if len(path.encode()) > _LONGEST_PATH:
            raise ValueError(f"the path of a socket has {_LONGEST_PATH} bytes at most")
        return path
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal()):
        raise ValueError(_WANTED)
    if int(port) > 65535:
        raise ValueError("a port is 65535 at most")
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1])), int(port)
        except ValueError:
            raise ValueError(f"{host[1:-1]} is not an IPv6 address") from None
    if not _HOST.fullmatch(host):
        raise ValueError(_WANTED)
    return host, int(port)
