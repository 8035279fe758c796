"""C1 to C3: polls that break off, answers that are no messages, and silence."""

from __future__ import annotations

from typing import Literal

import pytest
import trio
from tests.faults.conftest import Faults
from tests.faults.world import World
from trio.testing import MockClock


async def at_work(world: World, *, run_time: float = 400) -> str:
    """Have a job at work and its messages deleted; the cursor of the poll that waits then."""
    world.queue(1, run_time=run_time)
    await world.online()
    await trio.sleep(1)
    await world.listens()
    return world.calls("poll")[-1].query["lastMessageId"]


@pytest.mark.parametrize("kind", ["reset", "drop"])
@pytest.mark.parametrize("times", [1, 2, 3, 4, 5])
async def test_c01_poll_breaks_off(
    autojump_clock: MockClock, faults: Faults, flow: str, kind: Literal["reset", "drop"], times: int
) -> None:
    async with faults(flow=flow) as world, world.scaler():
        cursor = await at_work(world)
        since = trio.current_time()
        world.simulator.faults.add("poll", kind=kind, times=times)
        world.network.cut(reset=kind == "reset")
        await world.until(lambda: not world.simulator.faults.pending)
        await world.until(lambda: len(world.calls("poll", since)) > times, 32)
        calls = world.calls("poll", since)
        assert calls[0].at == pytest.approx(world.simulator.now - trio.current_time() + since)
        assert {each.query.get("lastMessageId") for each in calls} == {cursor}
        await world.recovers()
        await world.settled()
