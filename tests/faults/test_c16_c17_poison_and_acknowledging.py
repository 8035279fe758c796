"""C16 and C17: messages that cannot be handled, and trouble around their deletion."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

import pytest
import trio
from tests.faults.conftest import Faults
from tests.faults.world import World, formatted
from trio.testing import MockClock

from scaler.engine.intake import Intake

if TYPE_CHECKING:
    from pathlib import Path

    from scaler import Message

POISON = {"messageType": "JobAssigned", "runnerRequestId": 666, "requestLabels": ["linux"]}
ERRORS: dict[str, type[Exception]] = {
    "ValueError": ValueError,
    "OSError": OSError,
    "RecursionError": RecursionError,
}


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Job 666 is refused by the core, by `error`, for `left` times; `tries` counts."""
    state: dict[str, Any] = {"error": ValueError, "left": 10**6, "tries": []}
    deliver = Intake.deliver

    async def refuse(self: Intake, plugin: str, message: Message) -> None:
        if any(job.id == "666" for job in message.jobs):
            state["tries"].append(message.id)
            if state["left"] > 0:
                state["left"] -= 1
                raise state["error"]("cannot take that")
        await deliver(self, plugin, message)

    monkeypatch.setattr(Intake, "deliver", refuse)
    return state


def kept(world: World) -> list[Path]:
    """The files of messages that could not be handled."""
    found = sorted((world.folder / "state").rglob("unhandled/*"))
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in found)
    assert all(stat.S_IMODE(path.parent.stat().st_mode) == 0o700 for path in found)
    return found


async def deleted(world: World, number: int) -> None:
    """Wait until GitHub has not this message any more."""
    [one] = world.simulator.scale_sets
    await world.until(lambda: number not in one.unacknowledged)


def told(world: World, text: str) -> bool:
    """Whether an alarm and an error of the log say so."""
    alarms = [each.text for each in world.said if not each.profile and not each.ok]
    errors = [formatted(record) for record in world.logged if record.levelname == "ERROR"]
    return any(text in alarm for alarm in alarms) and any(text in error for error in errors)


# --- C16


@pytest.mark.parametrize(
    ("flow", "error"),
    [("assigned", "ValueError"), ("offered", "OSError"), ("assigned", "RecursionError")],
)
async def test_c16_the_core_refuses_one_message(
    autojump_clock: MockClock, faults: Faults, flow: str, refused: dict[str, Any], error: str
) -> None:
    """Three tries; then it is kept for a person, told, deleted, and all the rest goes on."""
    refused["error"] = ERRORS[error]
    async with faults(flow=flow, most=4) as world, world.scaler():
        world.queue(1, run_time=60)
        await world.online()
        bad = world.simulator.inject_message("linux", [POISON])
        jobs = world.queue(2, run_time=30)  # behind it
        await deleted(world, bad.id)
        assert len(refused["tries"]) == 3
        [path] = kept(world)
        assert json.loads(json.loads(path.read_bytes())["body"]) == [POISON]
        assert told(world, str(path))
        await world.recovers()
        await world.until(lambda: all(job.state == "completed" for job in jobs))
        assert world.degraded(), "the alarm went before anybody saw it"
        await trio.sleep(3700)
        world.queue(1, run_time=5)
        await world.settled()
        assert not world.degraded()


@pytest.mark.parametrize("times", [1, 2])
async def test_c16_refused_once_or_twice(
    autojump_clock: MockClock, faults: Faults, flow: str, refused: dict[str, Any], times: int
) -> None:
    refused["left"] = times
    async with faults(flow=flow) as world, world.scaler():
        await world.listens()
        bad = world.simulator.inject_message("linux", [POISON])
        await deleted(world, bad.id)
        assert len(refused["tries"]) == times + 1
        assert not kept(world)
        await trio.sleep(480)  # nobody ever runs that job
        await world.recovers()
        await world.settled()


async def test_c16_real_jobs_beside_the_poison(
    autojump_clock: MockClock, faults: Faults, refused: dict[str, Any]
) -> None:
    """Their message is skipped, and its totals count all the same: they run."""
    async with faults(most=4) as world, world.scaler():
        await world.listens()
        [one] = world.simulator.scale_sets
        one.news.append(POISON)
        world.queue(3, run_time=30)
        await world.recovers()
        await world.settled()
        assert len(kept(world)) == 1


BODIES = {
    "no JSON": "[",
    "no list": '{"a": 1}',
    "a text": '"x"',
    "a number": "17",
    "NUL": "\x00",
    "nothing": "",
    "deep": "[" * 5000 + "]" * 5000,
}


@pytest.mark.parametrize("body", BODIES)
async def test_c16_a_body_that_is_no_list(
    autojump_clock: MockClock, faults: Faults, body: str
) -> None:
    async with faults(most=4) as world, world.scaler():
        await world.listens()
        bad = world.simulator.inject_message("linux", raw_body=BODIES[body])
        jobs = world.queue(2, run_time=30)
        await deleted(world, bad.id)
        await world.until(lambda: all(job.state == "completed" for job in jobs))
        if body != "nothing":  # (a message that says nothing of jobs is none to worry about)
            [path] = kept(world)
            assert json.loads(path.read_bytes())["body"] == BODIES[body]
            assert told(world, str(path))
        await world.recovers()
        await world.settled()


