"""GitHub answers slowly: every hook ends in time, and a list is read to its end all the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from scaler import Registration, Reservation, RunnerState, Unavailable
from scaler_github.client.rest import Rest

World = Any
HOOK = 60.0  # the core's deadlines
RESERVE = 10.0


def slow(world: World, seconds: float, *methods: str) -> None:
    """Every answer comes so late."""
    wire = world.sim._front.handle

    async def late(request: Any) -> Any:
        answer = await wire(request)
        await trio.sleep(seconds if not methods or request.method in methods else 0)
        return answer

    world.sim._front.handle = late


@pytest.mark.parametrize("seconds", [12.0, 20.0, 24.0])
async def test_removing_ends_in_time_and_at_last(
    world: World, seconds: float, autojump_clock: MockClock
) -> None:
    runner = await world.stopped()
    slow(world, seconds)
    with trio.fail_after(HOOK):
        await world.github.unregister_runner(runner)
    assert world.sim.agents == []
    assert world.core.told == []


async def test_removing_by_name_ends_in_time(world: World, autojump_clock: MockClock) -> None:
    runner = replace(await world.stopped(), registration=None)
    slow(world, 25.0)
    with trio.fail_after(HOOK), pytest.raises(Unavailable, match="remove runner bench"):
        await world.github.unregister_runner(runner)


async def test_registering_ends_in_time_and_is_looked_for(
    world: World, autojump_clock: MockClock
) -> None:
    await world.github.register_runner(world.runner())
    slow(world, 20.0)
    with trio.fail_after(HOOK), pytest.raises(Unavailable, match="register runner bench"):
        await world.github.register_runner(world.runner())
    with trio.fail_after(HOOK), pytest.raises(Unavailable, match="remove runner bench"):
        await world.github.unregister_runner(world.runner())
    with trio.fail_after(HOOK):
        await world.github.unregister_runner(world.runner())
    await trio.sleep(60)
    assert world.sim.agents == []


@pytest.mark.parametrize(
    ("known", "seconds", "done"),
    [
        (True, 3.0, True),
        (False, 3.0, True),
        (True, 7.0, True),
        (False, 7.0, False),
        (True, 12.0, False),
        (False, 12.0, False),
    ],
)
async def test_reserving_ends_in_time(
    world: World,
    reserve: Callable[..., Reservation],
    known: bool,
    seconds: float,
    done: bool,
    autojump_clock: MockClock,
) -> None:
    runner = await world.registered()
    wire = world.sim._front.handle
    async with world.running():
        slow(world, seconds)
        with trio.fail_after(RESERVE), nullcontext() if done else pytest.raises(Unavailable):
            await world.github.reserve_runner(runner if known else world.runner(), reserve())
        # (where the answer was late, they are on it all the same)
        assert len(world.reserved()) == (3 if known or seconds < 8 else 0)
        world.sim._front.handle = wire
        await trio.sleep(150)
        assert len(world.reserved()) == (3 if done else 0)


@pytest.mark.parametrize("known", [True, False], ids=["by number", "by name"])
@pytest.mark.parametrize("seconds", [1.0, 3.0, 3.9])
async def test_taking_back_ends_in_time_and_at_last(
    world: World,
    reserve: Callable[..., Reservation],
    known: bool,
    seconds: float,
    autojump_clock: MockClock,
) -> None:
    """Each try goes on where the one before it was broken off."""
    runner = await world.registered()
    await world.github.reserve_runner(runner, reserve())
    slow(world, seconds)
    await world.released(runner if known else world.runner())
    assert world.reserved() == []


async def test_taking_back_that_cannot_end_is_told_in_time(
    world: World, reserve: Callable[..., Reservation], autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    await world.github.reserve_runner(runner, reserve())
    slow(world, 9.0)
    for _ in range(3):
        with trio.fail_after(RESERVE), pytest.raises(Unavailable, match="within 8 s to take"):
            await world.github.reserve_runner(runner, None)


@pytest.mark.parametrize("pages", [3, 4])
async def test_a_list_that_takes_longer_than_a_call_is_told_when_it_is_there(
    world: World, pages: int, autojump_clock: MockClock
) -> None:
    for number in range(1, 100 * pages):
        world.sim._world.create_agent("acme", f"bench.{number}@host-1", None)
    slow(world, 65.0 / pages)
    async with world.running():
        with trio.fail_after(HOOK), pytest.raises(Unavailable, match="still being read"):
            await world.listed()
        await trio.sleep(30)
        listed = await world.listed()
        assert len(listed) == 100 * pages - 1
        assert all(each.online is False for each in listed.values())
        assert world.calls("rest-runners") == pages
        await trio.sleep(21)
        with pytest.raises(Unavailable):
            await world.listed()  # it is older than that now


async def test_a_list_that_never_comes_is_begun_again(
    world: World, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    begun: list[float] = []
    read = Rest.read_list

    async def never(*args: Any, **options: Any) -> Any:
        begun.append(trio.current_time())
        if len(begun) == 1:
            await trio.sleep_forever()
        return await read(*args, **options)

    monkeypatch.setattr(Rest, "read_list", never)
    runner = await world.registered()
    listed: set[str] = set()
    async with world.running():
        for _ in range(10):
            try:
                listed = set(await world.listed())
                break
            except Unavailable:
                await trio.sleep(15)
    assert listed == {runner.name}
    assert begun == pytest.approx([begun[0], begun[0] + 120], abs=16)


async def test_who_should_be_online_is_looked_for_in_a_list_that_was_begun_since(
    world: World, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1.8e9 + trio.current_time())
    async with world.running():
        runner = await world.registered(since=time.time(), state=RunnerState.BOOTING)
        slow(world, 20.0, "GET")
        await trio.sleep(225)
        await world.listed()  # begun before the start took too long, there only after it
        before = world.calls("rest-runners")
        world.sim.bring_online(runner.name)
        await trio.sleep(1)
        assert (await world.listed())[runner.name].online
        assert world.calls("rest-runners") == before + 1


@pytest.mark.parametrize("error", [KeyError("id"), TypeError("unhashable"), RecursionError("x")])
async def test_a_fault_of_ours_in_a_list_is_told_and_ends_no_service(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, autojump_clock: MockClock
) -> None:
    read, faults = Rest.read_list, [error]

    async def faulty(*args: Any, **options: Any) -> Any:
        await trio.sleep(1)
        if faults:
            raise faults.pop()
        return await read(*args, **options)

    monkeypatch.setattr(Rest, "read_list", faulty)
    seen: list[Exception] = []

    async def ask() -> None:
        try:
            await world.listed()
        except type(error) as caught:
            seen.append(caught)

    runner = await world.registered()
    async with world.running():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
        assert seen == [error, error]
        assert set(await world.listed()) == {runner.name}


async def test_a_fault_of_ours_beside_the_calls_ends_no_service(
    world: World,
    reserve: Callable[..., Reservation],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: MockClock,
) -> None:
    async def faulty(*_: Any, **__: Any) -> None:
        await trio.sleep(2)
        raise KeyError("labels")

    runner = await world.registered()
    async with world.running():
        world.sim.faults.add("rest-add-labels", kind="lose")
        with monkeypatch.context() as patch:
            patch.setattr("scaler_github.registrar.labels.strip", faulty)
            with pytest.raises(Unavailable):
                await world.github.reserve_runner(runner, reserve())
            await trio.sleep(60)
        assert "please report it" in caplog.text
        world.core.told.clear()
        assert isinstance((await world.listed())[runner.name], Registration)
        await world.github.reserve_runner(runner, reserve())
        assert len(world.reserved()) == 3
