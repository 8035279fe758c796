"""What is kept of a runner that went well is its story, and no failure is forgotten for it."""

from __future__ import annotations

import trio
from hypothesis import given
from hypothesis import strategies as st

from scaler.evidence import index
from scaler.evidence.index import STORIES, STORY, SUBJECTS
from scaler.records import Kept

from .conftest import World
from .test_endings import evidence, fails


async def test_the_story_of_one_that_went_well(world: World, autojump_clock: object) -> None:
    async with world.running():
        await fails(world, result="succeeded")
        assert await evidence(world, 1) == {}, "nobody's end waits for it"
        await trio.sleep(3)
        found = await evidence(world, 1)
        assert list(found) == [STORY]
        story = found[STORY].decode()
        for text in ("linux.1@host is booting", "(build) is done on linux.1@host: succeeded"):
            assert text in story


async def test_what_is_known_of_a_failure_is_more(world: World, autojump_clock: object) -> None:
    async with world.running():
        await fails(world)
        before = await evidence(world, 1)
        await trio.sleep(10)
        assert await evidence(world, 1) == before
        assert "reason.txt" in before


async def test_the_last_ones_are_written_at_a_clean_stop(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        await fails(world, result="succeeded")
    assert (world.folder / "evidence/runner-1" / STORY).exists()


async def test_a_scaler_that_is_never_calm_writes_them_too(
    world: World, autojump_clock: object
) -> None:
    async with world.running():
        told = world.engine.evidence
        for number in range(60):
            world_row = 1_000 + number
            world.engine.state.gone[world_row] = 0.0
            told.story(world_row, b"came and went\n")
            await trio.sleep(1)
        assert len([n for n in range(60) if told.kept(1_000 + n)]) >= 25


def kept(name: str, time: float) -> Kept:
    return Kept(name=name, size=1, time=time)


@given(st.integers(0, 2 * STORIES), st.integers(0, 2 * SUBJECTS))
def test_stories_have_a_place_of_their_own(stories: int, failures: int) -> None:
    """However many runners go well, what is kept of those that failed stays, and the reverse."""
    well = [(f"runner-{each}", kept(STORY, each)) for each in range(1, stories + 1)]
    failed = [
        (f"runner-{10_000 + each}", kept(name, each))
        for each in range(1, failures + 1)
        for name in (STORY, "reason.txt")
    ]
    gone = [shelf for shelf, _ in index.Index([*well, *failed]).surplus(10_000.0)]
    assert len(gone) == max(0, stories - STORIES) + max(0, failures - SUBJECTS)
    assert sum(each.startswith("runner-1000") for each in gone) <= max(0, failures - SUBJECTS)
    oldest = {shelf for shelf, _ in well[: max(0, stories - STORIES)]}
    assert oldest <= set(gone)
