"""Many machines to be made at once: few hops, and each machine with its own outcome."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
import trio
import trio.testing

from scaler import Unavailable
from scaler_libvirt.hosts import driver, sender
from scaler_libvirt.plugin import Libvirt
from scaler_libvirt.testing import Listener, context_for


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When hops were begun."""
    begun: list[float] = []
    really = sender.Sender._hop

    async def hop(self: Any, feed: Any) -> None:
        begun.append(trio.current_time())
        await really(self, feed)

    monkeypatch.setattr(sender.Sender, "_hop", hop)
    return begun


def held(monkeypatch: pytest.MonkeyPatch) -> trio.Event:
    """Holds every call that makes a machine, until the event is set."""
    gate = trio.Event()
    create = driver.create
    token = trio.lowlevel.current_trio_token()

    def slow(connection: Any, **more: Any) -> Any:
        trio.from_thread.run(gate.wait, trio_token=token)
        return create(connection, **more)

    monkeypatch.setattr(driver, "create", slow)
    return gate


async def test_quick_machines_share_their_hops(
    someone: Any, serving: Any, runner: Any, registration: Any, hops: list[float]
) -> None:
    plugin = Libvirt(context_for(Listener()))
    made: list[str] = []

    async def make(number: int) -> None:
        one = runner(number)
        made.append((await plugin.provision_runner(one, registration(one))).id)
        await plugin.destroy_runner(one)

    async with serving(plugin):
        for start in (1000, 2000):
            async with trio.open_nursery() as nursery:
                for number in range(start, start + 200):
                    nursery.start_soon(make, number)
        assert await plugin.list_machines() == []
    assert len(set(made)) == 400
    assert len(hops) < 300


async def test_slow_machines_are_made_eight_at_once(
    someone: Any,
    serving: Any,
    runner: Any,
    registration: Any,
    hops: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = held(monkeypatch)
    plugin = Libvirt(context_for(Listener()))
    async with serving(plugin), trio.open_nursery() as nursery:
        for number in range(20):
            one = runner(3000 + number)
            nursery.start_soon(plugin.provision_runner, one, registration(one))
        with trio.fail_after(5):
            while len(hops) < 8:  # noqa: ASYNC110 - a patched method tells it
                await trio.sleep(0.01)
        assert len(hops) == 8
        with trio.fail_after(1):
            assert await plugin.list_machines() == []  # others need not stand in line with them
        gate.set()
        nursery.cancel_scope.deadline = trio.current_time() + 5
    async with serving(plugin):
        assert len(await plugin.list_machines()) == 20
        for number in range(20):
            await plugin.destroy_runner(runner(3000 + number))


async def test_one_that_hangs_keeps_no_other_waiting(
    someone: Any, serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, gate = driver.create, threading.Event()

    def hanging(connection: Any, **more: Any) -> Any:
        if more["identity"].runner % 10 == 5:
            gate.wait(10)
        return create(connection, **more)

    monkeypatch.setattr(driver, "create", hanging)
    plugin = Libvirt(context_for(Listener()))
    made: list[int] = []

    async def make(number: int) -> None:
        one = runner(number)
        await plugin.provision_runner(one, registration(one))
        made.append(number)

    async with serving(plugin), trio.open_nursery() as nursery:
        for number in range(7000, 7030):  # three of them hang
            nursery.start_soon(make, number)
        with trio.fail_after(5):
            while len(made) < 27:  # noqa: ASYNC110 - tasks tell it
                await trio.sleep(0.01)
        gate.set()
    async with serving(plugin):
        assert len(await plugin.list_machines()) == 30
        for number in range(7000, 7030):
            await plugin.destroy_runner(runner(number))


async def test_one_that_fails_is_no_concern_of_the_others(
    someone: Any,
    serving: Any,
    runner: Any,
    registration: Any,
    hops: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create = driver.create

    def failing(connection: Any, **more: Any) -> Any:
        if more["identity"].runner % 3 == 0:
            raise driver.NoSpaceError("no memory left")
        return create(connection, **more)

    monkeypatch.setattr(driver, "create", failing)
    plugin = Libvirt(context_for(Listener()))
    outcomes: dict[int, str] = {}

    async def make(number: int) -> None:
        one = runner(4000 + number)
        try:
            await plugin.provision_runner(one, registration(one))
        except Exception as error:
            outcomes[number] = type(error).__name__
        else:
            outcomes[number] = "made"
            await plugin.destroy_runner(one)

    async with serving(plugin), trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(make, number)
    assert outcomes == {n: "NoRoom" if (4000 + n) % 3 == 0 else "made" for n in range(30)}
    assert len(hops) < 30


async def test_who_gives_up_before_it_was_sent_is_not_made(
    someone: Any,
    serving: Any,
    runner: Any,
    registration: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = held(monkeypatch)
    plugin = Libvirt(context_for(Listener()))
    async with serving(plugin), trio.open_nursery() as nursery:
        for number in range(8):  # they fill the line
            one = runner(5000 + number)
            nursery.start_soon(plugin.provision_runner, one, registration(one))
        await trio.testing.wait_all_tasks_blocked(0.05)
        late = runner(5100)
        with trio.move_on_after(0.05):
            await plugin.provision_runner(late, registration(late))
        with trio.fail_after(1):
            await plugin.destroy_runner(late)  # nothing of it is under way
        gate.set()
    async with serving(plugin):
        made = {machine.runner for machine in await plugin.list_machines()}
        assert made == {5000 + number for number in range(8)}
        for number in range(5000, 5008):
            await plugin.destroy_runner(runner(number))


async def test_what_waits_when_the_service_ends_is_told_so(
    someone: Any, serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender.Sender, "_wanted", lambda self: 0)
    plugin, one = Libvirt(context_for(Listener())), runner(6000)
    async with trio.open_nursery() as nursery:
        async with serving(plugin):

            async def ask() -> None:
                with pytest.raises(Unavailable, match="service has ended"):
                    await plugin.provision_runner(one, registration(one))

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.deadline = trio.current_time() + 2
    assert not nursery.cancel_scope.cancelled_caught


async def test_a_machine_is_found_by_its_runners_name_where_its_uuid_is_not_known(
    someone: Any, serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking a thousand domains whose they are takes a second; most are known to be others'."""
    plugin, one, other = Libvirt(context_for(Listener())), runner(6100), runner(6200)
    async with serving(plugin):
        for each in (one, other):
            await plugin.provision_runner(each, registration(each))
        monkeypatch.setattr(plugin._hosts["local"].machines.roster, "uuid_of", lambda _runner: None)
        asked: list[str] = []
        really = driver._is_machine_of

        def is_machine_of(domain: Any, scaler: str, number: int) -> bool:
            asked.append(domain.name())
            return really(domain, scaler, number)

        monkeypatch.setattr(driver, "_is_machine_of", is_machine_of)
        await plugin.destroy_runner(one)
        assert len(asked) == 1
        await plugin.destroy_runner(replace(one, id=6300, name="linux.6300@here"))
        assert not any(name.startswith("linux-6200") for name in asked)
        monkeypatch.undo()
        assert [machine.runner for machine in await plugin.list_machines()] == [6200]
        await plugin.destroy_runner(other)
