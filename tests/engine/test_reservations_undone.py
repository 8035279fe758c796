"""Reservations that come to nothing half way: nothing of them is left, and nobody is held up."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from scaler import Gone, Refused, Unavailable
from scaler.ledger import Ledger, LedgerError
from scaler.ledger.ledger import Transaction
from scaler.records import Runner, RunnerState

from .conftest import World
from .promises import Labels, idle, ready, reserved, reserving, take


@pytest.fixture
def labels(world: World) -> Labels:
    made = Labels()
    world.plugins["queue"] = reserving(world, made)
    return made


async def test_who_leaves_the_head_of_the_line_holds_nobody_up(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    times: dict[int, float] = {}

    async def ask(number: int, count: int, wait: float) -> None:
        try:
            await take(world, number, count, wait=wait)
        except Unavailable:
            times[-number] = trio.current_time()
        else:
            times[number] = trio.current_time()

    async with idle(world, 3):
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, 1, 4, 2)
            await trio.sleep(0.1)
            nursery.start_soon(ask, 2, 1, 60)
        assert times[-1] - began == pytest.approx(2, abs=0.2)
        assert times[2] - began == pytest.approx(2, abs=0.5)


async def test_who_waits_goes_on_waiting_where_runners_turn_out_to_be_busy(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    taken: list[tuple[Runner, ...]] = []

    async def ask() -> None:
        taken.append(await take(world, wait=30))

    async with idle(world, 1):
        [number] = world.rows
        world.agents[world.name(number)].busy = True  # and nobody told yet
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await world.until(lambda: len(world.machines) == 2, 10)
            world.online(max(world.rows))
        [[runner]] = taken
        assert runner.id != number


async def test_a_wait_for_runners_that_turn_out_to_be_busy_ends(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 1):
        world.agents[world.name(min(world.rows))].busy = True
        began = trio.current_time()
        with pytest.raises(Unavailable, match="idle"):
            await take(world, wait=10)
        assert trio.current_time() - began == pytest.approx(10)
        assert await take(world, 2) == ()  # and nobody is in line


async def test_runners_that_are_busy_again_and_again(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 6):
        for number in world.rows:
            world.agents[world.name(number)].busy = True
        with pytest.raises(Unavailable, match="busy"):
            await take(world)


async def test_what_is_being_reserved_does_not_lapse(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 1, reserve_timeout=3.0):
        world.script["reserve"] = [lambda: None]
        slow = world.called

        async def called(hook: str, what: object = "") -> Any:
            if hook == "reserve":
                await trio.sleep(5)
            return await slow(hook, what)

        world.called = called  # type: ignore[method-assign]
        [runner] = await take(world)
        assert world.count("release") == 0
        assert labels.seen
        await world.until(lambda: world.rows[runner.id].runner.state is RunnerState.IDLE, 10)
        assert labels.seen == {}


@pytest.mark.parametrize("written", [True, False])
async def test_an_answer_that_nobody_got_is_not_given_by_the_next_start(
    autojump_clock: MockClock,
    world: World,
    labels: Labels,
    monkeypatch: pytest.MonkeyPatch,
    written: bool,
) -> None:
    really = Ledger.write
    failures = 0

    async def write(self: Ledger, transaction: Transaction) -> None:
        nonlocal failures
        grant = any(
            table == "grants" and row is not None for (table, _), row in transaction.changes.items()
        )
        if grant:
            failures += 1
            if written:
                await really(self, transaction)
            raise LedgerError("the ledger cannot be written: it is not known whether it was")
        await really(self, transaction)

    async with idle(world, 2):
        monkeypatch.setattr(Ledger, "write", write)
        with pytest.raises(Unavailable, match="not known"):
            await take(world)
        assert failures == 1
        await world.until(lambda: ready(world) == 2, 5)
        assert labels.seen == {}
    monkeypatch.setattr(Ledger, "write", really)
    async with world.running():
        await world.until(lambda: ready(world) == 2, 30)
        assert reserved(world) == []
        [runner] = await take(world)
        assert reserved(world) == [runner.id]
        assert labels.seen


async def test_a_runner_that_goes_meanwhile(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 2):
        number = next(iter(world.engine.state.index.idle["linux"]))
        world.script["reserve"] = [lambda: world.stop_machine(number)]
        with pytest.raises(Unavailable, match="went"):
            await take(world)
        await world.until(lambda: not reserved(world), 5)


async def test_each_caller_gets_an_error_of_its_own(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    seen: list[Refused] = []

    async def ask() -> None:
        with pytest.raises(Refused) as refused:
            await take(world)
        seen.append(refused.value)

    async with idle(world, 1):
        world.script["reserve"] = [Refused("labels-refused", "a label has a comma")]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
        first, second = seen
        assert first is not second
        assert (first.code, str(first)) == (second.code, str(second))
        assert first.code == "labels-refused"


async def test_while_the_source_says_when_to_ask_again_nothing_is_marked(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    """Else one runner after another would be marked, and replaced."""
    async with idle(world, 4):
        limit = Unavailable("a secondary limit", 400.0)
        world.script["reserve"] = [limit]
        world.script["release"] = [limit] * 40
        began = trio.current_time()
        for number in range(1, 100):
            with pytest.raises(Unavailable, match="secondary") as refused:
                await take(world, number)
            told = refused.value.retry_after
            assert told == pytest.approx(400 - (trio.current_time() - began), abs=0.1)
            await trio.sleep(4)
        assert world.count("reserve") == 1
        assert len(reserved(world)) == 1
        await trio.sleep(5)
        world.script.clear()
        assert len(await take(world, 100)) == 1
        await world.until(lambda: len(reserved(world)) == 1, 30)
        assert sorted(world.rows)[:4] == [1, 2, 3, 4]  # none was replaced


async def test_a_runner_that_does_not_exist_any_more_is_replaced(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 3):
        first = next(iter(world.engine.state.index.idle["linux"]))
        world.script["reserve"] = [Gone()]
        [runner] = await take(world)
        assert runner.id != first
        await world.until(lambda: first not in world.rows, 5)


async def test_one_that_is_gone_when_it_lapses_is_not_idle_again(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    async with idle(world, 1, reserve_timeout=10.0):
        [runner] = await take(world)
        world.script["release"] = [Gone()]
        await world.until(lambda: runner.id not in world.rows, 20)


async def test_who_is_in_line_when_it_stops_is_told(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    told: list[float] = []

    async def ask() -> None:
        with pytest.raises(Unavailable, match="stopping"):
            await take(world, 2, wait=60)
        told.append(trio.current_time())

    async with idle(world, 1):
        await take(world)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.sleep(1)
            began = trio.current_time()
            world.stop()
        assert told[0] - began < 1
