"""One job, end to end: queued, a fresh machine, done, gone. And waves of them."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import trio

from scaler import Decline, hookimpl


def ledger_rows(folder: Path) -> dict[str, int]:
    """How many rows each table of the ledger that may hold leftovers has."""
    connection = sqlite3.connect(folder / "state" / "ledger.sqlite3")
    try:
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("runners", "jobs")
        }
    finally:
        connection.close()


async def test_one_job_takes_every_step(place: Any, flow: str, recorder: Any) -> None:
    async with place(flow=flow) as here, here.scaler(extra={"recorder": recorder}) as running:
        await here.simulator.wait_for(lambda: here.simulator.scale_sets)
        scale_set = here.simulator.scale_set("linux")
        assert [label["name"] for label in scale_set.labels] == ["linux", "self-hosted-image:linux"]
        assert here.domains() == []

        (job,) = here.simulator.queue_jobs("linux", 1)
        (runner,) = await here.machine_of(running)
        assert len(here.domains()) == 1
        assert runner.name == "linux.1@whole"
        assert here.simulator.agent(runner.name)

        here.simulator.bring_online(runner.name)
        await here.until(lambda: running.view().runners[0].state == "busy")
        assert len(here.domains()) == 1

        here.simulator.finish_job(job)
        await here.until(lambda: not running.view().runners)
        assert here.domains() == []
        assert here.simulator.agents == []
        await here.until(lambda: ledger_rows(here.folder) == {"runners": 0, "jobs": 0})

    states = [each.state for kind, each in recorder.seen if kind == "runner"]
    assert list(dict.fromkeys(states)) == [
        "planned",
        "registered",
        "booting",
        "busy",
        "retiring",
        "gone",
    ]
    jobs = [each.state for kind, each in recorder.seen if kind == "job"]
    assert jobs[-3:] == ["assigned", "running", "done"]
    assert any(kind == "message" for kind, _ in recorder.seen)
    assert not any(
        each.registration and each.registration.config
        for kind, each in recorder.seen
        if kind == "runner"
    )


async def test_a_wave_leaves_nothing_behind(place: Any, flow: str) -> None:
    async with place(flow=flow) as here, here.scaler(most=8, guests=True) as running:
        await here.simulator.wait_for(lambda: here.simulator.scale_sets)
        for _ in range(3):
            here.simulator.queue_jobs("linux", 12, run_time=0.05)
            await trio.sleep(0.1)
        await here.simulator.wait_for(
            lambda: len(here.simulator.jobs_in("completed")) == 36, timeout=30
        )
        await here.until(lambda: not running.view().runners)
        assert {job.result for job in here.simulator.jobs} == {"succeeded"}
        assert here.domains() == []
        assert here.simulator.agents == []
        await here.until(lambda: ledger_rows(here.folder) == {"runners": 0, "jobs": 0})
    # every message that was received was deleted, and the session too
    assert here.simulator.scale_set("linux").session is None


async def test_never_more_than_max_count_at_once(place: Any, flow: str) -> None:
    most = 0
    async with place(flow=flow) as here:
        async with here.scaler(most=3, guests=True) as running, trio.open_nursery() as nursery:

            async def watch() -> None:
                nonlocal most
                while True:
                    most = max(most, len(here.domains()))
                    await trio.sleep(0.005)

            nursery.start_soon(watch)
            await here.simulator.wait_for(lambda: here.simulator.scale_sets)
            here.simulator.queue_jobs("linux", 12, run_time=0.05)
            await here.simulator.wait_for(
                lambda: len(here.simulator.jobs_in("completed")) == 12, timeout=30
            )
            await here.until(lambda: not running.view().runners)
            nursery.cancel_scope.cancel()
    assert 1 <= most <= 3


async def test_runners_stand_ready_where_the_target_says_so(place: Any) -> None:
    async with place() as here, here.scaler(target=2) as running:
        runners = await here.machine_of(running, 2)
        for runner in runners:
            here.simulator.bring_online(runner.name)
        await here.until(
            lambda: [each.state for each in running.view().runners] == ["idle", "idle"], 10
        )
        assert len(here.domains()) == 2


async def test_a_redelivered_message_makes_no_second_machine(place: Any, flow: str) -> None:
    async with place(flow=flow) as here, here.scaler() as running:
        await here.simulator.wait_for(lambda: here.simulator.scale_sets)
        (job,) = here.simulator.queue_jobs("linux", 1)
        (runner,) = await here.machine_of(running)
        here.simulator.redeliver("linux")
        here.simulator.redeliver("linux")
        await trio.sleep(0.3)
        assert len(here.domains()) == 1
        assert len(running.view().runners) == 1
        here.simulator.bring_online(runner.name)
        here.simulator.finish_job(job)
        await here.until(lambda: not running.view().runners)
        for _ in range(3):
            here.simulator.redeliver("linux")
        await trio.sleep(0.3)
        assert running.view().runners == ()
        assert here.domains() == []


class Objector:
    """A plugin that declines what it does not like."""

    def __init__(self, context: Any) -> None:
        del context

    @hookimpl
    async def on_job_available(self, job: Any) -> Decline | None:
        return Decline(reason="not on Sundays") if job.name == "unwanted" else None


async def test_a_declined_offer_is_not_acquired(place: Any, caplog: Any) -> None:
    async with place(flow="offered") as here:
        async with here.scaler(extra={"objector": Objector}, guests=True) as running:
            await here.simulator.wait_for(lambda: here.simulator.scale_sets)
            queue = partial(here.simulator.queue_jobs, "linux", 1, run_time=0.01)
            (unwanted,) = queue(display_name="unwanted")
            (wanted,) = queue(display_name="wanted")
            await here.simulator.wait_for(lambda: wanted.state == "completed")
            assert unwanted.state in ("queued", "offered")
            waiting = running.view().waiting
            assert [*waiting.values()] == ["declined by objector: not on Sundays"]
    assert "was declined by objector: not on Sundays; it is not acquired" in caplog.text


async def test_a_declined_assignment_is_only_told(place: Any, caplog: Any) -> None:
    async with place(flow="assigned") as here:
        async with here.scaler(extra={"objector": Objector}, guests=True):
            await here.simulator.wait_for(lambda: here.simulator.scale_sets)
            (unwanted,) = here.simulator.queue_jobs(
                "linux", 1, display_name="unwanted", run_time=0.01
            )
            await here.simulator.wait_for(lambda: unwanted.state == "completed")
    assert "was declined by objector: not on Sundays; it is assigned already" in caplog.text
