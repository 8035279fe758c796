"""C1 to C3: polls that break off, answers that are no messages, and silence."""

from __future__ import annotations

import json
import logging
from typing import Any, Literal

import pytest
import trio
from tests.faults.conftest import Faults
from tests.faults.oracle import pauses
from tests.faults.world import World, formatted
from trio.testing import MockClock

DEADLINE = 80.0  # seconds within which a poll is over: GitHub's 50, and 30
LONGEST = 30.0  # seconds between two tries


async def at_work(world: World, *, run_time: float = 400) -> str:
    """Have a job at work and its messages deleted; the cursor of the poll that waits then."""
    world.queue(1, run_time=run_time)
    await world.online()
    await trio.sleep(1)
    await world.listens()
    return world.calls("poll")[-1].query["lastMessageId"]


def warnings(world: World, part: str) -> list[str]:
    """What the listener said at least as a warning, with this in it."""
    texts = [formatted(r) for r in world.logged if r.levelno >= logging.WARNING]
    return [text for text in texts if part in text]


# --- C1


@pytest.mark.parametrize("kind", ["reset", "drop"])
@pytest.mark.parametrize("times", [1, 2, 3, 4, 5])
async def test_c01_poll_breaks_off(
    autojump_clock: MockClock,
    faults: Faults,
    flow: str,
    kind: Literal["reset", "drop"],
    times: int,
) -> None:
    async with faults(flow=flow) as world, world.scaler():
        cursor = await at_work(world)
        since = trio.current_time()
        world.simulator.faults.add("poll", kind=kind, times=times)
        world.network.cut(reset=kind == "reset")
        await world.until(lambda: not world.simulator.faults.pending)
        await world.until(lambda: len(world.calls("poll", since)) > times, LONGEST + 2)
        calls = world.calls("poll", since)
        assert world.when(calls[0]) == pytest.approx(since), "not at once"
        assert all(pause <= LONGEST for pause in pauses(each.at for each in calls))
        assert {each.query.get("lastMessageId") for each in calls} == {cursor}
        await world.recovers()
        await world.settled()


# --- C2


def message(**changes: Any) -> bytes:
    """A message as GitHub sends it, with changes."""
    job = {"messageType": "JobAvailable", "runnerRequestId": 77, "requestLabels": ["linux"]}
    statistics = dict.fromkeys(
        (
            "totalAvailableJobs",
            "totalAcquiredJobs",
            "totalAssignedJobs",
            "totalRunningJobs",
            "totalRegisteredRunners",
            "totalBusyRunners",
            "totalIdleRunners",
        ),
        0,
    )
    whole = {
        "messageId": 900_000_000,
        "messageType": "RunnerScaleSetJobMessages",
        "body": json.dumps([job]),
        "statistics": statistics,
        **changes,
    }
    return json.dumps(whole).encode()


async def no_message(world: World, struck: int) -> None:
    """See that what was answered counted as nothing, and that the real message comes after it.

    Args:
        struck: How many polls are to be answered so.
    """
    cursor = world.calls("poll")[-1].query["lastMessageId"]
    deleted = len(world.calls("delete-message"))
    polls = len(world.calls("poll"))
    world.queue(1, run_time=20)  # the waiting poll brings it; the next ones are struck
    await world.until(lambda: not world.simulator.faults.pending, 3600 * 24)
    after = world.calls("poll")[polls:][:struck]
    assert len(after) == struck
    assert all(each.fault for each in after)
    cursors = {each.query["lastMessageId"] for each in after}
    assert len(cursors) == 1, "the cursor moved on"
    assert int(cursors.pop()) > int(cursor)
    between = pauses(each.at for each in after)
    assert all(1 <= pause <= 5.01 for pause in between), between
    assert len(world.calls("delete-message")) <= deleted + 1, "a message was deleted unseen"


async def test_c02_body_cut_at_every_offset(autojump_clock: MockClock, faults: Faults) -> None:
    """The answer is whole as HTTP, and its body ends early: every offset in one world."""
    whole = message()
    async with faults() as world, world.scaler():
        await at_work(world, run_time=20)
        for offset in range(len(whole)):
            world.simulator.faults.add("poll", status=200, body=whole[:offset])
        await no_message(world, len(whole))
        said = warnings(world, "poll scale set")
        assert len(said) == 1, "it is to be told once"
        await world.recovers()
        await world.settled()


