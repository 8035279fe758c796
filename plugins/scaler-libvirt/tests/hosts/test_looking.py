"""A host is looked at whatever it is busy with, and what libvirt cannot tell costs one profile."""

from __future__ import annotations

import logging
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import libvirt
import pytest
import trio

from scaler import Profile, Size
from scaler_libvirt.hosts import networks, suitability, volumes
from scaler_libvirt.hosts.base import Base
from scaler_libvirt.hosts.conditions import NOT_LOOKED, Conditions, Wants, inspect
from scaler_libvirt.hosts.slots import Slots
from scaler_libvirt.hosts.suitability import EVERY, SPOILT, Suitability, enter_one
from scaler_libvirt.settings import HostSettings
from scaler_libvirt.testing import libvirt_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from scaler_libvirt.hosts.networks import Network, NetworkFacts

HOST = HostSettings(name="vm1", uri="qemu:///system")
PLAIN, NETWORKED = Wants(), Wants(network="default", fixed=True)
GUEST = """<domain type='kvm'><name>x</name><memory unit='GiB'>16</memory><vcpu>8</vcpu>
<devices><disk type='file' device='disk'><source file='/x'/></disk></devices></domain>"""


def says_no(code: int = libvirt.VIR_ERR_NO_SUPPORT) -> libvirt.libvirtError:
    error = libvirt_error("this function is not supported")
    error.err = (code, libvirt.VIR_FROM_NWFILTER, "this function is not supported", 2) + ("",) * 5
    return error


class Connection:
    """Answers what a test says, and counts the looks."""

    name = "vm1"
    up = True
    facts = SimpleNamespace(driver="QEMU")

    def __init__(self) -> None:
        self.looks: list[float] = []
        self.entered = 0
        self.answer: Callable[[], Conditions] = lambda: Conditions(looked=True)

    async def call(self, work: Any, **_: Any) -> Any:
        await trio.lowlevel.checkpoint()
        if work.func is enter_one:
            self.entered += 1
            return self.entered < 5
        self.looks.append(trio.current_time())
        return self.answer()


class World:
    """A suitability, with what it stands on."""

    def __init__(self, wants: Mapping[str, Wants], *, host: HostSettings = HOST) -> None:
        self.connection = Connection()
        self.busy = False
        self.changes = 0
        self.kind = SimpleNamespace(
            kind="kvm", given=lambda _: True, doubt=lambda text: "kvm" in text, asked=0
        )
        self.kind.find_out = self._find_out
        profiles = {name: Profile(name=name, max_count=4) for name in wants}
        ties: Any = SimpleNamespace(
            changed=self._changed,
            log=logging.LoggerAdapter(logging.getLogger("t"), {}),
            profiles=profiles,
        )
        self.it = Suitability(
            host,
            ties,
            wants,
            self.connection,  # type: ignore[arg-type]
            self.kind,  # type: ignore[arg-type]
            Slots("0123456789"),
            busy=lambda: self.busy,
        )

    async def _find_out(self, _: object) -> None:
        self.kind.asked += 1
        self.kind.kind = "kvm"

    def _changed(self) -> None:
        self.changes += 1


