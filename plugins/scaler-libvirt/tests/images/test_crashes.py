"""The scaler is killed at every step of a build, before and after what the step does."""

from __future__ import annotations

import math
from itertools import count
from typing import Any

import pytest
import trio

from scaler_libvirt.images import model
from scaler_libvirt.images.model import Image, State
from scaler_libvirt.images.saved import to_json

pytestmark = pytest.mark.once


class Axe:
    """Kills the scaler at the so-many-th call that it makes."""

    def __init__(self, core: Any, host: Any, when: str) -> None:
        self.left = math.inf
        self.fell = trio.Event()
        self.at = ""
        for each in (core, host):
            setattr(each, when, self.call)

    def call(self, name: str) -> bool:
        if not self.fell.is_set():
            self.left -= 1
            if self.left == 0:
                self.at = name
                self.fell.set()
        return self.fell.is_set()

    def lay_down(self) -> None:
        self.left, self.fell = math.inf, trio.Event()


async def killed_at(lab: Any, guests: Any, call: int, when: str, pause: float) -> str:
    """Kill it at this call, start it again, and see that all ends well; answer the call's name."""
    host, core = lab.hosts(), lab.cores()
    host.volumes[host.image(1)] = "stamp"
    first = Image(number=1, built=0.0, source=core.own["linux"].source_image, stamp="stamp")
    saved = model.rebuild(State(live=first, next_number=2))
    core.facts["image/vm1/linux"] = to_json(saved)
    scaler, axe = lab.scaler(core, host), Axe(core, host, when)
    async with guests(host):
        axe.left = call
        async with scaler.running() as images:
            with trio.move_on_after(300):
                await axe.fell.wait()
            if not axe.fell.is_set():
                return ""  # so many calls are not made
            assert images.base("vm1", "linux").image in host.volumes
        at = axe.at
        axe.lay_down()
        await trio.sleep(pause)  # guests go on without it
        axe.left = 1 + call % 7
        async with scaler.running():  # and killed once more, while it finds its way
            with trio.move_on_after(300):
                await axe.fell.wait()
        axe.lay_down()
        async with scaler.running() as images:
            assert images.base("vm1", "linux").image in host.volumes
            await scaler.until(lambda: scaler.state().live.number > 1, within=600)
            await trio.sleep(300)
            state = scaler.state()
            assert (state.building, state.failed) == (None, None)
            assert host.machines == {}, f"left over after {at}"
            assert [image.number for image in state.older] == [1]
            assert state.live.number == 2, f"a build was lost after {at}"
            assert set(host.volumes) == {host.image(1), host.image(state.live.number)}
            tried = {box.base.path for box in host.made if box.role == "smoke"}
            assert images.base("vm1", "linux").image in tried  # never one that nobody tried
            assert core.evidence == {}
    return at


@pytest.mark.parametrize("pause", [0.0, 100.0])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_c36_every_step_is_resumed_or_begun_anew(
    lab: Any, autojump_clock: Any, guests: Any, when: str, pause: float
) -> None:
    seen = set()
    for call in count(1):
        at = await killed_at(lab, guests, call, when, pause)
        if not at:
            break
        seen.add(at)
    assert seen >= {"save", "make", "tail", "flatten", "remove", "images", "left"}


async def test_one_that_ended_unseen_and_said_nothing_is_built_anew_at_once(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    async def silent(host: Any, box: Any) -> None:
        await trio.sleep(60)
        box.log += b"login: \n"
        host.end(box, clean=True)

    host, scaler = lab.host, lab.scaler(lab.core, lab.host)
    host.script = silent
    async with guests(host):
        async with scaler.running():
            await scaler.until(lambda: host.made)
        await trio.sleep(100)
        host.script = lab.works
        async with scaler.running():
            await scaler.until(lambda: scaler.state().failed, within=30)
            assert "it ended while nobody looked" in scaler.state().failed.why
            await scaler.until(lambda: scaler.state().live, within=300)
            assert scaler.state().live.number == 2


async def test_a_builder_is_adopted_and_has_what_is_left_of_its_time(
    lab: Any, autojump_clock: Any, guests: Any
) -> None:
    core = lab.cores(linux=lab.recipe(build_timeout=lab.seconds("1h")))
    host, scaler = lab.host, lab.scaler(core, lab.host)
    host.script = lab.hangs
    async with guests(host):
        for _ in range(3):
            async with scaler.running():
                await trio.sleep(1000)
        assert [box.running for box in host.made] == [True]
        async with scaler.running():
            await scaler.until(lambda: scaler.state().failed, within=700)
        assert len(host.made) == 1
