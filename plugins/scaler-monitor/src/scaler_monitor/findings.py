"""What `scaler check` sees of the settings' files. Nothing is listened on."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING

from scaler import Finding
from scaler_monitor.serving import certificate
from scaler_monitor.settings import parse

if TYPE_CHECKING:
    from collections.abc import Collection

    from scaler_monitor.settings import Config, StaticFolder

_EVERYWHERE = ("0.0.0.0", "::")


def findings(config: Config, guests: Collection[str] = ()) -> list[Finding]:
    """Whether they are there and fit to be used; it reads files, and waits for them.

    Args:
        config: The settings.
        guests: The profiles whose guests fetch a boot script.
    """
    return [
        _token(config),
        *_guests(config, guests),
        *(_folder(served, folder) for served, folder in config.static.items()),
        *_tls(config),
        *_sockets(config),
        *_url(config),
    ]


def _token(config: Config) -> Finding:
    if config.token:
        return Finding(ok=True, text="a token is set")
    return Finding(
        ok=False,
        need="useful",
        text="no token is set: nobody can take a runner or override a target",
        fix='token = { env = "MONITOR_API_TOKEN" }, which openssl rand -hex 32 makes',
    )


def _guests(config: Config, guests: Collection[str]) -> list[Finding]:
    """Whether guests can reach anything."""
    hosts = [each[0] for each in map(parse, config.listen) if isinstance(each, tuple)]
    if config.guest_listen or not guests or not all(map(_is_loopback, hosts)):
        return []
    return [
        Finding(
            ok=False,
            need="useful",
            text=f"nothing listens for guests, and {', '.join(sorted(guests))} has a boot_script "
            "that they fetch",
            fix='guest_listen = ["192.168.122.1:8000"], the address of the guests\' network; not '
            "needed where all is in their seed",
        )
    ]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _folder(served: str, folder: StaticFolder) -> Finding:
    text = f"{served} is {folder.path}"
    if os.path.isdir(folder.path) and os.access(folder.path, os.R_OK | os.X_OK):
        return Finding(ok=True, text=text)
    return Finding(
        ok=False,
        text=f"{text}, which is no folder that can be read",
        fix=f"make the folder, or correct the path of {served!r} in static",
    )


def _tls(config: Config) -> list[Finding]:
    if config.tls is None:
        return []
    try:
        certificate.load(config.tls)
    except OSError as error:
        return [Finding(ok=False, text=str(error), fix="correct tls, or the files that it names")]
    return [Finding(ok=True, text=f"shows the certificate {config.tls.cert}")]


def _sockets(config: Config) -> list[Finding]:
    """The folders of unix sockets."""
    told = (*config.listen, *config.guest_listen)
    folders = {Path(path).parent for path in map(parse, told) if isinstance(path, str)}
    return [
        Finding(
            ok=False,
            text=f"no socket can be made in {folder}",
            fix=f"make the folder, and let this user write into it: {folder}",
        )
        for folder in sorted(folders)
        if not os.access(folder, os.W_OK | os.X_OK)
    ]


def _url(config: Config) -> list[Finding]:
    hosts = [address[0] for address in map(parse, config.listen) if isinstance(address, tuple)]
    if config.external_base_url or not any(host in _EVERYWHERE for host in hosts):
        return []
    return [
        Finding(
            ok=False,
            need="useful",
            text="it listens on every address, and does not know the one that others use",
            fix='external_base_url = "https://ci.example.org/"',
        )
    ]