async def test_a_host_that_always_makes_something_is_looked_at_all_the_same(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World({"linux": NETWORKED})
    facts: Any = SimpleNamespace(name="default")
    world.connection.answer = lambda: Conditions(looked=True, networks={"default": facts})
    world.busy = True
    with trio.move_on_after(3600):
        await world.it.run()
    assert len(world.connection.looks) >= 3600 / EVERY - 2
    assert world.connection.entered == 0
    world.busy = False
    with trio.move_on_after(EVERY + 1):
        await world.it.run()
    assert world.connection.entered >= 5


async def test_what_spoke_against_a_profile_lapses_without_a_look(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World({"linux": PLAIN})
    world.it.conditions = Conditions(looked=True)
    world.it.spoilt("linux", "it could not be made")
    assert world.it.refusals() == {"linux": "it could not be made"}
    assert world.changes == 1
    await trio.sleep(SPOILT + 1)
    assert world.it.refusals() == {}


async def test_that_it_lapsed_is_told(autojump_clock: trio.testing.MockClock) -> None:
    world = World({"linux": PLAIN})
    world.it.spoilt("linux", "it could not be made")
    with trio.move_on_after(SPOILT + EVERY + 1):
        await world.it.run()
    assert world.changes == 2


async def test_a_host_that_was_never_looked_at_takes_nothing_that_needs_a_look(
    autojump_clock: trio.testing.MockClock,
) -> None:
    def fails() -> Conditions:
        raise says_no()

    world = World({"linux": NETWORKED, "disk": Wants(disks=True), "bare": PLAIN})
    world.connection.answer = fails
    await world.it.arrive()
    world.it.wake()
    assert world.it.refusals() == {"linux": NOT_LOOKED, "disk": NOT_LOOKED}
    world.connection.answer = lambda: Conditions(looked=True)
    with trio.move_on_after(EVERY + 1):
        await world.it.run()
    assert world.it.refusals() == {}
    assert world.changes == 1


async def test_kvm_that_failed_a_machine_is_looked_at_anew(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World({"linux": PLAIN})

    def doubt(text: str) -> bool:
        world.kind.kind = None
        return True

    world.kind.doubt = doubt
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.it.run)
        await trio.sleep(1)
        world.it.spoilt("linux", "Could not access KVM kernel module: Permission denied")
        await trio.sleep(1)
        assert world.kind.asked == 1
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("owner", "name", "said"),
    [
        (networks, "see_filter", "what its machines need cannot be looked at"),
        (volumes, "is_there", "what its machines need cannot be looked at"),
    ],
)
def test_an_error_of_libvirts_costs_the_profile_that_it_is_about_and_no_other(
    someone: Any, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, said: str
) -> None:
    def refuse(*_: Any) -> Any:
        raise says_no()

    monkeypatch.setattr(owner, name, refuse)
    wants = {
        "bad": replace(NETWORKED, filter="x")
        if owner is networks
        else Wants(disks=True, base=Base(path="/images/base.qcow2", format="qcow2")),
        "good": NETWORKED,
    }
    found = inspect(someone, "default-pool", wants)
    assert found.looked
    assert set(found.refusals) == {"bad"}
    assert said in found.refusals["bad"]
    assert "this function is not supported" in found.refusals["bad"]
    assert set(found.networks) == {"default"}


def test_a_network_that_cannot_be_read_costs_those_that_are_on_it(
    someone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def facts(network: Network) -> NetworkFacts:
        raise says_no()

    monkeypatch.setattr(networks, "facts", facts)
    found = inspect(someone, "default-pool", {"on": NETWORKED, "off": Wants(disks=True)})
    assert set(found.refusals) == {"on"}
    assert "network 'default' cannot be looked at" in found.refusals["on"]
    assert found.networks == {}


def test_where_the_connection_is_lost_nothing_is_said_of_anyone(
    someone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise says_no()

    monkeypatch.setattr(networks, "see_filter", refuse)
    monkeypatch.setattr("scaler_libvirt.hosts.conditions.lost", lambda *_: True)
    with pytest.raises(libvirt.libvirtError):
        inspect(someone, "default-pool", {"bad": replace(NETWORKED, filter="x")})


async def test_what_a_guest_xml_takes_is_counted_or_refused(someone: Any, tmp_path: Path) -> None:
    path = tmp_path / "guest.xml"
    path.write_text(GUEST)
    limited = replace(HOST, memory=Size(32 << 30))
    for host, resources, refused in [
        (limited, {}, True),
        (limited, {"vcpus": 8}, True),
        (limited, {"memory": 4 << 30}, False),
        (limited, {"hugepages_1g": 4}, False),
        (HOST, {}, False),
    ]:
        profile = Profile(name="linux", resources=resources)
        wants = replace(PLAIN, guest=path, uncounted=suitability._uncounted(host, profile))
        found = inspect(someone, "default-pool", {"linux": wants}).refusals
        assert bool(found) == refused, (host, resources)
        if refused:
            assert "takes memory of the host" in found["linux"]
            assert 'set memory = "16G" in the profile\'s resources' in found["linux"]


def test_slots_are_entered_one_by_one_and_those_of_others_passed_over(
    someone: Any, network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = Slots("0123456789")
    real = networks.add_host
    refused: list[networks.Entry] = []

    def add(network: Network, entry: networks.Entry) -> bool:
        if not refused:
            refused.append(entry)
            return False
        return real(network, entry)

    monkeypatch.setattr(networks, "add_host", add)
    assert enter_one(someone, "default", slots, 2)
    monkeypatch.undo()
    assert refused[0] not in networks.facts(network).entries
    assert enter_one(someone, "default", slots, 2)
    assert not enter_one(someone, "default", slots, 2)
    assert len(networks.facts(network).entries) == 2
