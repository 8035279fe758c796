"""A machine's XML and the identity in it, for any names whatever."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import libvirt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler_libvirt.machine.domain import (
    NAMESPACE,
    Identity,
    Shape,
    build,
    digest,
    domain_name,
    identity_of,
    new_uuid,
    read_identity,
)

anything = st.text(st.characters(exclude_categories=()))  # lone surrogates and NUL too
identities = st.builds(
    Identity,
    scaler=anything,
    runner=st.none() | st.integers(1, 2**62),
    runner_name=anything,
    profile=anything,
    generation=st.integers(0, 2**62),
    config_sha256=anything.map(digest),
)
HOSTILE = "x'\"/><devices><filesystem/></devices>\0\n&amp;]]>../../etc -h"


def ours(**changes: Any) -> Identity:
    values: dict[str, Any] = {"scaler": "here", "runner": 7, "runner_name": "linux.7@here"}
    return Identity(**{**values, **changes})


@given(identities)
def test_an_identity_survives_the_xml(identity: Identity) -> None:
    xml = build(identity, Shape(), kind="test", uuid=new_uuid())
    assert identity_of(xml) == identity


@given(identities)
def test_names_add_nothing_to_the_document(identity: Identity) -> None:
    hostile = ET.fromstring(build(identity, Shape(), kind="qemu", uuid=new_uuid()))
    plain = ET.fromstring(build(ours(), Shape(), kind="qemu", uuid=new_uuid()))
    assert [e.tag for e in hostile.iter()] == [e.tag for e in plain.iter()]


@given(anything)
def test_a_domain_name_is_safe_everywhere(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,49}", domain_name(name), re.ASCII)


@given(anything, anything)
def test_two_runners_never_share_a_domain_name(one: str, other: str) -> None:
    assert (domain_name(one) == domain_name(other)) == (one == other)


def test_near_misses_have_names_of_their_own() -> None:
    assert domain_name("a.1@x") != domain_name("a-1@x") != domain_name("A.1@x")


@given(st.text())
def test_strange_metadata_is_somebody_elses(text: str) -> None:
    assert read_identity(text) is None


@pytest.mark.parametrize(
    "attributes",
    [
        {"runner": "7"},  # no generation
        {"generation": "1", "runner": "٣"},
        {"generation": "1", "runner": "1_0"},
        {"generation": "1", "runner": "-1"},
        {"generation": "1", "runner": "9" * 20},
        {"generation": "", "runner": "7"},
        {"generation": "1", "runner": "7", "scaler": "%ff"},
    ],
)
def test_an_identity_that_we_would_not_write_is_none(attributes: dict[str, str]) -> None:
    element = ET.Element(f"{{{NAMESPACE}}}machine", {"scaler": "here", **attributes})
    assert read_identity(ET.tostring(element, encoding="unicode")) is None


def test_another_namespace_is_somebody_elses() -> None:
    xml = build(ours(), Shape(), kind="test", uuid=new_uuid())
    assert identity_of(xml.replace(NAMESPACE, "urn:other")) is None


def test_the_config_itself_is_never_written() -> None:
    xml = build(ours(config_sha256=digest("s3cret-config")), Shape(), kind="test", uuid=new_uuid())
    assert "s3cret" not in xml
    assert digest("s3cret-config") in xml


def test_the_base_image_is_never_written_to() -> None:
    shape = Shape(base_image="/images/jammy & co.qcow2")
    disk = ET.fromstring(build(ours(), shape, kind="qemu", uuid=new_uuid())).find("devices/disk")
    assert disk is not None
    transient, driver, source = disk.find("transient"), disk.find("driver"), disk.find("source")
    assert transient is not None
    assert driver is not None
    assert source is not None
    assert transient.get("shareBacking") == "yes"
    assert driver.get("type") == "qcow2"
    assert source.get("file") == "/images/jammy & co.qcow2"


def test_hugepages_are_the_guests_memory() -> None:
    shape = Shape(memory=1 << 20, hugepages_1g=3)
    domain = ET.fromstring(build(ours(), shape, kind="kvm", uuid=new_uuid()))
    assert domain.findtext("memory") == str(3 << 30)
    assert domain.find("memoryBacking/hugepages/page") is not None


def test_the_test_driver_has_no_disks() -> None:
    shape = Shape(base_image="/images/jammy.img")
    assert "disk" not in build(ours(), shape, kind="test", uuid=new_uuid())


def validate(connection: Any, xml: str) -> str:
    """libvirt's own words about the XML, after it was held against libvirt's schema."""
    try:
        connection.createXML(xml, libvirt.VIR_DOMAIN_START_VALIDATE).destroy()
    except libvirt.libvirtError as error:
        return str(error)
    return ""


@given(name=anything)
@settings(max_examples=10, deadline=None)
def test_libvirts_schema_is_kept_whatever_the_name(name: str) -> None:
    connection = libvirt.open("test:///default")
    identity = ours(scaler=name, runner_name=name, profile=name)
    assert validate(connection, build(identity, Shape(), kind="test", uuid=new_uuid())) == ""
    connection.close()


@pytest.mark.parametrize("kind", ["qemu", "kvm"])
def test_libvirts_schema_is_kept_for_qemu(kind: Any) -> None:
    connection = libvirt.open("test:///default")
    shape = Shape(memory=1 << 30, vcpus=2, hugepages_1g=1, base_image=f"/images/{HOSTILE[:12]}.img")
    told = validate(connection, build(ours(), shape, kind=kind, uuid=new_uuid()))
    connection.close()
    assert told == ""


def test_libvirt_does_hold_it_against_its_schema() -> None:
    connection = libvirt.open("test:///default")
    assert "schema" in validate(connection, "<domain type='test'><name>x</name><bogus/></domain>")
    connection.close()
