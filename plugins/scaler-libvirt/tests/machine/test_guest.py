"""The site's own guest.xml, completed: what stays, what is ours, what is refused."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import libvirt
import pytest

from scaler_libvirt.machine.domain import build
from scaler_libvirt.machine.guest import (
    needs_nvram,
    read_guest,
    resources_of,
    warnings_of,
)
from scaler_libvirt.machine.identity import NAMESPACE, TAG, Identity, domain_name, identity_of
from scaler_libvirt.machine.shape import Disk, Network, Shape

SERVO = (Path(__file__).parent / "servo-guest.xml").read_bytes()
UUID = "0d9c1c9c-6a2f-4d4e-9d0c-1c2b3a495867"
NETWORK = Network(
    name="", mac="52:00:11:22:33:44", filter="clean-traffic", address="10.0.0.5", isolated=True
)
SHAPE = Shape(
    disk=Disk(path="/pool/a.disk"), seed="/pool/a.seed", log="/pool/a.log", network=NETWORK
)
OURS = Identity(scaler="here", runner=7, runner_name="linux.7@here", profile="linux", generation=3)
FIRST = "<disk type='file' device='disk'><source file='/x'/><target dev='vda' bus='virtio'/></disk>"


def guest(devices: str = "", rest: str = "", attributes: str = "", disk: str = FIRST) -> bytes:
    return (
        f"<domain type='kvm'{attributes}><name>x</name><memory unit='MiB'>512</memory>"
        f"<vcpu>2</vcpu><os><type>hvm</type></os>{rest}<devices>{disk}{devices}</devices></domain>"
    ).encode()


def done(xml: bytes, shape: Shape = SHAPE, **changes: Any) -> ET.Element:
    text = build(OURS, replace(shape, guest=xml, **changes), uuid=UUID)
    assert identity_of(text) == OURS
    return ET.fromstring(text)


def one(root: ET.Element, path: str) -> ET.Element:
    found = root.findall(path)
    assert len(found) == 1, f"{path}: {len(found)}"
    return found[0]


# --- a guest.xml as sites have it


def test_servos_guest_is_completed() -> None:
    root = done(SERVO)
    assert (root.get("type"), root.findtext("name")) == ("qemu", domain_name(OURS.runner_name))
    assert root.findtext("uuid") == UUID
    cdrom, disk = root.findall("devices/disk")
    assert one(cdrom, "source").get("file") == "/pool/a.seed"
    assert one(cdrom, "target").get("dev") == "sda"
    assert (disk.get("type"), one(disk, "source").attrib) == ("file", {"file": "/pool/a.disk"})
    driver = one(disk, "driver")
    assert (driver.get("type"), driver.get("cache"), driver.get("io")) == (
        "qcow2",
        "none",
        "native",
    )
    interface = one(root, "devices/interface")
    assert one(interface, "mac").get("address") == NETWORK.mac
    assert one(interface, "source").get("network") == "default"
    assert one(interface, "filterref/parameter").attrib == {"name": "IP", "value": "10.0.0.5"}
    assert one(interface, "port").get("isolated") == "yes"
    assert one(root, "devices/serial/log").get("file") == "/pool/a.log"


def test_what_the_site_wrote_stays() -> None:
    """Everything but what two machines cannot share is as it was, in its order."""
    changed = {"name", "uuid", "source", "driver", "mac", "filterref", "parameter", "port", "log"}
    changed |= {"disk", "readonly", "domain", TAG, "cpu"}

    def kept(root: ET.Element) -> list[Any]:
        return [
            (e.tag, e.attrib, (e.text or "").strip()) for e in root.iter() if e.tag not in changed
        ]

    assert kept(done(SERVO)) == kept(ET.fromstring(SERVO))
    assert done(SERVO).findtext("devices/emulator") == "/usr/bin/qemu-system-x86_64"


@pytest.mark.parametrize(
    "changes",
    [{}, {"memory": 1 << 30}, {"hugepages_1g": 24}, {"vcpus": 8}, {"kind": "kvm"}],
    ids=str,
)
def test_d22_a_completed_guest_keeps_libvirts_schema(changes: dict[str, Any]) -> None:
    connection = libvirt.open("test:///default")
    try:
        xml = build(OURS, replace(SHAPE, guest=SERVO, **changes), uuid=UUID)
        connection.createXML(xml, libvirt.VIR_DOMAIN_START_VALIDATE).destroy()
    finally:
        connection.close()


# --- what is ours


def test_metadata_of_others_stays_and_ours_stands_there_once() -> None:
    others = f"<m:a xmlns:m='urn:m'><m:b>1</m:b></m:a><s:machine xmlns:s='{NAMESPACE}' scaler='x'/>"
    metadata = one(done(guest(rest=f"<metadata>{others}</metadata>")), "metadata")
    assert [each.tag for each in metadata] == ["{urn:m}a", TAG]
    assert metadata[0].findtext("{urn:m}b") == "1"


def test_an_identity_hidden_in_other_metadata_is_none() -> None:
    hidden = f"<m:a xmlns:m='urn:m'><s:machine xmlns:s='{NAMESPACE}' scaler='x'/></m:a>"
    assert len(list(done(guest(rest=f"<metadata>{hidden}</metadata>")).iter(TAG))) == 1


def test_commands_for_qemu_stay() -> None:
    rest = (
        "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'>"
        "<q:arg value='-no-hpet'/></q:commandline>"
    )
    found = done(guest(rest=rest)).find(".//{http://libvirt.org/schemas/domain/qemu/1.0}arg")
    assert found is not None
    assert found.get("value") == "-no-hpet"


def test_what_was_written_down_of_a_running_machine_goes() -> None:
    rest = "<sysinfo type='smbios'><system><entry name='uuid'>other</entry></system></sysinfo>"
    root = done(guest(rest=rest, attributes=" id='4'"))
    assert root.get("id") is None
    assert root.findtext("sysinfo/system/entry") == UUID  # libvirt wants both the same


@pytest.mark.parametrize("word", ["restart", "preserve", "rename-restart"])
def test_a_machine_ends_when_it_powers_off(word: str) -> None:
    root = done(guest(rest=f"<on_poweroff>{word}</on_poweroff><on_crash>{word}</on_crash>"))
    assert (root.findtext("on_poweroff"), root.findtext("on_crash")) == ("destroy", "destroy")


def test_the_first_disks_whereabouts_are_replaced_whole() -> None:
    disk = (
        "<disk type='network' device='disk' snapshot='external'><driver name='qemu' type='raw' "
        "cache='none'/><auth username='u'><secret type='ceph' uuid='" + UUID + "'/></auth>"
        "<source protocol='rbd' name='a'><seclabel model='dac' relabel='no'/></source>"
        "<backingStore/><target dev='sdq' bus='scsi'/><readonly/><shareable/><transient/>"
        "<serial>s</serial></disk>"
    )
    found = one(done(guest(disk=disk), seed=""), "devices/disk")
    assert found.attrib == {"type": "file", "device": "disk"}
    assert {e.tag for e in found} == {"driver", "target", "serial", "source"}
    assert one(found, "driver").attrib == {"name": "qemu", "type": "qcow2", "cache": "none"}
    assert len(one(found, "source")) == 0


def test_a_disk_without_a_word_of_its_device_is_the_first() -> None:
    root = done(
        guest(disk="<disk type='block'><source dev='/dev/null'/><target dev='vda'/></disk>")
    )
    assert one(root.findall("devices/disk")[0], "source").get("file") == "/pool/a.disk"


@pytest.mark.parametrize(
    ("bus", "dev", "found"),
    [
        ("virtio", "vda", ("disk", "vdb", "virtio")),
        ("sata", "sda", ("cdrom", "sdb", "sata")),
        ("ide", "hda", ("cdrom", "hdb", "ide")),
    ],
)
def test_without_an_empty_cdrom_the_seed_is_put_beside_the_disk(
    bus: str, dev: str, found: tuple[str, str, str]
) -> None:
    full = "<disk type='file' device='cdrom'><source file='/tools.iso'/><target dev='sdz'/></disk>"
    disk = f"<disk type='file'><source file='/x'/><target dev='{dev}' bus='{bus}'/></disk>"
    seed = done(guest(full, disk=disk)).findall("devices/disk")[-1]
    target = one(seed, "target")
    assert (seed.get("device"), target.get("dev"), target.get("bus")) == found
    assert one(seed, "source").get("file") == "/pool/a.seed"
    assert seed.find("readonly") is not None


def test_a_name_that_is_taken_is_not_the_seeds() -> None:
    second = (
        "<disk type='file'><source file='/y'/><target dev='vdb' bus='virtio'/><readonly/></disk>"
    )
    targets = [e.get("dev") for e in done(guest(second)).findall("devices/disk/target")]
    assert targets == ["vda", "vdb", "vdc"]


def test_the_first_empty_cdrom_takes_the_seed() -> None:
    empty = "<disk type='block' device='cdrom'><target dev='{}' bus='sata'/><source/></disk>"
    cdroms = done(guest(empty.format("sda") + empty.format("sdb"))).findall("devices/disk")[1:]
    assert one(cdroms[0], "source").attrib == {"file": "/pool/a.seed"}
    assert one(cdroms[1], "source").attrib == {}


def test_d17_every_interface_is_guarded_and_no_two_machines_share_an_address() -> None:
    both = "".join(
        f"<interface type='network'><mac address='52:54:00:00:00:0{n}'/><source network='n{n}'/>"
        "</interface>"
        for n in (1, 2)
    )
    first, second = done(guest(both)).findall("devices/interface")
    assert one(second, "filterref").get("filter") == NETWORK.filter
    assert second.find("filterref/parameter") is None  # the address is the first one's
    assert one(second, "port").get("isolated") == "yes"
    assert one(first, "mac").get("address") == NETWORK.mac
    assert first.find("filterref") is not None
    assert one(second, "mac").get("address") not in (NETWORK.mac, "52:54:00:00:00:02")
    text = build(OURS, replace(SHAPE, guest=guest(both)), uuid=UUID.replace("0d9c", "1111"))
    other = ET.fromstring(text).findall("devices/interface/mac")[1]
    assert other.get("address") != one(second, "mac").get("address")


def test_the_profiles_network_is_in_place_of_the_sites() -> None:
    site = (
        "<interface type='bridge'><source bridge='br0'/><virtualport type='openvswitch'/>"
        "</interface>"
    )
    interface = one(done(guest(site), network=replace(NETWORK, name="guests")), "devices/interface")
    assert interface.get("type") == "network"
    assert one(interface, "source").attrib == {"network": "guests"}
    assert interface.find("virtualport") is None


def test_a_filter_of_the_sites_own_stays_and_gets_the_address() -> None:
    site = (
        "<interface type='bridge'><source bridge='br0'/><port isolated='no'/>"
        "<filterref filter='ours'><parameter name='IP' value='1.2.3.4'/>"
        "<parameter name='X' value='y'/></filterref></interface>"
    )
    interface = one(done(guest(site)), "devices/interface")
    assert one(interface, "filterref").get("filter") == "ours"
    assert [e.attrib for e in interface.findall("filterref/parameter")] == [
        {"name": "X", "value": "y"},
        {"name": "IP", "value": "10.0.0.5"},
    ]
    assert one(interface, "port").get("isolated") == "no"


def test_what_libvirt_cannot_filter_is_left_and_told_of() -> None:
    site = guest("<interface type='direct'><source dev='eth0'/></interface>")
    interface = one(done(site), "devices/interface")
    assert interface.find("filterref") is None
    assert one(interface, "mac").get("address") == NETWORK.mac
    assert any("spoofing" in told for told in warnings_of(site))


def test_no_interface_is_added() -> None:
    assert done(guest()).find("devices/interface") is None
    assert any("no <interface>" in told for told in warnings_of(guest()))


def test_the_first_serial_line_is_written_down() -> None:
    lines = (
        "<serial type='tcp'><source mode='bind' host='127.0.0.1' service='1'/><log file='/l'/>"
        "</serial>"
    )
    first, second = done(guest(lines + "<serial type='pty'/>")).findall("devices/serial")
    assert [e.get("file") for e in first.findall("log")] == ["/pool/a.log"]
    assert second.find("log") is None
    assert one(done(guest()), "devices/serial/log").get("file") == "/pool/a.log"


# --- how large it is


def test_without_words_of_the_profile_the_sites_count() -> None:
    root = done(SERVO)
    assert (root.findtext("memory"), root.findtext("currentMemory")) == ("25165824", "25165824")
    assert root.findtext("vcpu") == "8"
    assert resources_of(SERVO) == {"memory": 24 << 30, "vcpus": 8}


def test_the_profiles_words_count_more() -> None:
    rest = "<currentMemory>1</currentMemory><vcpus><vcpu id='0' enabled='yes'/></vcpus>"
    root = done(guest(rest=rest), memory=3 << 30, vcpus=5)
    assert (root.findtext("memory"), one(root, "memory").get("unit")) == (str(3 << 30), "b")
    assert root.findtext("vcpu") == "5"
    assert root.find("currentMemory") is None
    assert root.find("vcpus") is None


def test_the_profiles_hugepages_are_the_memory() -> None:
    root = done(SERVO, hugepages_1g=2, memory=1 << 30)
    assert root.findtext("memory") == str(2 << 30)
    assert [e.attrib for e in root.findall("memoryBacking/hugepages/page")] == [
        {"size": "1", "unit": "G"}
    ]


@pytest.mark.parametrize(
    ("memory", "found"),
    [
        ("<memory>1024</memory>", 1 << 20),
        ("<memory unit='b'>5</memory>", 5),
        ("<memory unit='GB'> 2 </memory>", 2 * 10**9),
        ("<memory unit='GiB'>2</memory>", 2 << 30),
        ("<memory unit='T'>1</memory>", 1 << 40),
    ],
)
def test_libvirts_units_are_read(memory: str, found: int) -> None:
    xml = guest().replace(b"<memory unit='MiB'>512</memory>", memory.encode())
    assert resources_of(xml)["memory"] == found


def test_pages_of_one_gibibyte_are_counted_as_such() -> None:
    pages = (
        "<memoryBacking><hugepages><page size='1048576' unit='KiB'/></hugepages></memoryBacking>"
    )
    xml = guest(rest=pages).replace(b"'MiB'>512", b"'MiB'>2049")
    assert resources_of(xml) == {"hugepages_1g": 3, "vcpus": 2}


def test_only_kvm_hands_on_the_hosts_processor() -> None:
    assert one(done(SERVO), "cpu").get("mode") == "maximum"
    assert one(done(SERVO, kind="kvm"), "cpu").get("mode") == "host-passthrough"


def test_variables_of_uefi_are_a_machines_own() -> None:
    xml = guest().replace(
        b"<os>", b"<os><loader type='pflash'>/f</loader><nvram template='/t'>/shared</nvram>"
    )
    assert needs_nvram(read_guest(xml))
    assert not needs_nvram(read_guest(SERVO))
    assert one(done(xml, nvram="/pool/a.nvram"), "os/nvram").text == "/pool/a.nvram"
    left = one(done(xml), "os/nvram")
    assert (left.text, left.get("template")) == (None, "/t")
