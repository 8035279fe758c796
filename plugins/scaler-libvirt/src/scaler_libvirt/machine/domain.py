"""What a machine is for libvirt: its XML, and the identity that it carries.

All XML is built and read by ElementTree: no text of anybody's is ever pasted into it.
"""

from __future__ import annotations

import hashlib
import re
import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from pathlib import Path

NAMESPACE = "urn:scaler:machine:1"
_TAG = f"{{{NAMESPACE}}}machine"
_ID = re.compile(r"[0-9]{1,19}", re.ASCII)
_UNSAFE = re.compile(r"[^a-z0-9]+")
_GIB = 1 << 30

DomainType = Literal["test", "qemu", "kvm"]

# ElementTree keeps prefixes process-wide; any other prefix would mean the same
ET.register_namespace("scaler", NAMESPACE)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whose machine a domain is. It stands in the domain's metadata.

    Attributes:
        scaler: The name of the scaler that made it; nobody else touches the domain.
        runner: The runner's id, or None for a builder.
        generation: Tells two machines of one runner apart, and grows: nanoseconds since 1970.
        config_sha256: Of the registration's config, so that a machine is never taken for one that
            was given another config. The config itself is a secret and never stands here.
    """

    scaler: str
    runner: int | None
    runner_name: str = ""
    profile: str = ""
    generation: int = 0
    config_sha256: str = ""

    def same_runner(self, other: Identity) -> bool:
        """Whether both are the same runner with the same config, whatever the generation."""
        return (self.scaler, self.runner, self.runner_name, self.config_sha256) == (
            other.scaler,
            other.runner,
            other.runner_name,
            other.config_sha256,
        )


def digest(config: str) -> str:
    """What stands in a domain's metadata instead of a registration's config."""
    return hashlib.sha256(config.encode("utf-8", "surrogatepass")).hexdigest()


@lru_cache(maxsize=1024)
def domain_name(runner_name: str) -> str:
    """A name that is safe everywhere libvirt and QEMU put it: files, sockets, command lines.

    Only `[a-z0-9-]`, never a leading dash, 50 at most. The end of it is a digest of the runner's
    whole name, so two runners never share one.
    """
    readable = _UNSAFE.sub("-", runner_name.lower()).strip("-")[:39].rstrip("-") or "runner"
    tail = hashlib.sha256(runner_name.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{readable}-{tail}"


def new_uuid() -> str:
    """The UUID of a machine that is about to be made: no two machines ever share one."""
    return str(uuid.uuid4())


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a machine is made of.

    Attributes:
        memory: In bytes.
        hugepages_1g: Where not 0, the guest's memory is that many pages of 1 GiB of the host's
            reserved ones, and `memory` is not used.
        base_image: Attached as a disk whose writes are thrown away with the machine.
    """

    memory: int = _GIB
    vcpus: int = 1
    hugepages_1g: int = 0
    base_image: Path | None = None


def build(
    identity: Identity,
    shape: Shape,
    *,
    kind: DomainType,
    uuid: str,
    x86: bool = True,
) -> str:
    """The XML of a machine, for `createXML`.

    Args:
        identity: Whose it is.
        shape: What it is made of.
        kind: `test`, `qemu` (emulation) or `kvm`.
        uuid: From `new_uuid`.
        x86: Whether the host is of that architecture, where ACPI works without more ado.
    """
    domain = ET.Element("domain", type=kind)
    _add(domain, "name", domain_name(identity.runner_name))
    _add(domain, "uuid", uuid)
    _add(domain, "metadata").append(_identity_element(identity))
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
    if shape.base_image is not None:
        disk = _add(devices, "disk", type="file", device="disk")
        # named, never guessed from the content: a guest could write a header that lies
        image_format = "qcow2" if shape.base_image.suffix == ".qcow2" else "raw"
        _add(disk, "driver", name="qemu", type=image_format)
        _add(disk, "source", file=str(shape.base_image))
        _add(disk, "target", dev="vda", bus="virtio")
        _add(disk, "transient", shareBacking="yes")
    _add(_add(devices, "video"), "model", type="vga")  # what a screenshot is taken of


def _add(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    child = ET.SubElement(parent, tag, attributes)
    child.text = text
    return child


def _identity_element(identity: Identity) -> ET.Element:
    element = ET.Element(_TAG, scaler=_encode(identity.scaler))
    if identity.runner is not None:
        element.set("runner", str(identity.runner))
    element.set("name", _encode(identity.runner_name))
    element.set("profile", _encode(identity.profile))
    element.set("generation", str(identity.generation))
    element.set("config-sha256", identity.config_sha256)
    return element


def read_identity(metadata: str) -> Identity | None:
    """The identity in a metadata element, as libvirt answers it; None where it is none of ours.

    Anyone with access to the hypervisor can write anything there, so whatever is not exactly what
    `build` writes is somebody else's.
    """
    try:
        element = ET.fromstring(metadata)
    except ET.ParseError:
        return None
    if element.tag not in (_TAG, "machine"):  # libvirt 9 leaves the namespace out of its answer
        return None
    runner, generation = element.get("runner"), element.get("generation", "")
    if not _ID.fullmatch(generation) or not (runner is None or _ID.fullmatch(runner)):
        return None
    try:
        return Identity(
            scaler=_decode(element.get("scaler", "")),
            runner=None if runner is None else int(runner),
            runner_name=_decode(element.get("name", "")),
            profile=_decode(element.get("profile", "")),
            generation=int(generation),
            config_sha256=element.get("config-sha256", ""),
        )
    except UnicodeDecodeError:
        return None


def identity_of(domain_xml: str) -> Identity | None:
    """The identity in a whole domain's XML."""
    element = ET.fromstring(domain_xml).find(f"metadata/{_TAG}")
    return None if element is None else read_identity(ET.tostring(element, encoding="unicode"))


def _encode(text: str) -> str:
    """As ASCII: XML cannot hold every character (no NUL, for one), and names are anyone's."""
    return quote(text, safe="@:/ ", errors="surrogatepass")


def _decode(text: str) -> str:
    return unquote(text, errors="surrogatepass")
