"""C48: less is wanted in the middle of a burst: a lower max_count, a pause, a drain, a removal.

GitHub is told first: what it believes that we can run must never outlast the truth, and what it has
assigned by then is served.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import pytest
import trio
from tests.faults.world import World
from trio.testing import MockClock

from scaler import RunnerState, SettingsChange, hookimpl
from scaler_github.testing import Job

Faults: TypeAlias = Any
Way: TypeAlias = tuple[int, Callable[[World], Awaitable[None]], Callable[[World], Awaitable[None]]]

MOST, LESS = 4, 1
BY = "root"
AT_ONCE = 2.0  # seconds: a poll is sent anew 0.1 s after the ceiling fell, and the plan comes first


# --- the ways; each with the capacity that GitHub is told, and the way back


async def lower(world: World) -> None:
    await reload(world, ("max_count = 4", f"max_count = {LESS}"))


async def remove(world: World) -> None:
    text = world.settings().read_text()
    profile = text[text.index("[profiles.linux]") :]
    other = profile.replace("linux", "other")  # settings without a profile are none
    await reload(world, (profile, other))


async def as_before(world: World) -> None:
    await reload(world)


async def reload(world: World, *changes: tuple[str, str]) -> None:
    path = world.settings()
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    assert world.running is not None
    became = await world.running.reload()
    assert became.ok, became.problems
    assert not became.restart


def orders(world: World) -> Any:
    assert world.running is not None
    return world.running._engine.orders


async def pause(world: World) -> None:
    await orders(world).pause(["linux"], BY)


async def resume(world: World) -> None:
    await orders(world).resume(["linux"], BY)


async def drain(world: World) -> None:
    await orders(world).drain(world.machines.room.name, BY)


async def undrain(world: World) -> None:
    await orders(world).undrain(world.machines.room.name, BY)


WAYS: dict[str, Way] = {
    "lower": (LESS, lower, as_before),
    "pause": (0, pause, resume),
    "drain": (0, drain, undrain),
    "remove": (0, remove, as_before),
}
# Seconds after a burst: nothing was made yet, it is registered, it is made, it boots, it works
MOMENTS = [0.0, 0.3, 1.0, 5.0, 21.9, 22.1, 40.0]


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


@pytest.fixture
def worlds(faults: Faults) -> Faults:
    """Their hypervisor takes new settings as they come: it looks nothing up but rooms.

    Jobs on offer are looked for beside the queue: it told those of a profile that was away once.
    """

    @asynccontextmanager
    async def make(*, flow: str, **more: Any) -> AsyncIterator[World]:
        async with faults(flow=flow, acquirable=flow == "offered", **more) as world:
            base: Any = world._plugins["vm"]

            class Adapting(base):  # type: ignore[misc]
                @hookimpl
                async def on_settings_changed(self, change: SettingsChange) -> list[str]:
                    return []

            world._plugins["vm"] = Adapting
            yield world

    return make


def taken(world: World) -> list[Job]:
    """The jobs that are ours as GitHub sees it."""
    return world.simulator.jobs_in("acquired", "assigned", "running")


def told(world: World) -> int:
    """The capacity that GitHub was told last."""
    [one] = [one for one in world.simulator.scale_sets if one.name == "linux"]
    assert one.capacity is not None
    return one.capacity


@pytest.mark.parametrize("moment", MOMENTS)
async def test_c48_github_is_told_first(
    autojump_clock: MockClock, worlds: Faults, flow: str, way: Way, moment: float
) -> None:
    """Whatever is assigned when the header has fallen was assigned before, and is served."""
    capacity, less, back = way
    async with worlds(flow=flow, most=MOST) as world, world.scaler():
        await world.listens()
        jobs = world.queue(2 * MOST, run_time=30)
        await trio.sleep(moment)
        since = trio.current_time()
        await less(world)
        # (those that work count: GitHub is told how many there may be in all)
        works = {job.runner_name for job in world.simulator.jobs_in("running")}
        most = max(capacity, len(works))
        await world.until(lambda: told(world) <= most, AT_ONCE)
        ours = {job.job_id for job in taken(world)}
        end = trio.current_time() + 40
        while trio.current_time() < end:
            new = {job.job_id for job in taken(world)} - ours
            assert len(taken(world)) <= most or not new, "assigned beyond what was told"
            await trio.sleep(0.5)
        assert all(call.capacity <= most for call in world.calls("poll", since + AT_ONCE))
        over = {job.runner_name for job in jobs if job.state == "completed"}
        still = {job.runner_name for job in world.simulator.jobs_in("running")}
        assert works <= over | still, "a busy runner was ended"
        await back(world)
        await world.until(lambda: all(job.state == "completed" for job in jobs), 1200)
        await world.settled()


async def test_c48_a_poll_in_flight_is_sent_anew(
    autojump_clock: MockClock, worlds: Faults, flow: str, way: Way
) -> None:
    """It would hold the old capacity for most of a minute."""
    capacity, less, back = way
    async with worlds(flow=flow, most=MOST) as world, world.scaler():
        await world.listens()
        await trio.sleep(5)
        [flying] = [call for call in world.calls("poll") if call.status is None]
        assert flying.capacity == MOST
        since = trio.current_time()
        await less(world)
        await world.until(lambda: told(world) == capacity, AT_ONCE)
        polls = world.calls("poll", since)
        assert [call.capacity for call in polls] == [capacity], "one poll, instead of the other"
        assert polls[0].connection != flying.connection, "the other was not broken off"
        await back(world)
        await world.until(lambda: told(world) == MOST, 10)
        await world.recovers()
        await world.settled()


async def test_c48_nothing_is_made_for_jobs_that_come_later(
    autojump_clock: MockClock, worlds: Faults, flow: str, way: Way
) -> None:
    """GitHub keeps them; they run when there is room again."""
    capacity, less, back = way
    async with worlds(flow=flow, most=MOST) as world, world.scaler():
        await world.listens()
        await less(world)
        await world.until(lambda: told(world) == capacity, AT_ONCE)
        jobs = world.queue(MOST, run_time=30)
        await trio.sleep(25)
        assert len(taken(world)) <= capacity
        assert len(world.machines.boxes) <= capacity
        await back(world)
        await world.until(lambda: all(job.state == "completed" for job in jobs), 600)
        await world.settled()


async def test_c48_a_profile_that_leaves_serves_what_is_its_own(
    autojump_clock: MockClock, worlds: Faults, flow: str
) -> None:
    """Then its session is closed; its scale set stays, and so do its jobs that came later."""
    async with worlds(flow=flow, most=MOST) as world, world.scaler():
        await world.listens()
        jobs = world.queue(MOST, run_time=30)
        await world.until(lambda: len(taken(world)) == MOST)
        await trio.sleep(1)
        await remove(world)
        late = world.queue(1, run_time=30)
        await world.until(lambda: all(job.state == "completed" for job in jobs), 300)
        assert all(job.lapses == 0 for job in jobs), "one had to be given out again"
        await world.until(lambda: "linux" not in world.view().profiles, 300)
        [one] = [one for one in world.simulator.scale_sets if one.name == "linux"]
        assert one.session is None, "it is still listened to"
        assert late[0].state in ("queued", "offered")
        assert not [row for row in world.view().runners if row.profile == "linux"]
        await as_before(world)
        await world.until(lambda: late[0].state == "completed", 300)
        await world.settled()


async def test_c48_busy_runners_outlive_all_of_it(
    autojump_clock: MockClock, worlds: Faults, flow: str, way: Way
) -> None:
    _, less, back = way
    async with worlds(flow=flow, most=MOST) as world, world.scaler():
        jobs = world.queue(MOST, run_time=900)
        await world.online(MOST)
        await world.until(
            lambda: all(row.state is RunnerState.BUSY for row in world.view().runners)
        )
        await less(world)
        await trio.sleep(600)
        assert all(job.state == "running" for job in jobs)
        await world.until(lambda: all(job.state == "completed" for job in jobs), 900)
        await back(world)
        await world.recovers()
        await world.settled()
