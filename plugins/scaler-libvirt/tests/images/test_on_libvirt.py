"""The whole of it, on libvirt's own test driver: guests there do nothing until they are told to."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from scaler import Duration, Picture, Profile, RoomState, Runner, Size
from scaler_libvirt.hosts import volumes
from scaler_libvirt.images.requests import Box, Wish
from scaler_libvirt.machine.names import image_name, tag_of
from scaler_libvirt.plugin import Libvirt
from scaler_libvirt.settings import HostSettings, ProfileConfig
from scaler_libvirt.testing import Listener, context_for
from scaler_libvirt.testing_disks import POOL

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler import View

SCALER = "images"
HOST = HostSettings(name="local", uri="test:///default")


class Core(Listener):
    """A core that knows what guests have asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: dict[str, frozenset[str]] = {}

    def view(self) -> View:
        return replace(super().view(), asked=dict(self.asked))

    async def next_view(self, after: View) -> View:
        while self.asked == after.asked:  # noqa: ASYNC110 - the core's own has an event
            await trio.sleep(0.01)
        return self.view()

    def picture(self, subject: int | str) -> Picture | None:
        return None

    def builder(self, role: str) -> str:
        """The UUID of the machine that builds or tries now, or nothing."""
        running = {machine.id: machine for machine in self.machines}
        for machine in running.values():
            if machine.state == "running" and machine.facts.get("role") == role:
                return machine.id
        return ""


async def until(what: Callable[[], Any], within: float = 20) -> Any:
    with trio.fail_after(within):
        while not (found := what()):  # noqa: ASYNC110 - it may be anything
            await trio.sleep(0.01)
    return found


@pytest.fixture
def plugin(tmp_path: Path, someone: Any) -> Any:
    def make(core: Core) -> Libvirt:
        own = ProfileConfig(source_image="/images/source.qcow2", build_timeout=Duration(60))
        profile = Profile(name="linux", max_count=1, resources={"memory": 1 << 30})
        context = context_for(
            core,
            replace(HOST, memory=Size(4 << 30)),
            scaler=SCALER,
            profiles={"linux": profile},
            own={"linux": own},
        )
        context.folder = tmp_path
        return Libvirt(context)

    yield make
    pool = volumes.open_pool(someone, POOL)
    for volume in pool.listAllVolumes():
        if volume.name().startswith(f"scaler-{tag_of(SCALER)}-"):
            volume.delete()


def image(number: int) -> str:
    return image_name(tag_of(SCALER), "linux", number)


def backing(someone: Any, uuid: str) -> str:
    """What the disk of a machine stands on."""
    domain = ET.fromstring(someone.lookupByUUIDString(uuid).XMLDesc())
    disk = next(iter(domain.iterfind("devices/disk[@device='disk']/source")))
    pool = volumes.open_pool(someone, POOL)
    return volumes.backings(pool)[str(disk.get("file", "")).rpartition("/")[2]]


async def build(core: Core, someone: Any) -> None:
    """Have guests do their part of one image."""
    builder = await until(lambda: core.builder("builder"))
    someone.lookupByUUIDString(builder).shutdown()
    smoke = await until(lambda: core.builder("smoke"))
    core.asked[smoke] = frozenset({"registration"})


async def test_images_are_built_tried_used_and_replaced(
    plugin: Any,
    someone: Any,
    serving: Any,
    runner: Any,
    registration: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scaler_libvirt.images.service.ASKED", 0.05)
    core = Core()
    libvirt = plugin(core)
    one: Runner = runner(7, scaler=SCALER)

    async def room() -> Any:
        (found,) = await libvirt.capacity()
        assert found.state is RoomState.UP
        return found

    async with serving(libvirt):
        await until(lambda: core.builder("builder"))
        first = await room()
        assert "its image is being built, since " in first.refuses["linux"]
        assert first.total["memory"] == 3 << 30  # the builder takes its part
        await build(core, someone)
        await until(lambda: core.reports and "image 1 of " in core.reports[-1][0])
        ready = await room()
        assert ("linux" in ready.refuses, ready.total["memory"]) == (False, 4 << 30)

        machine = await libvirt.provision_runner(one, registration(one))
        assert backing(someone, machine.id).endswith(image(1))

        wish = Wish(id="0" * 32, action="rebuild", profile="linux")
        box = Box(tmp_path / "images")
        box.put(wish)
        assert (await until(lambda: box.answer(wish))).lines == (
            "local: another image is going to be built",
        )
        await build(core, someone)
        await until(lambda: box.status()["images"][0]["live"]["number"] == 2)
        two = runner(8, scaler=SCALER)
        newer = await libvirt.provision_runner(two, registration(two))
        assert backing(someone, newer.id).endswith(image(2))
        assert backing(someone, machine.id).endswith(image(1))  # it lives on
        for each in (one, two):
            await libvirt.destroy_runner(each)
        await until(lambda: not core.builder("smoke"))
    names = {volume.name() for volume in volumes.open_pool(someone, POOL).listAllVolumes()}
    assert {name for name in names if name.startswith(f"scaler-{tag_of(SCALER)}-")} == {
        image(1),
        image(2),
    }
    assert core.items == {} or not any(core.items.values())


async def test_a_builder_that_is_destroyed_is_a_failure_that_is_told(
    plugin: Any, someone: Any, serving: Any
) -> None:
    core = Core()
    async with serving(plugin(core)):
        builder = await until(lambda: core.builder("builder"))
        someone.lookupByUUIDString(builder).destroy()
        await until(lambda: core.reports and "its build failed" in core.reports[-1][0])
        text, ok, _ = core.reports[-1]
        assert not ok
        assert "did not power itself off: destroyed" in text
        assert b"reason: it did not power itself off" in core.items["linux", "reason.txt"]


async def test_a_builder_outlives_the_scaler_and_is_adopted(
    plugin: Any, someone: Any, serving: Any
) -> None:
    core = Core()
    async with serving(plugin(core)):
        builder = await until(lambda: core.builder("builder"))
    saved, core = core.saved, Core()
    core.saved = saved
    async with serving(plugin(core)):
        assert await until(lambda: core.builder("builder")) == builder
        await build(core, someone)
        await until(lambda: core.reports and "image 1 of " in core.reports[-1][0])
