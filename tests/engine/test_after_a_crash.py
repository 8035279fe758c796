"""What the next start makes of it: strays, ids that may be in use, failures that are one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio

from scaler.engine.reconciler import Reconciler
from scaler.errors import Unavailable
from scaler.records import Machine, RunnerState

if TYPE_CHECKING:
    from tests.engine.conftest import World

    from scaler.model.row import Row

Rows = Callable[..., "Row"]


@pytest.mark.parametrize(
    ("state", "failing"),
    [(RunnerState.REGISTERED, "list machines"), (RunnerState.PLANNED, "list registrations")],
)
async def test_half_made_runners_do_not_wait_for_a_list_that_never_comes(
    world: World, autojump_clock: object, row: Rows, state: RunnerState, failing: str
) -> None:
    """One host is down: what is promised there must not keep a job from its runner."""
    await world.stored(row(1, state))
    world.agents["linux.1@host"] = world.agent("r1")
    world.script[failing] = [OSError("a host is down")] * 1000
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: 1 not in world.rows, 30)
        await world.until(lambda: world.states() == {100: "booting"}, 5)
    assert "linux.1@host" not in world.agents


async def test_ids_stay_unknown_over_a_crash_until_all_lists_were_complete(
    world: World, autojump_clock: object
) -> None:
    """The ledger was lost, and a host that may hold machines by these ids does not answer."""
    world.agents["linux.5@host"] = world.agent("r5")
    world.script["list machines"] = [OSError("a host is down")] * 1000
    async with world.running(crash=True):
        await world.deliver(1, cursor=1)
        await world.until(lambda: 5 in world.rows)
        await trio.sleep(20)
    async with world.running():
        await world.deliver(1)
        await trio.sleep(20)
        assert not world.count("register")
    async with world.running():  # after a clean stop, too
        await world.deliver(1)
        await trio.sleep(20)
        assert not world.count("register")
        world.machines[77] = Machine(
            runner=77, id="old", room="a", runner_name="linux.77@host", profile="linux"
        )
        world.script.clear()
        await world.until(lambda: world.count("register"), 150)
    assert "register 78" in world.calls


async def test_failures_of_one_moment_are_one(world: World, autojump_clock: object) -> None:
    world.profiles["linux"] = replace(world.profiles["linux"], max_count=8)
    world.rooms = [replace(world.rooms[0], total={})]
    world.script["provision"] = [Unavailable("the daemon was restarted")] * 8
    async with world.running():
        await world.deliver(8)
        await world.until(lambda: world.count("provision") == 8, 5)
        await world.until(lambda: world.count("provision") == 16, 3)
        assert world.engine.state.backoffs.profiles["linux"].failures == 1


async def test_a_machine_that_appears_after_its_runner_is_gone_is_removed_at_once(
    world: World, autojump_clock: object
) -> None:
    """The hypervisor carried out a call after it was given up, and after all was cleaned."""
    world.tick = 600.0
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "booting"}, 5)
        late = world.machines[1]
        world.stop_machine(1)
        await world.until(lambda: 1 not in world.rows, 5)
        await world.deliver(0)
        await world.deliver(0)
        world.machines[1] = replace(late, id="late")
        world.contexts["vm"].machine_changed(world.machines[1])
        await world.until(lambda: 1 not in world.machines, 10)


async def test_a_time_without_a_scaler_confirms_no_lower_demand(
    world: World, autojump_clock: object
) -> None:
    async with world.running(crash=True):
        await world.deliver(3)
        await world.until(lambda: list(world.states().values()) == ["booting"] * 3, 5)
        await world.deliver(1)
    await trio.sleep(60)
    async with world.running():
        await world.deliver(1)
        await trio.sleep(5)
        assert list(world.states().values()) == ["booting"] * 3
        await world.deliver(1)
        await world.until(lambda: list(world.states().values()) == ["booting"], 5)


async def many_end(world: World, row: Rows, most: int) -> None:
    """Thirty runners whose jobs are over, once four jobs more are told."""
    world.profiles["linux"] = replace(world.profiles["linux"], max_count=most)
    world.rooms = [replace(world.rooms[0], total={})]
    await world.stored(*(row(number, RunnerState.BUSY) for number in range(1, 31)))
    for number in range(1, 31):
        world.agents[f"linux.{number}@host"] = world.agent(f"r{number}", online=True)
        world.machines[number] = Machine(runner=number, id=f"old-{number}", room="a")
    world.script["register"] = [30.0] * 4
    world.script["unregister"] = [1.0] * 30


async def test_in_a_rush_of_starts_those_that_end_wait_a_moment_and_then_all_go(
    world: World, autojump_clock: object, row: Rows
) -> None:
    await many_end(world, row, 100)
    async with world.running():
        await trio.sleep(0.55)  # off the beat of the reconciler's own looks
        ended = [world.job(n, "done", world.name(n)) for n in range(1, 31)]
        await world.deliver(4, *ended)
        began = trio.current_time()
        await world.until(lambda: world.count("register") == 4, 5)
        await trio.sleep(0.5)
        assert world.count("unregister") == 0
        await world.until(lambda: not {*world.rows} & {*range(1, 31)}, 30)
        assert trio.current_time() - began < 10  # though those that are made hang
        assert len(world.rows) == 4


async def test_where_places_are_short_nobody_waits_to_be_retired(
    world: World, autojump_clock: object, row: Rows
) -> None:
    await many_end(world, row, 32)
    async with world.running():
        await trio.sleep(0.55)
        await world.deliver(4, *(world.job(n, "done", world.name(n)) for n in range(1, 31)))
        await world.until(lambda: world.count("register") == 2, 5)
        await world.until(lambda: world.count("unregister") == 30, 0.5)


async def test_who_waits_to_be_retired_goes_on_when_all_are_made(
    world: World, autojump_clock: object, row: Rows
) -> None:
    await many_end(world, row, 100)
    world.script["register"] = [0.6] * 4
    world.script["unregister"] = [10.0] * 30
    async with world.running():
        await trio.sleep(0.55)
        await world.deliver(4, *(world.job(n, "done", world.name(n)) for n in range(1, 31)))
        await world.until(lambda: world.count("register") == 4, 5)
        assert world.count("unregister") == 0
        await world.until(lambda: world.count("unregister") == 30, 1)


async def test_what_failed_to_be_retired_and_is_in_line_makes_no_hot_loop(
    world: World, autojump_clock: object, row: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.profiles["linux"] = replace(world.profiles["linux"], max_count=100)
    world.rooms = [replace(world.rooms[0], total={})]
    await world.stored(row(1, RunnerState.RETIRING), row(2, RunnerState.BUSY))
    world.agents["linux.2@host"] = world.agent("r2", online=True)
    world.machines[2] = Machine(runner=2, id="old-2", room="a")
    world.script["unregister"] = [OSError("away"), 30.0]
    world.script["register"] = [30.0] * 4
    looks: list[float] = []
    once = Reconciler.once

    async def counted(self: Reconciler, nursery: trio.Nursery) -> None:
        looks.append(trio.current_time())
        await once(self, nursery)

    async with world.running():
        await trio.sleep(0.55)
        await world.deliver(4, world.job(2, "done", "linux.2@host"))
        await trio.sleep(0.4)
        monkeypatch.setattr(Reconciler, "once", counted)
        await trio.sleep(4)
    assert len(looks) < 20


async def test_a_machine_that_is_told_of_while_it_is_made_is_not_taken_for_the_answer(
    world: World, autojump_clock: object
) -> None:
    world.script["provision"] = [5.0]
    async with world.running():
        await world.deliver(1)
        await world.until(lambda: world.states() == {1: "registered"}, 5)
        early = Machine(runner=1, id="early", room="a", runner_name="linux.1@host")
        world.contexts["vm"].machine_changed(early)
        assert world.states() == {1: "registered"}
        await world.until(lambda: world.states() == {1: "booting"}, 10)
        assert world.rows[1].runner.machine == world.machines[1]


async def test_a_list_that_hangs_does_not_keep_half_made_runners(
    world: World, autojump_clock: object, row: Rows
) -> None:
    await world.stored(row(1, RunnerState.REGISTERED))
    world.agents["linux.1@host"] = world.agent("r1")
    world.script["list machines"] = [world.HANG] * 10
    async with world.running():
        await world.until(lambda: 1 not in world.rows, 25)
