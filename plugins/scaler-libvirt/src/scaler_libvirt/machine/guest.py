"""The site's own guest.xml, read: whether machines can be made of it, and what they take."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from xml.parsers import expat

from scaler_libvirt.machine.elements import GIB

_LARGEST = 1 << 20
_ONCE = ("name", "uuid", "metadata", "memory", "currentMemory", "vcpu", "os", "cpu", "devices")
_TYPES = ("kvm", "qemu", "test")
_QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"

#: The kinds of interfaces that libvirt can filter.
FILTERED = ("network", "bridge", "ethernet")
_LETTERS = dict(enumerate("KMGTPE", 1))
_UNITS: dict[str, int] = {"b": 1, "bytes": 1, "k": 1 << 10}
_UNITS |= {f"{letter}B": int(1000**power) for power, letter in _LETTERS.items()}
_UNITS |= {
    f"{letter}{rest}": 1 << 10 * power for power, letter in _LETTERS.items() for rest in ("", "iB")
}

# readable prefixes for what sites write; ElementTree would number them
ET.register_namespace("qemu", _QEMU)
ET.register_namespace("libosinfo", "http://libosinfo.org/xmlns/libvirt/domain/1.0")


class GuestError(ValueError):
    """A guest.xml that no machine can be made of; the text says what is wrong with it."""


def read_guest(xml: bytes) -> ET.Element:
    """A guest.xml's root, with everything in it that a machine needs.

    Raises:
        GuestError: It is not XML, no domain, or cannot be completed.
    """
    _refuse_strange(xml)
    try:
        root = ET.fromstring(xml)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise GuestError(f"guest.xml is not XML: {error}") from None
    if root.tag != "domain":
        raise GuestError(f"guest.xml: found <{root.tag}>, wanted <domain>, as virsh dumpxml has it")
    if root.get("type", "kvm") not in _TYPES:
        raise GuestError(
            f"guest.xml: found <domain type={root.get('type')!r}>, wanted 'kvm' or 'qemu'"
        )
    for tag in _ONCE:
        if len(root.findall(tag)) > 1:
            raise GuestError(f"guest.xml: found more than one <{tag}>, wanted one")
    parts = root.find("devices")
    if parts is None or first_disk(parts) is None:
        raise GuestError(
            "guest.xml has no disk: wanted a <disk device='disk'> in <devices>, which gets the "
            "machine's own copy of the image as its source"
        )
    _refuse_shared(parts)
    resources_of_root(root)
    return root


def resources_of(xml: bytes) -> dict[str, int]:
    """What a guest.xml takes of a host, where the profile does not say: bytes, and counts.

    Raises:
        GuestError: It is none.
    """
    return resources_of_root(read_guest(xml))


def resources_of_root(domain: ET.Element) -> dict[str, int]:
    """See `resources_of`."""
    found: dict[str, int] = {}
    memory = domain.find("memory")
    if memory is not None:
        pages = domain.findall("memoryBacking/hugepages/page")
        if any(_bytes(page, page.get("size", "")) == GIB for page in pages):
            found["hugepages_1g"] = -(-_bytes(memory, memory.text or "") // GIB)
        else:
            found["memory"] = _bytes(memory, memory.text or "")
    vcpus = domain.findtext("vcpu")
    if vcpus is not None:
        found["vcpus"] = whole("vcpu", vcpus)
    return found


def warnings_of(xml: bytes) -> list[str]:
    """What a site should know of its guest.xml: what opens the host to guests, or makes them clash.

    Raises:
        GuestError: It is none.
    """
    domain = read_guest(xml)
    told = [
        f"guest.xml hands the host's folder {_source(each)} to every guest"
        for each in domain.findall("devices/filesystem")
    ]
    told += [
        "guest.xml hands a device of the host's to every guest: "
        f"<hostdev type={each.get('type')!r}>"
        for each in domain.findall("devices/hostdev")
    ]
    told += [
        f"guest.xml: {each.get('type')} on the fixed port {port}: a second machine cannot start"
        for each in domain.findall("devices/graphics")
        if (port := each.get("port", "-1")) != "-1" and each.get("autoport") != "yes"
    ]
    if domain.find(f"{{{_QEMU}}}commandline") is not None:
        told.append("guest.xml has a <qemu:commandline>: files named there belong to all machines")
    interfaces = domain.findall("devices/interface")
    told += [
        f"guest.xml: nothing keeps guests from spoofing on <interface type={each.get('type')!r}>"
        for each in interfaces
        if each.get("type") not in FILTERED
    ]
    if not interfaces:
        told.append("guest.xml has no <interface>: its guests reach nothing, also not the scaler")
    return told


def needs_nvram(domain: ET.Element) -> bool:
    """Whether UEFI of this domain keeps variables in a file."""
    loader = domain.find("os/loader")
    if loader is not None and (loader.get("stateless") == "yes" or loader.get("type") == "rom"):
        return False
    pflash = loader is not None and loader.get("type") == "pflash"
    return pflash or domain.find("os[@firmware='efi']") is not None


def _refuse_strange(xml: bytes) -> None:
    """No document type: what it declares could be anything, and no domain needs one."""
    if len(xml) > _LARGEST:
        raise GuestError(f"guest.xml has {len(xml)} bytes, wanted {_LARGEST} at most")

    def refuse(*_: object) -> None:
        raise GuestError("guest.xml has a <!DOCTYPE>, which is refused: take it out")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise GuestError(f"guest.xml is not XML: {error}") from None
    except (ValueError, LookupError) as error:
        if isinstance(error, GuestError):
            raise
        raise GuestError(f"guest.xml: its encoding cannot be read: {error}") from None


def _refuse_shared(parts: ET.Element) -> None:
    """Two machines would write to one disk."""
    first = first_disk(parts)
    for disk in parts.findall("disk"):
        if disk is first or disk.get("device") == "cdrom" or is_empty(disk):
            continue
        if all(disk.find(word) is None for word in ("readonly", "shareable", "transient")):
            target = disk.find("target")
            name = "" if target is None else f" {target.get('dev')}"
            raise GuestError(
                f"guest.xml: every machine would write to the disk{name} ({_source(disk)}): wanted "
                "<readonly/>, <transient/> or <shareable/> in it"
            )


def first_disk(parts: ET.Element) -> ET.Element | None:
    """The disk that a machine boots from: the first that is one."""
    return next((d for d in parts.findall("disk") if d.get("device", "disk") == "disk"), None)


def is_empty(disk: ET.Element) -> bool:
    """Whether nothing is in the drive."""
    source = disk.find("source")
    return source is None or not (source.attrib or len(source))


def _source(element: ET.Element) -> str:
    source = element.find("source")
    return "" if source is None else " ".join(source.attrib.values())


def _bytes(element: ET.Element, text: str) -> int:
    unit = element.get("unit", "KiB")
    if unit not in _UNITS:
        raise GuestError(f"guest.xml: <{element.tag}> has the unit {unit!r}, wanted such as 'MiB'")
    return whole(element.tag, text) * _UNITS[unit]


def whole(tag: str, text: str) -> int:
    """A number in an element of that name.

    Raises:
        GuestError: It is none.
    """
    clean = text.strip()
    if not (clean.isascii() and clean.isdigit() and len(clean) < 19):
        raise GuestError(f"guest.xml: found {clean[:40]!r} in <{tag}>, wanted a whole number")
    return int(clean)
