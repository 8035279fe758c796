"""The built-in machine's XML, for any texts whatever."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import libvirt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler_libvirt.machine.domain import build
from scaler_libvirt.machine.identity import (
    NAMESPACE,
    Identity,
    digest,
    domain_name,
    identity_of,
    new_uuid,
)
from scaler_libvirt.machine.shape import Disk, Network, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator

anything = st.text(st.characters(exclude_categories=()))  # lone surrogates and NUL too
HOSTILE = "x'\"/><devices><filesystem type='mount'><source dir='/'/></filesystem>&amp;]]>../etc -h"
UUID = "0d9c1c9c-6a2f-4d4e-9d0c-1c2b3a495867"
NETWORK = Network(
    name="default", mac="52:00:11:22:33:44", filter="clean-traffic", address="10.0.0.5",
    isolated=True,
)  # fmt: skip
FULL = Shape(
    memory=1 << 30,
    vcpus=2,
    disk=Disk(path="/pool/a.disk", base="/pool/image"),
    seed="/pool/a.seed",
    log="/pool/a.log",
    network=NETWORK,
    kernel="/boot/vmlinuz",
    initrd="/boot/initrd",
    kernel_args="console=ttyS0",
)


def ours(**changes: Any) -> Identity:
    values: dict[str, Any] = {"scaler": "here", "runner": 7, "runner_name": "linux.7@here"}
    return Identity(**{**values, **changes})


def tree(shape: Shape, **changes: Any) -> ET.Element:
    return ET.fromstring(build(ours(**changes), shape, uuid=UUID))


def one(root: ET.Element, path: str) -> ET.Element:
    found = root.findall(path)
    assert len(found) == 1, f"{path}: {len(found)}"
    return found[0]


# --- identity and names


@given(anything, anything, anything)
def test_d22_names_add_nothing_to_the_document(scaler: str, name: str, profile: str) -> None:
    identity = ours(scaler=scaler, runner_name=name, profile=profile, image=profile)
    hostile = ET.fromstring(build(identity, FULL, uuid=UUID))
    assert [e.tag for e in hostile.iter()] == [e.tag for e in tree(FULL).iter()]
    assert identity_of(ET.tostring(hostile, encoding="unicode")) == identity
    assert hostile.findtext("name") == domain_name(name)


TEXTS = {
    "disk": lambda text: replace(FULL, disk=Disk(path=text)),
    "base": lambda text: replace(FULL, disk=Disk(path="/a", base=text)),
    "seed": lambda text: replace(FULL, seed=text),
    "log": lambda text: replace(FULL, log=text),
    "kernel": lambda text: replace(FULL, kernel=text),
    "initrd": lambda text: replace(FULL, initrd=text),
    "kernel_args": lambda text: replace(FULL, kernel_args=text),
    "cpu": lambda text: replace(FULL, cpu=text),
    "network": lambda text: replace(FULL, network=replace(NETWORK, name=text)),
    "mac": lambda text: replace(FULL, network=replace(NETWORK, mac=text)),
    "filter": lambda text: replace(FULL, network=replace(NETWORK, filter=text)),
}


@pytest.mark.parametrize("field", TEXTS)
@given(text=anything.filter(bool) | st.just(HOSTILE))
@settings(max_examples=30)
def test_d22_texts_of_the_settings_add_nothing_to_the_document(field: str, text: str) -> None:
    calm, shape = TEXTS[field]("calm"), TEXTS[field](text)
    try:
        xml = build(ours(), shape, uuid=UUID)
    except ValueError as error:
        assert "XML cannot" in str(error)  # noqa: PT017 - most texts raise nothing
        return
    assert [e.tag for e in ET.fromstring(xml).iter()] == [e.tag for e in tree(calm).iter()]
    values = [v for e in ET.fromstring(xml).iter() for v in (*e.attrib.values(), e.text)]
    assert " ".join(text.split()) in [" ".join((value or "").split()) for value in values]


def test_d22_a_text_that_xml_cannot_hold_is_refused() -> None:
    for text in ("a\0b", "a\ud800", "\x1b"):
        with pytest.raises(ValueError, match="XML cannot"):
            build(ours(), replace(FULL, kernel_args=text), uuid=UUID)


def test_the_config_itself_is_never_written() -> None:
    xml = build(ours(config_sha256=digest("s3cret-config")), Shape(), uuid=UUID)
    assert "s3cret" not in xml
    assert digest("s3cret-config") in xml


def test_another_namespace_is_somebody_elses() -> None:
    assert identity_of(build(ours(), Shape(), uuid=UUID).replace(NAMESPACE, "urn:other")) is None


# --- what it is made of


def test_a_disk_is_what_was_said_and_its_content_is_not_guessed() -> None:
    disk = one(tree(replace(FULL, seed="")), "devices/disk")
    assert one(disk, "source").get("file") == "/pool/a.disk"
    assert one(disk, "driver").get("type") == "qcow2"
    base = one(disk, "backingStore")
    assert one(base, "format").get("type") == "qcow2"
    assert one(base, "source").get("file") == "/pool/image"
    assert one(base, "source/seclabel").attrib == {"model": "dac", "relabel": "no"}
    assert one(base, "backingStore").attrib == {}  # nothing below: nobody looks for more


def test_only_a_builders_disk_is_waited_for() -> None:
    runner = one(tree(replace(FULL, seed="")), "devices/disk/driver")
    builder = one(tree(replace(FULL, seed=""), role="builder"), "devices/disk/driver")
    assert (runner.get("cache"), builder.get("cache")) == ("unsafe", None)


def test_a_seed_cannot_be_written_to_and_is_not_booted() -> None:
    disks = tree(FULL).findall("devices/disk")
    assert [each.get("device") for each in disks] == ["disk", "disk"]
    assert disks[1].find("readonly") is not None
    assert disks[1].findtext("serial") == "scaler-seed"
    sata = tree(replace(FULL, disk_bus="sata")).findall("devices/disk")
    assert [each.get("device") for each in sata] == ["disk", "cdrom"]
    assert one(sata[1], "target").attrib == {"dev": "sdb", "bus": "sata"}


def test_d17_an_interface_is_kept_to_its_addresses_and_from_its_neighbours() -> None:
    interface = one(tree(FULL), "devices/interface")
    assert one(interface, "mac").get("address") == NETWORK.mac
    assert one(interface, "source").get("network") == "default"
    assert one(interface, "filterref").get("filter") == "clean-traffic"
    assert one(interface, "filterref/parameter").attrib == {"name": "IP", "value": "10.0.0.5"}
    assert one(interface, "port").get("isolated") == "yes"


def test_d17_without_a_fixed_address_dhcp_says_which_it_is() -> None:
    network = replace(NETWORK, address="", learn_by_dhcp=True)
    told = one(tree(replace(FULL, network=network)), "devices/interface/filterref/parameter")
    assert told.attrib == {"name": "CTRL_IP_LEARNING", "value": "dhcp"}


def test_an_address_of_the_sixth_version_has_its_own_name() -> None:
    network = replace(NETWORK, address="fd00::5")
    told = one(tree(replace(FULL, network=network)), "devices/interface/filterref/parameter")
    assert told.attrib == {"name": "IPV6", "value": "fd00::5"}


def test_without_filter_and_isolation_there_is_none() -> None:
    root = tree(replace(FULL, network=Network(name="n", mac=NETWORK.mac)))
    assert root.find("devices/interface/filterref") is None
    assert root.find("devices/interface/port") is None


def test_d31_nothing_of_the_hosts_is_open_to_a_guest() -> None:
    root = tree(FULL)
    for tag in ("filesystem", "hostdev", "redirdev", "shmem", "input"):
        assert root.find(f"devices/{tag}") is None
    assert one(root, "devices/graphics/listen").get("type") == "socket"
    assert one(root, "devices/controller[@type='usb']").get("model") == "none"


def test_the_serial_line_is_written_down() -> None:
    assert one(tree(FULL), "devices/serial/log").attrib == {"file": "/pool/a.log", "append": "on"}
    assert tree(Shape()).find("devices/serial/log") is None


def test_hugepages_are_the_guests_memory() -> None:
    domain = tree(Shape(memory=1 << 20, hugepages_1g=3, kind="kvm"))
    assert domain.findtext("memory") == str(3 << 30)
    assert one(domain, "memoryBacking/hugepages/page").attrib == {"size": "1", "unit": "G"}


@pytest.mark.parametrize(
    ("kind", "cpu", "mode"),
    [
        ("kvm", "", "host-passthrough"),
        ("qemu", "", "maximum"),
        ("qemu", "host-passthrough", "maximum"),
        ("kvm", "max", "maximum"),
        ("kvm", "host-model", "host-model"),
        ("kvm", "EPYC", "custom"),
    ],
)
def test_which_processor_a_guest_has(kind: Any, cpu: str, mode: str) -> None:
    found = one(tree(Shape(kind=kind, cpu=cpu)), "cpu")
    assert found.get("mode") == mode
    assert found.findtext("model") == (cpu if mode == "custom" else None)


def test_a_machine_ends_when_it_powers_off_or_crashes() -> None:
    root = tree(Shape())
    assert [root.findtext(f"on_{e}") for e in ("poweroff", "reboot", "crash")] == [
        "destroy", "restart", "destroy",
    ]  # fmt: skip


def test_a_kernel_of_its_own_is_booted_directly() -> None:
    system = one(tree(FULL), "os")
    assert [system.findtext(tag) for tag in ("kernel", "initrd", "cmdline")] == [
        "/boot/vmlinuz", "/boot/initrd", "console=ttyS0",
    ]  # fmt: skip


def test_the_test_driver_has_what_was_asked_for_and_no_more() -> None:
    assert len(one(tree(Shape(kind="test")), "devices")) == 0
    tags = [each.tag for each in one(tree(replace(FULL, kind="test")), "devices")]
    assert tags == ["disk", "disk", "interface"]


def test_other_processors_get_no_boards_of_the_x86_family() -> None:
    root = tree(replace(FULL, arch="aarch64"))
    assert one(root, "os/type").attrib == {}
    assert root.find("features") is None
    assert one(root, "devices/video/model").get("type") == "virtio"
    assert root.find("devices/panic") is None


# --- libvirt's own words


@pytest.fixture
def connection() -> Iterator[Any]:
    opened = libvirt.open("test:///default")
    yield opened
    opened.close()


def validate(connection: Any, xml: str) -> str:
    """libvirt's own words about the XML, after it was held against libvirt's schema."""
    try:
        connection.createXML(xml, libvirt.VIR_DOMAIN_START_VALIDATE).destroy()
    except libvirt.libvirtError as error:
        return str(error)
    return ""


@given(name=anything)
@settings(max_examples=10, deadline=None)
def test_d22_libvirts_schema_is_kept_whatever_the_name(name: str) -> None:
    opened = libvirt.open("test:///default")
    identity = ours(scaler=name, runner_name=name, profile=name)
    assert validate(opened, build(identity, Shape(kind="test"), uuid=new_uuid())) == ""
    opened.close()


VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "test driver": {"kind": "test"},
    "kvm": {"kind": "kvm", "hugepages_1g": 1},
    "pc": {"machine": "pc", "kernel": "", "initrd": "", "kernel_args": ""},
    "scsi": {"disk_bus": "scsi"},
    "sata": {"disk_bus": "sata"},
    "no video": {"video": "none"},
    "virtio video": {"video": "virtio"},
    "named cpu": {"cpu": "EPYC"},
    "e1000": {"network": replace(NETWORK, model="e1000")},
    "learnt": {"network": replace(NETWORK, address="", learn_by_dhcp=True)},
    "hostile": {
        "disk": Disk(path=f"/{HOSTILE}"),
        "seed": f"/{HOSTILE}",
        "log": f"/{HOSTILE}",
        "kernel": f"/{HOSTILE}",
        "kernel_args": HOSTILE,
        "network": Network(name="n", mac=NETWORK.mac),
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_d22_libvirts_schema_is_kept(connection: Any, variant: str) -> None:
    shape = replace(FULL, **VARIANTS[variant])
    assert validate(connection, build(ours(), shape, uuid=new_uuid())) == ""


def test_libvirt_does_hold_it_against_its_schema(connection: Any) -> None:
    assert "schema" in validate(connection, "<domain type='test'><name>x</name><bogus/></domain>")
