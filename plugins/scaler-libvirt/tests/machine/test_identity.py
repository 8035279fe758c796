"""Whose a machine is, written and read for any names whatever."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_libvirt.machine.identity import (
    NAMESPACE,
    TAG,
    Identity,
    digest,
    domain_name,
    identity_element,
    mac_of,
    new_key,
    new_uuid,
    read_identity,
)

anything = st.text(st.characters(exclude_categories=()))  # lone surrogates and NUL too
ADDRESSES = st.sampled_from(["", "10.0.0.5", "192.168.122.17", "fd00::17"])
identities = st.builds(
    Identity,
    scaler=anything,
    runner=st.none() | st.integers(1, 2**62),
    runner_name=anything,
    profile=anything,
    generation=st.integers(0, 2**62),
    config_sha256=anything.map(digest),
    role=st.sampled_from(["runner", "builder", "smoke", "probe"]),
    image=anything,
    key_sha256=st.just("") | anything.map(digest),
    mac=st.just("") | anything.map(mac_of),
    address=ADDRESSES,
    resources=st.dictionaries(anything, st.integers(0, 2**60), max_size=4),
    delivered=st.booleans(),
)


def written(identity: Identity) -> str:
    return ET.tostring(identity_element(identity), encoding="unicode")


def ours(**changes: Any) -> Identity:
    values: dict[str, Any] = {"scaler": "here", "runner": 7, "runner_name": "linux.7@here"}
    return Identity(**{**values, **changes})


def element(**attributes: str) -> str:
    named = {name.replace("_", "-"): value for name, value in attributes.items()}
    return ET.tostring(ET.Element(TAG, {"scaler": "here", **named}), encoding="unicode")


@given(identities)
def test_an_identity_survives_the_xml(identity: Identity) -> None:
    assert read_identity(written(identity)) == identity


@given(identities)
def test_d22_an_identity_is_one_element_whatever_the_names(identity: Identity) -> None:
    root = ET.fromstring(written(identity))
    assert (root.tag, len(root), root.text) == (TAG, 0, None)


def test_a_machine_of_an_older_scaler_is_adopted() -> None:
    old = element(
        runner="7", name="linux.7@here", profile="linux", generation="5", config_sha256="ab"
    )
    assert read_identity(old) == ours(profile="linux", generation=5, config_sha256="ab")


def test_an_older_scalers_builder_is_one() -> None:
    found = read_identity(element(generation="5"))
    assert found is not None
    assert (found.runner, found.role) == (None, "builder")


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
        {"generation": "1", "role": "king"},
        {"generation": "1", "mac": "52:00:00:00:00"},
        {"generation": "1", "address": "10.0.0.256"},
        {"generation": "1", "address": "FD00::1"},
        {"generation": "1", "key_sha256": "abc"},
        {"generation": "1", "delivered": "true"},
        {"generation": "1", "resources": "memory"},
        {"generation": "1", "resources": "memory=1e9"},
    ],
    ids=lambda attributes: " ".join(attributes),
)
def test_an_identity_that_we_would_not_write_is_none(attributes: dict[str, str]) -> None:
    assert read_identity(element(**attributes)) is None


def test_another_namespace_is_somebody_elses() -> None:
    assert read_identity(written(ours()).replace(NAMESPACE, "urn:other")) is None


@given(anything)
def test_d23_a_domain_name_is_safe_everywhere(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,49}", domain_name(name), re.ASCII)


@pytest.mark.parametrize("name", ["-h", "--help", "a b", "a\nb", "", "../../etc", "$(id)", "é"])
def test_d23_a_domain_name_is_no_option_and_no_path(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*-[0-9a-f]{10}", domain_name(name), re.ASCII)


@given(anything, anything)
def test_two_runners_never_share_a_domain_name(one: str, other: str) -> None:
    assert (domain_name(one) == domain_name(other)) == (one == other)


def test_near_misses_have_names_of_their_own() -> None:
    assert domain_name("a.1@x") != domain_name("a-1@x") != domain_name("A.1@x")


def test_d17_a_hardware_address_is_local_one_stations_and_the_machines_own() -> None:
    uuids = [new_uuid() for _ in range(1000)]
    macs = {mac_of(uuid) for uuid in uuids}
    assert len(macs) == len(uuids)
    for mac in macs:
        assert re.fullmatch(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", mac)
        first = int(mac[:2], 16)
        assert first & 0b10
        assert not first & 0b01
    assert mac_of(uuids[0]) == mac_of(uuids[0])


def test_d17_a_key_cannot_be_guessed_and_goes_into_a_url_as_it_is() -> None:
    keys = {new_key() for _ in range(1000)}
    assert len(keys) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", key) for key in keys)  # 192 bits
