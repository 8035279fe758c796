"""Messages that are bad, and a core that cannot take good ones."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import trio

from scaler import Message, Unavailable
from scaler_github.client import types
from scaler_github.client.message import LARGEST
from scaler_github.testing import render

World = Any
BAD = {"messageType": "JobAssigned", "runnerRequestId": 666}


def own_line(core: Any) -> tuple[bool, str]:
    """The plugin's own line of the dashboard."""
    [*_, (ok, text)] = [(ok, text) for _, text, ok, profile, _ in core.reports if not profile]
    return ok, text


async def refuse_bad(message: Message) -> None:
    if any(job.id == "666" for job in message.jobs):
        raise ValueError("cannot take that")


async def test_poison_is_kept_for_a_person_and_does_not_block(world: World) -> None:
    sim, core = world.sim, world.core
    tries: list[str] = []

    async def refuse(message: Message) -> None:
        tries.extend(job.id for job in message.jobs if job.id == "666")
        await refuse_bad(message)

    core.deliver_hook = refuse
    async with world.running():
        await world.listening()
        sim.inject_message("linux", [BAD], statistics={"totalAssignedJobs": 7})
        await sim.wait_for(lambda: sim.count("delete-message") == 1)
        sim.queue_jobs("linux")
        await core.until(lambda: core.jobs)
    assert len(tries) == 3
    assert [m.demand for m in core.messages if m.id.endswith("/skipped")] == [7]
    [kept] = (world.folder / "actions-queue" / "unhandled").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "666" in json.loads(kept.read_bytes())["body"]
    assert any(not ok and str(kept) in text for _, text, ok, _, _ in core.reports)


async def test_a_core_that_takes_nothing_is_not_blamed_on_the_message(world: World) -> None:
    sim, core = world.sim, world.core
    broken = True

    async def refuse(message: Message) -> None:
        if broken and message.cursor:
            raise OSError("no space left on device")

    core.deliver_hook = refuse
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux")
        await core.until(lambda: any("no space" in report[1] for report in core.reports))
        polls = sim.count("poll")
        await sim.wait_for(lambda: sim.count("poll") > polls)
        assert sim.count("delete-message") == 0
        assert not own_line(core)[0]
        broken = False
        await core.until(lambda: core.jobs)
        await sim.wait_for(lambda: sim.count("delete-message") == 1)
        assert own_line(core)[0]  # it was handled after all


@pytest.mark.parametrize("body", ["{}", "[", "17", "\x00", '"x"'])
async def test_body_without_a_list_is_given_up_the_third_time(world: World, body: str) -> None:
    sim, core = world.sim, world.core
    async with world.running():
        await world.listening()
        sim.inject_message("linux", raw_body=body, statistics={"totalAssignedJobs": 2})
        await sim.wait_for(lambda: sim.count("delete-message") == 1)
        sim.queue_jobs("linux")
        await core.until(lambda: core.jobs)
    assert 2 in [message.demand for message in core.messages]
    assert len(list((world.folder / "actions-queue" / "unhandled").iterdir())) == 1


async def test_what_can_be_read_of_a_message_is_delivered(world: World) -> None:
    sim, core = world.sim, world.core
    good = {"messageType": "JobAssigned", "runnerRequestId": 5, "requestLabels": None}
    unknown = {"messageType": "JobDanced", "runnerRequestId": 6}
    bad = {"messageType": "JobAssigned", "runnerRequestId": "many"}
    async with world.running():
        await world.listening()
        sim.inject_message("linux", [bad, unknown, good])
        await sim.wait_for(lambda: sim.count("delete-message") == 1)
    assert core.states() == [("5", "assigned")]


async def test_unknown_kinds_of_messages_are_passed_over(world: World) -> None:
    sim = world.sim
    async with world.running():
        await world.listening()
        sim.inject_message("linux", raw_body="?!", kind="SomethingNew")
        await sim.wait_for(lambda: sim.count("delete-message") == 1)


