"""Runners promised to someone: all or none, the same answer again, and taken back in time."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from scaler import Refused, Unavailable
from scaler.records import Runner, RunnerState

from .conftest import World, profile
from .promises import Labels, idle, ready, reserved, reserving, take, unique


@pytest.fixture
def labels(world: World) -> Labels:
    made = Labels()
    world.plugins["queue"] = reserving(world, made)
    return made


async def test_an_idle_runner_is_reserved(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 2):
        [runner] = await take(world)
        assert runner.state is RunnerState.RESERVED
        assert runner.reservation is not None
        assert runner.reservation.unique_id == unique(1)
        assert labels.seen == {runner.id: unique(1)}
        assert reserved(world) == [runner.id]


async def test_the_same_question_gets_the_same_answer(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 3):
        first = await take(world)
        world.works(first[0].id)
        assert await take(world) == first
        assert await take(world, qualified_repo="Acme/Widgets") == first
        assert len(labels.seen) == 1
        for other in ({"count": 2}, {"qualified_repo": "acme/x"}, {"run_id": "10"}):
            with pytest.raises(Refused) as refused:
                await take(world, **other)
            assert refused.value.code == "unique-id-used"


async def test_those_who_ask_at_once_share_one_answer(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    answers: list[tuple[Runner, ...]] = []

    async def ask() -> None:
        answers.append(await take(world))

    async with idle(world, 3):
        world.script["reserve"] = [2.0]
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(ask)
        assert answers == [answers[0]] * 10
        assert world.count("reserve") == 1


async def test_all_or_none(autojump_clock: MockClock, world: World, labels: Labels) -> None:
    async with idle(world, 3):
        assert await take(world, count=4) == ()
        assert reserved(world) == []
        assert len(await take(world, count=3)) == 3
        assert await take(world, 2) == ()


@pytest.mark.parametrize("failing", [1, 2, 3])
@pytest.mark.parametrize(
    "error",
    [Unavailable("GitHub is down"), RuntimeError("a bug"), World.HANG],
    ids=["down", "bug", "hangs"],
)
async def test_c27_one_that_fails_undoes_all(
    autojump_clock: MockClock, world: World, labels: Labels, failing: int, error: Any
) -> None:
    async with idle(world, 3):
        world.script["reserve"] = [None] * (failing - 1) + [error]
        began = trio.current_time()
        with pytest.raises(Unavailable):
            await take(world, count=3)
        assert trio.current_time() - began <= 10.5
        await world.until(lambda: ready(world) == 3, 5)
        assert labels.seen == {}
        assert len(await take(world, count=3)) == 3


async def test_labels_that_are_refused_are_told_as_such(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 1):
        world.script["reserve"] = [Refused("labels-refused", "a label has a comma")]
        with pytest.raises(Refused, match="comma"):
            await take(world)
        await world.until(lambda: ready(world) == 1, 5)


async def test_a_runner_that_turns_out_to_be_busy_is_replaced(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 3):
        oldest = next(iter(world.engine.state.index.idle["linux"]))
        world.agents[world.name(oldest)].busy = True  # and nobody told yet
        runners = await take(world, count=2)
        assert oldest not in {runner.id for runner in runners}
        assert world.rows[oldest].runner.state is RunnerState.BUSY
        assert len(labels.seen) == 2


async def test_none_where_all_others_are_busy(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 2):
        world.agents[world.name(min(world.rows))].busy = True
        assert await take(world, count=2) == ()
        await world.until(lambda: not reserved(world), 5)
        assert labels.seen == {}


async def test_c49_whoever_goes_away_changes_nothing(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 3):
        world.script["reserve"] = [3.0]
        with trio.move_on_after(1):
            await take(world)
        await world.until(lambda: len(labels.seen) == 1, 5)
        [runner] = await take(world)
        assert labels.seen == {runner.id: unique(1)}
        assert world.count("reserve") == 1


async def test_it_lapses(autojump_clock: MockClock, world: World, labels: Labels) -> None:
    async with idle(world, 1, reserve_timeout=60.0):
        began = trio.current_time()
        [runner] = await take(world)
        await world.until(lambda: world.rows[runner.id].runner.reservation is None, 70)
        assert 60 <= trio.current_time() - began < 61
        assert world.rows[runner.id].runner.state is RunnerState.IDLE
        assert labels.seen == {}
        assert await take(world) == (runner,)  # the same answer still
        [other] = await take(world, 2)
        assert other.id == runner.id


async def test_one_that_has_begun_its_job_does_not_lapse(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 1, reserve_timeout=60.0):
        [runner] = await take(world)
        await trio.sleep(59)
        world.agents[world.name(runner.id)].busy = True  # no list has told yet
        await world.until(lambda: world.rows[runner.id].runner.state is RunnerState.BUSY, 5)
        assert labels.seen == {runner.id: unique(1)}
        assert world.rows[runner.id].runner.reservation is not None


async def test_one_that_cannot_be_taken_back_is_replaced(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 1, reserve_timeout=10.0):
        [runner] = await take(world)
        world.script["release"] = [Unavailable("GitHub is down") for _ in range(100)]
        await world.until(lambda: runner.id not in world.rows, 120)
        assert await take(world, 2) == ()


async def test_it_is_the_same_over_a_restart(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 2, reserve_timeout=60.0):
        first = await take(world)
    async with world.running():
        assert await take(world) == first
        with pytest.raises(Refused, match="already"):
            await take(world, run_id="77")
        assert reserved(world) == [first[0].id]
        await world.until(lambda: ready(world) == 2, 70)
        assert labels.seen == {}


async def test_what_a_crash_left_half_done_is_taken_back(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    world.profiles = {"linux": profile(target_count=2)}
    async with world.running(crash=True):
        await world.deliver(0)
        await world.until(lambda: len(world.machines) == 2)
        for number in list(world.machines):
            world.online(number)
        await world.until(lambda: ready(world) == 2)
        world.script["reserve"] = [None, World.HANG]
        with trio.move_on_after(2):
            await take(world, count=2)
        assert len(labels.seen) == 1
    async with world.running():
        await world.until(lambda: ready(world) == 2, 30)
        assert labels.seen == {}
        assert len(await take(world, count=2)) == 2


async def test_nothing_is_reserved_that_cannot_be_written_down(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 1):
        world.disk_full = True
        with pytest.raises(Unavailable):
            await take(world)
        assert world.count("reserve") == 0
        world.disk_full = False
        await world.until(lambda: ready(world) == 1, 30)
        assert len(await take(world)) == 1


async def test_first_come_first_served(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    order: list[int] = []

    async def wait(number: int, count: int = 1) -> None:
        await take(world, number, count, wait=60)
        order.append(number)

    async with idle(world, 1, reserve_timeout=5.0):
        await take(world)
        async with trio.open_nursery() as nursery:
            for number in (2, 3, 4):
                nursery.start_soon(wait, number)
                await trio.sleep(0.1)
            await trio.sleep(4.5)
            assert await take(world, 5) == ()  # nobody overtakes those in line
        assert order == [2, 3, 4]


async def test_a_wait_that_is_over(autojump_clock: MockClock, world: World, labels: Labels) -> None:
    async with idle(world, 1):
        await take(world)
        began = trio.current_time()
        with pytest.raises(Unavailable) as late:
            await take(world, 2, wait=7)
        assert trio.current_time() - began == pytest.approx(7)
        assert late.value.retry_after
        world.works(min(world.rows))
        await world.until(lambda: len(world.machines) == 2, 5)
        world.online(max(world.rows))
        await world.until(lambda: ready(world) == 1, 5)
        assert len(await take(world, 3)) == 1  # who has left the line holds nobody up


async def test_one_who_leaves_the_line_is_not_served(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 1, reserve_timeout=5.0):
        await take(world)
        with trio.move_on_after(1):
            await take(world, 2, wait=60)
        await trio.sleep(20)
        assert reserved(world) == []


async def test_reserved_runners_are_replaced_by_others_that_are_idle(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 2):
        await take(world, count=2)
        await world.until(lambda: len(world.machines) == 4, 10)


@pytest.mark.parametrize("count", [0, -1])
async def test_d7_no_such_count(
    autojump_clock: MockClock, world: World, labels: Labels, count: int
) -> None:
    async with idle(world, 1):
        with pytest.raises(ValueError, match="count"):
            await take(world, count=count)


async def test_d7_more_than_there_may_ever_be(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 1):
        with pytest.raises(Refused) as refused:
            await take(world, count=10**30)
        assert refused.value.code == "too-many"


async def test_no_such_profile(autojump_clock: MockClock, world: World, labels: Labels) -> None:
    async with idle(world, 1):
        with pytest.raises(LookupError, match="windows"):
            await take(world, profile="windows")


async def test_a_source_that_cannot_reserve(autojump_clock: MockClock, world: World) -> None:
    async with idle(world, 1):
        with pytest.raises(Refused) as refused:
            await take(world)
        assert refused.value.code == "not-reservable"


async def test_nothing_is_reserved_while_stopping(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 1):
        world.stop()
        world.engine.stop()
        with pytest.raises(Unavailable, match="stopping"):
            await take(world)


@pytest.mark.parametrize("seed", range(5))
async def test_one_runner_is_never_promised_twice(
    autojump_clock: MockClock, world: World, labels: Labels, seed: int
) -> None:
    numbers = itertools.count(1)
    given: dict[int, set[str]] = {}

    async def client() -> None:
        for turn in range(6):
            number = next(numbers)
            await trio.sleep((number * 7 + seed * 3 + turn) % 5 / 2)
            try:
                runners = await take(world, number, 1 + number % 3, wait=number % 4)
            except Unavailable:
                continue
            for runner in runners:
                given.setdefault(runner.id, set()).add(unique(number))
                if number % 2:
                    world.works(runner.id)

    async with idle(world, 6, reserve_timeout=1000.0):
        world.script["reserve"] = [
            Unavailable("down") if (each + seed) % 7 == 0 else 0.3 for each in range(60)
        ]
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(client)
        assert given
        assert all(len(each) == 1 for each in given.values())
        assert all(next(iter(given[each])) == one for each, one in labels.seen.items())
