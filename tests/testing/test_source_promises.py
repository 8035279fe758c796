"""check_source finds what is broken, by name, and nothing in what is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
from tests.testing.broken import sources_jobs, sources_runners
from tests.testing.broken.selectors import Selector
from tests.testing.broken.sources import GOOD, Forge, Source
from tests.testing.broken.sources_jobs import OneProfile
from trio.testing import MockClock

from scaler import Runner, Unavailable, hookimpl
from scaler.testing import PromiseBroken, check_source
from scaler.testing.promises import Promise
from scaler.testing.promises_source import AWAY, SOURCE

BROKEN = (*sources_runners.BROKEN, *sources_jobs.BROKEN)
SETTINGS = """
[plugins.source]
[profiles.linux]
max_count = 4
[profiles.linux.source]
[profiles.mac-os-x]
max_count = 4
[profiles.mac-os-x.source]
"""


def before(cls: type[Any]) -> tuple[type[Any], Forge]:
    """The plugin, before a forge of this test's own."""
    forge = Forge()
    return type(cls.__name__, (cls,), {"forge": forge}), forge


@pytest.mark.parametrize("cls", GOOD)
@pytest.mark.parametrize("settings", ["", SETTINGS], ids=["no settings", "two profiles"])
async def test_one_that_is_good_passes_and_nothing_is_left(cls: type[Any], settings: str) -> None:
    made, forge = before(cls)  # (on the real clock: one that jumps hurries threads)
    forge.registered.append("people's own")
    await check_source(
        made,
        settings=settings.replace("source", made.__name__.lower()),
        send=forge.send if issubclass(made, Source) else None,
    )
    assert forge.registered == ["people's own"]
    assert forge.queue == []


@pytest.mark.parametrize(
    ("cls", "promise"), BROKEN, ids=[f"{cls.__name__}-{promise.name}" for cls, promise in BROKEN]
)
async def test_one_that_is_broken_is_told_by_its_promise(
    cls: type[Any], promise: Promise, autojump_clock: MockClock
) -> None:
    made, forge = before(cls)
    settings = SETTINGS.replace("source", "oneprofile") if cls is OneProfile else ""
    with pytest.raises(PromiseBroken) as caught:
        await check_source(made, settings=settings, send=forge.send)
    assert caught.value.promise is promise, str(caught.value)
    assert caught.value.seen


def test_each_promise_is_broken_by_somebody() -> None:
    broken = {promise.name for _, promise in BROKEN}
    assert {promise.name for promise in SOURCE} - {AWAY.name} <= broken


@pytest.mark.parametrize("patient", [False, True])
async def test_less_than_there_is_is_no_answer(patient: bool, autojump_clock: MockClock) -> None:
    away = False

    @contextmanager
    def unreachable() -> Iterator[None]:
        nonlocal away
        away = True
        yield
        away = False

    class Cut(Source):
        def ours(self) -> list[str]:
            if not away:
                return super().ours()
            if patient:
                raise Unavailable("the forge is away")
            return []

    made, forge = before(Cut)
    if patient:
        await check_source(made, unreachable=unreachable)
        assert forge.registered == []
        return
    with pytest.raises(PromiseBroken, match="list_registrations answered nothing") as caught:
        await check_source(made, unreachable=unreachable)
    assert caught.value.promise is AWAY


async def test_what_was_there_already_is_no_concern(autojump_clock: MockClock) -> None:
    made, forge = before(Source)
    forge.registered += ["linux.77@here", "linux.78@here", "linux.77@here-2"]
    await check_source(made)
    assert forge.registered == ["linux.77@here", "linux.78@here", "linux.77@here-2"]


async def test_a_list_may_take_the_time_that_it_is_given(autojump_clock: MockClock) -> None:
    class Slow(Source):
        """Lists what was so two seconds ago."""

        def __init__(self, context: Any) -> None:
            super().__init__(context)
            self.past = [(0.0, super().ours())]

        def ours(self) -> list[str]:
            now = trio.current_time()
            if (was := super().ours()) != self.past[-1][1]:
                self.past.append((now, was))
            return next(was for when, was in reversed(self.past) if when <= now - 2 or when == 0)

    made, _ = before(Slow)
    await check_source(made, settle=5)
    made, _ = before(Slow)
    with pytest.raises(PromiseBroken, match="lists-all"):
        await check_source(made)


async def test_what_is_the_source_of_no_profile_is_told_so() -> None:
    with pytest.raises(ValueError, match="selector is the source of no profile"):
        await check_source(Selector)


async def test_unregistering_may_take_several_calls(autojump_clock: MockClock) -> None:
    class Slowly(Source):
        @hookimpl
        async def unregister_runner(self, runner: Runner) -> None:
            known = runner.name in self.forge.registered
            await super().unregister_runner(runner)
            if known:
                raise Unavailable("is being removed", retry_after=1)

    made, forge = before(Slowly)
    await check_source(made, points=5)
    assert forge.registered == []
