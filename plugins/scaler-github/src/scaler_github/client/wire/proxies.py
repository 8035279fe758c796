"""Which proxy a server is reached through: one that is set, or the environment's.

HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in either case, mean what they mean to httpx 0.28:
NO_PROXY is a list of "example.com" (and all below), ".example.com" (only those below), addresses,
each with or without ":port" or "scheme://"; a range ("10.0.0.0/8") is its first address alone; and
"*" is everything. Two differences: the loopback is always reached directly, and a port is compared
also where it is the scheme's usual one.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

from scaler_github.client.wire.route import Origin, Proxy

_PORTS = {"http": 80, "https": 443}
_LOOPBACK = ("all://localhost", "all://127.0.0.1", "all://[::1]")
_ENTRY = re.compile(r"(\w*)://(?:[^/?#]*@)?(\[[^]/]*\]|[^:/?#]*)(?::(\d*))?(?:[/?#].*)?")


def read_proxy(url: str) -> Proxy:
    """A proxy's address, with its user and password if it has them.

    Raises:
        ValueError: It is none. The text does not hold the address.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if host is None or parts.scheme not in _PORTS:
            raise ValueError
        origin = Origin(
            parts.scheme == "https", host.encode("idna").decode(), port or _PORTS[parts.scheme]
        )
    except ValueError:
        raise ValueError("a proxy is http://host:port or https://host:port") from None
    if parts.username is None and parts.password is None:
        return Proxy(origin)
    both = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return Proxy(origin, b"Basic " + base64.b64encode(both.encode()))


class Proxies:
    """Proxies by address.

    Args:
        proxy: URL of one for every address; without it the environment counts, as it is now.

    Raises:
        ValueError: `proxy` is no URL of a proxy.
    """

    def __init__(self, proxy: str | None = None) -> None:
        self._one = read_proxy(proxy) if proxy else None
        self._rules = [] if proxy else sorted(_environment(), key=_Rule.order)

    def find(self, scheme: str, host: str, port: int) -> Proxy | None:
        """The proxy for a server; None for none.

        Raises:
            ValueError: The environment names one that cannot be used.
        """
        if self._one is not None:
            return self._one
        for rule in self._rules:
            if rule.matches(scheme, host, port):
                return _named(rule.proxy) if rule.proxy else None
        return None


def _named(url: str) -> Proxy:
    try:
        return read_proxy(url)
    except ValueError as error:
        raise ValueError(f"HTTP_PROXY, HTTPS_PROXY or ALL_PROXY: {error}") from None


@dataclass(frozen=True, slots=True)
class _Rule:
    scheme: str  # "" for any
    host: str  # "" for any; "*.x" for those below x; "*x" for x and those below
    port: int | None
    proxy: str | None

    @classmethod
    def read(cls, pattern: str, proxy: str | None) -> _Rule | None:
        found = _ENTRY.fullmatch(pattern)
        if found is None:
            return None
        scheme, host, port = found.groups()
        scheme = "" if scheme == "all" else scheme.lower()
        host = "" if host == "*" else _ascii(host.strip("[]").lower())
        return cls(scheme, host, int(port) if port else None, proxy)

    def order(self) -> tuple[bool, int, int]:
        """The narrowest first."""
        return (self.port is None, -len(self.host), -len(self.scheme))

    def matches(self, scheme: str, host: str, port: int) -> bool:
        if (self.scheme and self.scheme != scheme) or self.port not in (None, port):
            return False
        if self.host.startswith("*."):
            return len(host) >= len(self.host) and host.endswith(self.host[1:])
        if self.host.startswith("*"):
            return host == self.host[1:] or host.endswith(f".{self.host[1:]}")
        return not self.host or host == self.host


def _ascii(host: str) -> str:
    stars = "*." if host.startswith("*.") else "*" * host.startswith("*")
    try:
        return stars + host.removeprefix(stars).encode("idna").decode()
    except UnicodeError:  # no host has such a name
        return host


def _environment() -> list[_Rule]:
    told = getproxies()  # as httpx: what the system says beside the variables, on macOS
    exceptions = [each.strip() for each in told.get("no", "").split(",")]
    if "*" in exceptions:
        return []
    urls = {scheme: told[scheme] for scheme in ("http", "https", "all") if told.get(scheme)}
    patterns: dict[str, str | None] = {
        f"{scheme}://": url if "://" in url else f"http://{url}" for scheme, url in urls.items()
    }
    patterns.update({_exception(each): None for each in exceptions if each})
    patterns.update(dict.fromkeys(_LOOPBACK))
    rules = [_Rule.read(pattern, proxy) for pattern, proxy in patterns.items()]
    return [rule for rule in rules if rule is not None]


def _exception(entry: str) -> str:
    if "://" in entry:
        return entry
    try:
        address = ipaddress.ip_address(entry.partition("/")[0].strip("[]"))
    except ValueError:
        return f"all://{'' if entry.lower() == 'localhost' else '*'}{entry}"
    return f"all://[{address}]" if address.version == 6 else f"all://{address}"