@pytest.mark.parametrize("retry_after", [None, 0.01])
async def test_a_core_that_can_keep_nothing_now_is_waited_for(
    world: World, retry_after: float | None
) -> None:
    sim, core = world.sim, world.core
    tries: list[str] = []

    async def refuse(message: Message) -> None:
        if message.cursor:
            tries.append(message.id)
            if len(tries) <= 7:
                raise Unavailable("the ledger cannot be written", retry_after)

    core.deliver_hook = refuse
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux")
        await sim.wait_for(lambda: sim.count("delete-message") == 1)
        assert sim.history.of("poll")[0].query.get("lastMessageId") is None
        await core.until(lambda: core.reports[-1][2])
    assert len(tries) == 8
    assert len(set(tries)) == 1
    assert len(core.jobs) == 1
    assert any("cannot be written" in text and profile for _, text, _, profile, _ in core.reports)
    assert not (world.folder / "actions-queue" / "unhandled").exists()


async def test_statistics_of_a_session_wait_for_the_core_too(world: World) -> None:
    core = world.core
    tries: list[str] = []

    async def refuse(message: Message) -> None:
        tries.append(message.id)
        if len(tries) <= 4:
            raise Unavailable("the ledger cannot be written")

    core.deliver_hook = refuse
    async with world.running():
        await core.until(lambda: core.messages)
        assert len(tries) == 5
        await world.listening()
        assert world.sim.count("create-session") == 1


@pytest.mark.parametrize("error", [Unavailable("the ledger cannot be written"), OSError("oh")])
@pytest.mark.parametrize("early", [False, True])
async def test_while_stopping_nothing_is_given_up(
    world: World, error: Exception, early: bool
) -> None:
    sim, core = world.sim, world.core
    world.pace = replace(world.pace, first=60, largest=60)  # stopping ends the pause
    world.build()
    tries: list[str] = []
    failed = trio.Event()

    async def refuse(message: Message) -> None:
        if message.cursor:
            tries.append(message.id)
            if early:
                world.stopping.set()
            failed.set()
            raise error

    core.deliver_hook = refuse
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux")
        await failed.wait()
        await trio.testing.wait_all_tasks_blocked(0.01)
    assert len(tries) == 1
    assert sim.count("delete-message") == 0
    assert "cursor/linux" not in core.store
    assert not (world.folder / "actions-queue" / "unhandled").exists()
    core.deliver_hook, world.pace = None, replace(world.pace, first=0.005)
    world.build()
    async with world.running():
        await core.until(lambda: core.jobs)
        await sim.wait_for(lambda: sim.count("delete-message") == 1)


async def test_what_is_skipped_waits_for_the_core_too(world: World) -> None:
    sim, core = world.sim, world.core
    tries: list[str] = []

    async def refuse(message: Message) -> None:
        await refuse_bad(message)
        if message.id.endswith("/skipped"):
            tries.append(message.id)
            if len(tries) <= 4:
                raise Unavailable("the ledger cannot be written")

    core.deliver_hook = refuse
    async with world.running():
        await world.listening()
        sim.inject_message("linux", [BAD])
        await sim.wait_for(lambda: sim.count("delete-message") == 1)
    assert len(tries) == 5


async def test_an_alarm_stays_a_while_and_ends_with_a_good_message(world: World) -> None:
    sim, core = world.sim, world.core
    core.deliver_hook = refuse_bad
    async with world.running():
        await world.listening()
        sim.inject_message("linux", [BAD])
        await sim.wait_for(lambda: sim.count("delete-message") == 1)
        sim.queue_jobs("linux")
        await sim.wait_for(lambda: sim.count("delete-message") == 2)
        ok, text = own_line(core)
        assert not ok
        assert "kept as" in text
        world.queue.lines["linux"].listener._delivery._pace = replace(world.pace, alarm=0.0)
        sim.queue_jobs("linux")
        await sim.wait_for(lambda: sim.count("delete-message") == 3)
        assert own_line(core) == (True, "what was wrong is over")


