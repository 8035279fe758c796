"""C5 and C6: the queue's token is refused, and sessions that cannot be renewed."""

from __future__ import annotations

import pytest
import trio
from tests.faults.conftest import Faults
from tests.faults.oracle import pauses
from trio.testing import MockClock

HOUR = 3600.0


# --- C5


@pytest.mark.parametrize("times", [1, 2])
async def test_c05_poll_401(
    autojump_clock: MockClock, faults: Faults, flow: str, times: int
) -> None:
    async with faults(flow=flow) as world, world.scaler():
        await world.listens()
        since = trio.current_time()
        fault = world.simulator.faults.add("poll", status=401, times=times)
        await world.until(lambda: fault.struck == times)
        await world.recovers()
        assert len(world.calls("refresh-session", since)) == 1
        assert not world.calls("create-session", since + 0.1), "the session was good"
        await world.settled()


@pytest.mark.parametrize("times", [1, 2])
async def test_c05_delete_401(
    autojump_clock: MockClock, faults: Faults, flow: str, times: int
) -> None:
    async with faults(flow=flow) as world, world.scaler():
        await world.listens()
        fault = world.simulator.faults.add("delete-message", status=401, times=times)
        world.queue(1, run_time=5)
        await world.until(lambda: fault.struck == times)
        await world.recovers()
        assert 1 <= len(world.calls("refresh-session")) <= times
        await world.settled()


@pytest.mark.parametrize("times", [1, 2])
async def test_c05_acquire_401(autojump_clock: MockClock, faults: Faults, times: int) -> None:
    async with faults(flow="offered") as world, world.scaler():
        await world.listens()
        fault = world.simulator.faults.add("acquire", status=401, times=times)
        world.queue(1, run_time=5)
        await world.until(lambda: fault.struck == times)
        await world.recovers()
        assert len(world.calls("refresh-session")) == 1
        await world.settled()


@pytest.mark.parametrize(
    ("flow", "route"),
    [
        ("assigned", "poll"),
        ("offered", "poll"),
        ("assigned", "delete-message"),
        ("offered", "acquire"),
    ],
)
async def test_c05_401_for_an_hour(
    autojump_clock: MockClock, faults: Faults, flow: str, route: str
) -> None:
    """No storm: what is refused again and again is asked for once a minute."""
    async with faults(flow=flow, assign_timeout=None) as world, world.scaler():
        await world.listens()
        since = trio.current_time()
        fault = world.simulator.faults.add(route, status=401, times=None)
        world.queue(2, run_time=20)
        await trio.sleep(HOUR)
        assert fault.struck
        if route == "poll":
            assert world.degraded()
        assert world.per_minute("refresh-session", since + 300) <= 2
        assert world.per_minute(route, since + 300) <= 4
        world.simulator.faults.clear()
        await world.recovers()
        await world.settled()


async def test_c05_one_renewal_for_three_callers(autojump_clock: MockClock, faults: Faults) -> None:
    """Poll, deletion and acquisition are refused while the first one's renewal is under way."""
    async with faults(flow="offered", most=1) as world, world.scaler():
        [first] = world.queue(1, run_time=None)
        await world.online()
        world.queue(1, run_time=20)  # no room for it yet: it stays offered
        await trio.sleep(5)
        world.simulator.faults.add("poll", status=401, delay=8)
        world.simulator.faults.add("delete-message", status=401, delay=8)
        world.simulator.faults.add("acquire", status=401)
        world.simulator.delays["refresh-session"] = 10
        world.simulator.finish_job(first)
        await world.until(lambda: not world.simulator.faults.pending)
        await world.settled()
        assert len(world.calls("refresh-session")) == 1
        refused = [e for e in world.simulator.history.exchanges if e.status == 401]
        assert {each.route for each in refused} == {"poll", "delete-message", "acquire"}


async def test_c05_tokens_expire_every_hour(autojump_clock: MockClock, faults: Faults) -> None:
    """GitHub's tokens last an hour: each is renewed once in it."""
    async with faults(flow="offered") as world, world.scaler():
        for _ in range(4):
            await trio.sleep(2 * HOUR - 120)
            world.queue(2, run_time=60)
            await world.settled()
        assert 7 <= len(world.calls("refresh-session")) <= 8
        assert len(world.calls("create-session")) == 1
        assert 8 <= len(world.calls("runner-registration")) <= 9
        assert {each.status for each in world.calls("poll")} <= {200, 202, 401, None}
        assert world.wells() == [True]


# --- C6


async def test_c06_renewal_404_for_a_day(autojump_clock: MockClock, faults: Faults) -> None:
    # (a long tick, since nothing here is found by looking: it is most of a simulated day's cost)
    async with faults(tick="10m") as world, world.scaler():
        await world.listens()
        world.simulator.faults.add("refresh-session", status=404, times=None)
        for _ in range(8):
            await trio.sleep(3 * HOUR - 120)
            world.queue(2, run_time=60)
            await world.settled()
        # (each is answered 409 once: the one before, which is said to be gone, is still there)
        opened = [e for e in world.calls("create-session") if e.status == 200]
        assert 24 <= len(opened) <= 25, "a new session each hour, and no more"
        assert max(pauses(world.times("poll"))) <= 81
        world.simulator.faults.clear()
        await world.recovers()
        await world.settled()


@pytest.mark.parametrize("steady", [False, True], ids=["told gone", "refused"])
async def test_c06_session_is_gone_at_once(
    autojump_clock: MockClock, faults: Faults, flow: str, steady: bool
) -> None:
    """The session vanishes under a poll, and its successors too, for a while."""
    async with faults(flow=flow, assign_timeout=None) as world, world.scaler():
        await world.listens()
        since = trio.current_time()
        end = since + (600 if steady else 1)
        while trio.current_time() < end:
            for one in world.simulator.scale_sets:
                if one.session is not None:
                    world.simulator.end_session(one.name)
            await trio.sleep(0.25)
        assert world.per_minute("create-session", since) <= 16
        await world.recovers()
        await world.settled()
