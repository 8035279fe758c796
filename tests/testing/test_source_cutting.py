"""Where a hook is broken off: everywhere, or spread evenly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import trio
from tests.testing.broken.sources import Forge, Source
from trio.testing import MockClock

from scaler import Context, Registration, Runner, RunnerState, Secret, hookimpl
from scaler.hooks import SPEC
from scaler.testing.cutting import cut_short, spread
from scaler.testing.trial import open_trial

RUNNER = Runner(id=1, name="linux.1@here", profile="linux", state=RunnerState.PLANNED)

TAKES = 0.2  # seconds


@pytest.mark.parametrize(
    ("count", "most", "chosen"),
    [
        (0, 40, []),
        (3, 40, [1, 2, 3]),
        (10, 4, [1, 4, 7, 10]),
        (1000, 3, [1, 501, 1000]),
        (5, 1, [1]),
        (5, 0, []),
    ],
)
def test_points_are_spread_with_the_first_and_the_last(
    count: int, most: int, chosen: list[int]
) -> None:
    assert spread(count, most) == chosen


class Steps(Source):
    """Notes how far each call came, of five steps."""

    reached: list[int]

    @hookimpl
    async def register_runner(self, runner: Runner) -> Registration:
        self.reached.append(0)
        for step in range(1, 6):
            await trio.lowlevel.checkpoint()
            self.reached[-1] = step
        return Registration(name=runner.name, ref="1", config=Secret("x"))


class Sleepy:
    """The same in a thread, of two steps."""

    forge: Forge
    reached: list[int]

    def __init__(self, context: Context[Any, Any]) -> None:
        del context

    @hookimpl
    def register_runner(self, runner: Runner) -> Registration:
        self.reached.append(0)
        trio.from_thread.run(trio.sleep, TAKES)
        self.reached[-1] = 1
        return Registration(name=runner.name, ref="1", config=Secret("x"))

    @hookimpl
    def unregister_runner(self) -> None: ...

    @hookimpl
    def list_registrations(self) -> list[Registration]:
        return []


async def rounds_of(cls: type[Any], points: int) -> tuple[int, list[int]]:
    """How many rounds there were, and how far each call had come when it was looked at."""
    made: Any = type("Source", (cls,), {"forge": Forge(), "reached": []})
    seen: list[int] = []

    async def arguments(_number: int) -> Mapping[str, Any]:
        return {"runner": RUNNER}

    async def after(number: int) -> None:
        assert number == len(seen)
        seen.append(made.reached[-1])
        await stage.call(SPEC.list_registrations)

    async with open_trial(made) as trial, trial.stage() as stage:
        rounds = await cut_short(stage, SPEC.register_runner, points, arguments, after)
    return rounds, seen


async def test_a_hook_is_called_whole_and_then_cut_at_each_await(autojump_clock: MockClock) -> None:
    assert await rounds_of(Steps, 40) == (6, [5, 0, 1, 2, 3, 4])


async def test_or_at_as_many_as_are_wanted(autojump_clock: MockClock) -> None:
    assert await rounds_of(Steps, 2) == (3, [5, 0, 4])


async def test_a_plain_hook_is_abandoned_a_few_times_and_never_left_alone() -> None:
    rounds, done = await rounds_of(Sleepy, 40)
    # (the first may have taken longer than it does, on a busy machine: then so long are the others)
    assert (rounds, len(done), done[:2]) == (5, 5, [1, 0])
