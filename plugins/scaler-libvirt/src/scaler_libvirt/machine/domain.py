"""What a machine is for libvirt: its XML, and the identity that it carries.

All XML is built and read by ElementTree: no text of anybody's is ever pasted into it.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

from scaler_libvirt.machine.identity import (
    NAMESPACE,
    Identity,
    digest,
    domain_name,
    identity_element,
    identity_of,
    new_uuid,
    read_identity,
)
from scaler_libvirt.machine.shape import DomainType, Shape, format_of

__all__ = [
    "NAMESPACE",
    "DomainType",
    "Identity",
    "Shape",
    "build",
    "digest",
    "domain_name",
    "identity_of",
    "new_uuid",
    "read_identity",
]

_GIB = 1 << 30


def build(
    identity: Identity,
    shape: Shape,
    *,
    uuid: str,
    kind: DomainType | None = None,
    x86: bool | None = None,
) -> str:
    """The XML of a machine, for `createXML`.

    Args:
        identity: Whose it is.
        shape: What it is made of.
        uuid: From `new_uuid`.
        kind, x86: In place of what the shape says, where given.
    """
    if kind is not None:
        shape = replace(shape, kind=kind)
    if x86 is not None:
        shape = replace(shape, arch="x86_64" if x86 else "")
    kind, x86 = shape.kind, shape.x86
    domain = ET.Element("domain", type=kind)
    _add(domain, "name", domain_name(identity.runner_name))
    _add(domain, "uuid", uuid)
    _add(domain, "metadata").append(identity_element(identity))
    _add(domain, "memory", str(_memory(shape)), unit="b")
    _add(domain, "vcpu", str(max(1, shape.vcpus)))
    if shape.hugepages_1g and kind != "test":
        backing = _add(_add(domain, "memoryBacking"), "hugepages")
        _add(backing, "page", size="1", unit="G")
    _add(_add(domain, "os"), "type", "hvm")
    if kind != "test" and x86:
        features = _add(domain, "features")
        _add(features, "acpi")
        _add(features, "apic")
    if kind == "kvm":
        _add(domain, "cpu", mode="host-passthrough")
    _add(domain, "on_poweroff", "destroy")
    _add(domain, "on_reboot", "restart")
    _add(domain, "on_crash", "destroy")
    if kind != "test":
        _devices(_add(domain, "devices"), shape)
    return ET.tostring(domain, encoding="unicode")


def _memory(shape: Shape) -> int:
    return shape.hugepages_1g * _GIB or max(1 << 20, shape.memory)


def _devices(devices: ET.Element, shape: Shape) -> None:
    if shape.base_image:
        disk = _add(devices, "disk", type="file", device="disk")
        # named, never guessed from the content: a guest could write a header that lies
        _add(disk, "driver", name="qemu", type=format_of(shape.base_image))
        _add(disk, "source", file=shape.base_image)
        _add(disk, "target", dev="vda", bus="virtio")
        _add(disk, "transient", shareBacking="yes")
    _add(_add(devices, "video"), "model", type="vga")  # what a screenshot is taken of


def _add(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    child = ET.SubElement(parent, tag, attributes)
    child.text = text
    return child
