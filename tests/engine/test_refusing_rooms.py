"""Rooms that take nothing of a profile for now, as provisioners tell it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from tests.engine.conftest import World

WHY = "its image is being built (3 min)"


def refuse(world: World, refuses: Any) -> None:
    world.rooms = [replace(world.rooms[0], refuses=refuses)]
    world.contexts["vm"].capacity_changed()


async def test_what_waits_for_a_room_is_made_when_it_takes_it(
    world: World, autojump_clock: object
) -> None:
    world.rooms = [replace(world.rooms[0], refuses={"linux": WHY})]
    async with world.running():
        await world.deliver(1, world.job(1))
        await trio.sleep(100)
        view = world.engine.view()
        assert (world.rows, view.profiles["linux"].ceiling) == ({}, 0)
        assert view.profiles["linux"].why == view.waiting["linux", "j1"] == f"a: {WHY}"
        refuse(world, {})
        await world.until(lambda: list(world.states().values()) == ["booting"], 5)
        assert world.engine.view().profiles["linux"].ceiling == 4
        refuse(world, {"linux": WHY})
        await trio.sleep(5)
        assert world.states() == {1: "booting"}  # what it has stays
        assert world.engine.view().profiles["linux"].ceiling == 1


async def test_a_refusal_that_is_none_is_a_fault_of_its_plugin(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        refuse(world, {"linux": 7})
        await world.until(lambda: any(not each.ok for each in world.engine.view().reports), 5)
        [report] = [each for each in world.engine.view().reports if not each.ok]
        assert report.plugin == "vm"
        assert "refuses" in report.text
        await world.deliver(1)
        await world.until(lambda: list(world.states().values()) == ["booting"], 5)
