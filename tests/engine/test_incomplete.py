"""Lists of which a part could not be asked: what they hold counts, what is missing says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from scaler import Incomplete

if TYPE_CHECKING:
    from tests.engine.conftest import World


async def test_what_is_listed_counts_and_what_is_not_is_unknown(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await world.deliver(2, world.job(1), world.job(2))
        await world.until(lambda: world.states() == {1: "booting", 2: "booting"}, 5)
        world.agents[world.name(1)].online = True
        known = world.registration(world.name(1))
        world.script["list registrations"] = [Incomplete([known], "the other is away")] * 500
        await world.until(lambda: world.states()[1] == "idle", 40)
        await trio.sleep(200)
        assert world.states() == {1: "idle", 2: "booting"}  # the second is not taken for gone
        assert "unregister 2" not in world.calls


@pytest.mark.parametrize("listed", [[5], ["x"], [None]])
async def test_an_incomplete_list_of_something_else_is_nothing(
    world: World, autojump_clock: object, listed: list[object]
) -> None:
    async with world.running():
        await world.deliver(1, world.job(1))
        await world.until(lambda: world.states() == {1: "booting"}, 5)
        world.script["list registrations"] = [Incomplete(listed)] * 500
        await trio.sleep(200)
        assert world.states() == {1: "booting"}


async def test_machines_that_could_not_be_asked_for_are_not_gone(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await world.deliver(1, world.job(1))
        await world.until(lambda: world.states() == {1: "booting"}, 5)
        world.online(1)
        world.script["list machines"] = [Incomplete([], "one host is down")] * 500
        await trio.sleep(200)
        assert world.states() == {1: "idle"}
        del world.script["list machines"]
        world.machines.clear()
        await world.until(lambda: "unregister 1" in world.calls, 120)
