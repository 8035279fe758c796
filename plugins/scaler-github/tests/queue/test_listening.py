"""The loop against the simulator: what comes, what goes, and that it goes on."""

from __future__ import annotations

import json
import stat
from typing import Any

import pytest
import trio

from scaler import Job, Message, Unavailable
from scaler_github.queue import ActionsQueue

World = Any


async def test_first_message_tells_demand_before_any_poll(world: World) -> None:
    async with world.running():
        message = await world.core.until(lambda: world.core.messages and world.core.messages[0])
        assert (message.profile, message.demand, message.jobs) == ("linux", 0, ())
        assert message.cursor is None


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


async def test_scale_set_is_made_with_its_name_and_the_profiles_labels(world: World) -> None:
    async with world.running():
        await world.listening()
        [one] = world.sim.scale_sets
        assert [label["name"] for label in one.labels] == ["linux", "extra"]
        assert one.setting["disableUpdate"] is True


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


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 502, "body": "<html>bad gateway</html>"},
        {"status": 403},
        {"status": 408},
        {"status": 400},
        {"status": 429, "headers": {"retry-after": "1"}},
        {"status": 200, "body": b""},
        {"status": 200, "body": "<html>hello</html>"},
        {"status": 200, "body": b"[]"},
        {"status": 200, "body": b'{"messageId": null}'},
        {"status": 401},
        {"kind": "drop"},
        {"kind": "reset"},
        {"kind": "raw"},
        {"status": 301, "headers": {"location": "https://example.org/"}, "body": b""},
    ],
    ids=str,
)
async def test_the_loop_survives(world: World, fault: dict[str, Any]) -> None:
    sim, core = world.sim, world.core
    times = 1 if fault.get("status") == 429 else 2  # a rate limit is a whole second
    sim.faults.add("poll", times=times, **fault)
    async with world.running():
        await sim.wait_for(lambda: sim.count("poll") >= 2 or not sim.faults.pending)
        sim.queue_jobs("linux")
        await core.until(lambda: core.jobs)
        await sim.wait_for(lambda: sim.count("delete-message") == 1)


@pytest.mark.parametrize("keep", [0, 1, 2, 40, 200])
async def test_a_message_cut_short_is_no_message(world: World, keep: int) -> None:
    sim, core = world.sim, world.core
    sim.faults.add("poll", kind="truncate", keep=keep, times=2)
    async with world.running():
        await sim.wait_for(lambda: sim.scale_sets)
        sim.queue_jobs("linux")
        await core.until(lambda: core.jobs)
        await sim.wait_for(lambda: sim.count("delete-message") == 1)
        assert len(core.jobs) == 1


@pytest.mark.parametrize(
    "route", ["registration-token", "runner-registration", "find-scale-set", "create-session"]
)
@pytest.mark.parametrize("fault", [{"status": 503}, {"kind": "drop"}, {"status": 200, "body": ""}])
async def test_trouble_on_the_way_to_the_queue_is_waited_out(
    world: World, route: str, fault: dict[str, Any]
) -> None:
    world.sim.faults.add(route, times=2, **fault)
    async with world.running():
        await world.core.until(lambda: any(not report[2] for report in world.core.reports))
        await world.listening()
        await world.core.until(lambda: world.core.reports[-1][2])


async def test_github_down_at_start_is_reported_and_waited_out(world: World) -> None:
    world.sim.faults.outage()
    async with world.running():
        await world.core.until(lambda: any(not report[2] for report in world.core.reports))
        world.sim.faults.clear()
        await world.listening()


async def test_expired_queue_token_is_renewed_once(world: World) -> None:
    sim = world.sim
    async with world.running():
        await world.listening()
        sim.expire_tokens("queue")
        sim.queue_jobs("linux")
        await world.core.until(lambda: world.core.jobs)
        world.core.set_ceiling("linux", 3)
        await sim.wait_for(lambda: sim.count("refresh-session") == 1)
        await sim.wait_for(lambda: sim.history.of("poll")[-1].capacity == 3)
        assert sim.count("refresh-session") == 1


