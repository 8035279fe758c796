"""Where an archive may be fetched from: GitHub answers its address, and it could be any.

Three cases, by the API that told it:

- github.com and *.ghe.com: https on port 443, at the hosts that GitHub documents for artifacts
  (`*.blob.core.windows.net`, `*.githubusercontent.com`, and `*.SUB.ghe.com` of its own tenant), at
  public addresses only.
- An Enterprise Server: its storage may be anybody's, so the host is free: https, at a public
  address, or at the server's own name wherever that leads. A store of its own inside a private
  network is not fetched from.
- An API on the loopback: the loopback alone, so that what a local program answers leads nowhere
  else; with plain http where the API itself is asked so.

What a name leads to is looked up once; all of its addresses must do, and the connection is made to
one of those. Where a proxy looks names up, only the hosts are left to go by: GitHub's own, and the
server's own name.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import trio

from scaler_github.client.urls import is_loopback
from scaler_github.client.wire.dial import Dialer
from scaler_github.client.wire.errors import ConnectError
from scaler_github.client.wire.route import Origin

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from scaler_github.client.wire.route import Route

_HOSTED = (".blob.core.windows.net", ".githubusercontent.com")
_PLAIN = re.compile(r"[\x21-\x7e]{1,8192}", re.ASCII)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_TRIED = 3  # addresses of one name
_EACH = 3.0  # seconds for a connection to one of them


class Elsewhere(Exception):
    """An address leads where nothing is fetched from. The text shows its host at most."""


class Vetting:
    """What one API's redirects may lead to.

    Args:
        api: Base of the REST API.
    """

    def __init__(self, api: str) -> None:
        parts = urlsplit(api)
        self._http = parts.scheme == "http"
        self._own = (parts.hostname or "").lower()
        self._loopback = is_loopback(self._own)
        self._hosts: tuple[str, ...] = ()  # suffixes; none: any
        if self._own == "api.github.com":
            self._hosts = _HOSTED
        elif self._own.endswith(".ghe.com"):
            self._hosts = (*_HOSTED, f".{self._own.removeprefix('api.')}")

    def url(self, text: str) -> str:
        """The address, if something may be fetched there; before its name is looked up.

        Raises:
            Elsewhere: Nothing may.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise Elsewhere("what GitHub told is no address") from None
        host = (parts.hostname or "").lower()
        if not _PLAIN.fullmatch(text) or not host or "@" in parts.netloc or "\\" in text:
            raise Elsewhere("what GitHub told is no address of an archive")
        if parts.scheme != "https" and not (self._http and parts.scheme == "http"):
            raise Elsewhere(f"{host} would be asked without TLS")
        if self._hosts and port not in (None, 443):
            raise Elsewhere(f"{host} would be asked on another port than 443")
        self._check_host(host)
        with suppress(ValueError):  # a name, and no address yet
            self.addresses(host, [str(ipaddress.ip_address(host))])
        return text.partition("#")[0]

    def addresses(self, host: str, found: Sequence[str]) -> None:
        """Whether a host may be asked at all of these addresses.

        Raises:
            Elsewhere: It may not.
        """
        self._check_host(host)
        if self._is_own(host):
            return
        for each in found:
            address = _inner(ipaddress.ip_address(each))
            good = address.is_loopback if self._loopback else _public(address)
            if not good:
                wanted = "the loopback" if self._loopback else "the public network"
                raise Elsewhere(f"{host} leads to an address outside of {wanted}")

    def by_proxy(self, host: str) -> None:
        """Whether a host may be asked through a proxy, which looks the name up itself.

        Raises:
            Elsewhere: It may not.
        """
        self._check_host(host)
        if not (self._hosts or self._is_own(host)):
            raise Elsewhere(f"where {host} leads cannot be seen through a proxy")

    def _is_own(self, host: str) -> bool:
        """An Enterprise Server by its own name: whoever runs it has said where it is."""
        return not self._loopback and not self._hosts and host.lower() == self._own

    def _check_host(self, host: str) -> None:
        host = host.lower()
        if self._loopback and not is_loopback(host):
            raise Elsewhere(f"{host} is not this machine, as the API is")
        if self._hosts and not host.endswith(self._hosts):
            raise Elsewhere(f"{host} is none of the hosts where GitHub keeps artifacts")


class VettedDialer(Dialer):
    """Connects to the very addresses that were vetted: a name may lead elsewhere a moment later."""

    def __init__(self, tls: ssl.SSLContext, vetting: Vetting) -> None:
        super().__init__(tls)
        self._plain = Dialer(tls)
        self._vetting = vetting

    async def _dial(self, route: Route) -> trio.abc.Stream:
        if route.proxy is None:
            return await super()._dial(route)
        self._vetting.by_proxy(route.origin.host)
        return await self._plain(route)

    async def _tcp(self, to: Origin, name: str) -> trio.abc.Stream:
        try:
            async with self._dialling:
                told = await trio.socket.getaddrinfo(to.host, to.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise ConnectError(f"{name}: there is no address of this name") from None
        told = sorted(told, key=lambda entry: entry[0] != socket.AF_INET)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in told))
        self._vetting.addresses(to.host, addresses)
        failure = ConnectError(f"{name}: no connection within {_EACH:g} s")
        for address in addresses[:_TRIED]:
            with trio.move_on_after(_EACH):
                try:
                    return await super()._tcp(Origin(to.tls, address, to.port), name)
                except ConnectError as error:
                    failure = error
        raise failure


def _inner(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address


def _public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    # Tunnels, whose other end may be anywhere
    tunnel = isinstance(address, ipaddress.IPv6Address) and (address.sixtofour or address.teredo)
    return not tunnel
