"""Machines that make or try images, and the images, as the building of images sees a host."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import libvirt
import pytest
import trio

from scaler import NoRoom, Size, Unavailable
from scaler_libvirt.hosts import assembly, driver, volumes
from scaler_libvirt.hosts.base import Base
from scaler_libvirt.hosts.builders import Builders
from scaler_libvirt.hosts.redact import CUT
from scaler_libvirt.images import Images
from scaler_libvirt.machine.identity import new_uuid
from scaler_libvirt.machine.names import image_name, tag_of
from scaler_libvirt.settings import ProfileConfig
from scaler_libvirt.testing import Listener, libvirt_error
from scaler_libvirt.testing_disks import LOCAL, left_in, plugin_with

if TYPE_CHECKING:
    from scaler_libvirt.hosts.host import Host
    from scaler_libvirt.plugin import Libvirt

SOURCE = Base(path="/images/source.qcow2", format="qcow2")
IMAGE = image_name(tag_of("here"), "linux", 1)
OWN = ProfileConfig(base_image="/images/base.qcow2")
HOST = replace(LOCAL, memory=Size(8 << 30))


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The building of images itself would sweep what is made here."""

    async def run(self: Images, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()

    monkeypatch.setattr(Images, "run", run)


def of(plugin: Libvirt) -> tuple[Host, Builders]:
    host = plugin._hosts["local"]
    return host, Builders(host)


async def test_a_builder_is_made_once_ends_and_becomes_an_image(
    someone: Any, pool: Any, serving: Any
) -> None:
    uuid = new_uuid()
    async with serving(plugin := plugin_with(Listener(), host=HOST)):
        host, builders = of(plugin)
        assert builders.up
        assert not builders.draining
        machine = await builders.make("linux", "builder", uuid, SOURCE, nonce="n")
        assert (machine.id, machine.runner, machine.profile) == (uuid, None, "linux")
        assert machine.facts["role"] == "builder"
        assert await builders.make("linux", "builder", uuid, SOURCE, nonce="n") == machine
        assert builders.free() == {"memory": 7 << 30}
        assert await builders.running(uuid)
        assert await builders.left() == (machine,)
        assert [each.runner for each in await plugin.list_machines()] == [None]

        someone.lookupByUUIDString(uuid).shutdown()
        with trio.fail_after(5):
            ended = await builders.ended(uuid)
        assert (ended.why, ended.clean) == ("shut down from within", True)
        assert builders.free() == {"memory": 8 << 30}
        assert not await builders.running(uuid)
        assert [each.state for each in await builders.left()] == ["stopped"]
        assert await plugin.list_machines() == []  # nobody else is told of its disk

        await builders.flatten("linux", uuid, IMAGE)
        await builders.flatten("linux", uuid, IMAGE)  # nobody saw the end of the first
        (image,) = await builders.images()
        assert (image.name, image.profile, image.number) == (IMAGE, "linux", 1)
        await builders.remove("linux", uuid)
        await builders.remove("linux", uuid)
        assert left_in(pool) == [IMAGE]
        assert await builders.left() == ()
        assert host.builders_left() == []

        assert not await builders.in_use(IMAGE)
        base = Base(path=IMAGE, format="qcow2", image=IMAGE)
        smoke = new_uuid()
        await builders.make("linux", "smoke", smoke, base, nonce="n")
        assert await builders.in_use(IMAGE)
        someone.lookupByUUIDString(smoke).destroy()
        with trio.fail_after(5):
            assert (await builders.ended(smoke)).clean is False
        assert await builders.in_use(IMAGE)  # its disk still stands on it
        await builders.remove("linux", smoke)
        assert not await builders.in_use(IMAGE)
        await builders.delete_image(IMAGE)
        await builders.delete_image(IMAGE)
        assert left_in(pool) == []


async def test_the_end_of_one_that_nobody_saw_is_not_called_clean(serving: Any) -> None:
    async with serving(plugin := plugin_with(Listener())):
        _, builders = of(plugin)
        with trio.fail_after(5):
            ended = await builders.ended(new_uuid())
        assert ended.clean is None


async def test_one_that_a_scaler_before_made_is_waited_for(someone: Any, serving: Any) -> None:
    uuid = new_uuid()
    async with serving(plugin := plugin_with(Listener())):
        await of(plugin)[1].make("linux", "builder", uuid, SOURCE)
    async with serving(plugin := plugin_with(Listener())):
        _, builders = of(plugin)
        with trio.move_on_after(0.2) as waited:
            await builders.ended(uuid)
        assert waited.cancelled_caught
        someone.lookupByUUIDString(uuid).shutdown()
        with trio.fail_after(5):
            assert (await builders.ended(uuid)).clean
        await builders.remove("linux", uuid)


async def test_only_images_of_ours_are_deleted_or_made(pool: Any, serving: Any) -> None:
    async with serving(plugin := plugin_with(Listener())):
        _, builders = of(plugin)
        for name in ("base.qcow2", image_name(tag_of("there"), "linux", 1), f"{IMAGE}/../x"):
            with pytest.raises(ValueError, match="is no image of this scaler"):
                await builders.delete_image(name)
            with pytest.raises(ValueError, match="is no image of this scaler"):
                await builders.flatten("linux", new_uuid(), name)


async def test_a_pool_that_cannot_be_looked_into_has_not_no_images(pool: Any, serving: Any) -> None:
    async with serving(plugin := plugin_with(Listener())):
        _, builders = of(plugin)
        pool.destroy()
        try:
            for ask in (
                builders.images,
                builders.left,
                partial(builders.remove, "linux", new_uuid()),
            ):
                with pytest.raises(Unavailable, match="is not active"):
                    await ask()
        finally:
            pool.create()


async def test_what_libvirt_answers_amiss_is_no_answer(
    serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(*_: Any, **__: Any) -> None:
        raise libvirt_error("internal error: it is odd")

    async with serving(plugin := plugin_with(Listener())):
        _, builders = of(plugin)
        with monkeypatch.context() as patch:
            patch.setattr(driver, "look_up", odd)
            patch.setattr(assembly, "look", odd)
            patch.setattr(volumes, "refresh", odd)
            for ask in (
                builders.images,
                builders.left,
                partial(builders.running, new_uuid()),
                partial(builders.ended, new_uuid()),
            ):
                with pytest.raises(Unavailable, match=r"host local: .*it is odd"):
                    await ask()


async def test_c39_a_copy_that_does_not_fit_leaves_nothing(
    pool: Any, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = new_uuid()

    def full(self: Any, xml: str, *_: Any) -> None:
        self.createXML(xml, 0)  # as a half copy is
        raise driver.NoSpaceError("no space left on device")

    async with serving(plugin := plugin_with(Listener())):
        _, builders = of(plugin)
        await builders.make("linux", "builder", uuid, SOURCE)
        with monkeypatch.context() as patch:
            patch.setattr(libvirt.virStoragePool, "createXMLFrom", full)
            with pytest.raises(NoRoom, match="host local: no space left"):
                await builders.flatten("linux", uuid, IMAGE)
        assert IMAGE not in left_in(pool)
        await builders.remove("linux", uuid)


async def test_machines_are_made_while_a_copy_takes_long(
    pool: Any, serving: Any, runner: Any, registration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    copying, go_on = trio.Event(), trio.Event()
    uuid, one = new_uuid(), runner()
    flatten = volumes.flatten

    def slow(*args: Any) -> str:
        trio.from_thread.run_sync(copying.set)
        trio.from_thread.run(go_on.wait)
        return flatten(*args)

    async with serving(plugin := plugin_with(Listener())):
        _, builders = of(plugin)
        await builders.make("linux", "builder", uuid, SOURCE)
        monkeypatch.setattr(volumes, "flatten", slow)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(builders.flatten, "linux", uuid, IMAGE)
            await copying.wait()
            with trio.fail_after(2):
                await plugin.provision_runner(one, registration(one))
                await plugin.list_machines()
                await plugin.destroy_runner(one)
            go_on.set()
        await builders.remove("linux", uuid)
        await builders.delete_image(IMAGE)
    assert left_in(pool) == []


async def test_what_a_builder_wrote_is_told_without_its_secrets(
    serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid, asked, key, other = new_uuid(), [], b"A" * 32, b"B" * 32

    def tail(connection: Any, **more: Any) -> bytes:
        asked.append(more)
        return b"scaler: failed: no\nSCALER_KEY=" + key + b"\n" + other

    monkeypatch.setattr(assembly, "log_tail", tail)
    async with serving(plugin := plugin_with(Listener())):
        host, builders = of(plugin)
        await builders.make("linux", "builder", uuid, SOURCE)
        seen = host.machines.roster.get(uuid)
        assert seen is not None
        keyed = replace(seen.identity, key_sha256=hashlib.sha256(key).hexdigest())
        monkeypatch.setitem(host.machines.roster._machines, uuid, replace(seen, identity=keyed))
        told = await builders.tail("linux", uuid, 100)
        assert told == b"scaler: failed: no\nSCALER_KEY=" + CUT + b"\n" + other
        assert asked[0]["limit"] == 100
        await builders.remove("linux", uuid)
