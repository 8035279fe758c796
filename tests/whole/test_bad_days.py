"""GitHub misbehaves, a plugin misbehaves, a signal comes: no job is lost and no process ends."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from scaler import hookimpl

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 502, "body": b"<html><body>Bad gateway</body></html>"},
        {"status": 200, "body": b""},
        {"status": 200, "body": b"<html>hello</html>"},
        {"kind": "drop"},
        {"kind": "lose"},
    ],
    ids=["500", "html-502", "empty", "html-200", "dropped", "answer-lost"],
)
@pytest.mark.parametrize("route", ["poll", "jitconfig", "delete-message", "delete-agent"])
async def test_one_bad_answer_loses_no_job(
    place: Any, flow: str, route: str, fault: dict[str, Any]
) -> None:
    async with place(flow=flow) as here, here.scaler(guests=True) as running:
        await here.simulator.wait_for(lambda: here.simulator.scale_sets)
        here.simulator.faults.add(route, **fault)
        here.simulator.queue_jobs("linux", 2, run_time=0.02)
        await here.simulator.wait_for(
            lambda: len(here.simulator.jobs_in("completed")) == 2, timeout=30
        )
        await here.until(lambda: not running.view().runners and not here.simulator.agents, 20)
        assert here.domains() == []


async def test_github_is_away_for_a_while(place: Any, flow: str) -> None:
    async with place(flow=flow) as here, here.scaler(guests=True) as running:
        await here.simulator.wait_for(lambda: here.simulator.scale_sets)
        here.simulator.queue_jobs("linux", 1, run_time=0.02)
        await here.simulator.wait_for(lambda: here.simulator.jobs_in("completed"))
        here.simulator.faults.outage(1.5, kind="drop")
        here.simulator.drop_connections()
        here.simulator.queue_jobs("linux", 2, run_time=0.02)
        await here.simulator.wait_for(
            lambda: len(here.simulator.jobs_in("completed")) == 3, timeout=30
        )
        await here.until(lambda: not running.view().runners, 20)
        assert here.domains() == []


async def test_expired_tokens_are_renewed(place: Any, flow: str) -> None:
    async with place(flow=flow) as here, here.scaler(guests=True) as running:
        await here.simulator.wait_for(lambda: here.simulator.scale_sets)
        for _ in range(3):
            here.simulator.expire_tokens()
            here.simulator.queue_jobs("linux", 1, run_time=0.02)
        await here.simulator.wait_for(
            lambda: len(here.simulator.jobs_in("completed")) == 3, timeout=30
        )
        await here.until(lambda: not running.view().runners)


async def test_a_lost_session_is_made_anew(place: Any, flow: str) -> None:
    async with place(flow=flow) as here, here.scaler(guests=True):
        await here.simulator.wait_for(lambda: here.simulator.scale_sets)
        await here.simulator.wait_for(lambda: here.simulator.count("poll"))
        here.simulator.end_session("linux")
        here.simulator.queue_jobs("linux", 1, run_time=0.02)
        await here.simulator.wait_for(lambda: here.simulator.jobs_in("completed"), timeout=20)


async def test_a_busy_runner_is_left_alone(place: Any) -> None:
    async with place() as here, here.scaler() as running:
        await here.simulator.wait_for(lambda: here.simulator.scale_sets)
        (job,) = here.simulator.queue_jobs("linux", 1)
        (runner,) = await here.machine_of(running)
        here.simulator.bring_online(runner.name)
        await here.until(lambda: running.view().runners[0].state == "busy")
        # a message says that the job is done while the runner works on
        here.simulator.inject_message(
            "linux",
            [
                {
                    "messageType": "JobCompleted",
                    "runnerRequestId": job.request_id,
                    "jobId": job.job_id,
                    "runnerName": runner.name,
                    "result": "succeeded",
                }
            ],
            statistics={"totalAssignedJobs": 0},
        )
        await here.simulator.wait_for(lambda: here.simulator.count("delete-agent"))
        await trio.sleep(0.3)
        assert len(here.domains()) == 1
        assert running.view().runners[0].state == "busy"


class Nuisance:
    """A plugin whose observers fail in every way."""

    def __init__(self, context: Any) -> None:
        del context

    @hookimpl
    async def on_message(self, message: Any) -> None:
        raise RuntimeError("no")

    @hookimpl
    def on_job_changed(self, job: Any) -> None:
        raise SystemExit(3)

    @hookimpl
    async def on_runner_changed(self, runner: Any) -> None:
        await trio.sleep_forever()

    @hookimpl
    async def on_job_available(self, job: Any) -> Any:
        return "certainly"


async def test_a_failing_observer_costs_nobody_else(place: Any, flow: str, recorder: Any) -> None:
    extra = {"nuisance": Nuisance, "recorder": recorder}
    async with place(flow=flow) as here, here.scaler(extra=extra, guests=True) as running:
        await here.simulator.wait_for(lambda: here.simulator.scale_sets)
        here.simulator.queue_jobs("linux", 3, run_time=0.02)
        await here.simulator.wait_for(lambda: len(here.simulator.jobs_in("completed")) == 3)
        await here.until(lambda: not running.view().runners)
        reports = {each.plugin: each for each in running.view().reports}
        assert not reports["nuisance"].ok
    assert any(kind == "runner" for kind, _ in recorder.seen)


async def test_stopping_leaves_busy_machines_and_removes_unborn_ones(place: Any) -> None:
    async with place() as here:
        async with here.scaler() as running:
            await here.simulator.wait_for(lambda: here.simulator.scale_sets)
            here.simulator.queue_jobs("linux", 1)
            (runner,) = await here.machine_of(running)
            here.simulator.bring_online(runner.name)
            await here.until(lambda: running.view().runners[0].state == "busy")
            before = here.domains()
        assert here.domains() == before
        assert here.simulator.agent(runner.name).busy
        assert here.simulator.scale_set("linux").session is None

        # the next start takes it over, and sees it through
        async with here.scaler() as running:
            assert [each.id for each in running.view().runners] == [runner.id]
            here.simulator.finish_job(here.simulator.jobs[0])
            await here.until(lambda: not running.view().runners)
            assert here.domains() == []
