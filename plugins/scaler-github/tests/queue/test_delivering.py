"""From the queue to the core and back: delivered, stored, deleted, and never twice."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from scaler import Job, Message

World = Any


async def test_assigned_job_is_delivered_stored_and_then_deleted(world: World) -> None:
    sim, core = world.sim, world.core
    async with world.running():
        await world.listening()
        [job] = sim.queue_jobs("linux")
        await core.until(lambda: core.jobs)
        [got] = core.jobs
        assert got.state == "assigned"
        assert got.id == str(job.request_id)
        assert got.repository == "acme/widgets"
        assert got.url.startswith(sim.origin + "/acme/widgets/actions/runs/")
        assert core.messages[-1].demand == 1
        assert core.store["cursor/linux"]["message"] == 100_000_001
        await sim.wait_for(lambda: sim.count("delete-message") == 1)


async def test_a_jobs_whole_life_is_told(world: World) -> None:
    sim, core = world.sim, world.core
    async with world.running():
        await world.listening()
        runner = world.runner()
        await world.queue.register_runner(runner)
        sim.queue_jobs("linux")
        sim.bring_online(runner.name)
        await core.until(lambda: any(job.state == "running" for job in core.jobs))
        sim.finish_job(sim.jobs[0])
        await core.until(lambda: any(job.state == "done" for job in core.jobs))
        assert {job.id for job in core.jobs} == {str(sim.jobs[0].request_id)}
        done = next(job for job in core.jobs if job.state == "done")
        assert (done.runner_name, done.result) == (runner.name, "succeeded")


@pytest.mark.parametrize("sim_options", [{"flow": "offered"}])
async def test_offered_jobs_are_acquired_within_the_delivery(world: World) -> None:
    sim, core = world.sim, world.core
    sim.options.acquire_limit = 2

    async def acquire(message: Message) -> None:
        offered = [job for job in message.jobs if job.state == "offered"]
        if offered:
            acquired.extend(await world.queue.acquire_jobs(world.profiles["linux"], offered))

    acquired: list[Job] = []
    core.deliver_hook = acquire
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux", 3)
        await core.until(lambda: ("1", "assigned") in core.states() or len(acquired) == 2)
        assert len(acquired) == 2
        assert {job.state for job in acquired} == {"offered"}


async def test_message_is_deleted_after_the_delivery_and_beside_the_next_poll(
    world: World,
) -> None:
    sim, core = world.sim, world.core
    gate = trio.Event()

    async def hold(message: Message) -> None:
        if message.jobs:
            holding.set()
            await gate.wait()

    holding = trio.Event()
    core.deliver_hook = hold
    sim.faults.add("delete-message", kind="hang")
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux")
        await holding.wait()
        polls = sim.count("poll")
        assert sim.count("delete-message") == 0
        gate.set()
        await sim.wait_for(lambda: sim.count("poll") == polls + 1)
        await sim.wait_for(lambda: sim.count("delete-message") == 1)
        sim.queue_jobs("linux")  # the deletion hangs, and nobody minds
        await core.until(lambda: len(core.jobs) == 2)
        assert sim.history.of("poll")[-1].query["lastMessageId"] == "100000001"


async def test_redelivered_message_is_deleted_again_and_not_delivered(world: World) -> None:
    sim, core = world.sim, world.core
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux")
        await sim.wait_for(lambda: sim.count("delete-message") == 1)
        before = len(core.messages)
        sim.redeliver("linux")
        await sim.wait_for(lambda: sim.count("delete-message") == 2)
        assert len(core.messages) == before


async def test_cursor_outlives_a_restart(world: World) -> None:
    sim, core = world.sim, world.core
    sim.faults.add("delete-message", status=500, times=None)
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux")
        await core.until(lambda: core.jobs)
    world.build()
    polls = sim.count("poll")
    async with world.running():
        await sim.wait_for(lambda: sim.count("poll") > polls)
        assert sim.history.of("poll")[-1].query["lastMessageId"] == "100000001"
        assert len(core.jobs) == 1


async def test_a_cursor_from_elsewhere_is_not_used(world: World) -> None:
    world.core.store["cursor/linux"] = {"scale_set": 99, "host": "other", "message": 10**9}
    async with world.running():
        await world.listening()
        assert "lastMessageId" not in world.sim.history.of("poll")[0].query


async def test_numbers_that_start_again_are_noticed(world: World) -> None:
    sim, core = world.sim, world.core
    sim.options.poll_seconds = 0.02
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux")
        await core.until(lambda: core.jobs)
        sim.renumber_messages(5)
        sim.queue_jobs("linux")
        await core.until(lambda: len(core.jobs) == 2)
        assert core.store["cursor/linux"]["message"] == 5


async def test_a_cursor_above_all_messages_is_given_up(world: World) -> None:
    sim, core = world.sim, world.core
    sim.options.poll_seconds = 0.02
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux")
        await core.until(lambda: core.jobs)
        sim.renumber_messages(5)
        sim.inject_message("linux", [{"messageType": "JobAssigned", "runnerRequestId": 9}])
        await core.until(lambda: ("9", "assigned") in core.states())


@pytest.mark.parametrize("kind", ["lose", "truncate"])
async def test_a_message_whose_answer_was_lost_comes_again(world: World, kind: str) -> None:
    sim, core = world.sim, world.core
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux")
        await sim.wait_for(lambda: sim.count("delete-message") == 1)
        sim.faults.add("poll", kind=kind, times=3)
        core.set_ceiling("linux", 7)  # the poll in flight is not one of these three
        await sim.wait_for(lambda: sim.history.of("poll")[-1].capacity == 7)
        sim.queue_jobs("linux")
        await sim.wait_for(lambda: sim.count("delete-message") == 2)
    assert sim.faults.pending == []
    assert len(core.jobs) == 2
    asked = [one.query.get("lastMessageId") for one in sim.history.of("poll")]
    assert asked.count("100000001") >= 4  # each of them with the old cursor
    assert sim.count("create-session") == 1


@pytest.mark.parametrize(
    ("fault", "calls"),
    [
        ({"status": 404}, 1),
        ({"status": 503}, 2),
        ({"kind": "lose"}, 2),  # the second one finds nothing to delete
        ({"status": 503, "times": None}, 3),
        ({"status": 400}, 1),
    ],
    ids=str,
)
async def test_a_deletion_that_fails_holds_nothing_up(
    world: World, fault: dict[str, Any], calls: int
) -> None:
    sim, core = world.sim, world.core
    sim.faults.add("delete-message", **fault)
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux")
        await sim.wait_for(lambda: sim.count("delete-message") == calls)
        await trio.sleep(0.03)
        assert sim.count("delete-message") == calls
        sim.faults.clear()
        sim.queue_jobs("linux")
        await core.until(lambda: len(core.jobs) == 2)
        await sim.wait_for(lambda: sim.count("delete-message") == calls + 1)
        assert sim.count("create-session") == 1
        assert all(ok for _, _, ok, _, _ in core.reports)


async def test_numbers_above_what_a_float_holds(world: World) -> None:
    sim, core = world.sim, world.core
    sim.renumber_messages(2**53 + 1)
    async with world.running():
        await world.listening()
        sim.inject_message("linux", [{"messageType": "JobAssigned", "runnerRequestId": 2**62 + 1}])
        await sim.wait_for(lambda: sim.count("delete-message") == 1)
        await sim.wait_for(
            lambda: sim.history.of("poll")[-1].query.get("lastMessageId") == str(2**53 + 1)
        )
    assert core.states() == [(str(2**62 + 1), "assigned")]
    assert core.store["cursor/linux"]["message"] == 2**53 + 1
    assert sim.scale_set("linux").unacknowledged == {}
