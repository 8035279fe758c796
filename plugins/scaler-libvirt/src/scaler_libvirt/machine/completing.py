"""The site's own guest.xml, made into one machine. What the site wrote stays.

Changed is what two machines cannot share (names, disk, seed, hardware addresses), what the
profile's resources say, and what a machine's life needs: it ends when it powers off.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scaler_libvirt.machine import devices
from scaler_libvirt.machine.elements import GIB, add, drop, the
from scaler_libvirt.machine.guest import (
    FILTERED,
    GuestError,
    first_disk,
    is_empty,
    needs_nvram,
    read_guest,
    whole,
)
from scaler_libvirt.machine.identity import (
    NAMESPACE,
    Identity,
    domain_name,
    identity_element,
    mac_of,
)

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

    from scaler_libvirt.machine.shape import Network, Shape

# what says where the site's own disk lies, and what may be done to it
_STOOD_ON = (
    *("source", "backingStore", "mirror", "auth", "encryption"),
    *("readonly", "shareable", "transient"),
)
# names of disks by what they are attached to; all others are sd…
_PREFIX = {"virtio": "vd", "ide": "hd", "fdc": "fd", "xen": "xvd"}


def complete(xml: bytes, identity: Identity, shape: Shape, *, uuid: str) -> ET.Element:
    """The site's guest.xml as the domain of one machine.

    Raises:
        GuestError: See `read_guest`; or the profile's resources do not go with what it says.
    """
    domain = read_guest(xml)
    domain.set("type", shape.kind)
    domain.attrib.pop("id", None)
    the(domain, "name").text = domain_name(identity.runner_name)
    the(domain, "uuid").text = uuid
    for entry in domain.findall("sysinfo/system/entry[@name='uuid']"):
        entry.text = uuid  # libvirt wants both to be the same
    _identify(the(domain, "metadata"), identity)
    _size(domain, shape)
    _emulate(domain, shape)
    for tag in ("on_poweroff", "on_crash"):
        the(domain, tag).text = "destroy"
    if needs_nvram(domain):
        _variables(the(domain, "os"), shape.nvram)
    parts = the(domain, "devices")
    _disks(parts, shape, keep=identity.role == "builder")
    if shape.network is not None:
        _interfaces(parts, shape.network, uuid)
    if shape.log:
        serial = parts.find("serial")
        devices.log_to(add(parts, "serial", type="pty") if serial is None else serial, shape.log)
    return domain


def _identify(metadata: ET.Element, identity: Identity) -> None:
    ours = f"{{{NAMESPACE}}}"
    for parent in list(metadata.iter()):
        for child in [child for child in parent if str(child.tag).startswith(ours)]:
            parent.remove(child)  # somebody wrote down a machine of ours
    metadata.append(identity_element(identity))


def _size(domain: ET.Element, shape: Shape) -> None:
    if shape.hugepages_1g or shape.memory:
        if domain.find("cpu/numa") is not None:
            raise GuestError(
                "guest.xml divides its memory in <numa>, so the profile cannot say how much it is: "
                "take memory and hugepages_1g out of its resources"
            )
        drop(domain, "currentMemory")
        memory = the(domain, "memory")
        memory.text = str(shape.hugepages_1g * GIB or max(1 << 20, shape.memory))
        memory.set("unit", "b")
    if shape.hugepages_1g and shape.kind != "test":
        backing = the(domain, "memoryBacking")
        drop(backing, "hugepages")
        add(add(backing, "hugepages"), "page", size="1", unit="G")
    if shape.vcpus:
        _processors(domain, shape.vcpus)


def _processors(domain: ET.Element, count: int) -> None:
    topology = domain.find("cpu/topology")
    if topology is not None:
        has = 1
        for value in topology.attrib.values():
            has *= whole("topology", value)
        if has != count:
            raise GuestError(
                f"guest.xml has a <topology> of {has} processors, and the profile's resources "
                f"have vcpus = {count}: make them the same, or take one of them out"
            )
    vcpu = the(domain, "vcpu")
    if vcpu.text is None or whole("vcpu", vcpu.text) != count:
        vcpu.text = str(count)
        vcpu.attrib.pop("current", None)
        drop(domain, "vcpus")


def _emulate(domain: ET.Element, shape: Shape) -> None:
    """Only KVM can hand on the host's own processor."""
    cpu = domain.find("cpu")
    if shape.kind == "qemu" and cpu is not None and cpu.get("mode") == "host-passthrough":
        cpu.set("mode", "maximum")
        cpu.attrib.pop("check", None)


def _variables(system: ET.Element, path: str) -> None:
    """A file of its own for what UEFI keeps; its template stays."""
    template = {
        name: value
        for each in system.findall("nvram")
        for name, value in each.items()
        if name.startswith("template")
    }
    drop(system, "nvram")
    if path or template:
        add(system, "nvram", path or None, **template)


def _disks(parts: ET.Element, shape: Shape, *, keep: bool) -> None:
    first = first_disk(parts)
    if first is not None and shape.disk is not None:
        drop(first, *_STOOD_ON)
        first.attrib.pop("snapshot", None)
        devices.fill_disk(first, shape.disk, keep=keep)
    if not shape.seed:
        return
    for disk in parts.findall("disk[@device='cdrom']"):
        if is_empty(disk):
            drop(disk, "source", "driver", "readonly")
            disk.set("type", "file")
            add(disk, "driver", name="qemu", type="raw")
            add(disk, "source", file=shape.seed)
            add(disk, "readonly")
            return
    target = None if first is None else first.find("target")
    bus = "virtio" if target is None else target.get("bus", "virtio")
    devices.seed_disk(parts, shape.seed, dev=_free_name(parts, bus), bus=bus)


def _free_name(parts: ET.Element, bus: str) -> str:
    prefix = _PREFIX.get(bus, "sd")
    taken = {target.get("dev") for target in parts.findall("disk/target")}
    names = (f"{prefix}{chr(letter)}" for letter in range(ord("b"), ord("z") + 1))
    for name in names:
        if name not in taken:
            return name
    raise GuestError(f"guest.xml has no name left for the seed's disk, from {prefix}b to {prefix}z")


def _interfaces(parts: ET.Element, network: Network, uuid: str) -> None:
    for number, interface in enumerate(parts.findall("interface")):
        mac = interface.find("mac")
        if number:
            if mac is not None:
                mac.set("address", mac_of(f"{uuid}/{number}"))
            if interface.get("type") in FILTERED:  # (the address is the first one's)
                devices.guard(interface, replace(network, address="", learn_by_dhcp=False))
            continue
        if mac is None:
            mac = add(interface, "mac")
        mac.set("address", network.mac)
        if network.name:
            interface.set("type", "network")
            drop(interface, "source", "virtualport")
            add(interface, "source", network=network.name)
        if interface.get("type") in FILTERED:
            devices.guard(interface, network)
