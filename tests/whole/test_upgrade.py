"""A whole scaler over the ledger of an older one: every runner it had is taken over."""

from __future__ import annotations

from pathlib import Path

import trio
from tests.engine.conftest import Agent, World, profile
from tests.ledger.books import old_ledger

from scaler.records import Machine, Room

WITH_AGENT = {2, 3, 4, 5, 6, 8}  # of the fixture's runners, in each state one
WITH_MACHINE = {3, 4, 5, 6, 7, 8}


def world_of(folder: Path) -> World:
    """What was there when the older scaler ended."""
    world = World(folder)
    world.rooms = [Room(name="a", total={"memory": 100})]
    world.profiles = {"linux": profile(hold_failed=1e9, reserve_timeout=1e9)}
    for number in WITH_AGENT:
        agent = Agent(f"r{number}", online=number in {4, 5, 6}, busy=number == 6)
        world.agents[f"linux.{number}@host"] = agent
    for number in WITH_MACHINE:
        world.machines[number] = Machine(
            runner=number,
            id=f"old-{number}",
            room="a",
            runner_name=f"linux.{number}@host",
            profile="linux",
        )
    return world


async def test_every_runner_of_a_ledger_of_version_1_is_taken_over(tmp_path: Path) -> None:
    old_ledger(tmp_path)
    world = world_of(tmp_path)
    async with world.running():
        view = world.engine.view()
        assert {job.id for job in view.jobs} >= {"j6", "j9"}
        assert not [each for each in view.reports if not each.ok]
        with trio.fail_after(10):
            while not {1, 2, 8}.isdisjoint(world.states()):  # noqa: ASYNC110 - nobody tells
                await trio.sleep(0.01)
        # what has a machine and serves, or may still serve, is left as it is
        left = {3: "booting", 4: "idle", 5: "reserved", 6: "busy", 7: "held"}
        assert {number: world.states()[number] for number in left} == left
        assert world.rows[3].config is not None
        assert world.rows[5].runner.reservation is not None
        assert world.rows[6].runner.job == "j6"
        assert {number: world.machines[number].id for number in left} == {
            number: f"old-{number}" for number in left
        }
        assert min(set(world.states()) - set(range(1, 9)), default=40) >= 40
    assert "destroy 8" in world.calls
    assert not {f"destroy {number}" for number in left} & set(world.calls)
