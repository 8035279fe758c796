"""C11: GitHub is not there for hours, or says that too much was asked."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from tests.faults.conftest import Faults
from tests.faults.world import World
from trio.testing import MockClock

HOUR = 3600.0
LONG = 6 * HOUR
TOLD = 900.0  # seconds that each refusal tells to wait


async def at_work(world: World, seconds: float = LONG) -> None:
    """One job at work for an hour longer than the outage, and one runner that waits."""
    world.queue(1, run_time=seconds + HOUR)
    await world.online()
    await world.until(lambda: sum(a.online and not a.busy for a in world.simulator.agents) == 1)
    await world.until(lambda: len(world.rows()) == 2)
    await trio.sleep(60)


def states(world: World) -> dict[str, str]:
    """Each registered runner's state."""
    runners = [each for each in world.view().runners if each.registration is not None]
    return {each.name: each.state.value for each in runners}


async def stays_up(world: World, seconds: float) -> None:
    """All that time nothing is made or destroyed, and people can read that GitHub is away."""
    boxes = {box.machine.id for box in world.machines.boxes.values()}
    names = states(world)
    end = trio.current_time() + seconds
    await trio.sleep(min(400, seconds / 2))
    while trio.current_time() < end:
        assert world.degraded(), "what is shown is old, and does not say so"
        assert {box.machine.id for box in world.machines.boxes.values()} == boxes
        assert names.items() <= states(world).items()
        await trio.sleep(min(60, end - trio.current_time() + 1e-3))


@pytest.mark.parametrize(
    ("hours", "failure"),
    [
        pytest.param(6, {"status": 503}, id="503 for six hours"),
        pytest.param(0.4, {"status": 500}, id="500"),
        pytest.param(0.4, {"status": 403}, id="403"),
        pytest.param(0.4, {"kind": "reset"}, id="reset"),
        pytest.param(0.4, {"kind": "drop"}, id="drop"),
        pytest.param(0.4, {"kind": "raw"}, id="garbage"),
    ],
)
async def test_c11_every_call_fails(
    autojump_clock: MockClock, faults: Faults, hours: float, failure: dict[str, Any]
) -> None:
    """At work all goes on, nothing is destroyed, and afterwards it goes on here."""
    some: dict[str, Any] = {"target": 1, "most": 4, "assign_timeout": None, "tick": "2m"}
    seconds = hours * HOUR
    async with faults(**some) as world, world.scaler():
        await at_work(world, seconds)
        since = trio.current_time()
        world.simulator.faults.outage(**failure)
        world.network.cut()
        await stays_up(world, seconds)
        asked = [each for each in world.simulator.history.exchanges if world.when(each) > since]
        assert len(asked) <= 12 * seconds / 60, "more than twelve calls a minute"
        world.queue(3, run_time=30)
        world.simulator.faults.clear()
        await world.recovers()
        await world.settled(LONG)
        assert not world.degraded()


@pytest.mark.parametrize(("flow", "status"), [("assigned", 403), ("offered", 429)])
async def test_c11_told_to_wait(
    autojump_clock: MockClock, faults: Faults, flow: str, status: int
) -> None:
    """`retry-after`: whoever was refused waits so long, and nobody asks meanwhile."""
    async with faults(flow=flow, target=1, most=4, assign_timeout=None) as world, world.scaler():
        await at_work(world, HOUR)
        since = trio.current_time()
        fault = world.simulator.faults.add(
            status=status, headers={"retry-after": str(int(TOLD))}, times=None
        )
        world.network.cut()
        await stays_up(world, HOUR)
        refused = [e for e in world.simulator.history.exchanges if world.when(e) >= since]
        # (two limits, of REST and of the service; calls under way at once are refused together)
        assert len(refused) <= 2 * 3 * (HOUR / TOLD + 1)
        for route in {each.route for each in refused}:
            assert len(world.times(route, since)) <= 2 * (HOUR / TOLD + 1), route
        world.simulator.faults.remove(fault)
        world.queue(3, run_time=30)
        await trio.sleep(TOLD - (trio.current_time() - world.when(refused[-1])))
        await world.recovers()
        await world.settled(LONG)


