"""Names on a hypervisor: read back exactly, and nobody else's is taken for ours."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_libvirt.machine.identity import new_uuid
from scaler_libvirt.machine.names import (
    ImageName,
    Volume,
    entry_name,
    image_name,
    parse_entry,
    parse_image,
    parse_volume,
    tag_of,
    volume_name,
    volume_names,
)

TAG = tag_of("here")
UUID = "0d9c1c9c-6a2f-4d4e-9d0c-1c2b3a495867"
profiles = st.from_regex(r"[a-z0-9][a-z0-9-]{0,49}", fullmatch=True)
runners = st.none() | st.integers(1, 10**18)
kinds = st.sampled_from(["disk", "seed", "log", "nvram"])
volumes = st.builds(Volume, kind=kinds, runner=runners, profile=profiles, uuid=st.uuids().map(str))


@given(volumes)
def test_a_volumes_name_is_read_back(volume: Volume) -> None:
    name = volume_name(TAG, volume)
    assert parse_volume(name, TAG) == volume
    assert parse_image(name, TAG) is None
    assert re.fullmatch(r"[a-z][a-z0-9.-]{0,254}", name, re.ASCII)


@given(profiles, st.integers(1, 10**18))
def test_an_images_name_is_read_back(profile: str, number: int) -> None:
    name = image_name(TAG, profile, number)
    assert parse_image(name, TAG) == ImageName(profile=profile, number=number)
    assert parse_volume(name, TAG) is None
    assert re.fullmatch(r"[a-z][a-z0-9.-]{0,254}", name, re.ASCII)


@given(st.text(), st.text())
def test_only_a_scalers_own_names_are_its_own(one: str, other: str) -> None:
    volume = volume_names(tag_of(one), 7, "linux", UUID)["disk"]
    assert (parse_volume(volume, tag_of(other)) is not None) == (one == other)
    image = image_name(tag_of(one), "linux", 1)
    assert (parse_image(image, tag_of(other)) is not None) == (one == other)
    entry = entry_name(tag_of(one), UUID)
    assert (parse_entry(entry, tag_of(other)) is not None) == (one == other)


@given(st.text())
def test_other_peoples_names_are_not_ours(name: str) -> None:
    assert parse_volume(name, TAG) is None
    assert parse_image(name, TAG) is None
    assert parse_entry(name, TAG) is None


GOOD = f"scaler-{TAG}-7-linux-{UUID}.disk"


@pytest.mark.parametrize(
    "name",
    [
        GOOD.upper(),
        f"{GOOD}\n",
        f" {GOOD}",
        f"{GOOD}.1",
        GOOD.replace("-7-", "-07-"),
        GOOD.replace("-7-", "-0-"),
        GOOD.replace("-7-", "-٣-"),
        GOOD.replace("linux", "../linux"),
        GOOD.replace("linux", "-linux"),
        GOOD.replace(".disk", ".qcow2"),
        GOOD.replace(UUID, UUID[:-1]),
    ],
)
def test_near_misses_are_not_ours(name: str) -> None:
    assert parse_volume(GOOD, TAG) is not None
    assert parse_volume(name, TAG) is None


def test_the_parts_of_a_log_that_grew_are_known() -> None:
    part = parse_volume(f"scaler-{TAG}-7-linux-{UUID}.log.2", TAG)
    assert part == Volume(kind="log", runner=7, profile="linux", uuid=UUID, part=2)
    assert volume_name(TAG, part).endswith(".log.2")


@pytest.mark.parametrize("profile", ["", "-x", "a/b", "a b", "A", "a\n", "ä", "x" * 51])
def test_d23_what_cannot_stand_in_a_name_is_refused(profile: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        volume_names(TAG, 7, profile, UUID)
    with pytest.raises(ValueError, match="no name"):
        image_name(TAG, profile, 1)


def test_an_entry_of_a_network_is_a_dns_label() -> None:
    uuid = new_uuid()
    name = entry_name(TAG, uuid)
    assert len(name) <= 63
    assert re.fullmatch(r"[a-z0-9-]+", name)
    assert parse_entry(name, TAG) == uuid
