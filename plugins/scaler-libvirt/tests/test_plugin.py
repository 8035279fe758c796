"""The hooks and the machines, against libvirt's in-process test driver."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import libvirt
import pluggy
import pytest
import trio

from scaler import NoRoom, Unavailable, hooks
from scaler_libvirt.hosts import driver
from scaler_libvirt.machine.domain import build
from scaler_libvirt.machine.identity import Identity, digest, domain_name, new_uuid
from scaler_libvirt.machine.shape import Shape
from scaler_libvirt.plugin import Libvirt
from scaler_libvirt.testing import Listener, context_for, libvirt_error


def names(connection: Any) -> set[str]:
    return {domain.name() for domain in connection.listAllDomains()}


def make_as(someone: Any, identity: Identity, *, name: str | None = None) -> Any:
    """A domain that somebody else made, with a metadata element like ours."""
    xml = build(identity, Shape(kind="test"), uuid=new_uuid())
    if name is not None:
        xml = xml.replace(f"<name>{domain_name(identity.runner_name)}<", f"<name>{name}<")
    return someone.createXML(xml)


async def test_every_hook_is_one_of_scalers() -> None:
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks.Spec)
    manager.register(Libvirt(context_for(Listener())))
    manager.check_pending()
    found = {name for name in hooks.hook_names() if getattr(manager.hook, name).get_hookimpls()}
    assert found == {
        "run_service",
        "check",
        "provision_runner",
        "destroy_runner",
        "list_machines",
        "capacity",
        "on_settings_changed",
        "screenshot",
    }


async def test_a_machines_life(someone: Any, serving: Any, runner: Any, registration: Any) -> None:
    listener = Listener()
    plugin = Libvirt(context_for(listener))
    one = runner(7, resources={"memory": 64 << 20, "vcpus": 2})
    async with serving(plugin):
        machine = await plugin.provision_runner(one, registration(one, "s3cret"))
        assert (machine.runner, machine.runner_name, machine.room) == (7, "linux.7@here", "local")
        assert (machine.profile, machine.state) == ("linux", "running")

        domain = someone.lookupByUUIDString(machine.id)
        assert domain.name() == domain_name("linux.7@here") == machine.facts["domain"]
        assert not domain.isPersistent()
        assert domain.maxMemory() == 64 << 10  # in KiB
        assert domain.maxVcpus() == 2
        assert "s3cret" not in domain.XMLDesc()
        assert digest("s3cret") in domain.XMLDesc()

        assert await plugin.list_machines() == [machine]
        assert (await plugin.screenshot(machine)).startswith(b"\x89PNG")

        await plugin.destroy_runner(one)
        assert (await listener.stopped(machine.id)).why == "destroyed"
        assert await plugin.list_machines() == []
        await plugin.destroy_runner(one)  # gone is gone
        with pytest.raises(Unavailable, match="is gone from host local"):  # no fault of the plugin
            await plugin.screenshot(machine)
        with pytest.raises(Unavailable, match="no host 'elsewhere'"):
            await plugin.screenshot(replace(machine, room="elsewhere"))
        assert "test" in names(someone)


async def test_asked_again_there_is_the_same_machine(
    someone: Any, serving: Any, runner: Any, registration: Any
) -> None:
    one = runner()
    plugin = Libvirt(context_for(Listener()))
    async with serving(plugin):
        first = await plugin.provision_runner(one, registration(one))
        assert await plugin.provision_runner(one, registration(one)) == first
    # and by the next process, which knows nothing of it
    listener = Listener()
    plugin = Libvirt(context_for(listener))
    async with serving(plugin):
        assert await listener.running(first.id) == first
        assert await plugin.provision_runner(one, registration(one)) == first
        await plugin.destroy_runner(one)
    assert names(someone) == {"test"}


async def test_asked_twice_at_once_there_is_one_machine(
    someone: Any, serving: Any, runner: Any, registration: Any
) -> None:
    plugin, machines = Libvirt(context_for(Listener())), []
    one = runner()

    async def ask() -> None:
        machines.append(await plugin.provision_runner(one, registration(one)))

    async with serving(plugin):
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(ask)
        assert len({machine.id for machine in machines}) == 1
        assert names(someone) == {"test", machines[0].facts["domain"]}
        await plugin.destroy_runner(one)


async def test_a_create_whose_answer_was_lost_is_found(
    someone: Any,
    serving: Any,
    runner: Any,
    registration: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plugin, one = Libvirt(context_for(Listener())), runner()
    create, lose = driver.create, [True]

    def lossy(*args: Any, **kwargs: Any) -> Any:
        seen = create(*args, **kwargs)
        if lose.pop():
            raise ConnectionError("lost")
        return seen

    async with serving(plugin):
        monkeypatch.setattr(driver, "create", lossy)
        with pytest.raises(ConnectionError):
            await plugin.provision_runner(one, registration(one))
        monkeypatch.undo()
        machine = await plugin.provision_runner(one, registration(one))
        assert names(someone) == {"test", machine.facts["domain"]}
        await plugin.destroy_runner(one)


async def test_a_create_that_is_still_running_is_not_called_gone(
    someone: Any,
    serving: Any,
    runner: Any,
    registration: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listener, one = Listener(), runner()
    plugin = Libvirt(context_for(listener))
    create, go_on, entered = driver.create, threading.Event(), threading.Event()

    def slow(*args: Any, **kwargs: Any) -> Any:
        entered.set()
        go_on.wait(10)
        return create(*args, **kwargs)

    monkeypatch.setattr(driver, "create", slow)
    async with serving(plugin):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(plugin.provision_runner, one, registration(one))
            await trio.to_thread.run_sync(entered.wait)
            nursery.cancel_scope.cancel()  # as a deadline does: the outcome is unknown
        async with trio.open_nursery() as nursery:
            nursery.start_soon(plugin.destroy_runner, one)
            await trio.sleep(0.05)
            assert names(someone) == {"test"}
            go_on.set()
        assert names(someone) == {"test"}
        assert [machine.state for machine in listener.machines if machine.runner == 7][:1] == [
            "running"
        ]


async def test_a_create_given_up_before_it_was_sent_is_never_made(
    someone: Any,
    serving: Any,
    runner: Any,
    registration: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plugin = Libvirt(context_for(Listener()))
    create, go_on = driver.create, threading.Event()

    def slow(*args: Any, **kwargs: Any) -> Any:
        go_on.wait(10)
        return create(*args, **kwargs)

    monkeypatch.setattr(driver, "create", slow)
    many = [runner(number) for number in range(1, 21)]  # more than may be sent at once
    async with serving(plugin):
        async with trio.open_nursery() as nursery:
            for one in many:
                nursery.start_soon(plugin.provision_runner, one, registration(one))
            await trio.sleep(0.1)
            nursery.cancel_scope.cancel()
        go_on.set()
        async with trio.open_nursery() as nursery:
            for one in many:
                nursery.start_soon(plugin.destroy_runner, one)
        assert names(someone) == {"test"}


async def test_anothers_domain_of_that_name_is_an_error_and_left_alone(
    someone: Any, serving: Any, runner: Any, registration: Any
) -> None:
    plugin, one = Libvirt(context_for(Listener())), runner()
    name = domain_name(one.name)
    alike = Identity(scaler="elsewhere", runner=7, runner_name=one.name)
    make_as(someone, alike)
    async with serving(plugin):
        with pytest.raises(driver.NameTakenError, match=f"{name}.*not carry this scaler's name"):
            await plugin.provision_runner(one, registration(one))
        await plugin.destroy_runner(one)
        assert await plugin.list_machines() == []
        assert name in names(someone)
    someone.lookupByName(name).destroy()


async def test_another_config_is_not_the_same_machine(
    serving: Any, runner: Any, registration: Any
) -> None:
    plugin, one = Libvirt(context_for(Listener())), runner()
    async with serving(plugin):
        await plugin.provision_runner(one, registration(one, "a"))
        with pytest.raises(driver.NameTakenError, match="another config"):
            await plugin.provision_runner(one, registration(one, "b"))
        await plugin.destroy_runner(one)


async def test_a_machine_is_destroyed_by_its_runners_id_alone(
    someone: Any, serving: Any, runner: Any
) -> None:
    listener = Listener()
    plugin = Libvirt(context_for(listener))
    ours = make_as(someone, Identity(scaler="here", runner=7), name="any-name")
    make_as(someone, Identity(scaler="here", runner=8), name="neighbour")
    make_as(someone, Identity(scaler="there", runner=7), name="foreign")
    async with serving(plugin):
        await listener.running(ours.UUIDString())
        await plugin.destroy_runner(runner(7, room="", name=""))
        assert names(someone) == {"test", "neighbour", "foreign"}
    for name in ("neighbour", "foreign"):
        someone.lookupByName(name).destroy()


async def test_events_tell_of_ours_and_not_of_others(someone: Any, serving: Any) -> None:
    listener = Listener()
    plugin = Libvirt(context_for(listener))
    async with serving(plugin):
        foreign = make_as(someone, Identity(scaler="there", runner=7, runner_name="a"))
        ours = make_as(someone, Identity(scaler="here", runner=8, runner_name="b"))
        theirs = foreign.UUIDString()
        foreign.destroy()
        told = await listener.running(ours.UUIDString())
        assert (told.runner, told.runner_name) == (8, "b")
        uuid = ours.UUIDString()
        ours.shutdown()
        assert (await listener.stopped(uuid)).why == "shut down from within"
        assert theirs not in {machine.id for machine in listener.machines}


async def test_no_room(
    serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin, one = Libvirt(context_for(Listener())), runner()

    class Full(libvirt.libvirtError):  # type: ignore[misc]
        def get_error_code(self) -> int:
            return int(libvirt.VIR_ERR_INTERNAL_ERROR)

        def get_error_domain(self) -> int:
            return int(libvirt.VIR_FROM_QEMU)

        def isAlive(self) -> bool:  # noqa: N802
            return True

        def lookupByName(self, name: str) -> Any:  # noqa: N802
            error = libvirt_error("no domain")
            error.err = (libvirt.VIR_ERR_NO_DOMAIN, 0, "no domain", 0, "", "", "", -1, -1)
            raise error

        def createXML(self, xml: str, flags: int) -> Any:  # noqa: N802
            raise self

    create = driver.create
    full = Full("cannot set up guest memory 'pc.ram': Cannot allocate memory")
    monkeypatch.setattr(driver, "create", lambda connection, **kwargs: create(full, **kwargs))
    async with serving(plugin):
        with pytest.raises(NoRoom, match="Cannot allocate memory"):
            await plugin.provision_runner(one, registration(one))


async def test_two_scalers_share_a_host(
    someone: Any, serving: Any, runner: Any, registration: Any
) -> None:
    here, there = Listener(), Listener()
    plugin = Libvirt(context_for(here))
    other = Libvirt(context_for(there, scaler="there"))
    one, two = runner(), runner(scaler="there")
    async with serving(plugin), serving(other):
        mine = await plugin.provision_runner(one, registration(one))
        its = await other.provision_runner(two, registration(two))
        assert mine.id != its.id
        assert await plugin.list_machines() == [mine]
        assert await other.list_machines() == [its]
        await plugin.destroy_runner(one)
        await here.stopped(mine.id)
        assert await other.list_machines() == [its]
        await other.destroy_runner(two)
    assert {machine.id for machine in here.machines} == {mine.id}


async def test_every_screenshot_that_is_asked_for_meanwhile_is_one(
    someone: Any, serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin, one, taken, pictures = Libvirt(context_for(Listener())), runner(), [], []
    screenshot = driver.screenshot

    def counted(*args: Any, **kwargs: Any) -> Any:
        taken.append(1)
        return screenshot(*args, **kwargs)

    monkeypatch.setattr(driver, "screenshot", counted)
    async with serving(plugin):
        machine = await plugin.provision_runner(one, registration(one))

        async def ask() -> None:
            pictures.append(await plugin.screenshot(machine))

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
        assert len(pictures) == 20
        assert len(taken) == 1
        await plugin.destroy_runner(one)


async def test_events_that_came_too_fast_are_made_up_for_by_a_look(
    someone: Any, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scaler_libvirt.hosts.events.Feed.__init__.__defaults__", (1,))
    listener = Listener()
    plugin = Libvirt(context_for(listener))
    async with serving(plugin):
        made = await trio.to_thread.run_sync(
            lambda: [
                make_as(someone, Identity(scaler="here", runner=n, runner_name=f"{n}")).UUIDString()
                for n in range(1, 200)
            ]
        )
        for uuid in made:
            await listener.running(uuid)
        for uuid in made:
            someone.lookupByUUIDString(uuid).destroy()
        for uuid in made:
            await listener.stopped(uuid)
