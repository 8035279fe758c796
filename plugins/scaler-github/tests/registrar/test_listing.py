"""The list of runners: complete or refused, never taken for newer than it is (C28)."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from scaler import Registration, RunnerState, Unavailable
from scaler_github.connection import GitHub

World = Any


def made(world: World, *names: str, scope: str = "acme") -> None:
    for name in names:
        world.sim._world.create_agent(scope, name, None)


async def test_only_what_is_ours_is_listed(world: World, autojump_clock: MockClock) -> None:
    runner = await world.registered()
    foreign = "bench.2@host-2", "linux.3@host-1", "somebody", "bench.4@host-1@x"
    made(world, *foreign, "removed.5@host-1")
    world.sim.bring_online(runner.name)
    listed = await world.listed()
    assert set(listed) == {runner.name, "removed.5@host-1"}
    assert listed[runner.name].ref == runner.registration.ref
    assert [listed[runner.name].online, listed[runner.name].busy] == [True, False]


async def test_nobody_is_asked_where_no_profile_registers_by_rest(
    world: World, autojump_clock: MockClock
) -> None:
    world.profiles["bench"] = replace(world.profiles["bench"], source="actions-queue")
    world.build()
    assert await world.listed() == {}
    assert world.calls() == 0


async def test_where_a_runner_is_left_is_asked_too(world: World, autojump_clock: MockClock) -> None:
    world.sim.add_scope("zoo")
    other = GitHub.Config(url="http://127.0.0.1:8/zoo", token=world.token)
    world.config = {"connections": {"zoo": other}}
    world.own["bench"] = GitHub.ProfileConfig(connection="zoo")
    world.build()
    left = await world.registered(1)
    world.own["bench"] = GitHub.ProfileConfig()
    world.build()
    await world.registered(2)
    assert set(await world.listed()) == {left.name, world.name(2)}
    world.core.runners = [replace(left, source="actions-queue")]
    assert set(await world.listed()) == {world.name(2)}


async def test_one_account_that_fails_leaves_nothing_known(
    world: World, autojump_clock: MockClock
) -> None:
    world.sim.add_scope("zoo")
    other = GitHub.Config(url="http://127.0.0.1:8/zoo", token=world.token)
    world.config = {"connections": {"zoo": other}}
    world.profiles["zoo"] = replace(world.profiles["bench"], name="zoo")
    world.own["zoo"] = GitHub.ProfileConfig(connection="zoo")
    world.build()
    world.sim.faults.add("rest-runners", status=502, contains="zoo")
    with pytest.raises(Unavailable):
        await world.listed()
    assert await world.listed() == {}


async def test_a_list_is_kept_for_a_while_and_is_no_news_then(
    world: World, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    world.sim.bring_online(runner.name)
    async with world.running():
        for at in range(0, 65, 5):
            told = (await world.listed())[runner.name]
            news = at in (0, 30, 60)
            assert (told.online, told.busy) == ((True, False) if news else (None, None))
            assert told.ref == runner.registration.ref
            await trio.sleep(5)
    assert world.calls("rest-runners") == 3


async def test_a_setting_says_how_long(world: World, autojump_clock: MockClock) -> None:
    world.config = {"api_cache_timeout": 0}
    world.build()
    for _ in range(3):
        await world.listed()
    assert world.calls("rest-runners") == 3


async def test_who_should_be_online_is_looked_for_anew(
    world: World, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """However long a list is kept: the core gives up who is not online in one from after then."""
    monkeypatch.setattr(time, "time", lambda: 1.8e9 + trio.current_time())
    world.config = {"api_cache_timeout": 600}
    world.build()
    runner = await world.registered(since=time.time() - 7, state=RunnerState.BOOTING)
    await world.listed()
    world.sim.bring_online(runner.name)
    seen = []
    while trio.current_time() < 500:
        await trio.sleep(20)
        if (await world.listed())[runner.name].online:
            seen.append(trio.current_time())
    assert seen == pytest.approx([240])  # start_timeout is over at 233


async def test_c28_only_two_different_lists_make_a_runner_gone(
    world: World, autojump_clock: MockClock
) -> None:
    runner = await world.registered()
    assert runner.name in await world.listed()
    world.sim.remove_agent(runner.name)
    told = []
    for _ in range(13):
        told.append((await world.listed()).get(runner.name))
        await trio.sleep(5)
    assert [each is not None for each in told] == [True] * 12 + [False]
    assert all(each.online is each.busy is None for each in told[:12])
    assert world.calls("rest-runners") == 3


async def test_c28_a_runner_that_is_shown_late_stays_known(
    world: World, autojump_clock: MockClock
) -> None:
    await world.listed()
    world.sim.options.list_delay = 50.0
    runner = await world.registered()
    for _ in range(20):
        assert runner.name in await world.listed()
        await trio.sleep(5)


@pytest.mark.parametrize("page", [1, 2, 3])
async def test_c28_a_page_that_fails_makes_the_list_unknown(
    world: World, page: int, autojump_clock: MockClock
) -> None:
    made(world, *(f"bench.{number}@host-1" for number in range(1, 251)))
    world.sim.faults.add("rest-runners", status=502, contains=f"&page={page}")
    async with world.running():
        with pytest.raises(Unavailable):
            await world.listed()
        assert world.calls("rest-runners") == page
        assert len(await world.listed()) == 250


@pytest.mark.parametrize(
    "fault",
    [{"fields": {"total_count": 2}}, {"fields": {"runners": None}}, {"status": 404}],
    ids=str,
)
async def test_c28_a_list_is_complete_or_unknown(
    world: World, fault: dict[str, Any], autojump_clock: MockClock
) -> None:
    world.sim.faults.add("rest-runners", **fault)
    with pytest.raises(Unavailable):
        await world.listed()
    assert await world.listed() == {}


async def test_c28_ours_that_slipped_between_pages_are_asked_for(
    world: World, autojump_clock: MockClock
) -> None:
    made(world, *(f"other-{number}" for number in range(99)))
    here = [await world.registered(number) for number in (1, 2, 3)]
    elsewhere = Registration(name=world.name(9), ref="127.0.0.1:8/orgs/zoo/1")
    world.core.runners.append(world.runner(9, registration=elsewhere))
    world.core.runners.append(world.runner(8))
    made(world, *(f"more-{number}" for number in range(200)))
    world.sim.options.list_shift = 2
    assert set(await world.listed()) == {each.name for each in here}
    assert world.calls("rest-runner") == 2  # and the others by the list


async def test_callers_share_one_reading_and_none_breaks_it(
    world: World, autojump_clock: MockClock
) -> None:
    await world.registered()
    world.sim.delays["rest-runners"] = 5.0
    answers: list[int] = []

    async def ask(patience: float) -> None:
        with trio.move_on_after(patience):
            answers.append(len(await world.listed()))

    async with world.running():
        async with trio.open_nursery() as nursery:
            for patience in (1.0, 10.0, 10.0):
                nursery.start_soon(ask, patience)
        assert answers == [1, 1]
        assert world.calls("rest-runners") == 1


async def test_a_reading_that_fails_fails_for_all_who_wait(
    world: World, autojump_clock: MockClock
) -> None:
    world.sim.delays["rest-runners"] = 5.0
    world.sim.faults.add("rest-runners", status=502)
    refused: list[str] = []

    async def ask() -> None:
        with pytest.raises(Unavailable) as caught:
            await world.listed()
        refused.append(str(caught.value))

    async with world.running():
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask)
        assert len(refused) == 3
        assert await world.listed() == {}
    assert world.calls("rest-runners") == 2


@pytest.mark.parametrize("service", [True, False], ids=["service", "no service"])
async def test_who_waits_goes_on_when_the_reader_leaves(
    world: World, service: bool, autojump_clock: MockClock
) -> None:
    """The reader is the service that stops, or a caller that is cancelled."""
    await world.registered()
    world.sim.delays["rest-runners"] = 5.0
    answers: list[int] = []

    async def ask() -> None:
        answers.append(len(await world.listed()))

    async with trio.open_nursery() as nursery:
        if service:
            async with world.running():
                nursery.start_soon(ask)
                await trio.sleep(1)
        else:
            with trio.move_on_after(1):
                async with trio.open_nursery() as inner:
                    inner.start_soon(world.listed)
                    await trio.testing.wait_all_tasks_blocked()
                    nursery.start_soon(ask)
    assert answers == [1]
    assert world.calls("rest-runners") == 2


async def test_what_was_done_meanwhile_counts(world: World, autojump_clock: MockClock) -> None:
    old, goes = await world.registered(1), await world.registered(2)
    lists: list[set[str]] = []

    async def ask() -> None:
        lists.append(set(await world.listed()))

    async with world.running():
        # What is listed is what there was when the answer began its way
        wire = world.sim._front.handle

        async def late(request: Any) -> Any:
            answer = await wire(request)
            if request.method == "GET":
                await trio.sleep(5)
            return answer

        world.sim._front.handle = late
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.sleep(1)
            await world.github.unregister_runner(goes)
            new = await world.registered(3)
            brief = await world.registered(4)
            await world.github.unregister_runner(brief)
        assert lists == [{old.name, new.name}]
        # And a list that was begun before it was registered does not count against it
        world.sim.options.list_delay = 60.0
        await trio.sleep(31)
        assert new.name in await world.listed()


async def test_what_was_done_since_counts(world: World, autojump_clock: MockClock) -> None:
    goes = await world.registered(1)
    async with world.running():
        assert set(await world.listed()) == {goes.name}
        new = await world.registered(2)
        await world.github.unregister_runner(goes)
        told = await world.listed()
        assert set(told) == {new.name}
        await trio.sleep(31)
        assert set(await world.listed()) == {new.name}