async def test_expired_admin_token_is_renewed(world: World) -> None:
    sim = world.sim
    async with world.running():
        await world.listening()
        sim.expire_tokens("admin")
        assert await world.queue.list_registrations() == []
        assert sim.count("runner-registration") == 2


async def test_lost_session_is_opened_anew(world: World) -> None:
    sim = world.sim
    async with world.running():
        await world.listening()
        sim.end_session("linux")
        sim.queue_jobs("linux")
        await world.core.until(lambda: world.core.jobs)
        assert sim.count("create-session") == 2


async def test_lost_scale_set_is_made_anew_and_read_from_its_first_message(world: World) -> None:
    sim, core = world.sim, world.core
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux")
        await core.until(lambda: core.jobs)
        sim.delete_scale_set("linux")
        await sim.wait_for(lambda: sim.count("create-scale-set") == 2)
        polls = sim.count("poll")
        await sim.wait_for(lambda: sim.count("poll") > polls)
        sim.queue_jobs("linux")
        await core.until(lambda: core.store["cursor/linux"]["scale_set"] != 1)


async def test_a_rival_is_waited_for(world: World) -> None:
    sim = world.sim
    sim.create_scale_set("linux", ["linux", "extra"])
    sim.hold_session("linux")
    async with world.running():
        await sim.wait_for(lambda: sim.count("create-session") >= 2)
        assert sim.count("poll") == 0
        assert sim.count("delete-session") == 0
        assert await world.queue.list_registrations() == []  # the rest works meanwhile
        sim.end_session("linux")
        await world.listening()


async def test_after_a_kill_the_own_session_is_closed_first(world: World) -> None:
    sim = world.sim
    async with trio.open_nursery() as nursery:
        await nursery.start(world.queue.run_service)
        await world.listening()
        nursery.cancel_scope.cancel()
    assert sim.scale_set("linux").session is not None
    world.build()
    polls = sim.count("poll")
    async with world.running():
        await sim.wait_for(lambda: sim.count("poll") > polls)
        assert sim.count("create-session") == 3  # the first, a conflict, the new one


async def test_stopping_finishes_the_delivery_and_closes_the_session(world: World) -> None:
    sim, core = world.sim, world.core
    gate, holding = trio.Event(), trio.Event()

    async def hold(message: Message) -> None:
        if message.jobs:
            holding.set()
            await gate.wait()

    core.deliver_hook = hold
    async with world.running():
        await world.listening()
        sim.queue_jobs("linux")
        await holding.wait()
        world.stopping.set()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert sim.count("delete-session") == 0
        gate.set()
        await sim.wait_for(lambda: sim.count("delete-session") == 1)
    assert len(core.jobs) == 1
    assert sim.count("delete-message") == 1
    assert sim.scale_set("linux").session is None


async def test_stopping_is_bounded_when_github_hangs(world: World) -> None:
    world.pace = type(world.pace)(**{**vars_of(world.pace), "farewell": 0.05})
    world.build()
    world.sim.faults.add("delete-session", kind="hang", times=None)
    with trio.fail_after(2):
        async with world.running():
            await world.listening()


def vars_of(pace: Any) -> dict[str, Any]:
    return {name: getattr(pace, name) for name in pace.__dataclass_fields__}


async def test_poison_is_kept_for_a_person_and_does_not_block(world: World) -> None:
    sim, core = world.sim, world.core
    tries: list[str] = []

    async def refuse(message: Message) -> None:
        if any(job.id == "666" for job in message.jobs):
            tries.append(message.id)
            raise ValueError("cannot take that")

    core.deliver_hook = refuse
    async with world.running():
        await world.listening()
        bad = {"messageType": "JobAssigned", "runnerRequestId": 666}
        sim.inject_message("linux", [bad], statistics={"totalAssignedJobs": 7})
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
        await core.until(lambda: sum("kept as" in report[1] for report in core.reports) >= 2)
        assert sim.count("delete-message") == 0
        broken = False
        await core.until(lambda: core.jobs)
        await sim.wait_for(lambda: sim.count("delete-message") == 1)


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