@pytest.mark.parametrize(("flow", "status"), [("assigned", 403), ("offered", 429)])
async def test_c11_told_when_it_ends(
    autojump_clock: MockClock, faults: Faults, flow: str, status: int
) -> None:
    """`x-ratelimit-reset`, by GitHub's clock, which is ahead: one refusal each until then."""
    world_options = {"assign_timeout": None, "clock_offset": 7200.0}
    async with faults(flow=flow, target=1, most=4, **world_options) as world, world.scaler():
        await at_work(world, HOUR)
        since = trio.current_time()
        end = since + HOUR
        reset = str(int(world.simulator.now + HOUR))
        headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
        body = {"message": "API rate limit exceeded"}
        fault = world.simulator.faults.add(status=status, headers=headers, body=body, times=None)
        world.network.cut()
        await stays_up(world, end - trio.current_time())
        refused = [e for e in world.simulator.history.exchanges if world.when(e) >= since]
        assert refused
        assert len(refused) <= 6
        world.queue(3, run_time=30)
        world.simulator.faults.remove(fault)
        await world.recovers()
        await world.settled(LONG)


@pytest.mark.parametrize("kind", ["primary", "secondary"])
async def test_c11_rest_alone_is_limited(
    autojump_clock: MockClock, faults: Faults, flow: str, kind: str
) -> None:
    """REST gives only the tokens: with those at hand, jobs go on."""
    async with faults(flow=flow, target=1, most=4) as world, world.scaler():
        await world.listens()
        if kind == "primary":
            world.simulator.limit_rate(0)
            world.simulator.limit_rate(0, resource="actions_runner_registration")
        else:
            world.simulator.limit_secondarily(1800)
        world.network.cut()
        since = trio.current_time()
        world.queue(3, run_time=30)
        await world.recovers()
        await world.settled()
        assert world.per_minute("registration-token", since) <= 1


@pytest.mark.parametrize("flow", ["assigned"])
async def test_c11_a_start_in_an_outage(
    autojump_clock: MockClock, faults: Faults, flow: str
) -> None:
    """The scaler ends and starts again while GitHub is away: what is there is left alone."""
    async with faults(flow=flow, target=1, most=4, assign_timeout=None) as world:
        async with world.scaler():
            await at_work(world, 2 * HOUR)
            world.simulator.faults.outage()
            world.network.cut()
            await trio.sleep(HOUR)
            await world.crash()
        async with world.scaler():
            await stays_up(world, HOUR / 4)
            world.queue(3, run_time=30)
            world.simulator.faults.clear()
            await world.recovers()
            await world.settled(LONG)


@pytest.mark.parametrize("flow", ["offered"])
async def test_c11_jobs_end_in_an_outage(
    autojump_clock: MockClock, faults: Faults, flow: str
) -> None:
    """Machines that stopped go, and what is registered for them goes afterwards."""
    async with faults(flow=flow, most=4) as world, world.scaler():
        world.queue(3, run_time=HOUR)
        await world.online(3)
        await trio.sleep(10)
        world.simulator.faults.outage()
        world.network.cut()
        await trio.sleep(1.5 * HOUR)
        world.simulator.faults.clear()
        await world.recovers()
        await world.settled()
        assert world.machines._made == 4, "the three, and the one for what came afterwards"


@pytest.mark.parametrize("minutes", [1, 7])
async def test_c11_it_comes_and_goes(
    autojump_clock: MockClock, faults: Faults, flow: str, minutes: int
) -> None:
    async with faults(flow=flow, target=1, most=4, assign_timeout=None) as world, world.scaler():
        for _ in range(5):
            world.simulator.faults.outage(60.0 * minutes)
            world.network.cut()
            world.queue(1, run_time=20)
            await trio.sleep(60 * minutes)
            await world.recovers()
        await world.settled()
