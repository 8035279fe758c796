"""C36, C37: a libvirt daemon that dies or hangs at each call of making and destroying a machine."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import libvirt
import pytest
import trio

from scaler import Unavailable
from scaler_libvirt.hosts import driver, networks, volumes
from scaler_libvirt.hosts.connection import Pace
from scaler_libvirt.testing import Listener, PrivateLibvirtd, libvirt_error
from scaler_libvirt.testing_disks import LOCAL, left_in, plugin_with

pytestmark = pytest.mark.once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACE = Pace(
    keepalive=(1, 1),
    first_pause=0.05,
    longest_pause=0.2,
    open=2,
    close=0.5,
    create=3,
    destroy=3,
    look=3,
)
STEPS = [
    (driver, "find"),
    (networks, "facts"),
    (volumes, "create_overlay"),
    (volumes, "create_log"),
    (driver, "create"),
]


@contextmanager
def before_the_first_call(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, then: Callable[[], None]
) -> Iterator[threading.Event]:
    """Do something just before this function is called for the first time; tells when it is."""
    function, done = getattr(owner, name), threading.Event()

    def wrapped(*args: Any, **more: Any) -> Any:
        if not done.is_set():
            then()
            done.set()
        return function(*args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, wrapped)
        yield done


async def lag(worst: list[float]) -> None:
    """Note how late the loop is."""
    while True:
        before = trio.current_time()
        await trio.sleep(0.01)
        worst.append(trio.current_time() - before - 0.01)


@pytest.mark.parametrize("blow", ["kill", "hang"])
@pytest.mark.parametrize(("owner", "step"), STEPS, ids=[name for _, name in STEPS])
@pytest.mark.usefixtures("fully")
async def test_c36_c37_a_daemon_that_goes_at_any_call_costs_that_call_and_leaves_nothing(
    owner: Any,
    step: str,
    blow: str,
    libvirtd: PrivateLibvirtd,
    serving: Any,
    runner: Any,
    registration: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listener, one = Listener(), runner(room="vm1")
    host = replace(LOCAL, name="vm1", uri=libvirtd.uri)
    keeper = libvirt.open(libvirtd.uri)  # the test driver forgets all with its last connection
    worst: list[float] = []
    async with serving(plugin := plugin_with(listener, host=host, pace=PACE)):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lag, worst)
            with before_the_first_call(monkeypatch, owner, step, getattr(libvirtd, blow)) as done:
                with trio.fail_after(10), pytest.raises(Unavailable, match="host vm1"):
                    await plugin.provision_runner(one, registration(one))
                await trio.to_thread.run_sync(done.wait)
                await listener.reported(ok=False)
            nursery.cancel_scope.cancel()
        assert max(worst, default=0) < 0.5  # (a kill is known before the first sleep ends)
        # unknown is not gone
        with pytest.raises(Unavailable):
            await plugin.list_machines()
        libvirtd.go_on() if blow == "hang" else libvirtd.start()
        await listener.reported(ok=True)
        if blow == "kill":
            with suppress(libvirt.libvirtError):
                keeper.close()
            keeper = libvirt.open(libvirtd.uri)
        # the call that hung may still be at work in there
        with trio.fail_after(10):
            while True:
                try:
                    await plugin.destroy_runner(one)
                    break
                except Unavailable:  # the core asks again and again, too
                    await trio.sleep(0.1)
        await trio.sleep(0.2)  # (it ends unseen; what it makes so late goes with the next try)
        await plugin.destroy_runner(one)
        assert await plugin.list_machines() == []
        assert left_in(volumes.open_pool(keeper, "default-pool")) == []
        assert [domain.name() for domain in keeper.listAllDomains()] == ["test"]
    keeper.close()


@pytest.mark.parametrize("blow", ["kill", "hang"])
@pytest.mark.parametrize("step", ["destroy", "delete"])
async def test_c36_c37_a_daemon_that_goes_while_a_machine_is_destroyed(
    step: str,
    blow: str,
    libvirtd: PrivateLibvirtd,
    serving: Any,
    runner: Any,
    registration: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owner: Any = {"destroy": driver, "delete": volumes}[step]
    listener, one = Listener(), runner(room="vm1")
    host = replace(LOCAL, name="vm1", uri=libvirtd.uri)
    keeper = libvirt.open(libvirtd.uri)
    async with serving(plugin := plugin_with(listener, host=host, pace=PACE)):
        await plugin.provision_runner(one, registration(one))
        with before_the_first_call(monkeypatch, owner, step, getattr(libvirtd, blow)) as done:
            with trio.fail_after(10), pytest.raises(Unavailable, match="host vm1"):
                await plugin.destroy_runner(one)
            await trio.to_thread.run_sync(done.wait)
            await listener.reported(ok=False)
        libvirtd.go_on() if blow == "hang" else libvirtd.start()
        await listener.reported(ok=True)
        await plugin.destroy_runner(one)
        assert await plugin.list_machines() == []
        if blow == "hang":
            assert left_in(volumes.open_pool(keeper, "default-pool")) == []
    with suppress(libvirt.libvirtError):
        keeper.close()


async def test_c36_after_a_lost_connection_nothing_is_undone_under_a_machine_that_comes(
    libvirtd: PrivateLibvirtd,
    serving: Any,
    runner: Any,
    registration: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The answer to createXML is lost, and the machine is there with its disk."""
    listener, one = Listener(), runner(room="vm1")
    host = replace(LOCAL, name="vm1", uri=libvirtd.uri)
    keeper = libvirt.open(libvirtd.uri)
    create, lose = driver.create, [True]

    def lossy(connection: Any, **more: Any) -> Any:
        seen = create(connection, **more)
        if lose.pop():
            error: Any = libvirt_error("x")
            error.err = (
                libvirt.VIR_ERR_SYSTEM_ERROR,
                libvirt.VIR_FROM_RPC,
                "Cannot recv data",
                2,
                "",
                "",
                "",
                -1,
                -1,
            )
            raise error
        return seen

    async with serving(plugin := plugin_with(listener, host=host, pace=PACE)):
        monkeypatch.setattr(driver, "create", lossy)
        with pytest.raises(Unavailable):
            await plugin.provision_runner(one, registration(one))
        await listener.reported(ok=False)
        await listener.reported(ok=True)
        (machine,) = await plugin.list_machines()
        assert (machine.runner, machine.state) == (7, "running")
        assert len(left_in(volumes.open_pool(keeper, "default-pool"))) == 1
        await plugin.destroy_runner(one)
        assert left_in(volumes.open_pool(keeper, "default-pool")) == []
    keeper.close()