ROWS: dict[str, Any] = {
    "no object": 5,
    "null": None,
    "a text for a number": {**POISON, "runnerRequestId": "many"},
    "a list for a text": {**POISON, "jobId": [1]},
    "no type": {"runnerRequestId": 667},
    "huge number": {**POISON, "runnerRequestId": 10**40},
}


@pytest.mark.parametrize("row", ROWS)
async def test_c16_one_bad_row_among_good_ones(
    autojump_clock: MockClock, faults: Faults, row: str
) -> None:
    """What can be read is taken at once; the whole is kept."""
    async with faults(most=4) as world, world.scaler():
        await world.listens()
        [one] = world.simulator.scale_sets
        one.news.append(ROWS[row])
        world.queue(2, run_time=30)
        await world.recovers()
        await world.settled()
        assert len(kept(world)) == 1


async def test_c16_a_restart_amid_the_tries(
    autojump_clock: MockClock, faults: Faults, flow: str, refused: dict[str, Any]
) -> None:
    """A crash starts the tries anew; it is not dropped by it."""
    async with faults(flow=flow) as world:
        async with world.scaler():
            await world.listens()
            bad = world.simulator.inject_message("linux", [POISON])
            await world.until(lambda: refused["tries"])
            await world.crash()
        assert not kept(world)
        async with world.scaler():
            await deleted(world, bad.id)
            assert len(kept(world)) == 1
            await world.recovers()
            await world.settled()


# --- C17


@pytest.mark.parametrize(("status", "times"), [(500, 1), (502, 5), (503, None)])
@pytest.mark.parametrize("act", [False, True])
async def test_c17_deletions_fail(
    autojump_clock: MockClock, faults: Faults, status: int, times: int | None, act: bool
) -> None:
    """Done or not: what comes again is known, and new work does not wait."""
    async with faults(most=4) as world, world.scaler():
        await world.listens()
        world.simulator.faults.add("delete-message", status=status, times=times, act=act)
        for _ in range(3):
            since = trio.current_time()
            world.queue(1, run_time=30)
            await world.until(lambda: world.simulator.jobs_in("running"))
            assert trio.current_time() - since <= 30
            await trio.sleep(40)
        await trio.sleep(400)
        world.simulator.faults.clear()
        await world.recovers()
        await world.settled()
        assert world.machines._made == len(world.simulator.jobs)


MOMENTS = [
    ("assigned", "JobAssigned"),
    ("offered", "JobAssigned"),
    ("assigned", "JobStarted"),
    ("offered", "JobCompleted"),
]
POINTS = ["received", "not durable", "durable", "deleting", "deleted", "unheard"]


async def crash_at(world: World, point: str) -> None:
    """End the scaler at a point of the next message's way."""
    calls = len(world.calls("delete-message"))
    answered = [e for e in world.calls("poll") if e.status == 200]
    if point == "not durable":
        world.ledger_fails = True
    if point == "deleting":
        world.simulator.delays["delete-message"] = 5
    if point == "unheard":
        world.simulator.faults.add("delete-message", kind="slow", delay=5.0)

    def reached() -> bool:
        if point in {"received", "not durable"}:
            return [e for e in world.calls("poll") if e.status == 200] != answered
        return len(world.calls("delete-message")) > calls

    await world.simulator.wait_for(reached, timeout=600)
    if point in {"not durable", "deleted", "unheard"}:
        await trio.sleep(1)
    await world.crash()
    world.simulator.delays.clear()
    world.simulator.faults.clear()


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize(("flow", "moment"), MOMENTS)
async def test_c17_a_crash_around_the_deletion(
    autojump_clock: MockClock, faults: Faults, flow: str, moment: str, point: str
) -> None:
    """Of the message that tells a job's assignment, start or end."""
    async with faults(flow=flow, most=2) as world:
        async with world.scaler():
            await world.listens()
            world.queue(2, run_time=60)
            if moment == "JobStarted":
                await world.until(lambda: len(world.machines.boxes) == 2)
                await trio.sleep(5)
            elif moment == "JobCompleted":
                await world.online(2)
                await trio.sleep(5)
            await crash_at(world, point)
        await trio.sleep(3)
        async with world.scaler():
            await world.recovers()
            await world.settled()
        assert world.machines._made <= len(world.simulator.jobs) + 2


async def test_c17_a_full_disk_acknowledges_nothing(
    autojump_clock: MockClock, faults: Faults, flow: str
) -> None:
    """What is not kept is not deleted."""
    async with faults(flow=flow) as world, world.scaler():
        await world.listens()
        world.ledger_fails = True
        world.queue(2, run_time=30)
        await trio.sleep(300)
        assert not world.calls("delete-message")
        assert world.degraded()
        world.ledger_fails = False
        await world.recovers()
        await world.settled()
        assert not world.degraded()