async def test_alarms_of_two_profiles_stand_beside_each_other(world: World) -> None:
    alarms = world.queue._alarms
    assert alarms.tell("linux", "x", "bad")
    assert alarms.tell("other", "x", "worse")
    assert not alarms.tell("other", "x", "worse")
    assert own_line(world.core) == (False, "linux: bad; other: worse")
    alarms.over("linux", "x")
    alarms.over("linux", "x")
    assert own_line(world.core) == (False, "other: worse")
    assert len(world.core.reports) == 3


@pytest.mark.parametrize(
    "statistics",
    [None, "many", {"totalAssignedJobs": 1.5}, [], {"totalAssignedJobs": 10**30}],
)
async def test_jobs_count_where_the_totals_cannot_be_read(
    world: World, statistics: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim, core = world.sim, world.core

    def message(record: Any, owner: Any) -> dict[str, Any]:
        return {**rendered(record, owner), "statistics": msgspec.Raw(json.dumps(statistics))}

    rendered = render.message
    monkeypatch.setattr(render, "message", message)
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux")
        await sim.wait_for(lambda: sim.count("delete-message") == 1)
    assert len(core.jobs) == 1
    assert core.messages[-1].demand is None


@pytest.mark.parametrize(
    "odd", [{"messageType": 5}, {"body": [1]}, {"body": "[" + " " * LARGEST + "]"}]
)
async def test_an_odd_envelope_does_not_block_those_behind_it(
    world: World, odd: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sim, core = world.sim, world.core

    def message(record: Any, owner: Any) -> dict[str, Any]:
        return {**rendered(record, owner), **(odd if record is bad else {})}

    rendered = render.message
    monkeypatch.setattr(render, "message", message)
    async with world.running():
        await world.listening()
        bad = sim.inject_message("linux", [], statistics={"totalAssignedJobs": 7})
        await sim.wait_for(lambda: sim.count("delete-message") == 1)
        sim.queue_jobs("linux")
        await core.until(lambda: core.jobs)
    assert 7 in [message.demand for message in core.messages]
    [kept] = (world.folder / "actions-queue" / "unhandled").iterdir()
    assert 0 < kept.stat().st_size <= LARGEST


async def test_long_texts_are_cut(world: World) -> None:
    sim, core = world.sim, world.core
    long = (
        "jobId repositoryName ownerName jobWorkflowRef jobDisplayName eventName runnerName result"
    )
    wire = {
        "messageType": "JobAssigned",
        "requestLabels": ["l" * 9999] * 99,
        **dict.fromkeys(long.split(), "x" * 9999),
    }
    async with world.running():
        await world.listening()
        sim.inject_message("linux", [wire])
        await core.until(lambda: core.jobs)
    [job] = core.jobs
    assert len(job.id) == 100
    assert [len(label) for label in job.labels] == [200] * 50
    texts = (job.name, job.workflow, job.repository, job.event, job.runner_name, job.result)
    assert {len(text) for text in texts} == {200}


async def test_fields_of_a_job_may_be_null(world: World) -> None:
    sim, core = world.sim, world.core
    fields = [name for name in types.JobMessage.__struct_encode_fields__ if name != "messageType"]
    empty = dict.fromkeys(fields)
    async with world.running():
        await world.listening()
        sim.inject_message(
            "linux",
            [
                {**empty, "messageType": "JobAvailable", "runnerRequestId": 2**53 + 1},
                {**empty, "messageType": "JobAvailable", "jobId": "only-this"},
                {**empty, "messageType": "JobAssigned"},
            ],
        )
        await core.until(lambda: core.jobs)
        assert core.states() == [(str(2**53 + 1), "offered"), ("only-this", "offered")]
        assert [job.ref for job in core.jobs] == [str(2**53 + 1), ""]
        assert not any("kept as" in report[1] for report in core.reports)
        assert await world.queue.acquire_jobs(world.profiles["linux"], core.jobs[1:]) == []
        assert sim.count("acquire") == 0  # a job without a number cannot be asked for
