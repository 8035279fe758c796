"""What a machine is for libvirt: its XML, with the identity that it carries.

All XML is built and read by ElementTree: no text of anybody's is ever pasted into it.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from scaler_libvirt.machine import devices
from scaler_libvirt.machine.completing import complete
from scaler_libvirt.machine.elements import GIB, add, checked
from scaler_libvirt.machine.identity import domain_name, identity_element

if TYPE_CHECKING:
    from scaler_libvirt.machine.identity import Identity
    from scaler_libvirt.machine.shape import Shape

_EVERYTHING = "maximum"  # libvirt's word for all that can be emulated
_MODES = {
    "host-passthrough": "host-passthrough",
    "host-model": "host-model",
    "maximum": _EVERYTHING,
    "max": _EVERYTHING,
}


def build(identity: Identity, shape: Shape, *, uuid: str) -> str:
    """The XML of a machine, for `createXML`.

    Args:
        identity: Whose it is.
        shape: What it is made of.
        uuid: From `new_uuid`.

    Raises:
        GuestError: The site's guest.xml is not one that machines can be made of.
        ValueError: Something holds a character that XML cannot.
    """
    if shape.guest is not None:
        domain = complete(shape.guest, identity, shape, uuid=uuid)
    else:
        domain = _built_in(identity, shape, uuid)
    return checked(domain, kind=shape.kind, name=domain_name(identity.runner_name), uuid=uuid)


def _built_in(identity: Identity, shape: Shape, uuid: str) -> ET.Element:
    domain = ET.Element("domain", type=shape.kind)
    add(domain, "name", domain_name(identity.runner_name))
    add(domain, "uuid", uuid)
    add(domain, "metadata").append(identity_element(identity))
    add(domain, "memory", str(_memory(shape)), unit="b")
    add(domain, "vcpu", str(max(1, shape.vcpus)))
    if shape.hugepages_1g and shape.kind != "test":
        backing = add(add(domain, "memoryBacking"), "hugepages")
        add(backing, "page", size="1", unit="G")
    _system(domain, shape)
    if shape.kind != "test":
        if shape.x86:
            features = add(domain, "features")
            add(features, "acpi")
            add(features, "apic")
        _processor(domain, shape)
    add(domain, "on_poweroff", "destroy")
    add(domain, "on_reboot", "restart")
    add(domain, "on_crash", "destroy")
    devices.built_in(add(domain, "devices"), identity, shape)
    return domain


def _memory(shape: Shape) -> int:
    return shape.hugepages_1g * GIB or max(1 << 20, shape.memory or GIB)


def _system(domain: ET.Element, shape: Shape) -> None:
    system = add(domain, "os")
    kind = add(system, "type", "hvm")
    if shape.kind == "test":
        return
    if shape.x86:
        kind.set("arch", shape.arch)
        kind.set("machine", shape.machine)
    if shape.kernel:
        add(system, "kernel", shape.kernel)
    if shape.initrd:
        add(system, "initrd", shape.initrd)
    if shape.kernel_args:
        add(system, "cmdline", shape.kernel_args)


def _processor(domain: ET.Element, shape: Shape) -> None:
    name = shape.cpu or ("host-passthrough" if shape.kind == "kvm" else _EVERYTHING)
    if name == "host-passthrough" and shape.kind != "kvm":
        name = _EVERYTHING  # only KVM can hand on the host's own
    if mode := _MODES.get(name):
        add(domain, "cpu", mode=mode)
    else:
        add(add(domain, "cpu", mode="custom", match="exact"), "model", name, fallback="forbid")
