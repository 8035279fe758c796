"""Hosts as rooms, one that is down, the service and the settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import trio

from scaler import Finding, Room, RoomState, Size, Unavailable
from scaler_libvirt.hosts.connection import Pace
from scaler_libvirt.plugin import Libvirt
from scaler_libvirt.settings import Config, HostSettings
from scaler_libvirt.testing import Listener, context_for

NOBODY = HostSettings(name="down", uri="test+unix:///default?socket=/nonexistent/socket")
LOCAL = HostSettings(name="local", uri="test:///default")


async def test_rooms() -> None:
    limited = HostSettings(
        name="vm1", uri="test:///default", memory=Size.parse("64G"), vcpus=16, hugepages_1g=0
    )
    plugin = Libvirt(context_for(Listener(), limited, LOCAL))
    assert await plugin.capacity() == [
        Room(
            name="vm1",
            total={"memory": 64 << 30, "vcpus": 16, "hugepages_1g": 0},
            state=RoomState.DOWN,
        ),
        Room(name="local", state=RoomState.DOWN),
    ]


async def test_a_host_that_is_down_stops_nothing_but_itself(
    someone: Any, serving: Any, runner: Any, registration: Any
) -> None:
    listener = Listener()
    plugin = Libvirt(context_for(listener, NOBODY, LOCAL))
    one = runner()
    async with serving(plugin):
        assert {room.name: room.state for room in await plugin.capacity()} == {
            "down": RoomState.DOWN,
            "local": RoomState.UP,
        }
        text, ok, facts = listener.reports[-1]
        assert not ok
        assert "local up" in text
        assert "/nonexistent/socket" in facts["hosts"]["down"]
        machine = await plugin.provision_runner(one, registration(one))
        with pytest.raises(Unavailable, match="host down"):
            await plugin.list_machines()
        with pytest.raises(Unavailable, match="host down"):
            await plugin.provision_runner(runner(8, room="down"), registration(runner(8)))
        with pytest.raises(Unavailable, match="host down"):
            await plugin.destroy_runner(runner(8, room="down"))
        with pytest.raises(Unavailable, match="host down"):
            await plugin.destroy_runner(runner(8, room=""))  # it may be there
        await plugin.destroy_runner(runner(8))  # it cannot be there
        await plugin.destroy_runner(replace(one, room=""))
        assert machine.facts["domain"] not in {domain.name() for domain in someone.listAllDomains()}


async def test_a_room_that_is_no_host_is_named(
    serving: Any, runner: Any, registration: Any
) -> None:
    plugin = Libvirt(context_for(Listener()))
    async with serving(plugin):
        with pytest.raises(LookupError, match="no host 'moon', only local"):
            await plugin.provision_runner(runner(room="moon"), registration(runner()))


async def test_before_the_service_runs_nothing_is_known(runner: Any, registration: Any) -> None:
    plugin = Libvirt(context_for(Listener()))
    for call in (
        plugin.list_machines(),
        plugin.destroy_runner(runner()),
        plugin.provision_runner(runner(), registration(runner())),
    ):
        with pytest.raises(Unavailable, match="not connected yet"):
            await call


async def test_the_service_ends_by_itself_when_stopping(
    serving: Any, runner: Any, registration: Any
) -> None:
    context = context_for(Listener())
    plugin, one = Libvirt(context), runner()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            await nursery.start(plugin.run_service)
            context.stopping.set()
            await plugin.provision_runner(one, registration(one))  # still answered
            await plugin.destroy_runner(one)
    assert (await plugin.capacity())[0].state is RoomState.DOWN


async def test_the_service_can_be_started_anew(
    someone: Any, serving: Any, runner: Any, registration: Any
) -> None:
    plugin, one = Libvirt(context_for(Listener())), runner()
    async with serving(plugin):
        machine = await plugin.provision_runner(one, registration(one))
    with pytest.raises(Unavailable, match="ended"):
        await plugin.list_machines()
    async with serving(plugin):
        assert await plugin.list_machines() == [machine]
        await plugin.destroy_runner(one)


def test_two_runs_of_one_process(runner: Any, registration: Any, serving: Any) -> None:
    async def life() -> str:
        listener = Listener()
        plugin, one = Libvirt(context_for(listener)), runner()
        async with serving(plugin):
            machine = await plugin.provision_runner(one, registration(one))
            await plugin.destroy_runner(one)
            await listener.stopped(machine.id)
        return machine.id

    assert trio.run(life) != trio.run(life)


async def test_check(serving: Any) -> None:
    plugin = Libvirt(context_for(Listener(), NOBODY, LOCAL), pace=Pace(open=5))
    bad, good = await plugin.check()
    assert isinstance(bad, Finding)
    assert not bad.ok
    assert "/nonexistent/socket" in bad.text
    assert "start libvirt's daemon" in bad.fix
    assert good.ok
    assert "TEST" in good.text.upper()
    async with serving(plugin):
        assert [finding.ok for finding in await plugin.check()] == [False, True]


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match=r"^hosts: more than one is named local"):
        Config(hosts=(LOCAL, LOCAL))
    with pytest.raises(ValueError, match=r"^hosts: at least one"):
        Config(hosts=())
    with pytest.raises(ValueError, match=r"^name: "):
        HostSettings(name="a b", uri="test:///default")
    with pytest.raises(ValueError, match=r"^uri: "):
        HostSettings(name="a", uri="")
    with pytest.raises(ValueError, match=r"^vcpus: "):
        HostSettings(name="a", uri="test:///default", vcpus=-1)
