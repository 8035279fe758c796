"""The figures of what is asked of GitHub while nothing happens. They are counts, not times."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import trio
from tests.faults import by_rest
from tests.faults.conftest import Faults
from tests.faults.recovery import FIGURES
from trio.testing import MockClock

if TYPE_CHECKING:
    from tests.faults.world import World

HOUR = 3600.0
POLLS = 72  # one in 50 s
LISTS = 120  # of runners, one with each tick
BESIDE = {"poll", "list-agents", "rest-runners"}
LOOKS = 60  # at the scale set and at what can be acquired
REFUSED = "refused"  # the queue's token lives for an hour: a poll that waits when it ends is one
TOKENS = {"registration-token", "runner-registration", "refresh-session", REFUSED}  # each once


async def an_hour(world: World) -> Counter[str]:
    """What is asked in an hour in which nothing happens, by route; the start is long over."""
    await world.listens()
    await trio.sleep(300)
    await world.settled()
    since = trio.current_time()
    await trio.sleep(HOUR)
    calls = [each for each in world.simulator.history.exchanges if world.when(each) >= since]
    return Counter(each.route if each.status != 401 else REFUSED for each in calls)


def only_tokens(counts: Counter[str]) -> None:
    """Nothing is asked for but new tokens, each once."""
    assert set(counts) <= TOKENS
    assert all(count == 1 for count in counts.values()), counts


def told(request: pytest.FixtureRequest, counts: Counter[str], of: str = "an idle hour") -> None:
    """Show the figures at the end of the run."""
    text = ", ".join(f"{route} {count}" for route, count in counts.most_common())
    request.node.user_properties.append((FIGURES, f"{of}: {counts.total()} requests: {text}"))


@pytest.mark.parametrize("target", [0, 2])
async def test_figures_idle_hour(
    autojump_clock: MockClock,
    faults: Faults,
    flow: str,
    request: pytest.FixtureRequest,
    target: int,
) -> None:
    async with faults(flow=flow, target=target) as world, world.scaler():
        counts = await an_hour(world)
        told(request, counts)
        assert counts.pop("poll") == POLLS
        assert counts.pop("list-agents") <= LISTS
        only_tokens(counts)


async def test_figures_idle_hour_with_looks(
    autojump_clock: MockClock, faults: Faults, flow: str, request: pytest.FixtureRequest
) -> None:
    async with faults(flow=flow, acquirable=True) as world, world.scaler():
        counts = await an_hour(world)
        told(request, counts)
        assert counts.pop("poll") == POLLS
        assert counts.pop("list-agents") <= LISTS
        assert counts.pop("get-scale-set") <= LOOKS
        assert counts.pop("acquirable") <= LOOKS
        only_tokens(counts)


async def test_figures_idle_hour_by_rest(
    autojump_clock: MockClock, faults: Faults, request: pytest.FixtureRequest
) -> None:
    """What counts against the hourly budget of REST is in it, too."""
    async with faults(**by_rest.settings(2)) as world:
        by_rest.count_in(world, 2)
        async with world.scaler():
            rate = world.simulator.rate
            counts = await an_hour(world)
            told(request, counts)
            assert counts["poll"] == POLLS
            assert counts["rest-runners"] <= LISTS
            only_tokens(Counter({each: counts[each] for each in counts if each not in BESIDE}))
            assert rate.used <= rate.limit / 5


async def test_figures_request_for_a_job(
    autojump_clock: MockClock, faults: Faults, flow: str, request: pytest.FixtureRequest
) -> None:
    """Ten jobs, one after the other, beside what is asked in an idle hour anyway."""
    more: dict[str, Any] = {"flow": flow, "most": 2}
    async with faults(**more) as world, world.scaler():
        await world.listens()
        await world.settled()
        since = trio.current_time()
        for _ in range(10):
            world.queue(1, run_time=30)
            await world.settled()
        calls = [each for each in world.simulator.history.exchanges if world.when(each) >= since]
        counts = Counter(each.route for each in calls)
        told(request, counts, "ten jobs")
        assert counts["jitconfig"] == 10
        assert counts["delete-agent"] <= 10
        assert counts["acquire"] == (10 if flow == "offered" else 0)
        assert counts["delete-message"] <= 40
        assert not set(counts) & TOKENS, "a job takes no call of REST"
