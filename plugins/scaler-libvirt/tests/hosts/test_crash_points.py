"""A scaler that dies between any two steps leaves only what the next one lists and destroys."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from scaler_libvirt.hosts import driver, networks, volumes
from scaler_libvirt.testing import Listener, libvirt_error
from scaler_libvirt.testing_disks import QUICK, after_each_call, left_in, plugin_with


class Killed(BaseException):
    """As good as SIGKILL: nothing of ours catches it."""


def die() -> None:
    raise Killed


STEPS = [
    (driver, "find"),
    (networks, "add_host"),
    (volumes, "create_overlay"),
    (volumes, "create_filled"),
    (volumes, "create_log"),
    (driver, "create"),
]


def within(error: BaseException) -> list[BaseException]:
    """What a group of errors is made of."""
    if isinstance(error, BaseExceptionGroup):
        return [each for part in error.exceptions for each in within(part)]
    return [error]


@pytest.mark.parametrize(("owner", "step"), STEPS, ids=[name for _, name in STEPS])
@pytest.mark.usefixtures("fully", "network")
async def test_what_a_kill_between_two_steps_of_making_leaves_is_found_and_destroyed(
    owner: Any,
    step: str,
    someone: Any,
    pool: Any,
    serving: Any,
    runner: Any,
    registration: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = runner()
    with after_each_call(monkeypatch, owner, step, die), pytest.raises(BaseException) as died:  # noqa: PT011
        async with serving(plugin := plugin_with(Listener(), pace=QUICK)):
            await plugin.provision_runner(one, registration(one))
    assert any(isinstance(each, Killed) for each in within(died.value))

    async with serving(plugin := plugin_with(Listener(), pace=QUICK)):
        await plugin.list_machines()
        await trio.sleep(0.4)  # longer than a call of the dead one may have taken to come through
        machines = await plugin.list_machines()
        whole = step == "create"
        assert [machine.state for machine in machines] == (
            ["running"] if whole else ["stopped"] * bool(left_in(pool))
        )
        for machine in machines:
            assert (machine.runner, machine.runner_name) == (7, "linux.7@here")
            await plugin.destroy_runner(runner(machine.runner))
        assert await plugin.list_machines() == []
        assert left_in(pool) == []
        assert [domain.name() for domain in someone.listAllDomains()] == ["test"]
        # and the same runner can be made
        await plugin.provision_runner(one, registration(one))
        await plugin.destroy_runner(one)


@pytest.mark.parametrize("step", ["destroy", "delete"])
async def test_what_a_kill_between_two_steps_of_destroying_leaves_is_found_and_destroyed(
    step: str,
    someone: Any,
    pool: Any,
    serving: Any,
    runner: Any,
    registration: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = runner()
    owner: Any = {"destroy": driver, "delete": volumes}[step]
    with after_each_call(monkeypatch, owner, step, die), pytest.raises(BaseException) as died:  # noqa: PT011, PT012
        async with serving(plugin := plugin_with(Listener(), pace=QUICK)):
            await plugin.provision_runner(one, registration(one))
            await plugin.destroy_runner(one)
    assert any(isinstance(each, Killed) for each in within(died.value))
    async with serving(plugin := plugin_with(Listener(), pace=QUICK)):
        await plugin.destroy_runner(one)
        assert await plugin.list_machines() == []
    assert left_in(pool) == []
    assert [domain.name() for domain in someone.listAllDomains()] == ["test"]


@pytest.mark.usefixtures("fully")
async def test_a_disk_whose_machine_may_still_be_coming_is_not_called_a_remnant(
    pool: Any, serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = runner()
    with (
        after_each_call(monkeypatch, volumes, "create_overlay", die),
        pytest.raises(BaseException),  # noqa: B017, PT011 - it is killed
    ):
        async with serving(plugin := plugin_with(Listener(), pace=QUICK)):
            await plugin.provision_runner(one, registration(one))
    async with serving(plugin := plugin_with(Listener(), pace=QUICK)):
        assert left_in(pool)
        assert await plugin.list_machines() == []
        await plugin.destroy_runner(one)  # but who is asked to leave nothing of it does
        assert left_in(pool) == []


async def test_a_machine_that_runners_are_known_to_have_had_is_a_remnant_at_once(
    someone: Any, pool: Any, serving: Any, runner: Any, registration: Any
) -> None:
    one = runner()
    async with serving(plugin := plugin_with(Listener(), pace=QUICK)):
        machine = await plugin.provision_runner(one, registration(one))
    someone.lookupByUUIDString(machine.id).destroy()  # while nobody looked
    listener = Listener()
    listener.runners = [runner(machine=machine)]
    async with serving(plugin := plugin_with(listener, pace=QUICK)):
        (found,) = await plugin.list_machines()
        assert (found.id, found.state, found.why) == (
            machine.id,
            "stopped",
            "only its disk is left",
        )
        assert found.facts["pool"] == "default-pool"
        await plugin.destroy_runner(one)
    assert left_in(pool) == []


async def test_others_volumes_are_left_alone(
    pool: Any, serving: Any, runner: Any, registration: Any
) -> None:
    one, two = runner(), runner(scaler="there")
    here, there = (
        plugin_with(Listener(), pace=QUICK),
        plugin_with(Listener(), pace=QUICK, scaler="there"),
    )
    mine = "scaler-0123456789-7-linux-00000000-0000-0000-0000-000000000000.disk"
    like = "scaler-7-linux.disk"
    for name in (mine, like):
        volumes.create_log(pool, name)
    async with serving(here), serving(there):
        machine = await there.provision_runner(two, registration(two))
        await here.provision_runner(one, registration(one))
        await here.destroy_runner(one)
        await here.destroy_runner(runner(7, name="", room=""))
        assert await there.list_machines() == [machine]
        assert len(left_in(pool, "there")) == 1
        assert {mine, like} <= set(volumes.names(pool))
        await there.destroy_runner(two)
    assert left_in(pool) == left_in(pool, "there") == []


async def test_a_second_machine_of_a_runner_leaves_nothing_of_the_first(
    pool: Any, serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = runner()
    async with serving(plugin := plugin_with(Listener(), pace=QUICK)):

        def lost() -> None:
            raise ConnectionError("lost")

        def in_vain(*_: Any) -> None:
            raise libvirt_error("no")

        with (
            after_each_call(monkeypatch, volumes, "create_overlay", lost),
            monkeypatch.context() as patch,
        ):
            patch.setattr(volumes, "delete", in_vain)
            with pytest.raises(ConnectionError):
                await plugin.provision_runner(one, registration(one))
        await plugin.provision_runner(one, registration(one))
        assert len(left_in(pool)) == 2
        assert [machine.state for machine in await plugin.list_machines()] == ["running"]
        await plugin.destroy_runner(one)
    assert left_in(pool) == []
