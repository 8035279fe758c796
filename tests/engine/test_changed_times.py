"""Times of a profile that change while its runners are there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from .conftest import profile
from .promises import Labels, idle, reserved, reserving, take

if TYPE_CHECKING:
    from tests.engine.conftest import World


def change(world: World, **values: Any) -> None:
    """What the settings say of it is another, and the scaler runs on."""
    state = world.engine.state
    state.profiles = {"linux": replace(state.profiles["linux"], **values)}
    state.changed()


async def busy(world: World) -> None:
    await world.deliver(1, world.job(1))
    await world.until(lambda: list(world.states().values()) == ["booting"], 10)
    world.works(1)
    await world.deliver(1, world.job(1, "running", world.name(1)))


async def test_a_shorter_lifetime_ends_no_job(world: World, autojump_clock: object) -> None:
    world.profiles = {"linux": profile(max_lifetime=3600.0)}
    async with world.running():
        await busy(world)
        await trio.sleep(600)
        change(world, max_lifetime=24.0)
        await trio.sleep(1800)
        assert world.states() == {1: "busy"}
        assert 1 in world.machines
        world.agents.clear()
        await world.deliver(0, world.job(1, "done", world.name(1), result="succeeded"))
        await world.until(lambda: not world.rows, 30)
        # and counts for who is planned from then on
        await world.deliver(1, world.job(2))
        await world.until(lambda: world.states() == {2: "booting"}, 10)
        world.online(2)
        await world.until(lambda: 2 not in world.rows, 30)
        texts = [each.text for each in world.engine.view().events]
        assert "linux.2@host is retiring: max_lifetime is over" in texts


async def test_a_longer_lifetime_counts_at_once(world: World, autojump_clock: object) -> None:
    world.profiles = {"linux": profile(max_lifetime=600.0)}
    async with world.running():
        await busy(world)
        await trio.sleep(500)
        change(world, max_lifetime=7200.0)
        await trio.sleep(6000)
        assert world.states() == {1: "busy"}


async def test_what_is_held_goes_by_what_the_settings_say_now(
    world: World, autojump_clock: object
) -> None:
    world.profiles = {"linux": profile(hold_failed=7200.0)}
    async with world.running():
        await busy(world)
        await world.deliver(0, world.job(1, "done", world.name(1), result="failed"))
        world.agents.clear()
        await trio.sleep(100)
        change(world, hold_failed=60.0)
        await world.until(lambda: not world.rows, 10)


async def test_a_reservation_goes_by_what_the_settings_say_now(
    world: World, autojump_clock: object
) -> None:
    world.plugins["queue"] = reserving(world, Labels())
    async with idle(world, 1, reserve_timeout=3600.0):
        [runner] = await take(world)
        await trio.sleep(120)
        assert reserved(world) == [runner.id]
        change(world, reserve_timeout=60.0)
        await world.until(lambda: not reserved(world), 15)
