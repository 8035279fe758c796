"""What `scaler check` says of a host: whether it answers, and what to do where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import libvirt

from scaler import Finding, Size, Unavailable
from scaler_libvirt.hosts import driver

if TYPE_CHECKING:
    from scaler_libvirt.hosts.connection import Connection
    from scaler_libvirt.settings import HostSettings

_TEST = "TEST"  # remembers machines, and runs none: its numbers are made up
_DRIVERS = ("QEMU", _TEST)


async def check_host(host: HostSettings, connection: Connection) -> list[Finding]:
    """Ask one host who it is, by a connection of its own; touch nothing."""
    try:
        facts = await connection.ask_facts()
    except (driver.Error, Unavailable) as error:
        text = str(error).removeprefix(f"host {host.name}: ")
        return [
            Finding(
                ok=False,
                text=f"host {host.name} ({host.uri}): {text}",
                fix=how_to_fix(host.uri, error),
            )
        ]
    return findings(host, facts)


def findings(host: HostSettings, facts: driver.Facts) -> list[Finding]:
    """What is well and wrong with a host that answered."""
    found = [
        Finding(
            ok=True,
            text=f"host {host.name} ({host.uri}): {facts.driver} {facts.version} "
            f"on {facts.hostname}, {facts.cpus} processors, {Size(facts.memory)} of memory",
        )
    ]
    if facts.driver.upper() not in _DRIVERS:
        found.append(
            Finding(
                ok=False,
                text=f"host {host.name}: no machines are made on {facts.driver} hypervisors",
                fix='use a uri of the QEMU driver, such as "qemu:///system"',
            )
        )
    runs = facts.driver.upper() != _TEST
    if runs and host.memory is not None and host.memory > facts.memory:
        found.append(
            Finding(
                ok=False,
                text=f"host {host.name}: memory = {str(host.memory)!r}, but it has "
                f"{Size(facts.memory)} in all",
                fix="lower memory in [plugins.libvirt] hosts, and leave some to the host itself",
            )
        )
    return found


def how_to_fix(uri: str, error: Exception) -> str:
    """What a person can do about a host that cannot be connected to."""
    text = str(error).lower()
    code = error.get_error_code() if isinstance(error, driver.Error) else None
    parts = urlsplit(uri)
    where = f" on {parts.hostname}" if parts.hostname else ""
    if isinstance(error, Unavailable):
        return f"libvirt's daemon{where} hangs, or the way there: restart it, look at its log"
    if "permission denied" in text and "publickey" not in text:
        return (
            "add the user that scaler runs as to the group libvirt (usermod -aG libvirt USER), "
            "and start scaler anew"
        )
    if code in (
        libvirt.VIR_ERR_AUTH_FAILED,
        libvirt.VIR_ERR_AUTH_CANCELLED,
        libvirt.VIR_ERR_AUTH_UNAVAILABLE,
    ):
        return f"libvirt{where} wants a login: add the user to the group libvirt, or set up polkit"
    if "+ssh" in parts.scheme or "+libssh" in parts.scheme:
        return f"as the user that scaler runs as, try: virsh -c '{uri}' version"
    if "no such file or directory" in text or "connection refused" in text:
        return (
            f"start libvirt's daemon{where} (systemctl enable --now libvirtd), or correct the uri "
            f"in [plugins.libvirt] hosts"
        )
    return (
        "correct the uri in [plugins.libvirt] hosts (https://libvirt.org/uri.html), and see that "
        f"libvirt's daemon runs{where}"
    )
