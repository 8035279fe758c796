"""What goes wrong with a part of a host, or with one of several, costs nothing but that part."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import libvirt
import pytest
import trio
import trio.testing

from scaler import Incomplete, NoRoom, Profile, RoomState
from scaler_libvirt import findings
from scaler_libvirt.hosts import assembly, driver, volumes
from scaler_libvirt.hosts.acceleration import Acceleration
from scaler_libvirt.hosts.base import PoolTroubleError
from scaler_libvirt.hosts.connection import Pace
from scaler_libvirt.hosts.events import REBOOTED, LifecycleEvent
from scaler_libvirt.machine.identity import new_uuid
from scaler_libvirt.machine.names import tag_of, volume_names
from scaler_libvirt.plugin import Libvirt
from scaler_libvirt.settings import HostSettings, ProfileConfig
from scaler_libvirt.testing import Listener, context_for, libvirt_error
from scaler_libvirt.testing_disks import LOCAL, OWN, QUICK, plugin_with

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = HostSettings(name="down", uri="test+unix:///default?socket=/nonexistent/socket")


def refusal() -> libvirt.libvirtError:
    return libvirt_error("cannot unlink file: Permission denied")


def litter(pool: Any) -> str:
    """Put what a machine of long ago has left into the pool."""
    name = volume_names(tag_of("here"), 3, "linux", new_uuid())["log"] + ".0"
    volumes.create_log(pool, name)
    return name


async def test_litter_that_cannot_be_deleted_costs_no_look_and_keeps_no_other(
    pool: Any, serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, loose = sorted((litter(pool), litter(pool)))
    delete, one = volumes.delete, runner()

    def stubborn(there: Any, doomed: Any) -> int:
        if stuck in doomed:
            raise refusal()
        return delete(there, doomed)

    async with serving(plugin := plugin_with(Listener(), pace=QUICK)):
        machine = await plugin.provision_runner(one, registration(one))
        with monkeypatch.context() as patch:
            patch.setattr(volumes, "delete", stubborn)
            await trio.sleep(0.4)  # until it is litter for certain
            for _ in range(2):
                assert await plugin.list_machines() == [machine]
        assert loose not in volumes.names(pool)
        assert stuck in volumes.names(pool)
        assert await plugin.list_machines() == [machine]
        assert stuck not in volumes.names(pool)
        await plugin.destroy_runner(one)


async def test_a_pool_that_is_stopped_while_litter_is_deleted_costs_no_look(
    pool: Any, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = litter(pool)

    def stopped(*_: Any, **__: Any) -> None:
        raise PoolTroubleError("storage pool 'default-pool' is not active")

    async with serving(plugin := plugin_with(Listener(), pace=QUICK)):
        with monkeypatch.context() as patch:
            patch.setattr(assembly, "tidy", stopped)
            await trio.sleep(0.4)
            assert await plugin.list_machines() == []
        assert name in volumes.names(pool)
        assert await plugin.list_machines() == []
        assert name not in volumes.names(pool)


async def test_a_look_that_fails_for_its_pool_takes_down_neither_the_host_nor_the_service(
    serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener()

    def troubled(*_: Any, **__: Any) -> None:
        raise PoolTroubleError("the pool is gone")

    pace = replace(QUICK, first_pause=0.05)
    with monkeypatch.context() as patch:
        patch.setattr(assembly, "look", troubled)
        server = serving(plugin := plugin_with(listener, pace=pace))
        await server.__aenter__()
        assert "the pool is gone" in await listener.reported(ok=False)
    await listener.reported(ok=True)
    feed = plugin._hosts["local"]._feed
    assert feed is not None
    with monkeypatch.context() as patch:
        patch.setattr(assembly, "look", troubled)
        feed.missed += 1
        feed.post(LifecycleEvent(new_uuid(), REBOOTED, 0))
        await trio.sleep(0.1)
    assert await plugin.list_machines() == []
    await server.__aexit__(None, None, None)


def test_volumes_that_cannot_be_listed_cost_no_domain(
    someone: Any, pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def names(_: Any) -> None:
        raise refusal()

    monkeypatch.setattr(volumes, "names", names)
    looked = assembly.look(someone, "here", str(pool.name()))
    assert isinstance(looked.names, PoolTroubleError)
    assert "Permission denied" in str(looked.names)
    assert looked.domains == []


async def test_a_pool_that_is_stopped_is_not_taken_for_one_without_disks(
    someone: Any, pool: Any, serving: Any, runner: Any, registration: Any
) -> None:
    listener, one, other = Listener(), runner(1), runner(2)
    async with serving(plugin := plugin_with(listener, pace=QUICK)):
        alive = await plugin.provision_runner(one, registration(one))
        dead = await plugin.provision_runner(other, registration(other))
        someone.lookupByUUIDString(dead.id).destroy()
        await listener.stopped(dead.id)
        listed = await plugin.list_machines()
        assert [(each.id, each.state) for each in listed] == [
            (alive.id, "running"),
            (dead.id, "stopped"),
        ]
        pool.destroy()
        try:
            with pytest.raises(
                Incomplete, match=r"^host local: .*default-pool.* is not active"
            ) as it:
                await plugin.list_machines()
        finally:
            pool.create()
        assert it.value.listed == listed
        assert await plugin.list_machines() == listed
        for each in (one, other):
            await plugin.destroy_runner(each)
        assert await plugin.list_machines() == []


async def test_what_is_left_on_one_host_is_listed_though_another_is_down(
    someone: Any, serving: Any, runner: Any, registration: Any
) -> None:
    listener, one = Listener(), runner()
    context = context_for(
        listener, NOBODY, LOCAL, profiles={"linux": Profile(name="linux")}, own={"linux": OWN}
    )
    async with serving(plugin := Libvirt(context, pace=QUICK)):
        machine = await plugin.provision_runner(one, registration(one))
        with pytest.raises(Incomplete, match="host down") as running:
            await plugin.list_machines()
        assert running.value.listed == [machine]
        someone.lookupByUUIDString(machine.id).destroy()
        await listener.stopped(machine.id)
        with pytest.raises(Incomplete, match="host down") as left:
            await plugin.list_machines()
        assert [(each.id, each.state) for each in left.value.listed] == [(machine.id, "stopped")]
        await plugin.destroy_runner(one)


async def test_a_host_that_is_down_refuses_nothing_it_is_down(serving: Any) -> None:
    own = {"linux": OWN, "windows": ProfileConfig(base_image="nobody.qcow2")}
    context = context_for(
        Listener(), NOBODY, LOCAL, profiles={name: Profile(name=name) for name in own}, own=own
    )
    async with serving(plugin := Libvirt(context, pace=QUICK)):
        down, up = await plugin.capacity()
        assert (down.name, down.state, down.refuses) == ("down", RoomState.DOWN, {})
        assert (up.name, up.state, set(up.refuses)) == ("local", RoomState.UP, {"windows"})


async def test_who_takes_events_does_not_wait_for_events(
    someone: Any, serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, one = Listener(), runner()
    async with serving(plugin := plugin_with(listener, pace=QUICK)):
        machine = await plugin.provision_runner(one, registration(one))
        host = plugin._hosts["local"]
        feed, waited = host._feed, []
        assert feed is not None

        async def hear(missing: frozenset[str], within: float) -> None:
            waited.append(missing)

        monkeypatch.setattr(host.machines, "hear", hear)
        with monkeypatch.context() as patch:
            patch.setattr(feed, "post", lambda event: None)
            someone.lookupByUUIDString(machine.id).destroy()
            await trio.sleep(0.1)
        feed.missed += 1
        feed.post(LifecycleEvent(new_uuid(), REBOOTED, 0))
        assert "nobody saw it end" in (await listener.stopped(machine.id)).why
        assert not any(waited)  # (other looks, which miss nothing, may come at any time)
        await plugin.destroy_runner(one)


async def test_a_machine_that_ends_before_it_is_known_gives_its_address_back(
    someone: Any, serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, one, create = Listener(), runner(), driver.create

    async with serving(plugin := plugin_with(listener, pace=QUICK)):
        host = plugin._hosts["local"]

        def dies(connection: Any, **more: Any) -> driver.Seen:
            seen = create(connection, **more)
            someone.lookupByUUIDString(seen.uuid).destroy()
            until = time.monotonic() + 5
            while host.machines.roster.why_ended(seen.uuid) is None:
                assert time.monotonic() < until
                time.sleep(0.01)
            return seen

        with monkeypatch.context() as patch:
            patch.setattr(driver, "create", dies)
            machine = await plugin.provision_runner(one, registration(one))
        assert machine.state == "stopped"
        assert machine.addresses
        assert host._slots._held == {}
        was = host.machines.roster.was(machine.id)
        assert was is not None  # so that its secrets are known, and cut out of its log
        assert was.identity.config_sha256 == machine.digest
        await plugin.destroy_runner(one)


async def test_a_machine_that_is_being_made_is_answered_whatever_the_settings_say_now(
    serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, go, make = runner(), threading.Event(), assembly.make
    machines = []

    def slow(connection: Any, order: Any) -> driver.Seen:
        go.wait(5)
        return make(connection, order)

    def nothing(*_: Any) -> None:
        raise NoRoom("its image is gone")

    monkeypatch.setattr(assembly, "make", slow)
    async with serving(plugin := plugin_with(Listener(), pace=Pace())):

        async def provision() -> None:
            machines.append(await plugin.provision_runner(one, registration(one)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(provision)
            await trio.testing.wait_all_tasks_blocked(0.05)
            monkeypatch.setattr(plugin, "_order", nothing)
            nursery.start_soon(provision)
            await trio.testing.wait_all_tasks_blocked(0.05)
            with pytest.raises(driver.NameTakenError, match="with another config"):
                await plugin.provision_runner(one, registration(one, "another config"))
            go.set()
        assert machines[0] == machines[1]
        await plugin.destroy_runner(one)


async def test_where_no_machines_are_made_there_is_no_room(
    serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def given(*_: Any) -> bool:
        raise ValueError("no machines are made on LXC hypervisors")

    monkeypatch.setattr(Acceleration, "given", given)
    one = runner()
    async with serving(plugin := plugin_with(Listener(), pace=QUICK)):
        with pytest.raises(NoRoom, match="no machines are made on LXC"):
            await plugin.provision_runner(one, registration(one))


async def test_a_file_that_cannot_be_read_for_ever_does_not_hold_check_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()

    def hangs(_: Any) -> bytes:
        go.wait(30)
        return b""

    monkeypatch.setattr(findings, "read_file", hangs)
    monkeypatch.setattr(findings, "_PATIENCE", 0.5)
    path = tmp_path / "guest.xml"
    own = ProfileConfig(base_image="/b.qcow2", guest_xml=path)
    with trio.fail_after(10):
        found = await plugin_with(Listener(), own=own).check()
    go.set()
    assert (found[-1].ok, str(path) in found[-1].text) == (False, True)
    assert "not read within 0.5 s" in found[-1].text
