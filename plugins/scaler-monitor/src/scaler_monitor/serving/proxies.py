"""The address of who asks, where proxies stand between.

Whoever is connected can write any header, so what it says of others counts only where the settings
name its own address.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from scaler_monitor.serving.addresses import normalised, parsed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from werkzeug.datastructures import Headers

UNIX = "unix"
"""In `trusted_proxies`: whoever connects by a unix socket."""

_MOST_HOPS = 32
_WITH_PORT = re.compile(r"(?P<v4>[0-9.]+)(:[0-9]+)?|\[(?P<v6>[0-9A-Fa-f:.]+)\](:[0-9]+)?", re.ASCII)
_PAIR = re.compile(r'\s*([A-Za-z]+)=("[^"\\]*"|[^\s";,]*)\s*', re.ASCII)

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def socket_peer(scope: Any) -> str:
    """The other end of a request's connection; `""` for a unix socket."""
    client = scope.get("client")
    return normalised(client[0]) if client else ""


class Proxies:
    """Those that the settings trust.

    Args:
        trusted: Networks, and `"unix"` for whoever connects by a unix socket.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        told = tuple(trusted)
        self._unix = UNIX in told
        self._networks: tuple[Network, ...] = tuple(
            ipaddress.ip_network(each) for each in told if each != UNIX
        )

    def trusts(self, peer: str) -> bool:
        """Whether what this one says of others counts; `""` is a unix socket's other end."""
        if not peer:
            return self._unix
        address = parsed(peer)
        return address is not None and any(address in network for network in self._networks)

    def client(self, peer: str, headers: Headers) -> str:
        """The last address on a request's way that is no proxy of ours.

        Two headers tell the way. A proxy writes one of them and lets the other through, as its
        client sent it: where they contradict each other, neither counts.

        Args:
            peer: The other end of the connection.
            headers: What it sent.
        """
        if not self.trusts(peer):
            return peer
        forwarded = ",".join(headers.getlist("X-Forwarded-For"))
        standard = ",".join(headers.getlist("Forwarded"))
        found = [
            self._last(peer, hops)
            for text, hops in ((forwarded, forwarded.split(",")), (standard, _hops(standard)))
            if text.strip()
        ]
        return found[0] if found and len(set(found)) == 1 else peer

    def _last(self, peer: str, hops: list[str]) -> str:
        """Backwards from our own end; what is no address ends it: who wrote it is a proxy yet."""
        for hop in reversed(hops[-_MOST_HOPS:]):
            address = _hop(hop)
            if not address:
                break
            peer = address
            if not self.trusts(address):
                break
        return peer


def _hops(forwarded: str) -> list[str]:
    """The `for` of each element of `Forwarded`; one without any, or malformed, is `""`."""
    return [_for(element) for element in forwarded.split(",")]


def _for(element: str) -> str:
    found = ""
    for part in element.split(";"):
        pair = _PAIR.fullmatch(part)
        if pair is None:
            return ""
        if pair[1].lower() == "for":
            found = pair[2].strip('"')
    return found


def _hop(text: str) -> str:
    text = text.strip()
    match = _WITH_PORT.fullmatch(text)
    return normalised((match["v4"] or match["v6"]) if match else text)
