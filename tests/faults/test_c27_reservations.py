"""C27: a runner is to be reserved, and not every label comes to be on it."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from tests.faults import by_rest
from tests.faults.conftest import Faults
from tests.faults.world import World
from trio.testing import MockClock

from scaler import Reservation, Runner, RunnerState, Selection, Unavailable

LAPSE = 20.0  # seconds that a reservation lasts here
FREE_AGAIN = 5.0  # seconds after which a runner that could not be reserved looks free
WAITS = 10.0  # seconds that whoever asks waits for an answer


def reservation(number: int = 1) -> Reservation:
    unique = f"00000000-0000-4000-8000-{number:012x}"
    return Reservation(
        unique_id=unique, qualified_repo="acme/widgets", run_id="9", since=1_800_000_000.0
    )


def settings() -> dict[str, Any]:
    return by_rest.settings(profile=f'reserve_timeout = "{LAPSE:g}s"')


async def reserve(world: World, wanted: Reservation) -> tuple[Runner, ...]:
    """What is done for whoever asks for a runner."""
    assert world.running is not None
    return await world.running._engine.take(Selection(profile="rest"), wanted, 0.0)


def free(world: World) -> bool:
    """Whether a runner waits for a job, and none is or looks reserved."""
    states = {each.state for each in world.view().runners if each.profile == "rest"}
    return not labels(world) and RunnerState.IDLE in states and RunnerState.RESERVED not in states


def labels(world: World) -> set[str]:
    """The labels of a reservation that GitHub shows, on any runner."""
    names = {str(label["name"]) for agent in world.simulator.agents for label in agent.labels}
    return {name for name in names if name.startswith("reserved-")}


async def answers_error(world: World) -> None:
    """Whoever asks is told that it failed, soon, and 5 s after that the runner looks free."""
    began = trio.current_time()
    with pytest.raises(Unavailable):
        await reserve(world, reservation())
    assert trio.current_time() - began <= WAITS
    await world.until(lambda: free(world), FREE_AGAIN)


async def serves(world: World) -> None:
    """It can be reserved now, and freed, and takes a job."""
    [runner] = await reserve(world, reservation(2))
    assert runner.state is RunnerState.RESERVED
    assert len(labels(world)) == 3
    assert reservation(2).unique_id in " ".join(labels(world))
    await world.until(lambda: free(world), LAPSE + FREE_AGAIN)
    [job] = by_rest.queue(world, 1, 30)
    assert job.started_at is not None
    await world.until(lambda: job.state == "completed")
    await world.until(lambda: by_rest.idle(world), 120)
    await world.settled()


@pytest.mark.parametrize("label", [1, 2, 3])
@pytest.mark.parametrize("times", [1, 2])
async def test_c27_a_label_fails(
    autojump_clock: MockClock, faults: Faults, label: int, times: int
) -> None:
    async with faults(**settings()) as world:
        by_rest.count_in(world)
        async with world.scaler():
            await world.until(lambda: by_rest.idle(world))
            world.simulator.options.fail_labels.extend([label] * times)
            for _ in range(times):
                await answers_error(world)
            await serves(world)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "lose"},
        {"kind": "drop"},
        {"kind": "truncate"},
        {"kind": "hang"},
        {"kind": "slow"},
        {"status": 500},
        {"status": 500, "act": True},
        {"status": 502, "act": True},
        {"status": 200, "body": b"{}", "act": True},
        {"status": 200, "body": b'{"labels":[]}', "act": True},
    ],
    ids=range(10),
)
async def test_c27_the_answer_fails(
    autojump_clock: MockClock, faults: Faults, fault: dict[str, Any]
) -> None:
    """Whether they are on it is not known: they are not, 5 s later."""
    async with faults(**settings()) as world:
        by_rest.count_in(world)
        async with world.scaler():
            await world.until(lambda: by_rest.idle(world))
            world.simulator.faults.add("rest-add-labels", **fault)
            await answers_error(world)
            await serves(world)


@pytest.mark.parametrize("route", ["rest-labels", "rest-delete-label"])
@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("label", [1, 2, 3])
async def test_c27_taking_them_back_fails_too(
    autojump_clock: MockClock, faults: Faults, route: str, times: int, label: int
) -> None:
    async with faults(**settings()) as world:
        by_rest.count_in(world)
        async with world.scaler():
            await world.until(lambda: by_rest.idle(world))
            world.simulator.options.fail_labels.append(label)
            world.simulator.faults.add(route, status=500, times=times)
            await answers_error(world)
            world.simulator.faults.clear()
            await serves(world)


async def test_c27_taking_them_back_fails_for_long(
    autojump_clock: MockClock, faults: Faults
) -> None:
    """GitHub is ill: whoever asks is told so in time, and the labels go when it is well."""
    async with faults(**settings()) as world:
        by_rest.count_in(world)
        async with world.scaler():
            await world.until(lambda: by_rest.idle(world))
            world.simulator.options.fail_labels.append(2)
            world.simulator.faults.add("rest-labels", status=503, times=None)
            began = trio.current_time()
            with pytest.raises(Unavailable):
                await reserve(world, reservation())
            assert trio.current_time() - began <= WAITS
            await trio.sleep(300)
            world.simulator.faults.clear()
            await world.until(lambda: free(world), 90)
            await serves(world)


@pytest.mark.parametrize("label", [1, 2, 3])
async def test_c27_whoever_asks_goes_away(
    autojump_clock: MockClock, faults: Faults, label: int
) -> None:
    """What was put is taken back, also where nobody waits for the answer any more."""
    async with faults(**settings()) as world:
        by_rest.count_in(world)
        async with world.scaler():
            await world.until(lambda: by_rest.idle(world))
            world.simulator.options.fail_labels.append(label)
            world.simulator.faults.add("rest-add-labels", delay=1.5)
            with trio.move_on_after(1):
                await reserve(world, reservation())
            await trio.sleep(30)  # GitHub acts on what it was asked for before
            assert free(world)
            world.simulator.options.fail_labels.clear()
            await serves(world)


async def test_c27_it_has_a_job(autojump_clock: MockClock, faults: Faults) -> None:
    """It is neither reserved nor labelled; another may be."""
    async with faults(**settings()) as world:
        by_rest.count_in(world)
        async with world.scaler():
            await world.until(lambda: by_rest.idle(world))
            [job] = by_rest.queue(world, 1, 100)
            await trio.sleep(35)
            working = {each.id for each in world.view().runners if each.state == "busy"}
            assert len(working) == 1
            taken = await reserve(world, reservation())
            assert not working & {each.id for each in taken}
            assert world.simulator.count("rest-add-labels") == len(taken)
            await world.until(lambda: job.state == "completed")
            await world.until(lambda: by_rest.idle(world), 120)
            await world.settled()
