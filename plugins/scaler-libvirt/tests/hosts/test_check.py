"""What `scaler check` says of pools, networks, disks and guest.xml."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scaler import Size
from scaler_libvirt import findings, hosts
from scaler_libvirt.findings import check_guests
from scaler_libvirt.hosts import base, disks, volumes
from scaler_libvirt.hosts.base import Base
from scaler_libvirt.settings import ProfileConfig
from scaler_libvirt.testing import Listener
from scaler_libvirt.testing_disks import OWN, plugin_with

if TYPE_CHECKING:
    from collections.abc import Iterator

GUEST = """<domain type='kvm'><name>x</name><memory unit='MiB'>512</memory><devices>{}
<interface type='network'><source network='default'/></interface>
<disk type='file' device='disk'><source file='/x'/><target dev='vda'/></disk></devices></domain>"""


async def test_what_is_wrong_is_told_once_for_all_profiles_that_it_concerns(tmp_path: Path) -> None:
    plugin = plugin_with(
        Listener(),
        a=ProfileConfig(network="nowhere"),
        b=ProfileConfig(network="nowhere"),
        small=ProfileConfig(base_image="nobody.img", disk_size=Size(1)),
    )
    _, *found = await plugin.check()
    assert [(each.ok, each.text, each.fix) for each in found] == [
        (
            False,
            "host local takes nothing of a, b: there is no network 'nowhere'",
            "make one (virsh net-define), or name another as network in [plugins.libvirt] hosts",
        ),
        (
            False,
            "host local takes nothing of small: 'nobody.img' is no volume of pool 'default-pool'",
            "put it there (virsh vol-upload), or give the path of a disk on the hypervisor",
        ),
    ]


async def test_a_host_that_has_it_all_is_said_to(someone: Any) -> None:
    found = await plugin_with(Listener(), own=OWN).check()
    assert [each.ok for each in found] == [True, True]
    assert found[1].text == "host local has what it takes for linux"


@pytest.mark.parametrize(
    ("holds", "kind", "told"),
    [
        ("qcow2", "qcow2", ""),
        ("raw", "raw", ""),
        ("", "qcow2", ""),
        ("qcow2", "raw", "is a qcow2 image, and is taken for a raw one by its name"),
        ("raw", "qcow2", "is no qcow2 image, as its name says"),
    ],
)
def test_a_disks_name_says_what_it_holds_or_it_is_told(holds: Any, kind: Any, told: str) -> None:
    disk = disks.Disk(path="/x", size=1, holds=holds)
    why = disks.wrong(disk, Base(path="/x", format=kind))
    assert told in why
    assert bool(why) == bool(told)


def test_a_guest_xml_is_read_and_what_opens_the_host_is_named(tmp_path: Path) -> None:
    good, open_, bad = (tmp_path / name for name in ("good.xml", "open.xml", "bad.xml"))
    good.write_text(GUEST.format(""))
    open_.write_text(
        GUEST.format("<filesystem><source dir='/srv'/><target dir='srv'/></filesystem>")
    )
    bad.write_text("<network/>")
    found = check_guests(
        {
            str(number): ProfileConfig(base_image="/b.qcow2", guest_xml=path)
            for number, path in enumerate((good, open_, bad, tmp_path / "none", good))
        }
    )
    assert [(each.ok, each.need) for each in found] == [
        (True, "required"),
        (False, "useful"),
        (False, "required"),
        (False, "required"),
    ]
    assert "/srv" in found[1].text
    assert "wanted <domain>" in found[2].text
    assert "cannot be read" in found[3].text


def test_an_address_that_guests_tell_themselves_is_named() -> None:
    own = ProfileConfig(base_image="/b", identify="address", address="agent")
    (found,) = check_guests({"linux": own, "other": OWN})
    assert (found.ok, found.need) == (False, "useful")
    assert "linux" in found.text


def test_every_remedy_in_what_a_host_refuses_a_profile_for_is_known_as_one() -> None:
    texts = [text for path in Path(hosts.__path__[0]).glob("*.py") for text in refusals_in(path)]
    last = [text.rpartition(": ")[2] for text in texts if ": " in text]
    remedies = [part for part in last if not part.startswith(("found ", "{}"))]
    assert len(remedies) > 5
    assert [part for part in remedies if not part.startswith(findings._HOW)] == []


def refusals_in(path: Path) -> Iterator[str]:
    """The texts of errors of this kind that a file makes, "{}" for what is filled in."""
    for call in ast.walk(ast.parse(path.read_text())):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        name = ast.unparse(call.func).rpartition(".")[2]
        kind = getattr(base, name, None) or getattr(volumes, name, None)
        if isinstance(kind, type) and issubclass(kind, base.CannotBeMadeError):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}"
                for part in getattr(call.args[0], "values", [call.args[0]])
            )
