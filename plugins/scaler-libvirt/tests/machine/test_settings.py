"""What the settings of a profile and a host refuse, each with words that help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler import Duration, Size
from scaler_libvirt.settings import Config, HostSettings, ProfileConfig

GUEST = Path("/etc/scaler/guest.xml")


def test_what_was_good_before_still_is() -> None:
    host = HostSettings(name="vm1", uri="qemu:///system", memory=Size(1), acceleration="none")
    assert host.pool_name == "default"
    ProfileConfig()
    ProfileConfig(base_image="/var/lib/libvirt/images/jammy.img")


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"base_image": "images/a.img"}, "base_image", "absolute path on the hypervisor, or the"),
        ({"base_image": "/a", "source_image": "/b"}, "source_image", "one of the two"),
        ({"source_image": "../b"}, "source_image", "absolute path"),
        ({"kernel": "vmlinuz"}, "kernel", "absolute path"),
        ({"initrd": "/initrd"}, "initrd", "give kernel too"),
        ({"kernel_args": "quiet"}, "kernel_args", "give kernel too"),
        ({"kernel": "/k", "kernel_args": "a\0b"}, "kernel_args", "one line of text"),
        ({"network": "a\nb"}, "network", "one line of text"),
        ({"network_filter": "\ud800"}, "network_filter", "one line of text"),
        ({"network": "none"}, "network", 'jit_delivery = "seed"'),
        (
            {"network": "none", "jit_delivery": "seed", "guest_xml": GUEST},
            "network",
            "<interface> out of it",
        ),
        ({"guest_xml": GUEST, "video": "none"}, "video", "take out video"),
        ({"guest_xml": GUEST, "kernel": "/k", "cpu": "max"}, "cpu", "take out cpu, kernel"),
        ({"cpu": "<model/>"}, "cpu", "host-passthrough"),
        ({"cpu": "-h"}, "cpu", "host-passthrough"),
        ({"base_image_max_age": Duration(60)}, "base_image_max_age", "source_image"),
        ({"base_image": "/a", "keep_images": 3}, "keep_images", "source_image"),
        ({"source_image": "/a", "keep_images": -1}, "keep_images", "0 or more"),
        ({"source_image": "/a", "build_timeout": Duration(0)}, "build_timeout", "how long"),
        ({"disk_size": Size(0)}, "disk_size", "20G"),
    ],
)
def test_a_profile_says_what_is_wrong_and_where(
    given: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{field}: ") as told:
        ProfileConfig(**given)
    assert words in str(told.value)


@pytest.mark.parametrize(
    "given",
    [
        {"base_image": "jammy.qcow2"},
        {"base_image": "a b <x>.img"},
        {"source_image": "/a", "keep_images": 0, "base_image_max_age": Duration(60)},
        {"kernel": "/k", "initrd": "/i", "kernel_args": "console=ttyS0 \"<x>'"},
        {"guest_xml": GUEST, "network": "guests", "isolated": False, "disk_size": Size(1 << 30)},
        {"network": "none", "jit_delivery": "seed"},
        {"cpu": "EPYC-Rome-v2"},
    ],
)
def test_what_goes_together_is_taken(given: dict[str, Any]) -> None:
    ProfileConfig(**given)


@pytest.mark.parametrize(
    "url",
    [
        "10.0.0.1:8000",
        "ftp://a/",
        "http://",
        "http://a b/",
        'http://a/"',
        "http://a/\\",
        "http://a/?x=1",
        "http://a/#x",
        "http://u:p@a/",
        "http://a:99999/",
        "http://a:0/",
        "http://a/\nb",
        "http://[::1",
        "http://ä/",
    ],
)
def test_a_guest_url_is_one_that_a_guest_can_use(url: str) -> None:
    with pytest.raises(ValueError, match=r"^guest_url: "):
        HostSettings(name="a", uri="qemu:///system", guest_url=url)
    with pytest.raises(ValueError, match=r"^guest_url: "):
        Config(guest_url=url)


@pytest.mark.parametrize("url", ["", "http://10.0.0.1:8000", "https://a.b/c/", "http://[fd00::1]/"])
def test_a_good_guest_url_is_taken(url: str) -> None:
    assert HostSettings(name="a", uri="qemu:///system", guest_url=url).guest_url == url


@given(st.text())
def test_strange_texts_are_told_not_raised_otherwise(text: str) -> None:
    for field in ("base_image", "kernel", "network", "network_filter", "cpu"):
        try:
            ProfileConfig(**{field: text})  # type: ignore[arg-type]
        except ValueError as error:
            assert str(error).startswith(("network: ", f"{field}: "))  # noqa: PT017


@pytest.mark.parametrize(
    ("uri", "test", "local"),
    [
        ("test:///default", True, True),
        ("qemu:///system", False, True),
        ("qemu+unix:///system?socket=/run/x", False, True),
        ("qemu+ssh://root@vm2/system", False, False),
        ("qemu://vm2/system", False, False),
        ("strange://[", False, True),
    ],
)
def test_where_libvirt_runs(uri: str, test: bool, local: bool) -> None:
    host = HostSettings(name="a", uri=uri)
    assert (host.test_driver, host.local) == (test, local)
    assert host.pool_name == ("default-pool" if test else "default")


@pytest.mark.parametrize(
    ("host", "own", "found"),
    [
        ("", "", "default"),
        ("guests", "", "guests"),
        ("guests", "mine", "mine"),
        ("guests", "none", ""),
        ("none", "", ""),
        ("none", "mine", "mine"),
    ],
)
def test_which_network_a_machine_is_on(host: str, own: str, found: str) -> None:
    assert HostSettings(name="a", uri="qemu:///system", network=host).network_for(own) == found


def test_the_test_driver_has_no_network_unless_it_is_named() -> None:
    assert HostSettings(name="a", uri="test:///default").network_for("") == ""
    assert HostSettings(name="a", uri="test:///default", network="n").network_for("") == "n"
