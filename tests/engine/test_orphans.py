"""What is found of a profile that is not in the settings any more, with a ledger that is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from scaler.records import Machine

if TYPE_CHECKING:
    from tests.engine.conftest import World


def machine(runner: int, profile: str = "old") -> Machine:
    return Machine(
        runner=runner,
        id=f"m{runner}",
        room="a",
        runner_name=f"{profile}.{runner}@host",
        profile=profile,
    )


async def test_a_machine_without_a_registration_is_destroyed(
    world: World, autojump_clock: object
) -> None:
    world.machines[7] = machine(7)
    async with world.running():
        await world.until(lambda: 7 not in world.machines, 120)
        await world.until(lambda: 7 not in world.rows, 60)
        assert world.engine.state.next_id > 7


async def test_a_registration_is_taken_back_and_then_its_machine_destroyed(
    world: World, autojump_clock: object
) -> None:
    world.agents["old.7@host"] = world.agent("r7")
    world.machines[7] = machine(7)
    async with world.running():
        await world.until(lambda: "old.7@host" not in world.agents, 120)
        await world.until(lambda: 7 not in world.machines, 120)
        await world.until(lambda: 7 not in world.rows, 60)


async def test_a_busy_one_ends_its_job_first(world: World, autojump_clock: object) -> None:
    world.agents["old.7@host"] = replace(world.agent("r7"), online=True, busy=True)
    world.machines[7] = machine(7)
    async with world.running():
        await trio.sleep(300)
        assert 7 in world.machines
        assert "old.7@host" in world.agents
        del world.agents["old.7@host"]
        await world.until(lambda: 7 not in world.machines, 400)


async def test_where_registrations_are_not_known_nothing_is_destroyed(
    world: World, autojump_clock: object
) -> None:
    world.machines[7] = machine(7)
    world.script["list registrations"] = [OSError("GitHub is down")] * 1000
    async with world.running():
        await trio.sleep(300)
        assert 7 in world.machines
        world.script.clear()
        await world.until(lambda: 7 not in world.machines, 200)
