"""What happens to machines: paused, out of disk space, begun anew, their addresses learnt."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import libvirt
import pytest
import trio

from scaler_libvirt.hosts import driver, life
from scaler_libvirt.hosts.builders import Builders
from scaler_libvirt.hosts.events import REBOOTED, LifecycleEvent
from scaler_libvirt.settings import HostSettings, ProfileConfig
from scaler_libvirt.testing import Listener
from scaler_libvirt.testing_disks import LOCAL, plugin_with


async def told(listener: Listener, **facts: Any) -> Any:
    """Wait until a machine with such facts was told."""
    with trio.fail_after(30):
        while True:
            last = listener.machines[-1]
            if all(last.facts.get(name) == value for name, value in facts.items()):
                return last
            await listener.news()


async def test_one_that_someone_pauses_is_shown_and_left_alone(
    someone: Any, serving: Any, runner: Any, registration: Any
) -> None:
    listener, one = Listener(), runner()
    async with serving(plugin := plugin_with(listener)):
        machine = await plugin.provision_runner(one, registration(one))
        domain = someone.lookupByUUIDString(machine.id)
        domain.suspend()
        last = await told(listener, paused="it stands still: someone paused it")
        assert last.state == "running"
        assert await plugin.list_machines() == [last]
        assert domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED
        domain.resume()
        assert await told(listener, paused=None) == machine
        await plugin.destroy_runner(one)


async def test_one_without_disk_space_is_helped_on_and_shown(
    someone: Any,
    serving: Any,
    runner: Any,
    registration: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(life, "AGAIN", 1.0)
    monkeypatch.setattr(driver, "why_paused", lambda _reason: "space")  # so says every look
    listener, one = Listener(), runner()
    async with serving(plugin := plugin_with(listener)):
        machine = await plugin.provision_runner(one, registration(one))
        domain = someone.lookupByUUIDString(machine.id)
        domain.suspend()
        await told(listener, paused="it stands still: someone paused it")
        feed = plugin._hosts["local"]._feed
        assert feed is not None
        feed.post(
            LifecycleEvent(
                machine.id,
                libvirt.VIR_DOMAIN_EVENT_SUSPENDED,
                libvirt.VIR_DOMAIN_EVENT_SUSPENDED_IOERROR,
            )
        )
        await told(
            listener, paused="it stands still: the host has no space for what it writes to its disk"
        )
        assert await told(listener, paused=None) == machine
        assert domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING
        await plugin.destroy_runner(one)


async def test_one_that_has_no_disk_space_for_long_is_told_as_stopped(
    someone: Any,
    serving: Any,
    runner: Any,
    registration: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(life, "GIVEN_UP", 0.5)
    monkeypatch.setattr(driver, "why_paused", lambda _reason: "space")  # so says every look
    listener, one = Listener(), runner()
    async with serving(plugin := plugin_with(listener)):
        machine = await plugin.provision_runner(one, registration(one))
        someone.lookupByUUIDString(machine.id).suspend()
        await told(listener, paused="it stands still: someone paused it")
        plugin._hosts["local"].machines.paused(machine.id, "space")
        stopped = await listener.stopped(machine.id)
        assert stopped.why == "its disk had no space for 10 min"
        assert [each.state for each in await plugin.list_machines()] == ["stopped"]
        await plugin.destroy_runner(one)


async def test_one_that_begins_anew_is_noted(serving: Any, runner: Any, registration: Any) -> None:
    listener, one = Listener(), runner()
    async with serving(plugin := plugin_with(listener)):
        machine = await plugin.provision_runner(one, registration(one))
        feed = plugin._hosts["local"]._feed
        assert feed is not None
        feed.post(LifecycleEvent(machine.id, REBOOTED, 0))
        assert replace(await told(listener, reboots=1), facts=machine.facts) == machine
        await plugin.destroy_runner(one)


async def test_c38_one_that_dies_alone_is_told_at_once_with_the_reason(
    serving: Any, runner: Any, registration: Any
) -> None:
    listener, one = Listener(), runner()
    async with serving(plugin := plugin_with(listener)):
        for step, detail, why in (
            (libvirt.VIR_DOMAIN_EVENT_CRASHED, 0, "its system crashed"),
            (
                libvirt.VIR_DOMAIN_EVENT_STOPPED,
                libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED,
                "crashed",
            ),
            (
                libvirt.VIR_DOMAIN_EVENT_STOPPED,
                libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED,
                "the hypervisor failed",
            ),
            (
                libvirt.VIR_DOMAIN_EVENT_STOPPED,
                libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN,
                "shut down from within",
            ),
        ):
            machine = await plugin.provision_runner(one, registration(one))
            feed = plugin._hosts["local"]._feed
            assert feed is not None
            feed.post(LifecycleEvent(machine.id, step, detail))
            assert (await listener.stopped(machine.id)).why == why
            await plugin.destroy_runner(one)


async def test_c38_one_that_died_while_nobody_looked_is_told_by_the_next_look(
    someone: Any, serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, one = Listener(), runner()
    async with serving(plugin := plugin_with(listener)):
        machine = await plugin.provision_runner(one, registration(one))
        feed = plugin._hosts["local"]._feed
        assert feed is not None
        with monkeypatch.context() as patch:
            patch.setattr(feed, "post", lambda event: None)
            someone.lookupByUUIDString(machine.id).destroy()
            await trio.sleep(0.1)
        (left,) = await plugin.list_machines()
        assert (left.id, left.state) == (machine.id, "stopped")
        assert left.why == "it is gone from its host; nobody saw it end"
        await listener.stopped(machine.id)
        await plugin.destroy_runner(one)
        assert await plugin.list_machines() == []


@pytest.mark.parametrize("address", ["lease", "arp"])
async def test_an_address_that_nobody_fixed_is_asked_for(
    address: Any, serving: Any, runner: Any, registration: Any
) -> None:
    listener, one = Listener(), runner()
    own = ProfileConfig(base_image="/images/base.qcow2", address=address)
    async with serving(plugin := plugin_with(listener, own=own)):
        machine = await plugin.provision_runner(one, registration(one))
        assert machine.addresses == ()
        with trio.fail_after(10):
            while not listener.machines[-1].addresses:
                await listener.news()
        (again,) = await plugin.list_machines()
        assert again.addresses == listener.machines[-1].addresses
        await plugin.destroy_runner(one)


async def test_d17_d18_an_address_is_fixed_with_its_interface_and_rests_when_its_machine_is_gone(
    someone: Any, network: Any, serving: Any, runner: Any, registration: Any
) -> None:
    listener = Listener()
    seen: dict[str, str] = {}
    async with serving(plugin := plugin_with(listener)):
        for number in range(1, 9):
            one = runner(number)
            machine = await plugin.provision_runner(one, registration(one))
            (address,) = machine.addresses
            assert address not in seen  # also not one whose machine went a moment ago
            (entry,) = [each for each in _hosts(network) if each.get("ip") == address]
            assert entry.get("mac") in someone.lookupByUUIDString(machine.id).XMLDesc()
            seen[address] = str(entry.get("mac"))
            await plugin.destroy_runner(one)
            await listener.stopped(machine.id)
    assert len(set(seen.values())) == 8
    # the next process knows the same address by the same interface
    async with serving(plugin := plugin_with(Listener())):
        one = runner(9)
        machine = await plugin.provision_runner(one, registration(one))
        assert seen[machine.addresses[0]] in someone.lookupByUUIDString(machine.id).XMLDesc()
        await plugin.destroy_runner(one)


def _hosts(network: Any) -> list[Any]:
    return ET.fromstring(network.XMLDesc()).findall("ip/dhcp/host")


async def test_what_is_drained_keeps_what_it_has_and_says_so(
    serving: Any, runner: Any, registration: Any
) -> None:
    listener, one = Listener(), runner()
    host = replace(LOCAL, drain=True)
    async with serving(plugin := plugin_with(listener, host=host)):
        (room,) = await plugin.capacity()
        assert room.state == "draining"
        assert listener.reports[-1][:2] == ("local up, takes nothing new", True)
        machine = await plugin.provision_runner(one, registration(one))  # one that was promised
        assert await plugin.list_machines() == [machine]
        await plugin.destroy_runner(one)


async def test_a_host_that_is_down_is_down_and_not_draining() -> None:
    host = HostSettings(name="local", uri="test:///default", drain=True)
    plugin = plugin_with(Listener(), host=host)
    assert plugin._hosts["local"].room().state == "down"


async def test_an_event_says_how_a_machine_ended_though_a_look_was_quicker(
    someone: Any, serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, one = Listener(), runner()
    async with serving(plugin := plugin_with(listener)):
        machine = await plugin.provision_runner(one, registration(one))
        feed = plugin._hosts["local"]._feed
        assert feed is not None
        late: list[LifecycleEvent] = []
        post = feed.post
        monkeypatch.setattr(feed, "post", late.append)
        someone.lookupByUUIDString(machine.id).shutdown()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(plugin.list_machines)
            await trio.sleep(0.1)
            for event in late:
                post(event)
        assert (await listener.stopped(machine.id)).why == "shut down from within"
        host = plugin._hosts["local"]
        assert host.machines.roster.why_ended(machine.id) == "shut down from within"
        with trio.fail_after(5):
            assert (await Builders(host).ended(machine.id)).clean
        await plugin.destroy_runner(one)
