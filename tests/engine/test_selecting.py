"""Who may reserve runners: selectors decide, and any doubt is a no."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from scaler import Refused, Unavailable, hookimpl
from scaler.records import Selection, SelectionRequest

from .conftest import World
from .promises import REPO, RUN, Labels, idle, reserved, reserving, take, unique


@pytest.fixture
def labels(world: World) -> Labels:
    made = Labels()
    world.plugins["queue"] = reserving(world, made)
    return made


def selector(world: World, answers: list[Any]) -> type[Any]:
    class Selector:
        def __init__(self, context: Any) -> None:
            world.contexts[context.name] = context

        @hookimpl
        async def select_runner(self, request: SelectionRequest) -> Selection | None:
            await world.called("select", request.unique_id)
            answer = answers.pop(0) if answers else None
            if isinstance(answer, Exception):
                raise answer
            return answer

    return Selector


def request(number: int = 1, **more: Any) -> SelectionRequest:
    values = {"qualified_repo": REPO, "run_id": RUN, **more}
    return SelectionRequest(unique_id=unique(number), **values)


async def test_selectors_decide_once_for_all_who_ask_the_same(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    world.plugins["proof"] = selector(world, [Selection(profile="linux", count=1)])
    found: list[Selection] = []

    async def ask() -> None:
        found.append(await world.contexts["queue"].select(request()))

    async with idle(world, 1):
        world.script["select"] = [1.0]
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask)
        assert found == [Selection(profile="linux", count=1)] * 5
        assert world.count("select") == 1


async def test_who_asks_with_an_id_that_is_not_its_own_holds_nobody_up(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    mine = Selection(profile="linux", count=1)
    world.plugins["proof"] = selector(world, [Refused("artifact-not-found"), mine])
    found: list[Selection] = []

    async def stranger() -> None:
        with pytest.raises(Refused, match="artifact-not-found"):
            await world.contexts["queue"].select(request(run_id="666"))

    async def ask() -> None:
        found.append(await world.contexts["queue"].select(request()))

    async with idle(world, 1):
        world.script["select"] = [lambda: None]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stranger)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(ask)
        assert found == [mine]


async def test_d4_who_was_given_runners_is_not_asked_for_a_proof_again(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    world.plugins["proof"] = selector(world, [Selection(profile="linux", count=1)])
    async with idle(world, 2):
        selection = await world.contexts["queue"].select(request())
        first = await take(world, count=selection.count)
        for _ in range(20):
            again = await world.contexts["queue"].select(request())
            assert await take(world, count=again.count) == first
        assert world.count("select") == 1
        with pytest.raises(Refused) as refused:
            await world.contexts["queue"].select(request(run_id="10"))
        assert refused.value.code == "unique-id-used"


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (None, Refused, "nobody-decides"),
        (Refused("artifact-too-old"), Refused, "artifact-too-old"),
        (RuntimeError("a bug"), Refused, "selector-failed"),
        (Unavailable("GitHub is down", 7.0), Unavailable, None),
    ],
    ids=["nobody", "refused", "bug", "down"],
)
async def test_any_doubt_is_a_no(
    autojump_clock: MockClock,
    world: World,
    labels: Labels,
    answer: Any,
    error: type[Exception],
    code: str | None,
) -> None:
    world.plugins["proof"] = selector(world, [answer])
    async with idle(world, 1):
        with pytest.raises(error) as refused:
            await world.contexts["queue"].select(request())
        assert getattr(refused.value, "code", None) == code
        assert reserved(world) == []


async def test_who_took_by_token_has_shown_no_proof(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    world.plugins["proof"] = selector(world, [Refused("proof-mismatch")])
    async with idle(world, 2):
        await take(world)
        with pytest.raises(Refused, match="proof-mismatch"):
            await world.contexts["queue"].select(request())


async def test_d4_it_is_the_same_over_a_restart(
    autojump_clock: MockClock, world: World, labels: Labels
) -> None:
    world.plugins["proof"] = selector(world, [Selection(profile="linux", count=1)])
    async with idle(world, 2):
        await world.contexts["queue"].select(request())
        first = await take(world)
    async with world.running():
        selection = await world.contexts["queue"].select(request())
        assert await take(world, count=selection.count) == first
        assert world.count("select") == 1
