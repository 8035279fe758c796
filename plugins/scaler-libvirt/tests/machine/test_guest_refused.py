"""Which guest.xml no machine can be made of, and what a site is told of its own."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_libvirt.machine.domain import build
from scaler_libvirt.machine.guest import GuestError, read_guest, warnings_of
from scaler_libvirt.machine.identity import Identity
from scaler_libvirt.machine.shape import Disk, Shape

SERVO = (Path(__file__).parent / "servo-guest.xml").read_bytes()
OURS = Identity(scaler="here", runner=7, runner_name="linux.7@here")
FIRST = "<disk type='file' device='disk'><source file='/x'/><target dev='vda' bus='virtio'/></disk>"


def guest(devices: str = "", rest: str = "", disk: str = FIRST) -> bytes:
    return (
        f"<domain type='kvm'><name>x</name><memory unit='MiB'>512</memory><vcpu>2</vcpu>"
        f"<os><type>hvm</type></os>{rest}<devices>{disk}{devices}</devices></domain>"
    ).encode()


def done(xml: bytes, **changes: Any) -> ET.Element:
    shape = Shape(disk=Disk(path="/pool/a.disk"), guest=xml, **changes)
    return ET.fromstring(build(OURS, shape, uuid="0d9c1c9c-6a2f-4d4e-9d0c-1c2b3a495867"))


def one(root: ET.Element, path: str) -> ET.Element:
    found = root.findall(path)
    assert len(found) == 1, f"{path}: {len(found)}"
    return found[0]


DISK2 = "<disk type='file' device='{}'><source file='/y'/><target dev='vdb'/></disk>"
REFUSED = {
    "empty": (b"", "not XML"),
    "no XML": (b"<domain", "not XML"),
    "two roots": (guest() + guest(), "not XML"),
    "no UTF-8": (b"<domain>\xff</domain>", "not XML"),
    "encoding": (b"<?xml version='1.0' encoding='x-no'?><domain/>", "encoding|not XML"),
    "undefined entity": (guest(rest="&a;"), "not XML"),
    "entities": (b"<!DOCTYPE d [<!ENTITY a 'b'>]>" + guest(rest="&a;"), "DOCTYPE"),
    "file": (b"<!DOCTYPE d [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><domain/>", "DOCTYPE"),
    "laughs": (
        b"<!DOCTYPE d [<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>]><domain>&b;</domain>",
        "DOCTYPE",
    ),
    "document type": (b"<!DOCTYPE domain>" + guest(), "DOCTYPE"),
    "large": (guest(rest=f"<title>{'x' * (1 << 20)}</title>"), "bytes"),
    "network": (b"<network><name>x</name></network>", "wanted <domain>"),
    "namespace": (b"<domain xmlns='urn:x'/>", "wanted <domain>"),
    "container": (guest().replace(b"'kvm'", b"'lxc'"), "'lxc'"),
    "no devices": (b"<domain type='kvm'/>", "no disk"),
    "no disk": (guest(disk=""), "no disk"),
    "only a cdrom": (guest(disk="<disk type='file' device='cdrom'/>"), "no disk"),
    "two names": (guest(rest="<name>y</name>"), "more than one <name>"),
    "two devices": (guest(rest=f"<devices>{FIRST}</devices>"), "more than one <devices>"),
    "shared disk": (guest(DISK2.format("disk")), r"the disk vdb \(/y\)"),
    "shared lun": (guest(DISK2.format("lun")), "write to the disk"),
    "shared floppy": (guest(DISK2.format("floppy")), "write to the disk"),
    "unit": (guest().replace(b"MiB", b"furlong"), "furlong"),
    "memory": (guest().replace(b">512<", b">much<"), "'much'"),
    "vcpu": (guest().replace(b"<vcpu>2", b"<vcpu>-2"), "'-2'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_d22_what_no_machine_can_be_made_of_is_refused(case: str) -> None:
    xml, words = REFUSED[case]
    with pytest.raises(GuestError, match=words):
        read_guest(xml)
    with pytest.raises(GuestError, match=words):
        done(xml)


@pytest.mark.parametrize("word", ["readonly", "shareable", "transient"])
def test_other_disks_that_say_how_they_are_shared_stay(word: str) -> None:
    second = DISK2.format("disk").replace("</disk>", f"<{word}/></disk>")
    assert one(done(guest(second)).findall("devices/disk")[1], "source").get("file") == "/y"


@pytest.mark.parametrize(
    ("rest", "changes", "words"),
    [
        ("<cpu><numa><cell cpus='0' memory='1'/></numa></cpu>", {"memory": 1 << 30}, "<numa>"),
        ("<cpu><numa><cell cpus='0' memory='1'/></numa></cpu>", {"hugepages_1g": 1}, "<numa>"),
        ("<cpu><topology sockets='1' cores='2' threads='1'/></cpu>", {"vcpus": 4}, "topology"),
    ],
)
def test_resources_that_contradict_the_site_are_refused(
    rest: str, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(GuestError, match=words):
        done(guest(rest=rest), **changes)
    done(guest(rest=rest))


@given(st.binary() | st.text().map(str.encode))
def test_any_file_is_a_guest_or_refused(xml: bytes) -> None:
    try:
        read_guest(xml)
    except GuestError:
        return
    raise AssertionError("by chance a guest")


# --- what a site is told


def test_d31_what_opens_the_host_to_guests_is_told() -> None:
    assert warnings_of(SERVO) == []
    site = guest(
        "<filesystem type='mount'><source dir='/srv'/><target dir='srv'/></filesystem>"
        "<hostdev mode='subsystem' type='usb'/><graphics type='vnc' port='5901'/>"
        "<interface type='network'><source network='n'/></interface>",
        rest="<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'/>",
    )
    told = "\n".join(warnings_of(site))
    for words in ("folder /srv", "type='usb'", "fixed port 5901", "qemu:commandline"):
        assert words in told
    assert len(warnings_of(site)) == 4
    assert one(done(site), "devices/filesystem/source").get("dir") == "/srv"
