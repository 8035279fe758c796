"""The settings of `[plugins.monitor]`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from scaler import SecretSource
from scaler_monitor.serving.proxies import UNIX
from scaler_monitor.serving.tokens import look

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_WANTED = 'wanted "host:port", "[IPv6]:port" or "unix:/path"'
_LONGEST_PATH = 107  # bytes that the kernel takes as a socket's path
_FOLDER = re.compile(r"(/(?!\.)[A-Za-z0-9._~-]+)+", re.ASCII)

OURS = frozenset(
    {
        *("boot", "github-jitconfig", "profile", "runner", "select-runner", "policy"),
        *("dashboard.html", "dashboard.json", "events", "assets"),
        *("healthz", "readyz", "metrics", "openapi.json"),
    }
)
"""What paths of our own start with: no static folder may."""

Address: TypeAlias = tuple[str, int] | str
"""A host and a port, or the path of a unix socket."""


@dataclass(frozen=True, kw_only=True)
class StaticFolder:
    """A folder whose files anybody may fetch.

    Attributes:
        path: The folder.
        dotfiles: Whether its hidden files are served too, as a git repository needs it.
    """

    path: Path
    dotfiles: bool = False


@dataclass(frozen=True, kw_only=True)
class Tls:
    """What `listen` is encrypted with.

    Attributes:
        cert: The certificate in PEM, with those between it and its authority.
        key: Its private key in PEM, not encrypted; nobody but its owner and group may read it.
        guests: Whether `guest_listen` is encrypted too.
    """

    cert: Path
    key: Path
    guests: bool = False


@dataclass(frozen=True, kw_only=True)
class Config:
    """`[plugins.monitor]`.

    Attributes:
        listen: Where to serve people and workflows: `"host:port"`, `"[IPv6]:port"` or
            `"unix:/path"`. Port 0 is any free one.
        guest_listen: Where to serve guests: what they fetch while they boot, and the static
            folders.
        external_base_url: What others reach `listen` as; its first address where left out.
        token: What takes runners or changes something needs one of these, 32 bytes at least; where
            there is none, nobody may.
        static: Folders whose files anybody may fetch, by the path that they are served as.
        tls: The certificate that `listen` shows; without it nothing is encrypted.
        trusted_proxies: Networks whose `X-Forwarded-For` or `Forwarded` counts on `listen`, and
            `"unix"` for whoever connects by a unix socket.
        allowed_hosts: More names that requests may ask for, beside addresses, `localhost` and the
            names in `listen`, `guest_listen` and `external_base_url`.
        screenshots_need_token: Whether only who shows a token sees what is on machines'
            screens, and what was kept of them.
    """

    listen: tuple[str, ...] = ("127.0.0.1:8000",)
    guest_listen: tuple[str, ...] = ()
    external_base_url: str = ""
    token: tuple[SecretSource, ...] = ()
    static: Mapping[str, StaticFolder] = field(default_factory=dict)
    tls: Tls | None = None
    trusted_proxies: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    screenshots_need_token: bool = False

    def __post_init__(self) -> None:
        if not self.listen:
            raise ValueError("listen: at least one address is needed")
        taken: set[Address] = set()
        _check_addresses("listen", self.listen, taken)
        _check_addresses("guest_listen", self.guest_listen, taken)
        _check_url(self.external_base_url)
        for each in look(self.token):
            if each.wrong:
                raise ValueError(f"token: {each.wrong}")
        for served in self.static:
            _check_folder(served)
        for network in self.trusted_proxies:
            _check_network(network)
        for host in self.allowed_hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(f"allowed_hosts: {host!r}: wanted a name, without a port")

    @property
    def base_url(self) -> str:
        """`external_base_url` with `/` at its end, or nothing."""
        given = self.external_base_url
        return given if not given or given.endswith("/") else f"{given}/"


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


def _check_addresses(name: str, texts: tuple[str, ...], taken: set[Address]) -> None:
    for text in texts:
        try:
            address = parse(text)
        except ValueError as error:
            raise ValueError(f"{name}: {text!r}: {error}") from None
        if address in taken:
            raise ValueError(f"{name}: {text!r} is there twice")
        if isinstance(address, str) or address[1]:
            taken.add(address)


def _check_url(text: str) -> None:
    if not text:
        return
    try:
        url = urlsplit(text)
        good = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        good = False
    strange = not text.isascii() or not text.isprintable() or any(each in text for each in ' "<>\\')
    if not good or strange or any(each in text for each in "@?#"):
        raise ValueError(
            f'external_base_url: found {text!r}, wanted one such as "https://ci.example.org/"'
        )


def _check_folder(served: str) -> None:
    if not _FOLDER.fullmatch(served):
        raise ValueError(f'static: {served!r}: wanted a path such as "/image-deps"')
    if served.split("/")[1] in OURS:
        raise ValueError(f"static: {served!r}: that path is one of our own")


def _check_network(text: str) -> None:
    if text == UNIX:
        return
    try:
        if not ipaddress.ip_network(text).prefixlen:
            raise ValueError(f"{text} is everybody")
    except ValueError as error:
        raise ValueError(
            f'trusted_proxies: {error}; wanted one such as "10.0.0.0/8", or "{UNIX}"'
        ) from None
