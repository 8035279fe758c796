"""What guests have asked for, as others see it: a sign of life of a machine."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio

from scaler.errors import GuestError, GuestUnknown

from .test_guests import KEY, boots, builder, config, digest, guest, learnt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.engine.conftest import World


def asked(world: World) -> Mapping[str, frozenset[str]]:
    return world.engine.view().asked


async def test_what_a_runners_guest_asks_for_is_seen_until_its_machine_is_gone(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await boots(world)
        assert asked(world) == {}
        with pytest.raises(GuestUnknown):  # it has no boot script, and asked all the same
            await guest(world).boot()
        assert asked(world) == {"vm-1": {"boot"}}
        await config(world)
        assert asked(world) == {"vm-1": {"boot", "registration"}}
        world.stop_machine(1)
        await world.until(lambda: 1 not in world.rows, 60)
        assert "vm-1" not in asked(world)


async def test_a_builder_that_asks_for_a_registration_gets_none_and_is_seen(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        machine = builder(world, key=digest(KEY))
        found = guest(world, "192.0.2.1", KEY)
        with pytest.raises(GuestUnknown, match="image"):
            await found.registration()
        assert asked(world) == {"b1": {"registration"}}
        world.contexts["vm"].machine_changed(replace(machine, state="stopped"))
        assert asked(world) == {}
        for ask in (found.registration, found.boot):  # too late: nobody would forget it
            with pytest.raises(GuestUnknown):
                await ask()
        assert asked(world) == {}


async def test_watchers_are_woken_once_by_what_is_new(world: World, autojump_clock: object) -> None:
    async with world.running():
        world.machines[-1] = builder(world, key=digest(KEY))
        found, seen = guest(world, "192.0.2.1", KEY), []

        async def watch() -> None:
            view = world.engine.view()
            while True:
                view = await world.contexts["vm"].next_view(view)
                seen.append(view.asked.get("b1"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.sleep(0.5)
            for ask in (found.boot, found.boot, found.registration, found.boot):
                with suppress(GuestError):
                    await ask()
                await trio.sleep(0.5)
            nursery.cancel_scope.cancel()
        assert [each for each in seen if each] == [{"boot"}, {"boot", "registration"}]


async def test_strangers_and_machines_by_another_id_are_not_noted(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await boots(world)
        found = guest(world)
        with pytest.raises(GuestUnknown):
            guest(world, "192.0.2.99")
        learnt(world, 1, "192.0.2.7", state="stopped")
        with pytest.raises(GuestError):
            await found.registration()
        assert asked(world) == {}
