"""Whether KVM works on a host: shown by booting, since the device alone says nothing.

(A KVM is known whose guests spin for ever at the first instruction of their firmware.)

What is booted is the firmware and nothing else. It finds no disk, is told to restart at once, and
that is an end: a firmware that came so far ran in a processor. So nothing is needed of the host, no
disk and no pool.
"""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import libvirt

from scaler_libvirt.hosts import driver
from scaler_libvirt.machine.shape import X86

if TYPE_CHECKING:
    from scaler_libvirt.machine.shape import DomainType

_LOOKS = 0.1  # seconds between two looks
_MEMORY = 32 << 20


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a host's KVM runs guests, and what was seen."""

    works: bool
    text: str


def machine_key(connection: driver.Connection) -> str:
    """Names a hypervisor as it is now: another machine or another version is another one."""
    capabilities = ET.fromstring(connection.getCapabilities())
    uuid = capabilities.findtext("host/uuid", "")
    return f"{uuid} {connection.getLibVersion()} {connection.getVersion()}"


def probe(
    connection: driver.Connection, name: str, within: float, kind: DomainType = "kvm"
) -> Verdict:
    """Boot, and see whether it comes to its end. Blocks for some seconds.

    Args:
        connection: To the hypervisor.
        name: What the machine is called. One of that name was left by a try that was cut off.
        within: Seconds that the firmware may take.
        kind: How it is run.
    """
    arch = str(connection.getInfo()[0])
    if arch not in X86:
        return Verdict(
            works=False, text=f"there is nothing to show it with on {arch}: name it in acceleration"
        )
    if not _offered(connection, kind):
        return Verdict(works=False, text="libvirt has no KVM there")
    _end(connection, name)
    try:
        domain = connection.createXML(_xml(name, kind), libvirt.VIR_DOMAIN_START_AUTODESTROY)
    except driver.Error as error:
        return Verdict(works=False, text=f"a guest could not be started: {error}")
    try:
        return _watch(domain, within)
    finally:
        _end(connection, name)


def _watch(domain: Any, within: float) -> Verdict:
    until = time.monotonic() + within
    while True:
        try:
            if not domain.isActive():
                return Verdict(works=True, text="a guest's firmware ran to its end")
        except driver.Error as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
            return Verdict(works=True, text="a guest's firmware ran to its end")
        if time.monotonic() > until:
            return Verdict(
                works=False, text=f"a guest's firmware did not come to its end in {within:g} s"
            )
        time.sleep(_LOOKS)


def _offered(connection: driver.Connection, kind: DomainType) -> bool:
    capabilities = ET.fromstring(connection.getCapabilities())
    return any(
        element.get("type") == kind
        for guest in capabilities.findall("guest")
        if guest.findtext("os_type") == "hvm"
        for element in guest.iter("domain")
    )


def _end(connection: driver.Connection, name: str) -> None:
    with suppress(driver.Error):
        connection.lookupByName(name).destroy()


def _xml(name: str, kind: DomainType) -> str:
    root = ET.Element("domain", type=kind)
    _add(root, "name", name)
    _add(root, "memory", str(_MEMORY), unit="b")
    _add(root, "vcpu", "1")
    system = _add(root, "os")
    _add(system, "type", "hvm", machine="pc")
    _add(system, "bios", rebootTimeout="0")
    _add(_add(root, "features"), "acpi")
    _add(root, "on_reboot", "destroy")
    _add(root, "on_crash", "destroy")
    devices = _add(root, "devices")
    _add(devices, "memballoon", model="none")
    _add(_add(devices, "video"), "model", type="none")
    return ET.tostring(root, encoding="unicode")


def _add(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    child = ET.SubElement(parent, tag, attributes)
    child.text = text
    return child
