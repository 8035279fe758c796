"""C22 and C23: a runner is registered, and its configuration is lost, or of no use."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import trio
from tests.faults import by_rest
from tests.faults.conftest import Faults
from tests.faults.oracle import pauses
from tests.faults.world import World
from trio.testing import MockClock

TWICE = 2
LOSSES = ["lose", "truncate", "drop", "reset"]


async def replaced(world: World, route: str, failures: int) -> None:
    """Each try had a name of its own, and nothing is left of those that came to nothing."""
    await world.recovers(probe=route == "jitconfig")
    await world.settled()
    assert len(world.calls(route)) > failures
    assert not [each for each in world.view().runners if each.state == "retiring"]


# --- C22


@pytest.mark.parametrize("times", [1, 4])
@pytest.mark.parametrize("kind", LOSSES)
async def test_c22_answer_lost(
    autojump_clock: MockClock, faults: Faults, flow: str, kind: Any, times: int
) -> None:
    async with faults(flow=flow, assign_timeout=None) as world, world.scaler():
        fault = world.simulator.faults.add("jitconfig", kind=kind, times=times)
        world.queue(1, run_time=30)
        await world.until(lambda: fault.struck == times)
        await replaced(world, "jitconfig", times)
        assert world.machines._made <= 2, "a machine with a configuration that nobody has"


@pytest.mark.parametrize("times", [1, 4])
@pytest.mark.parametrize("kind", LOSSES)
async def test_c22_answer_lost_by_rest(
    autojump_clock: MockClock, faults: Faults, kind: Any, times: int
) -> None:
    async with faults(**by_rest.settings()) as world:
        by_rest.count_in(world)
        fault = world.simulator.faults.add("rest-jitconfig", kind=kind, times=times)
        async with world.scaler():
            await world.until(lambda: fault.struck == times)
            await world.until(lambda: by_rest.idle(world), 90)
            await replaced(world, "rest-jitconfig", times)
        assert world.machines._made == 1


async def test_c22_no_answer_in_time(autojump_clock: MockClock, faults: Faults, flow: str) -> None:
    """The runner is registered, and its configuration drips until nobody waits any more."""
    async with faults(flow=flow, assign_timeout=None) as world, world.scaler():
        fault = world.simulator.faults.add("jitconfig", kind="slow")
        world.queue(1, run_time=30)
        await world.until(lambda: fault.struck)
        await world.until(lambda: len(world.calls("jitconfig")) > 1)
        await replaced(world, "jitconfig", 1)


@pytest.mark.parametrize("act", [True, False], ids=["it is there", "it is not"])
@pytest.mark.parametrize("times", [1, 3])
async def test_c22_then_its_name_is_taken(
    autojump_clock: MockClock, faults: Faults, flow: str, times: int, act: bool
) -> None:
    """The configuration of the runner that is there is unknown: it is removed, not used."""
    body = {"typeName": "GitHub.Actions.AgentExistsException", "message": "exists"}
    async with faults(flow=flow, assign_timeout=None) as world, world.scaler():
        world.simulator.faults.add("jitconfig", status=409, body=body, times=times, act=act)
        world.queue(1, run_time=30)
        await world.until(lambda: not world.simulator.faults.pending)
        await replaced(world, "jitconfig", times)


async def test_c22_name_taken_since_the_ledger_was_lost(
    autojump_clock: MockClock, faults: Faults, flow: str
) -> None:
    """What a run before this one registered bears the name that comes next, and is in no list."""
    async with faults(flow=flow, assign_timeout=None, list_delay=60) as world:
        one = world.simulator.create_scale_set("linux", ["linux", "self-hosted-image:linux"])
        async with world.scaler():
            await world.listens()
            world.simulator._world.create_agent("acme", "linux.1@host-1", one)
            world.queue(1, run_time=30)
            await world.until(lambda: world.simulator.count("jitconfig") > 1)
            await replaced(world, "jitconfig", 1)


@pytest.mark.parametrize("list_delay", [30, 90])
async def test_c22_answer_lost_of_one_that_no_list_shows_yet(
    autojump_clock: MockClock, faults: Faults, flow: str, list_delay: float
) -> None:
    async with faults(flow=flow, assign_timeout=None, list_delay=list_delay, most=2) as world:
        async with world.scaler():
            await world.listens()
            fault = world.simulator.faults.add("jitconfig", kind="lose", times=2)
            world.queue(1, run_time=30)
            await world.until(lambda: fault.struck == 2)
            await replaced(world, "jitconfig", 2)


@pytest.mark.parametrize("list_delay", [30, 90])
async def test_c22_answer_lost_of_one_that_no_list_shows_yet_by_rest(
    autojump_clock: MockClock, faults: Faults, list_delay: float
) -> None:
    async with faults(**by_rest.settings(most=2), list_delay=list_delay) as world:
        by_rest.count_in(world)
        fault = world.simulator.faults.add("rest-jitconfig", kind="lose", times=2)
        async with world.scaler():
            await world.until(lambda: fault.struck == 2)
            await world.until(lambda: by_rest.idle(world), 300)
            await world.settled()


# --- C23


def encoded(text: bytes) -> str:
    return base64.b64encode(text).decode()


CORRUPT = {
    "no base64": "%%%",
    "cut base64": encoded(b'{".runner": "e30="}')[:-3],
    "no JSON": encoded(b"<html>"),
    "cut JSON": encoded(b'{".runner": "e3'),
    "a list": encoded(b"[]"),
    "empty object": encoded(b"{}"),
    "empty": "",
    "null": None,
    "a number": 7,
}
NOBODY: dict[str, Any] = {
    "no runner": None,
    "no id": {"name": "linux.1@host-1"},
    "id 0": {"id": 0, "name": "linux.1@host-1"},
    "id as text": {"id": "x", "name": "linux.1@host-1"},
    "id null": {"id": None, "name": "linux.1@host-1"},
}


async def removed(world: World, route: str, since: float, failures: int) -> None:
    """What was registered so is gone again, and the next try came not too soon."""
    tries = world.times(route, since)
    assert all(pause >= 0.9 for pause in pauses(tries)), tries
    await replaced(world, route, failures)


@pytest.mark.parametrize(
    "fields",
    [
        *(pytest.param({"encodedJITConfig": CORRUPT[key]}, id=key) for key in CORRUPT),
        *(pytest.param({"runner": NOBODY[key]}, id=key) for key in NOBODY),
    ],
)
async def test_c23_configuration_of_no_use(
    autojump_clock: MockClock, faults: Faults, fields: dict[str, Any]
) -> None:
    async with faults(assign_timeout=None) as world, world.scaler():
        await world.listens()
        since = trio.current_time()
        world.simulator.faults.add("jitconfig", fields=fields, times=TWICE)
        world.queue(1, run_time=30)
        await world.until(lambda: not world.simulator.faults.pending)
        await removed(world, "jitconfig", since, TWICE)
        assert len(world.calls("delete-agent")) >= TWICE
        assert world.machines._made <= 2


@pytest.mark.parametrize(
    "fields",
    [
        *(pytest.param({"encoded_jit_config": CORRUPT[key]}, id=key) for key in CORRUPT),
        *(pytest.param({"runner": NOBODY[key]}, id=key) for key in NOBODY),
    ],
)
async def test_c23_configuration_of_no_use_by_rest(
    autojump_clock: MockClock, faults: Faults, fields: dict[str, Any]
) -> None:
    async with faults(**by_rest.settings()) as world:
        by_rest.count_in(world)
        world.simulator.faults.add("rest-jitconfig", fields=fields, times=TWICE)
        async with world.scaler():
            await world.until(lambda: not world.simulator.faults.pending)
            await world.until(lambda: by_rest.idle(world), 90)
            await removed(world, "rest-jitconfig", 0, TWICE)
            assert len(world.calls("rest-delete-runner")) >= TWICE
        assert world.machines._made == 1


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b"<html>", b'{"runner'])
async def test_c23_answer_of_no_use(
    autojump_clock: MockClock, faults: Faults, flow: str, body: bytes
) -> None:
    async with faults(flow=flow, assign_timeout=None) as world, world.scaler():
        await world.listens()
        since = trio.current_time()
        world.simulator.faults.add("jitconfig", status=200, body=body, act=True, times=2)
        world.queue(1, run_time=30)
        await world.until(lambda: not world.simulator.faults.pending)
        await removed(world, "jitconfig", since, 2)


async def test_c23_and_it_cannot_be_removed_at_once(
    autojump_clock: MockClock, faults: Faults, flow: str
) -> None:
    """Nothing leaks where its removal fails, too."""
    async with faults(flow=flow, assign_timeout=None) as world, world.scaler():
        await world.listens()
        world.simulator.faults.add("jitconfig", fields={"encodedJITConfig": "%"}, times=2)
        world.simulator.faults.add("delete-agent", status=503, times=12)
        world.queue(1, run_time=30)
        await world.until(lambda: not world.simulator.faults.pending)
        await replaced(world, "jitconfig", 2)
