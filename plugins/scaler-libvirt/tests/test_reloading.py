"""Settings that change while hosts are served."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import trio

from scaler import Profile, Room, RoomState, SettingsChange, Size
from scaler_libvirt.hosts import fleet
from scaler_libvirt.hosts.conditions import NOT_LOOKED
from scaler_libvirt.hosts.connection import Pace
from scaler_libvirt.plugin import Libvirt
from scaler_libvirt.settings import Config, HostSettings, ProfileConfig
from scaler_libvirt.testing import Listener, PrivateLibvirtd, context_for

LOCAL = HostSettings(name="local", uri="test:///default")
OTHER = HostSettings(name="other", uri="test:///default")
QUICK = Pace(keepalive=(1, 1), first_pause=0.05, longest_pause=0.1, open=2, close=0.5)


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "LOOK", 0.05)


async def reload(
    plugin: Libvirt,
    *hosts: HostSettings,
    change: SettingsChange = SettingsChange(config=True),  # noqa: B008 - frozen
    profiles: Mapping[str, Profile] | None = None,
    own: Mapping[str, ProfileConfig] | None = None,
    **more: Any,
) -> list[str]:
    """Change the settings, as the core does: first the context, then the hook is called."""
    context = plugin._context
    if hosts:
        context.config = Config(hosts=hosts, **more)
    if profiles is not None:
        context.profiles = profiles
    if own is not None:
        context.own = own
    with trio.fail_after(5):
        found: list[str] = await plugin.on_settings_changed(change)
    return found


async def rooms(plugin: Libvirt) -> dict[str, RoomState]:
    return {room.name: room.state for room in await plugin.capacity()}


async def until(true: Callable[[], Any]) -> None:
    with trio.fail_after(10):
        while not true():  # noqa: ASYNC110 - nobody tells
            await trio.sleep(0.01)


async def test_a_host_that_is_added_is_served(serving: Any, runner: Any, registration: Any) -> None:
    listener = Listener()
    plugin, one = Libvirt(context_for(listener, LOCAL)), runner(room="other")
    async with serving(plugin):
        before = listener.capacity_changes
        assert await reload(plugin, OTHER, LOCAL) == []
        assert listener.capacity_changes > before
        assert list(await rooms(plugin)) == ["other", "local"]  # in the settings' order
        await until(lambda: plugin._hosts["other"].connection.up)
        assert set((await rooms(plugin)).values()) == {RoomState.UP}
        machine = await plugin.provision_runner(one, registration(one))
        assert machine.room == "other"
        assert machine in await plugin.list_machines()
        assert [each.ok for each in await plugin.check()] == [True, True]
        await plugin.destroy_runner(one)


async def test_a_host_that_is_removed_drains_and_is_left_when_it_is_empty(
    libvirtd: PrivateLibvirtd, serving: Any, runner: Any, registration: Any, caplog: Any
) -> None:
    caplog.set_level("INFO")
    listener = Listener()
    away = HostSettings(name="away", uri=libvirtd.uri)
    plugin = Libvirt(context_for(listener, LOCAL, away), pace=QUICK)
    one, two = runner(7, room="away"), runner(8, room="away", provisioner="libvirt")
    async with serving(plugin):
        await until(lambda: plugin._hosts["away"].connection.up)
        machine = await plugin.provision_runner(one, registration(one))
        listener.runners = [two]  # one that the core has just put there
        assert await reload(plugin, LOCAL) == []
        assert await rooms(plugin) == {"local": RoomState.UP, "away": RoomState.DRAINING}
        assert "away up, not in the settings any more" in listener.reports[-1][0]
        assert await plugin.list_machines() == [machine]
        await plugin.provision_runner(two, registration(two))
        await plugin.destroy_runner(two)
        listener.runners = []
        await trio.sleep(0.3)
        assert await plugin.list_machines() == [machine]  # as long as one is there
        assert (await plugin.screenshot(machine)).startswith(b"\x89PNG")
        assert [each.ok for each in await plugin.check()] == [True]
        connection = plugin._hosts["away"].connection
        listener.runners = [replace(one, provisioner="libvirt")]
        await plugin.destroy_runner(one)
        await trio.sleep(0.3)
        assert "away" in await rooms(plugin)  # the core has not let go of it yet
        before = listener.capacity_changes
        listener.runners = []
        await until(lambda: "away" not in plugin._hosts)
        assert listener.capacity_changes > before
        assert await rooms(plugin) == {"local": RoomState.UP}
        assert listener.reports[-1][0] == "local up"
        assert "host away is left" in caplog.text
        await until(lambda: connection.trouble == "its service has ended")
        await plugin.destroy_runner(one)  # gone is gone


async def test_a_removed_host_that_is_down_is_unknown_until_it_answers(
    libvirtd: PrivateLibvirtd, serving: Any, runner: Any
) -> None:
    listener = Listener()
    away = HostSettings(name="away", uri=libvirtd.uri)
    plugin = Libvirt(context_for(listener, LOCAL, away), pace=QUICK)
    async with serving(plugin):
        await until(lambda: plugin._hosts["away"].connection.up)
        libvirtd.kill()
        await listener.said("away down")
        await reload(plugin, LOCAL)
        await trio.sleep(0.3)
        assert await rooms(plugin) == {"local": RoomState.UP, "away": RoomState.DOWN}
        text, ok, _ = listener.reports[-1]
        assert not ok
        assert "or when scaler is restarted" in text
        with pytest.raises(Exception, match="host away"):  # so nothing there is said to be gone
            await plugin.list_machines()
        libvirtd.start()
        await until(lambda: "away" not in plugin._hosts)
        assert await plugin.list_machines() == []


async def test_a_host_that_was_added_by_mistake_is_left_at_once(serving: Any) -> None:
    listener = Listener()
    nobody = HostSettings(name="nobody", uri="test+unix:///default?socket=/nonexistent/socket")
    plugin = Libvirt(context_for(listener, LOCAL), pace=QUICK)
    async with serving(plugin):
        await reload(plugin, LOCAL, nobody)
        await listener.said("nobody down")
        await reload(plugin, LOCAL)
        await until(lambda: "nobody" not in plugin._hosts)
        await listener.reported(ok=True)
        mended = replace(nobody, uri="test:///default")
        assert await reload(plugin, LOCAL, mended) == []
        await until(lambda: plugin._hosts["nobody"].connection.up)


async def test_a_removed_host_that_comes_back_is_used_again(
    serving: Any, runner: Any, registration: Any
) -> None:
    listener = Listener()
    plugin, one = Libvirt(context_for(listener, LOCAL, OTHER)), runner(room="other")
    async with serving(plugin):
        await until(lambda: plugin._hosts["other"].connection.up)
        machine = await plugin.provision_runner(one, registration(one))
        await reload(plugin, LOCAL)
        host = plugin._hosts["other"]
        await reload(plugin, LOCAL, OTHER)
        assert plugin._hosts["other"] is host
        assert await rooms(plugin) == {"local": RoomState.UP, "other": RoomState.UP}
        await plugin.destroy_runner(one)
        await trio.sleep(0.3)
        assert "other" in await rooms(plugin)
        await listener.stopped(machine.id)


async def test_limits_and_drain_count_at_once(serving: Any) -> None:
    listener = Listener()
    plugin = Libvirt(context_for(listener, LOCAL))
    async with serving(plugin):
        host = plugin._hosts["local"]
        limited = replace(LOCAL, memory=Size.parse("64G"), vcpus=16, hugepages_1g=2)
        before = listener.capacity_changes
        assert await reload(plugin, limited) == []
        assert listener.capacity_changes > before
        total = {"memory": 64 << 30, "vcpus": 16, "hugepages_1g": 2}
        assert await plugin.capacity() == [Room(name="local", total=total, state=RoomState.UP)]
        assert host.free() == total
        assert await reload(plugin, replace(limited, vcpus=4, drain=True)) == []
        [room] = await plugin.capacity()
        assert (room.state, room.total["vcpus"]) == (RoomState.DRAINING, 4)
        assert listener.reports[-1][0] == "local up, takes nothing new"
        assert await reload(plugin, LOCAL) == []
        assert await plugin.capacity() == [Room(name="local", state=RoomState.UP)]
        assert plugin._hosts["local"] is host


async def test_where_a_host_is_counts_after_a_restart(serving: Any) -> None:
    moved = HostSettings(
        name="local", uri="test:///elsewhere", pool="p", network="n", acceleration="kvm", vcpus=3
    )
    plugin = Libvirt(context_for(Listener(), LOCAL))
    async with serving(plugin):
        for _ in range(2):  # it is told as long as it is so
            told = await reload(plugin, moved)
            assert [each.partition(": ")[0] for each in told] == [
                f"plugins.libvirt.hosts.local.{key}"
                for key in ("uri", "acceleration", "pool", "network")
            ]
        host = plugin._hosts["local"]
        assert host.settings == replace(LOCAL, vcpus=3)
        assert host.connection.up
        assert await reload(plugin, LOCAL) == []


async def test_what_guests_reach_scaler_as_counts_from_then_on(serving: Any) -> None:
    plugin = Libvirt(context_for(Listener(), LOCAL))
    async with serving(plugin):
        orders = plugin._hosts["local"].orders

        def url() -> str:
            return orders.url(ProfileConfig(), {})

        assert url() == ""
        await reload(plugin, LOCAL, guest_url="http://one:8000/")
        assert url() == "http://one:8000/"
        await reload(plugin, replace(LOCAL, guest_url="http://two:8000/"))
        assert url() == "http://two:8000/"


async def test_profiles_come_change_and_go(
    someone: Any, serving: Any, runner: Any, registration: Any
) -> None:
    listener = Listener()
    plugin = Libvirt(context_for(listener, replace(LOCAL, memory=Size(8 << 30))))
    linux = {"linux": Profile(name="linux", resources={"memory": 1 << 30})}

    async def refuses() -> Mapping[str, str]:
        [room] = await plugin.capacity()
        return room.refuses

    missing = ProfileConfig(base_image="there-is-none.qcow2")
    async with serving(plugin):
        host = plugin._hosts["local"]
        assert await refuses() == {}
        asked = host.connection.call
        may = trio.Event()

        async def slow(*args: Any, **more: Any) -> Any:
            await may.wait()
            return await asked(*args, **more)

        host.connection.call = slow  # type: ignore[method-assign]
        new = SettingsChange(added=("linux",))
        await reload(plugin, profiles=linux, own={"linux": missing}, change=new)
        assert await refuses() == {"linux": NOT_LOOKED}  # before anyone looked nothing is made
        may.set()
        await until(lambda: NOT_LOOKED not in host.suitability.refusals().values())
        assert "there-is-none" in (await refuses())["linux"]
        changed = SettingsChange(changed=("linux",))
        await reload(plugin, profiles=linux, own={"linux": ProfileConfig()}, change=changed)
        assert await refuses() == {}
        one = runner(resources={"memory": 1 << 30})
        machine = await plugin.provision_runner(one, registration(one))
        host.suitability.spoilt("linux", "it could not be made")
        assert "linux" in await refuses()
        twice = {"linux": Profile(name="linux", resources={"memory": 2 << 30})}
        await reload(plugin, profiles=twice, change=changed)
        assert await refuses() == {}  # what failed before may go well now
        assert await plugin.provision_runner(one, registration(one)) == machine
        assert someone.lookupByUUIDString(machine.id).maxMemory() == 1 << 20
        await plugin.destroy_runner(one)
        host.suitability.spoilt("linux", "it could not be made")
        gone = SettingsChange(removed=("linux",))
        await reload(plugin, profiles={}, own={}, change=gone)
        assert await refuses() == {}
        assert host.suitability.wants == {}


async def test_a_look_for_settings_of_before_says_nothing_of_the_new_ones(serving: Any) -> None:
    plugin = Libvirt(context_for(Listener(), LOCAL))
    missing = {"linux": ProfileConfig(base_image="there-is-none.qcow2")}
    async with serving(plugin):
        host = plugin._hosts["local"]
        real, looks = host.connection.call, 0

        async def call(*args: Any, **more: Any) -> Any:
            nonlocal looks
            found = await real(*args, **more)
            looks += 1
            if looks == 1:
                await reload(plugin, own=missing, change=SettingsChange(added=("linux",)))
            return found

        host.connection.call = call  # type: ignore[method-assign]
        host.suitability.wake()
        await until(lambda: looks >= 2)
        await until(lambda: "there-is-none" in host.suitability.refusals().get("linux", ""))


async def test_guests_are_known_by_their_addresses_on_one_host_for_as_long_as_it_is_there(
    serving: Any, runner: Any, registration: Any
) -> None:
    plugin, one = Libvirt(context_for(Listener(), LOCAL)), runner(provisioner="libvirt")
    third = replace(OTHER, name="third")

    def alone() -> list[str]:
        return [name for name, host in plugin._hosts.items() if host.alone]

    async with serving(plugin):
        await plugin.provision_runner(one, registration(one))
        await reload(plugin, OTHER, LOCAL)
        assert alone() == ["local"]
        await reload(plugin, OTHER, third)
        assert alone() == ["local"]
        await plugin.destroy_runner(one)
        await until(lambda: "local" not in plugin._hosts)
        assert alone() == ["other"]
        assert plugin._hosts["other"].orders._alone


async def test_a_room_that_a_person_drains_gets_no_builders(serving: Any) -> None:
    listener = Listener()
    plugin = Libvirt(context_for(listener, LOCAL, OTHER))
    [local, other] = plugin._builders().values()
    assert [local.draining, other.draining] == [False, False]
    real = listener.view

    def view() -> Any:
        drained = Room(name="local", state=RoomState.DRAINING)
        told = {"libvirt": (drained, Room(name="other", state=RoomState.UP))}
        return replace(real(), rooms=told)

    listener.view = view  # type: ignore[method-assign]
    assert [local.draining, other.draining] == [True, False]


async def test_settings_are_tried_in_a_thread_without_a_loop() -> None:
    await trio.to_thread.run_sync(lambda: Libvirt(context_for(Listener(), LOCAL, OTHER)))


async def test_settings_that_change_before_it_starts_count(serving: Any) -> None:
    plugin = Libvirt(context_for(Listener(), LOCAL))
    assert await reload(plugin, OTHER) == []
    assert list(await rooms(plugin)) == ["other", "local"]
    async with serving(plugin):
        await until(lambda: "local" not in plugin._hosts)
        assert await rooms(plugin) == {"other": RoomState.UP}