async def test_c02_told_with_the_request(autojump_clock: MockClock, faults: Faults) -> None:
    async with faults() as world, world.scaler():
        await at_work(world, run_time=20)
        world.simulator.faults.add("poll", status=200, body=b"")
        await no_message(world, 1)
        await world.settled()
        assert warnings(world, "(request ")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xef\xbb\xbf",
        b"<html><body>Unicorn!</body></html>",
        b"null",
        b"[]",
        b"{}",
        b'"text"',
        b"\xff\xfe\x00",
        message(messageId=None),
        message(messageId="x"),
        message(messageId=-1),
        message(messageId=10**30),
        message(body=None, messageId=None),
    ],
    ids=range(13),
)
async def test_c02_no_message_in_it(
    autojump_clock: MockClock, faults: Faults, flow: str, body: bytes
) -> None:
    async with faults(flow=flow) as world, world.scaler():
        await at_work(world, run_time=20)
        world.simulator.faults.add("poll", status=200, body=body, times=3)
        await no_message(world, 3)
        await world.recovers()
        await world.settled()


@pytest.mark.parametrize("text", ["<html>", "{}", '"text"', "[", "5"])
async def test_c02_no_list_in_the_message(
    autojump_clock: MockClock, faults: Faults, flow: str, text: str
) -> None:
    """Its number can be read: the third time it is no accident (C16), and not before."""
    async with faults(flow=flow) as world, world.scaler():
        await at_work(world, run_time=20)
        number = int(world.calls("poll")[-1].query["lastMessageId"]) + 1
        body = message(body=text, messageId=number)
        world.simulator.faults.add("poll", status=200, body=body, times=2)
        await no_message(world, 2)
        await world.recovers()
        await world.settled()


async def test_c02_connection_ends_within_the_body(
    autojump_clock: MockClock, faults: Faults, flow: str
) -> None:
    async with faults(flow=flow) as world, world.scaler():
        await at_work(world, run_time=20)
        for round_ in range(8):
            keep = (0, 1, 2, 40, 200, 300, 400, 500)[round_]
            since = trio.current_time()
            world.simulator.faults.add("poll", kind="truncate", keep=keep, skip=1, times=3)
            await trio.sleep(1)
            world.queue(1, run_time=5)
            await world.until(lambda: not world.simulator.faults.pending, 3600)
            struck = [each for each in world.calls("poll", since) if each.fault]
            assert len({each.query["lastMessageId"] for each in struck}) <= 2
            await world.recovers()
        await world.settled()


# --- C3


async def test_c03_silent_drop_of_connections(
    autojump_clock: MockClock, faults: Faults, flow: str
) -> None:
    """A NAT forgets: what is open dies unheard, and new connections work."""
    async with faults(flow=flow) as world, world.scaler():
        cursor = await at_work(world)
        since = trio.current_time()
        last = world.times("poll")[-1]
        world.network.lose()
        await world.until(lambda: world.calls("poll", since + 0.1), DEADLINE)
        again = world.calls("poll", since + 0.1)[0]
        assert trio.current_time() - last <= DEADLINE + 0.3
        assert again.query["lastMessageId"] == cursor
        await world.recovers()
        await world.settled()


async def test_c03_no_answer_ever(autojump_clock: MockClock, faults: Faults, flow: str) -> None:
    async with faults(flow=flow) as world, world.scaler():
        cursor = await at_work(world, run_time=1000)
        since = trio.current_time()
        world.simulator.faults.add("poll", kind="hang", times=4)
        # The fault is over when the last poll that hangs is given up, not when it was struck
        await world.until(lambda: len(world.calls("poll", since + 0.1)) > 4, 600)
        assert world.wells() == [True, False]
        polls = world.calls("poll", since + 0.1)
        between = pauses(each.at for each in polls)
        assert between[0] <= DEADLINE + 0.1, "the first time it is asked again at once"
        assert all(pause <= DEADLINE + LONGEST for pause in between)
        assert {each.query["lastMessageId"] for each in polls} == {cursor}
        await world.recovers()
        await world.settled()


@pytest.mark.parametrize("seconds", [60.0, 600.0, 7200.0])
async def test_c03_all_packets_vanish(
    autojump_clock: MockClock, faults: Faults, flow: str, seconds: float
) -> None:
    async with faults(flow=flow, target=1) as world, world.scaler():
        await at_work(world, run_time=300)
        since = trio.current_time()
        world.network.muted = True
        await trio.sleep(seconds)
        if seconds > DEADLINE + LONGEST:
            assert world.degraded()
        assert not world.calls("poll", since + 0.1)
        world.network.muted = False
        await world.recovers()
        await world.settled()
        assert not world.degraded()
