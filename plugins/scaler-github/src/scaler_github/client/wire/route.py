"""Where a request goes, and through what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Origin(NamedTuple):
    """A server. `host` is ASCII, an IPv6 address without brackets."""

    tls: bool
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port as HTTP writes them: "[::1]:443"."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy.

    Attributes:
        authorization: Value of the header Proxy-Authorization; it is for the proxy alone.
    """

    origin: Origin
    authorization: bytes | None = field(default=None, repr=False)

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """What the proxy is told beside the request."""
        return [(b"Proxy-Authorization", self.authorization)] if self.authorization else []


class Route(NamedTuple):
    """The way to an origin. Connections of one route stand in for each other."""

    origin: Origin
    proxy: Proxy | None = None

    @property
    def forwarded(self) -> bool:
        """Whether the proxy reads the request itself: without TLS there is no tunnel."""
        return self.proxy is not None and not self.origin.tls
