"""The devices of the built-in machine; some are also put into a site's own.

Nothing is emulated that nobody uses: no USB, no boot from the network.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from scaler_libvirt.machine.elements import add

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

    from scaler_libvirt.machine.identity import Identity
    from scaler_libvirt.machine.shape import Disk, Network, Shape

#: How a guest knows the seed by more than its label: `/dev/disk/by-id/virtio-scaler-seed`.
SEED_SERIAL = "scaler-seed"

_PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd"}


def built_in(devices: ET.Element, identity: Identity, shape: Shape) -> None:
    """Put all of them there. libvirt's test driver gets only what it can remember."""
    letters = _PREFIX[shape.disk_bus]
    if shape.disk is not None:
        disk = add(devices, "disk")
        fill_disk(disk, shape.disk, keep=identity.role == "builder")
        add(disk, "target", dev=f"{letters}a", bus=shape.disk_bus)
        if not shape.kernel:
            add(disk, "boot", order="1")
    if shape.seed:
        seed_disk(devices, shape.seed, dev=f"{letters}b", bus=shape.disk_bus)
    if shape.disk_bus == "scsi" and shape.disk is not None:
        add(devices, "controller", type="scsi", model="virtio-scsi")
    if shape.network is not None:
        interface = add(devices, "interface", type="network")
        add(interface, "mac", address=shape.network.mac)
        add(interface, "source", network=shape.network.name)
        add(interface, "model", type=shape.network.model)
        add(interface, "rom", enabled="no")
        guard(interface, shape.network)
    if shape.kind != "test":
        _others(devices, shape)


def _others(devices: ET.Element, shape: Shape) -> None:
    add(devices, "controller", type="usb", model="none")
    log_to(add(devices, "serial", type="pty"), shape.log)
    agent = add(devices, "channel", type="unix")
    add(agent, "target", type="virtio", name="org.qemu.guest_agent.0")
    video = "virtio" if shape.video == "vga" and not shape.x86 else shape.video
    add(add(devices, "video"), "model", type=video)
    if video != "none":
        # a socket that only who may ask libvirt can open: no port of the host's
        add(add(devices, "graphics", type="vnc"), "listen", type="socket")
    add(add(devices, "rng", model="virtio"), "backend", "/dev/urandom", model="random")
    add(devices, "memballoon", model="virtio")
    if shape.x86:
        add(devices, "panic", model="isa")


def fill_disk(disk: ET.Element, what: Disk, *, keep: bool) -> None:
    """Say what a disk stands on, where nothing said so before.

    Args:
        disk: The element.
        what: The file.
        keep: Whether it has to be whole after the host lost its power. Runners' disks have not,
            so their guests do not wait for the host's.
    """
    disk.set("type", "file")
    disk.set("device", "disk")
    driver = disk.find("driver")
    if driver is None:
        driver = add(disk, "driver", discard="unmap")
        if not keep:
            driver.set("cache", "unsafe")
    driver.set("name", "qemu")
    # named, never guessed from the content: a guest could write a header that lies
    driver.set("type", what.format)
    add(disk, "source", file=what.path)
    if what.base:
        base = add(disk, "backingStore", type="file")
        add(base, "format", type=what.base_format)
        source = add(base, "source", file=what.base)
        add(source, "seclabel", model="dac", relabel="no")
        add(base, "backingStore")


def seed_disk(devices: ET.Element, path: str, *, dev: str, bus: str) -> ET.Element:
    """Add the seed: where there is virtio a disk, elsewhere a CD; neither can be written to."""
    virtio = bus == "virtio"
    disk = add(devices, "disk", type="file", device="disk" if virtio else "cdrom")
    add(disk, "driver", name="qemu", type="raw")
    add(disk, "source", file=path)
    add(disk, "target", dev=dev, bus=bus)
    add(disk, "readonly")
    if virtio:
        add(disk, "serial", SEED_SERIAL)
    return disk


def guard(interface: ET.Element, network: Network) -> None:
    """Keep the guest to its own addresses and away from its neighbours, as the network says.

    What the element says itself stays: a filter of its own gets only the address.
    """
    filtered = interface.find("filterref")
    if filtered is None and network.filter:
        filtered = add(interface, "filterref", filter=network.filter)
    if filtered is not None and network.address:
        name = "IP" if ipaddress.ip_address(network.address).version == 4 else "IPV6"
        told = [each for each in filtered.findall("parameter") if each.get("name") == name]
        for each in told:
            filtered.remove(each)
        add(filtered, "parameter", name=name, value=network.address)
    elif filtered is not None and network.learn_by_dhcp:
        add(filtered, "parameter", name="CTRL_IP_LEARNING", value="dhcp")
    if network.isolated and interface.find("port") is None:
        add(interface, "port", isolated="yes")


def log_to(serial: ET.Element, path: str) -> None:
    """Have a serial line written to a file as well; nothing where there is no file."""
    if not path:
        return
    for each in serial.findall("log"):
        serial.remove(each)
    add(serial, "log", file=path, append="on")
