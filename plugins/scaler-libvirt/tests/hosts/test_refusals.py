"""What keeps a profile from a host is said, costs no other profile, and mends by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler import NoRoom, Profile, Size
from scaler_libvirt.hosts import suitability, volumes
from scaler_libvirt.hosts.acceleration import Acceleration
from scaler_libvirt.hosts.base import BaseMissingError
from scaler_libvirt.plugin import Libvirt
from scaler_libvirt.settings import HostSettings, ProfileConfig
from scaler_libvirt.testing import Listener, context_for
from scaler_libvirt.testing_disks import LOCAL, OWN, QUICK, left_in, plugin_with

if TYPE_CHECKING:
    from pathlib import Path

    from scaler_libvirt.hosts.driver import Facts


async def refusals(plugin: Libvirt) -> dict[str, str]:
    (room,) = await plugin.capacity()
    return dict(room.refuses)


async def test_each_thing_that_is_missing_is_named_and_the_others_go_on(
    serving: Any, runner: Any, registration: Any, tmp_path: Path
) -> None:
    broken = tmp_path / "guest.xml"
    broken.write_text("<domain>")
    listener = Listener()
    plugin = plugin_with(
        listener,
        volume=ProfileConfig(base_image="nobody.qcow2"),
        network=ProfileConfig(network="nowhere"),
        guest=ProfileConfig(base_image="/images/base.qcow2", guest_xml=broken),
        bare=ProfileConfig(),
    )
    async with serving(plugin):
        found = await refusals(plugin)
        assert set(found) == {"volume", "network", "guest"}
        assert "'nobody.qcow2' is no volume of pool 'default-pool'" in found["volume"]
        assert "virsh vol-upload" in found["volume"]
        assert "there is no network 'nowhere'" in found["network"]
        assert "is not XML" in found["guest"]
        text, ok, facts = listener.reports[-1]
        assert not ok
        assert facts["refuses"] == {"local": found}
        assert "not for volume: 'nobody.qcow2'" in text
        one = runner()
        await plugin.provision_runner(one, registration(one))
        await plugin.destroy_runner(one)


async def test_a_disk_smaller_than_its_base_is_refused(
    pool: Any, serving: Any, runner: Any, registration: Any
) -> None:
    volumes.create_filled(pool, "base.raw", b"x" * 4096)
    own = ProfileConfig(base_image="base.raw", disk_size=Size(1024))
    async with serving(plugin := plugin_with(Listener(), own=own)):
        wanted = "disk_size: found 1024 bytes, wanted 4096 at least"
        assert wanted in (await refusals(plugin))["linux"]
        one = runner()
        with pytest.raises(NoRoom, match=wanted):
            await plugin.provision_runner(one, registration(one))
        assert left_in(pool) == []


async def test_a_pool_that_is_not_active_is_named_and_what_is_mended_is_noticed(
    pool: Any,
    serving: Any,
    runner: Any,
    registration: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(suitability, "EVERY", 0.1)
    listener, one = Listener(), runner()
    async with serving(plugin := plugin_with(listener, bare=ProfileConfig())):
        assert await refusals(plugin) == {}
        pool.destroy()
        assert "virsh pool-start default-pool" in await listener.said("is not active", within=5)
        assert set(await refusals(plugin)) == {"linux"}
        other = runner(8, profile="bare")
        await plugin.provision_runner(other, registration(other))
        pool.create()
        await listener.reported(ok=True, within=5)
        assert await refusals(plugin) == {}
        await plugin.provision_runner(one, registration(one))
        for each in (one, other):
            await plugin.destroy_runner(each)


async def test_what_only_a_making_shows_is_a_refusal_for_a_while(
    serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suitability, "EVERY", 0.1)
    monkeypatch.setattr(suitability, "SPOILT", 2.0)
    listener, one = Listener(), runner()

    def missing(*_: Any) -> str:
        raise BaseMissingError("the base /images/base.qcow2 cannot be used: no such file")

    async with serving(plugin := plugin_with(listener)):
        with monkeypatch.context() as patch:
            patch.setattr(volumes, "create_overlay", missing)
            with pytest.raises(NoRoom, match="cannot be used: no such file"):
                await plugin.provision_runner(one, registration(one))
        assert "cannot be used" in (await refusals(plugin))["linux"]
        await listener.reported(ok=True, within=10)
        assert await refusals(plugin) == {}


async def test_until_it_is_known_how_machines_run_none_is_made(
    serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, one, known = Listener(), runner(), trio.Event()

    def unknown(self: Acceleration, facts: Facts) -> bool:
        return self.kind is not None

    async def find_out(self: Acceleration, connection: Any) -> None:
        await known.wait()
        self.kind = "test"
        self.text = "no KVM, so guests are emulated: it was tried"

    monkeypatch.setattr(Acceleration, "given", unknown)
    monkeypatch.setattr(Acceleration, "find_out", find_out)
    async with serving(plugin := plugin_with(listener)):
        assert set((await refusals(plugin)).values()) == {
            "it is being found out whether KVM works there"
        }
        with pytest.raises(NoRoom, match="being found out"):
            await plugin.provision_runner(one, registration(one))
        known.set()
        text = await listener.said("no KVM, so guests are emulated", within=5)
        assert text == "local up, no KVM, so guests are emulated: it was tried"
        assert listener.reports[-1][1]
        await plugin.provision_runner(one, registration(one))
        await plugin.destroy_runner(one)


async def test_guests_are_known_by_their_addresses_on_one_host_only(serving: Any) -> None:
    own = replace(OWN, identify="address")
    hosts = (
        HostSettings(name="one", uri="test:///default"),
        HostSettings(name="two", uri="test:///default"),
    )
    context = context_for(
        Listener(), *hosts, profiles={"linux": Profile(name="linux")}, own={"linux": own}
    )
    async with serving(plugin := Libvirt(context, pace=QUICK)):
        one, two = await plugin.capacity()
        assert one.refuses == {}
        assert 'set identify = "secret"' in two.refuses["linux"]


@pytest.mark.parametrize(
    ("uri", "url", "why"),
    [
        ("qemu+ssh://vm2/system", "", "set guest_url on this host"),
        ("qemu+ssh://vm2/system", "http://10.0.0.1:8000/", ""),
        ("qemu:///system", "", ""),
    ],
)
async def test_what_guests_reach_scaler_as_is_never_guessed_for_another_machine(
    uri: str, url: str, why: str
) -> None:
    host = HostSettings(name="vm2", uri=uri, guest_url=url)
    plugin = plugin_with(Listener(), host=host)
    wants = plugin._hosts["vm2"].orders.wants(OWN)
    assert why in wants.why_not
    assert bool(wants.why_not) == bool(why)


async def test_what_a_profile_takes_is_taken_off_what_is_free() -> None:
    host = replace(LOCAL, memory=Size(8 << 30), vcpus=4)
    plugin = plugin_with(Listener(), host=host)
    assert plugin._hosts["local"].free() == {"memory": 8 << 30, "vcpus": 4}


async def test_what_machines_take_is_known_after_a_restart(
    someone: Any, serving: Any, runner: Any, registration: Any
) -> None:
    host = replace(LOCAL, memory=Size(8 << 30), vcpus=4)
    one = runner(resources={"memory": 3 << 30, "vcpus": 1})
    async with serving(plugin := plugin_with(Listener(), host=host)):
        await plugin.provision_runner(one, registration(one))
    async with serving(plugin := plugin_with(Listener(), host=host)):
        assert plugin._hosts["local"].free() == {"memory": 5 << 30, "vcpus": 3}
        await plugin.destroy_runner(one)
