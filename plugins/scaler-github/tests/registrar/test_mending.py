"""Labels that are left over go: by the core's tries, and beside them where nobody would look."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from scaler import Busy, Reservation, RunnerState, Unavailable

World = Any
Reserve = Callable[..., Reservation]
LIMIT = {"status": 429, "headers": {"retry-after": "20"}}


# Taken back by the core


@pytest.mark.parametrize(
    "fault", [{"status": 403}, {"status": 401}, LIMIT, {"kind": "hang"}], ids=str
)
async def test_an_older_reservation_that_cannot_be_taken_away_is_no_success(
    world: World, reserve: Reserve, fault: dict[str, Any], autojump_clock: MockClock
) -> None:
    """By then the new labels are there, whatever the refusal says."""
    runner = await world.registered()
    async with world.running():
        await world.github.reserve_runner(runner, reserve("u-0", run_id="1", since=1.0))
        world.sim.faults.add("rest-delete-label", **fault)
        with pytest.raises(Unavailable), trio.fail_after(9):
            await world.github.reserve_runner(runner, reserve("u-1"))
        assert len(world.reserved()) == 6
        await world.released(runner)  # (a token that was refused is tried again after a minute)
        assert world.reserved() == []
        before = world.calls()
        await trio.sleep(100)
        assert world.calls() == before


@pytest.mark.parametrize(
    ("fault", "looks", "deletes"),
    [
        (None, 1, 2),
        (("rest-runner", {"status": 503}), 1, 0),
        (("rest-runner", {"kind": "drop"}), 1, 0),
        (("rest-runner", {"kind": "hang"}), 1, 0),
        (("rest-delete-label", {"status": 404}), 1, 2),
        (("rest-delete-label", {"status": 503}), 1, 1),
        (("rest-delete-label", {"kind": "lose"}), 1, 1),
    ],
    ids=str,
)
async def test_tries_are_not_multiplied(
    world: World,
    reserve: Reserve,
    fault: tuple[str, dict[str, Any]] | None,
    looks: int,
    deletes: int,
    autojump_clock: MockClock,
) -> None:
    """The core tries again: what it calls asks once, and nothing goes on beside it."""
    runner = await world.registered()
    world.sim.options.fail_labels = [3]
    async with world.running():
        before = world.calls()
        with pytest.raises(Unavailable):
            await world.github.reserve_runner(runner, reserve())
        assert world.calls() - before == 1
        await trio.sleep(600)
        assert world.calls() - before == 1
        assert len(world.reserved()) == 2
        if fault is not None:
            world.sim.faults.add(fault[0], **fault[1])
        with nullcontext() if fault is None else pytest.raises(Unavailable):
            await world.github.reserve_runner(runner, None)
        await trio.sleep(600)
        assert world.calls("rest-runner") == looks
        assert world.calls("rest-delete-label") == deletes
        assert world.calls() - before == 1 + looks + deletes


# What takes effect late


@pytest.mark.parametrize("delay", [9.0, 12.0, 20.0])
async def test_c27_what_takes_effect_late_is_taken_back(
    world: World, reserve: Reserve, delay: float, autojump_clock: MockClock
) -> None:
    """The core has had none found, and asks no more."""
    runner = await world.registered()
    world.sim.faults.add("rest-add-labels", delay=delay)
    async with world.running():
        began = trio.current_time()
        with pytest.raises(Unavailable, match="not answered within 8 s"):
            await world.github.reserve_runner(runner, reserve())
        await world.released(runner)
        assert world.reserved() == []
        await trio.sleep_until(began + delay + 1)
        assert len(world.reserved()) == 3
        await trio.sleep_until(began + 24)
        assert world.reserved() == []


@pytest.mark.parametrize("delay", [0.0, 3.0])
async def test_c27_a_caller_that_leaves_leaves_none(
    world: World, reserve: Reserve, delay: float, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    wire = world.sim._front.handle

    async def late(request: Any) -> Any:
        await trio.sleep(delay)
        answer = await wire(request)
        await trio.sleep(3)
        return answer

    world.sim._front.handle = late
    async with world.running():
        with trio.move_on_after(0.5) as scope:
            await world.github.reserve_runner(runner, reserve())
        assert scope.cancelled_caught
        world.sim._front.handle = wire
        await trio.sleep(4)
        assert len(world.reserved()) == 3
        await trio.sleep(15)
        assert world.reserved() == []


async def test_c27_a_reservation_that_was_made_since_stays(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    world.sim.faults.add("rest-add-labels", delay=12.0)
    async with world.running():
        with pytest.raises(Unavailable):
            await world.github.reserve_runner(runner, reserve("late"))
        await world.released(runner)
        await world.github.reserve_runner(runner, reserve("u-1", since=1800000000.0))
        await trio.sleep(6)
        assert len(world.reserved()) == 5  # (two, and one that is the same)
        await trio.sleep(30)
        assert sorted(world.reserved()) == [
            "reserved-by:acme/web/actions/runs/77",
            "reserved-for:u-1",
            "reserved-since:1800000000",
        ]


@pytest.mark.parametrize("route", ["rest-runner", "rest-delete-label"])
async def test_a_reservation_that_is_made_while_late_labels_are_taken_away_stays(
    world: World, reserve: Reserve, route: str, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    world.sim.faults.add("rest-add-labels", delay=12.0)
    async with world.running():
        began = trio.current_time()
        with pytest.raises(Unavailable):
            await world.github.reserve_runner(runner, reserve())
        await world.released(runner)
        world.sim.faults.add(route, delay=3.0)
        await trio.sleep_until(began + 24)
        assert len(world.reserved()) == 3  # they are being taken away
        await world.github.reserve_runner(runner, reserve())
        await trio.sleep(60)
        assert len(world.reserved()) == 3


async def test_late_labels_are_taken_back_where_that_fails_at_first(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    async with world.running():
        world.sim.faults.add("rest-add-labels", kind="lose")
        with pytest.raises(Unavailable):
            await world.github.reserve_runner(runner, reserve())
        for fault in ({"kind": "hang"}, {"status": 503}, {"kind": "drop"}):
            world.sim.faults.add("rest-runner", **fault)
        await trio.sleep(60)
        assert world.reserved() == []
        assert world.calls("rest-runner") == 4


async def test_late_labels_of_who_has_begun_a_job_stay(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    async with world.running():
        world.sim.faults.add("rest-add-labels", kind="lose")
        with pytest.raises(Unavailable):
            await world.github.reserve_runner(runner, reserve())
        world.sim.bring_online(runner.name)
        [job] = world.sim.queue_jobs(labels=["bench", "reserved-for:u-1"])
        assert job.runner_name == runner.name
        with pytest.raises(Busy):
            await world.released(runner)
        await trio.sleep(120)
        assert len(world.reserved()) == 3
        assert world.calls("rest-runner") == 2


# Stopping


async def test_a_stop_takes_late_labels_back_at_once(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    """They would be looked for 15 s after the call."""
    runner = await world.registered()
    async with world.running():
        world.sim.faults.add("rest-add-labels", kind="lose")
        with pytest.raises(Unavailable):
            await world.github.reserve_runner(runner, reserve())
        await trio.sleep(4)
        assert len(world.reserved()) == 3
        began = trio.current_time()
    assert trio.current_time() - began < 1
    assert world.reserved() == []


@pytest.mark.parametrize("fault", [{"kind": "hang"}, {"status": 503}], ids=str)
@pytest.mark.parametrize("pause", [1.0, 16.0, 40.0])
async def test_a_stop_does_not_wait_for_labels_that_cannot_be_taken_back(
    world: World,
    reserve: Reserve,
    fault: dict[str, Any],
    pause: float,
    autojump_clock: MockClock,
) -> None:
    runner = await world.registered()
    world.sim.faults.add("rest-add-labels", kind="lose")
    world.sim.faults.add("rest-runner", **fault, times=None)
    async with world.running():
        with pytest.raises(Unavailable):
            await world.github.reserve_runner(runner, reserve())
        await trio.sleep(pause)
        began, before = trio.current_time(), world.calls("rest-runner")
    assert trio.current_time() - began < 5
    assert world.calls("rest-runner") - before <= 1


async def test_a_stop_waits_for_labels_that_are_being_taken_away(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    await crashed(world, reserve)
    async with world.running():
        world.sim.faults.add("rest-runner", delay=3.0)
        await world.listed()
        await trio.sleep(1)
        assert len(world.reserved()) == 3
    assert world.reserved() == []


async def test_a_stop_waits_for_no_list(world: World, autojump_clock: MockClock) -> None:
    world.sim.delays["rest-runners"] = 20.0
    async with trio.open_nursery() as nursery:
        async with world.running():
            nursery.start_soon(world.github.list_registrations)
            await trio.sleep(1)
            began = trio.current_time()
        assert trio.current_time() - began < 1


# What a crash has left


async def crashed(world: World, reserve: Reserve) -> None:
    """A process that ended while its runner was labelled."""
    runner = await world.registered(state=RunnerState.IDLE)
    await world.github.reserve_runner(runner, reserve())
    world.core.runners = [world.runner(state=RunnerState.IDLE, registration=runner.registration)]
    world.build()


async def test_what_a_crash_left_is_taken_away(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    await crashed(world, reserve)
    async with world.running():
        await world.listed()
        await trio.sleep(1)
        assert world.reserved() == []
        before = world.calls("rest-runner")
        await trio.sleep(100)
        await world.listed()
        assert world.calls("rest-runner") == before == 1


async def test_who_is_reserved_keeps_its_labels(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    await crashed(world, reserve)
    mine = world.runner(state=RunnerState.RESERVED, reservation=reserve())
    unknown = world.runner(2, state=RunnerState.IDLE)
    for rows in ([mine], [], [unknown]):
        world.core.runners = rows
        world.build()
        async with world.running():
            await world.listed()
            await trio.sleep(1)
        assert len(world.reserved()) == 3
        assert world.calls("rest-runner") == 0


async def test_who_was_reserved_since_the_start_keeps_its_labels(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    await crashed(world, reserve)
    [runner] = world.core.runners
    async with world.running():
        await world.github.reserve_runner(runner, reserve("u-2"))
        await world.listed()
        await trio.sleep(10)
        assert "reserved-for:u-2" in world.reserved()
        assert len(world.reserved()) == 3


async def test_what_a_crash_left_is_taken_away_where_that_fails_at_first(
    world: World, reserve: Reserve, autojump_clock: MockClock
) -> None:
    """At first quickly, and then twice a minute."""
    await crashed(world, reserve)
    world.sim.faults.add("rest-delete-label", status=404, times=None)
    async with world.running():
        await world.listed()
        await trio.sleep(600)
        before = world.calls("rest-runner")
        assert before >= 20
        await trio.sleep(600)
        assert 20 <= world.calls("rest-runner") - before <= 60
        world.sim.faults.clear()
        await trio.sleep(31)
        assert world.reserved() == []
