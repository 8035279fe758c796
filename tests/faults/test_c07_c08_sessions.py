"""C7 and C8: another one holds the session, and sessions that are not usable."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from tests.faults.conftest import Faults
from tests.faults.oracle import pauses
from trio.testing import MockClock

HOUR = 3600.0


# --- C7


async def test_c07_rival_holds_the_session_for_two_hours(
    autojump_clock: MockClock, faults: Faults, flow: str
) -> None:
    """From the start: machines are kept up all the same."""
    async with faults(flow=flow, target=1) as world:
        world.simulator.create_scale_set("linux", ["linux", "self-hosted-image:linux"])
        world.simulator.hold_session("linux")
        async with world.scaler():
            await world.until(lambda: any(a.online for a in world.simulator.agents))
            await trio.sleep(HOUR)
            assert world.degraded()
            [box] = world.machines.boxes.values()
            world.machines.stop(box, "it broke")
            await world.until(lambda: box not in world.machines.boxes.values())
            await world.until(lambda: any(a.online for a in world.simulator.agents))
            await trio.sleep(HOUR)
            between = pauses(world.times("create-session"))
            assert min(between) >= 5
            assert max(between) <= 61
            assert not world.calls("delete-scale-set")
            assert not world.calls("delete-session"), "that session is not ours"
            world.simulator.end_session("linux")
            await world.recovers()
            await world.settled()
            assert not world.degraded()


async def test_c07_rival_takes_the_session(
    autojump_clock: MockClock, faults: Faults, flow: str
) -> None:
    """In the middle of work: what runs ends well, and is cleared away."""
    async with faults(flow=flow, assign_timeout=None) as world, world.scaler():
        world.queue(2, run_time=300)
        await world.online(2)
        await trio.sleep(5)
        since = trio.current_time()
        world.simulator.hold_session("linux")
        await world.until(lambda: not world.machines.boxes, 600)
        world.queue(2, run_time=30)
        await trio.sleep(2 * HOUR - (trio.current_time() - since))
        assert world.degraded()
        assert world.per_minute("create-session", since + 600) <= 1
        assert not world.calls("delete-scale-set")
        world.simulator.end_session("linux")
        await world.recovers()
        await world.settled()


async def test_c07_own_session_after_a_crash(
    autojump_clock: MockClock, faults: Faults, flow: str
) -> None:
    """Its id is known: it is closed, not waited for."""
    async with faults(flow=flow) as world:
        async with world.scaler():
            world.queue(1, run_time=200)
            await world.online()
            await trio.sleep(5)
            await world.crash()
        await trio.sleep(10)
        async with world.scaler():
            since = trio.current_time()
            await world.listens()
            assert trio.current_time() - since <= 5
            await world.recovers()
            await world.settled()
        assert len(world.calls("create-session")) <= 3


@pytest.mark.parametrize("expiry", [60.0, 280.0])
async def test_c07_own_session_whose_id_a_crash_took(
    autojump_clock: MockClock, faults: Faults, flow: str, expiry: float
) -> None:
    """It was opened and the answer never came: only GitHub can end it."""
    async with faults(flow=flow, session_timeout=expiry) as world:
        world.simulator.faults.add("create-session", kind="slow")  # open, and the answer drips
        async with world.scaler():
            await world.until(lambda: world.simulator.scale_sets)
            await world.until(lambda: world.simulator.scale_set("linux").session is not None)
            await world.crash()
        async with world.scaler():
            await world.until(lambda: len(world.calls("create-session")) > 3)
            assert world.degraded()
            await world.listens()
            assert trio.current_time() <= expiry + 15, "asked often, since it is likely ours"
            await world.recovers()
            await world.settled()


# --- C8

EMPTY = {
    "url": {"messageQueueUrl": None},
    "empty url": {"messageQueueUrl": ""},
    "no url": {"messageQueueUrl": "queue"},
    "token": {"messageQueueAccessToken": None},
    "empty token": {"messageQueueAccessToken": ""},
    "odd token": {"messageQueueAccessToken": "a b\n"},
    "statistics": {"statistics": None},
    "id": {"sessionId": None},
    "all": {"messageQueueUrl": None, "messageQueueAccessToken": None, "statistics": None},
}


@pytest.mark.parametrize("fields", [pytest.param(EMPTY[key], id=key) for key in EMPTY])
@pytest.mark.parametrize("times", [1, 3])
async def test_c08_session_with_something_missing(
    autojump_clock: MockClock, faults: Faults, flow: str, fields: dict[str, Any], times: int
) -> None:
    # One whose id is missing cannot be closed: it is in the way until GitHub ends it
    async with faults(flow=flow, session_timeout=40.0, target=1) as world:
        fault = world.simulator.faults.add("create-session", fields=fields, times=times)
        async with world.scaler():
            await world.until(lambda: fault.struck == times, 900)
            await world.recovers()
            await world.settled()
            if "sessionId" not in fields:
                assert len(world.calls("delete-session")) == times
            assert world.simulator.count("unknown") == 0
            assert not [record for record in world.logged if record.exc_info]


async def test_c08_backs_off_from_the_first_one_on(
    autojump_clock: MockClock, faults: Faults
) -> None:
    async with faults() as world:
        world.simulator.faults.add("create-session", fields={"messageQueueUrl": None}, times=4)
        async with world.scaler():
            await world.listens()
            await world.settled()
            between = pauses(world.times("create-session"))
            assert all(pause >= 0.5 for pause in between), between


@pytest.mark.parametrize(
    "fields", [pytest.param(EMPTY[key], id=key) for key in EMPTY if key != "statistics"]
)
async def test_c08_renewed_session_with_something_missing(
    autojump_clock: MockClock, faults: Faults, flow: str, fields: dict[str, Any]
) -> None:
    async with faults(flow=flow, session_timeout=40.0) as world, world.scaler():
        await world.listens()
        fault = world.simulator.faults.add("refresh-session", fields=fields, times=2)
        world.simulator.faults.add("poll", status=401)
        await world.until(lambda: fault.struck >= 1)
        await world.recovers()
        world.simulator.faults.clear()
        await world.settled()
        assert world.simulator.count("unknown") == 0
        assert not [record for record in world.logged if record.exc_info]
