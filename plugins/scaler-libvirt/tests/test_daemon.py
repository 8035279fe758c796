"""A real libvirt daemon that hangs, dies and comes back."""

from __future__ import annotations

from typing import Any

import libvirt
import pytest
import trio

from scaler import RoomState, Unavailable
from scaler_libvirt.hosts.connection import Pace
from scaler_libvirt.hosts.link import lost
from scaler_libvirt.plugin import Libvirt
from scaler_libvirt.settings import HostSettings
from scaler_libvirt.testing import Listener, PrivateLibvirtd, context_for

QUICK = Pace(keepalive=(1, 1), first_pause=0.05, longest_pause=0.2, open=2, close=0.5)


def plugin_for(daemon: PrivateLibvirtd, listener: Listener, pace: Pace = QUICK) -> Libvirt:
    host = HostSettings(name="vm1", uri=daemon.uri)
    return Libvirt(context_for(listener, host), pace=pace)


async def loop_lag(seconds: float) -> float:
    """How late the loop was, at worst."""
    worst, until = 0.0, trio.current_time() + seconds
    while (now := trio.current_time()) < until:
        await trio.sleep(0.01)
        worst = max(worst, trio.current_time() - now - 0.01)
    return worst


async def test_a_life_over_the_wire(
    libvirtd: PrivateLibvirtd, serving: Any, runner: Any, registration: Any
) -> None:
    listener = Listener()
    plugin, one = plugin_for(libvirtd, listener), runner(room="vm1")
    async with serving(plugin):
        machine = await plugin.provision_runner(one, registration(one))
        assert await plugin.provision_runner(one, registration(one)) == machine
        assert (await plugin.screenshot(machine)).startswith(b"\x89PNG")
        await plugin.destroy_runner(one)
        assert (await listener.stopped(machine.id)).why == "destroyed"


async def test_a_daemon_that_died_is_found_again_and_what_it_lost_is_told(
    libvirtd: PrivateLibvirtd, serving: Any, runner: Any, registration: Any
) -> None:
    listener = Listener()
    plugin, one = plugin_for(libvirtd, listener), runner(room="vm1")
    async with serving(plugin):
        machine = await plugin.provision_runner(one, registration(one))
        before = listener.capacity_changes
        libvirtd.kill()
        text = await listener.reported(ok=False)
        assert "vm1 down" in text
        assert listener.capacity_changes > before
        assert [room.state for room in await plugin.capacity()] == [RoomState.DOWN]
        for call in (plugin.list_machines(), plugin.destroy_runner(one)):
            with pytest.raises(Unavailable, match="host vm1"):
                await call
        # unknown is not gone
        assert all(told.state == "running" for told in listener.machines)
        libvirtd.start()
        assert await listener.reported(ok=True) == "vm1 up"
        assert "gone from its host" in (await listener.stopped(machine.id)).why
        assert await plugin.list_machines() == []
        await plugin.destroy_runner(one)


async def test_a_daemon_that_hangs_never_blocks_the_loop(
    libvirtd: PrivateLibvirtd, serving: Any, runner: Any, registration: Any
) -> None:
    listener = Listener()
    plugin, one = plugin_for(libvirtd, listener), runner(room="vm1")
    refused: list[Unavailable] = []

    async def ask(number: int) -> None:
        other = runner(number, room="vm1")
        try:
            await plugin.provision_runner(other, registration(other))
        except Unavailable as error:
            refused.append(error)

    async with serving(plugin):
        machine = await plugin.provision_runner(one, registration(one))
        libvirtd.hang()
        async with trio.open_nursery() as nursery:
            for number in range(100, 120):  # more than there are places for calls
                nursery.start_soon(ask, number)
            assert await loop_lag(1) < 0.5
            await listener.reported(ok=False)
        assert len(refused) == 20
        with trio.fail_after(1), pytest.raises(Unavailable):
            await plugin.list_machines()
        assert await loop_lag(0.5) < 0.5  # while it tries to connect to a daemon that hangs
        libvirtd.go_on()
        assert await listener.reported(ok=True) == "vm1 up"
        # libvirt's test driver forgets its machines with the last connection; whatever is there
        # now, it is listed, and nothing is left when all are destroyed
        for number in (one.id, *range(100, 120)):
            await plugin.destroy_runner(runner(number, room="vm1"))
        assert await plugin.list_machines() == []
        await listener.stopped(machine.id)