async def test_capacity_is_the_ceiling_and_follows_it(world: World) -> None:
    sim, core = world.sim, world.core

    def last() -> int | None:
        capacity: int | None = sim.history.of("poll")[-1].capacity
        return capacity

    core.ceilings["linux"] = 2
    async with world.running():
        await world.listening()
        assert last() == 2
        for count in range(3, 30):
            core.set_ceiling("linux", count)
            await trio.lowlevel.checkpoint()
        await sim.wait_for(lambda: last() == 29)
        assert sim.count("poll") <= 4
        core.set_ceiling("linux", 0)
        with trio.fail_after(world.pace.raised):
            await sim.wait_for(lambda: last() == 0)


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


@pytest.mark.parametrize("sim_options", [{"byte_order_mark": True}])
async def test_byte_order_marks_do_no_harm(world: World) -> None:
    async with world.running():
        await world.listening()
        world.sim.queue_jobs("linux")
        await world.core.until(lambda: world.core.jobs)


@pytest.mark.parametrize("sim_options", [{"single_label": True}])
async def test_labels_that_were_dropped_are_reported_once(world: World) -> None:
    async with world.running():
        await world.listening()
        world.sim.delete_scale_set("linux")
        await world.sim.wait_for(lambda: world.sim.count("create-scale-set") == 2)
    told = [report for report in world.core.reports if "labels" in report[1]]
    assert len(told) == 1
    assert "extra" in told[0][1]


async def test_labels_of_a_scale_set_that_exists_are_set(world: World) -> None:
    world.sim.create_scale_set("linux", ["linux", "old"])
    async with world.running():
        await world.listening()
        labels = [label["name"] for label in world.sim.scale_set("linux").labels]
        assert labels == ["linux", "extra"]
        assert len(world.sim.scale_sets) == 1


async def test_runner_group_that_is_missing_is_named_until_it_is_there(world: World) -> None:
    world.own["linux"] = ActionsQueue.ProfileConfig(scale_set="big set", runner_group="Zoo")
    world.build()
    async with world.running():
        await world.core.until(lambda: any("'Zoo'" in report[1] for report in world.core.reports))
        number = world.sim.add_runner_group("Zoo")
        await world.listening()
        assert world.sim.scale_set("big set").group_id == number


async def test_no_token_is_ever_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    sim, core = world.sim, world.core
    for route in ("registration-token", "runner-registration", "create-session", "poll"):
        sim.faults.add(route, status=500, act=route != "create-session")
        sim.faults.add(route, status=403)
        sim.faults.add(route, kind="drop")
    sim.faults.add("jitconfig", kind="edit", fields={"runner": 3})
    async with world.running():
        await world.listening()
        sim.expire_tokens()
        sim.queue_jobs("linux")
        await core.until(lambda: core.jobs)
        for _ in range(2):
            try:
                registration = await world.queue.register_runner(world.runner())
                core.reports.append(("", repr(registration), True, "", {}))
            except Unavailable as error:
                core.reports.append(("", repr(error), False, "", {}))
    told = caplog.text + repr(core.reports) + repr(core.messages) + repr(vars(world))
    known = sim._tokens._known.values()
    assert len(known) > 4
    for token in known:
        assert token.text not in told
        assert not token.ticket or token.ticket not in told
    assert "encodedJITConfig" not in told


async def test_the_token_is_read_anew(world: World) -> None:
    sim = world.sim
    text = ["ghp_wrong"]
    world.github._credentials._rest._read = lambda: text[0]
    async with world.running():
        await world.core.until(lambda: any("token is wrong" in r[1] for r in world.core.reports))
        text[0] = sim.token
        await world.listening()