async def test_a_call_past_its_deadline_marks_the_host_down(
    libvirtd: PrivateLibvirtd, serving: Any
) -> None:
    listener = Listener()
    slow_keepalive = Pace(
        keepalive=(60, 60), first_pause=0.05, look=0.3, probe=0.3, open=0.5, close=0.2
    )
    plugin = plugin_for(libvirtd, listener, slow_keepalive)
    async with serving(plugin):
        libvirtd.hang()
        with pytest.raises(Unavailable, match=r"no answer within 0\.3 s"):
            await plugin.list_machines()
        assert "does not answer" in await listener.reported(ok=False, within=3)
        await trio.sleep(1.5)  # it tries, in vain, and piles up no threads
        assert trio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
        libvirtd.go_on()
        assert await listener.reported(ok=True) == "vm1 up"
        assert await plugin.list_machines() == []


async def test_a_daemon_that_hangs_from_the_start_delays_nobody(
    libvirtd: PrivateLibvirtd, someone: Any, runner: Any, registration: Any
) -> None:
    listener = Listener()
    hosts = (
        HostSettings(name="vm1", uri=libvirtd.uri),
        HostSettings(name="local", uri="test:///default"),
    )
    plugin, one = Libvirt(context_for(listener, *hosts), pace=QUICK), runner(room="local")
    libvirtd.hang()
    async with trio.open_nursery() as nursery:
        with trio.fail_after(5):
            await nursery.start(plugin.run_service)
        await plugin.provision_runner(one, registration(one))
        await plugin.destroy_runner(one)
        findings = await plugin.check()
        assert [finding.ok for finding in findings] == [False, True]
        assert "restart" in findings[0].fix
        libvirtd.go_on()
        await listener.reported(ok=True)
        nursery.cancel_scope.cancel()


async def test_the_service_is_cancelled_while_the_daemon_hangs(
    libvirtd: PrivateLibvirtd, serving: Any
) -> None:
    plugin = plugin_for(libvirtd, Listener())
    with trio.fail_after(3):
        async with serving(plugin):
            libvirtd.hang()
            with trio.move_on_after(0.1):
                await plugin.list_machines()


async def test_no_connection_is_left_behind(
    libvirtd: PrivateLibvirtd, serving: Any, runner: Any, registration: Any
) -> None:
    listener = Listener()
    plugin, one = plugin_for(libvirtd, listener), runner(room="vm1")
    async with serving(plugin):
        await plugin.provision_runner(one, registration(one))
    # its machines live while any client holds a connection, and vanish with the last; the daemon
    # may need a moment to notice that one was closed
    with trio.fail_after(10):
        while names(libvirtd) != ["test"]:  # noqa: ASYNC110 - nobody tells
            await trio.sleep(0.1)


def names(daemon: PrivateLibvirtd) -> list[str]:
    """The domains that somebody sees who comes now, and goes again."""
    connection = libvirt.open(daemon.uri)
    try:
        return [domain.name() for domain in connection.listAllDomains()]
    finally:
        connection.close()


async def test_a_daemon_that_dies_under_load_costs_calls_and_no_more(
    libvirtd: PrivateLibvirtd, serving: Any, runner: Any, registration: Any
) -> None:
    listener = Listener()
    plugin, ended = plugin_for(libvirtd, listener), 0

    async def churn(first: int) -> None:
        nonlocal ended
        for number in range(first, first + 1000):
            one = runner(number, room="vm1")
            try:
                await plugin.provision_runner(one, registration(one))
                await plugin.destroy_runner(one)
            except Unavailable:
                ended += 1
                return

    async with serving(plugin):
        for rounds in range(1, 4):
            async with trio.open_nursery() as nursery:
                for worker in range(16):
                    nursery.start_soon(churn, 100_000 * rounds + 1000 * worker)
                await trio.sleep(0.1)
                libvirtd.kill()
            assert ended == 16 * rounds
            await listener.reported(ok=False)
            libvirtd.start()
            await listener.reported(ok=True)
            assert await plugin.list_machines() == []
        states: dict[str, str] = {}
        for machine in listener.machines:
            states[machine.id] = machine.state
        assert set(states.values()) == {"stopped"}  # none is left as running, none came back


def test_a_broken_socket_is_no_answer_however_alive_its_connection_looks(
    libvirtd: PrivateLibvirtd, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = libvirt.open(libvirtd.uri)
    monkeypatch.setattr(libvirt.virConnect, "isAlive", lambda connection: 1)
    with pytest.raises(libvirt.libvirtError) as refused:
        connection.lookupByName("nobody")
    assert not lost(connection, refused.value)
    libvirtd.kill()
    with pytest.raises(libvirt.libvirtError) as broken:
        connection.listAllDomains()
    assert lost(connection, broken.value)
    connection.close()
