"""What a scrape shows."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from trio.testing import MockClock

from scaler import Job, Order, Override, Report, Room, RoomState, RunnerState, View
from scaler_monitor.api import gauges, metrics
from scaler_monitor.api.metrics import Tally

from .fakes import Asker, FakeCore, asking, runner

NOW = 2000.0


class Scrape:
    """A text of metrics, read as Prometheus reads it."""

    def __init__(self, text: str) -> None:
        self.values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        self.types: dict[str, str] = {}
        for family in text_string_to_metric_families(text):
            self.types[family.name] = family.type
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items())
                assert key not in self.values, "a series comes twice"
                self.values[key] = sample.value

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.values.get((name, frozenset(labels.items())))


def of_view(view: View) -> Scrape:
    class Only:
        def collect(self) -> Any:
            return gauges.of(view, NOW)

    only: Any = Only()
    return Scrape(generate_latest(only).decode())


def of_tally(tally: Tally) -> Scrape:
    return Scrape(generate_latest(tally.registry).decode())


def job(number: int, state: Any, **more: Any) -> Job:
    return Job(id=str(number), state=state, profile="linux", **more)


async def test_it_is_what_prometheus_reads(ask: Asker) -> None:
    answer = await ask("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    scrape = Scrape(answer.body.decode())
    assert scrape("gha_idle_runners", profile="linux") == 3
    assert scrape("scaler_build_info", version="0.1.0") == 1
    for query in ("x=1", "name%5B%5D=up"):
        assert (await ask("GET", f"/metrics?{query}")).status == 400
    for odd in ("application/openmetrics-text; version=x", "text/plain; version=9.9.9.9", "\xff"):
        assert (await ask("GET", "/metrics", headers={"Accept": odd})).status == 200


async def test_it_is_made_once_for_many_in_a_thread_and_then_rests(
    core: FakeCore, tmp_path: Path, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def seen(collector: Any) -> bytes:
        threads.append(threading.current_thread())
        return generate_latest(collector)

    monkeypatch.setattr(metrics, "generate_latest", seen)
    ask = asking(core, tmp_path)
    answers = []

    async def scrape() -> None:
        answers.append(await ask("GET", "/metrics"))

    async def scrapes() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(scrape)

    await scrapes()
    await scrapes()
    assert len({each.body for each in answers}) == 1
    [thread] = threads
    assert thread is not threading.main_thread()
    core.change(stopping=True)
    mock_clock.jump(100)
    await scrapes()
    assert len(threads) == 2
    assert Scrape(answers[-1].body.decode())("scaler_stopping") == 1


def test_runners_and_profiles(core: FakeCore) -> None:
    states = [RunnerState.BUSY, RunnerState.RESERVED, RunnerState.BOOTING, RunnerState.RETIRING]
    core.change(
        runners=(runner(1), *(runner(2 + number, each) for number, each in enumerate(states)))
    )
    scrape = of_view(core.now)
    for name, value in {
        "gha_registered_runners": 4,
        "gha_busy_runners": 1,
        "gha_idle_runners": 2,
        "gha_min_runners": 3,
        "gha_max_runners": 4,
        "gha_desired_runners": 2,
        "scaler_reservations": 1,
        "scaler_ceiling_runners": 3,
        "scaler_demand_runners": 1,
    }.items():
        assert scrape(name, profile="linux") == value, name
        assert scrape.types[name] == "gauge"
    assert scrape("gha_idle_runners", profile="windows") == 0
    assert scrape("scaler_runners", profile="linux", state="retiring") == 1
    assert scrape("scaler_ready") == 1


def test_jobs(core: FakeCore) -> None:
    core.change(
        jobs=(
            job(1, "offered", queued=NOW - 70),
            job(2, "assigned", queued=NOW - 500),
            job(3, "running", queued=NOW - 9000),
            job(4, "done", queued=NOW - 9000),
            job(5, "assigned"),
        )
    )
    scrape = of_view(core.now)
    assert scrape("gha_assigned_jobs", profile="linux") == 3
    assert scrape("gha_running_jobs", profile="linux") == 1
    assert scrape("scaler_available_jobs", profile="linux") == 1
    assert scrape("scaler_acquired_jobs", profile="linux") == 2
    assert scrape("scaler_oldest_wait_seconds", profile="linux") == 500
    assert scrape("scaler_oldest_wait_seconds", profile="windows") == 0
    told = {"assigned": 17, "available": 5, "last_poll": NOW - 12}
    report = Report(plugin="rest", profile="linux", ok=False, text="x", time=NOW, facts=told)
    core.change(reports=(report,))
    scrape = of_view(core.now)
    assert scrape("gha_assigned_jobs", profile="linux") == 17
    assert scrape("scaler_available_jobs", profile="linux") == 5
    assert scrape("scaler_last_poll_age_seconds", plugin="rest", profile="linux") == 12
    assert scrape("scaler_degraded", plugin="rest", profile="linux") == 1
    assert scrape("scaler_ready") == 0


def test_what_plugins_tell(core: FakeCore) -> None:
    window = {"limit": 5000, "remaining": 4321, "resets_at": NOW + 60, "reserve": 500}
    github = {
        "default": {"rate_limits": {"core": window}, "token_expires": NOW + 86400},
        "other": {"token_expires": None},
    }
    core.change(
        reports=(
            Report(
                plugin="rest",
                profile="",
                ok=True,
                text="x",
                time=NOW,
                facts=MappingProxyType({"connections": github}),
            ),
            Report(
                plugin="virt", profile="linux", ok=True, text="x", time=NOW, facts={"image_age": 60}
            ),
        ),
        rooms={"virt": (Room(name="vm1", total={"vcpus": 16}, state=RoomState.DRAINING),)},
        runners=(
            replace(runner(1), provisioner="virt", room="vm1", resources={"vcpus": 2}),
            replace(runner(2), provisioner="virt", room="vm1", resources={"vcpus": 4}),
        ),
        override=Override(counts={"linux": 5}, targets={"linux": 7}, since=1.0, until=2.0),
    )
    scrape = of_view(core.now)
    [of] = {
        dict(labels)["account"]
        for name, labels in scrape.values
        if name == "scaler_rate_limit_remaining"
    }
    assert scrape("scaler_rate_limit_remaining", account=of, resource="core") == 4321
    assert scrape("scaler_rate_limit", account=of, resource="core") == 5000
    name = "scaler_rate_limit_reset_timestamp_seconds"
    assert scrape(name, account=of, resource="core") == NOW + 60
    name = "scaler_token_expiry_timestamp_seconds"
    assert scrape(name, plugin="rest", connection="default") == NOW + 86400
    assert scrape(name, plugin="rest", connection="other") is None
    assert scrape("scaler_image_age_seconds", profile="linux") == 60
    assert scrape("scaler_room_up", plugin="virt", room="vm1") == 0
    assert scrape("scaler_room_total", plugin="virt", room="vm1", resource="vcpus") == 16
    assert scrape("scaler_room_used", plugin="virt", room="vm1", resource="vcpus") == 6
    assert scrape("scaler_override_active") == 1
    assert scrape("scaler_override_runners", profile="linux") == 5


@pytest.mark.parametrize("state", RoomState)
def test_a_room_is_up_or_draining_or_down(core: FakeCore, state: RoomState) -> None:
    """Who is woken for a room that is down sleeps while one is emptied."""
    core.change(rooms={"virt": (Room(name="vm1", total={}, state=state),)})
    scrape = of_view(core.now)
    seen = [scrape(f"scaler_room_{each}", plugin="virt", room="vm1") for each in ("up", "draining")]
    assert seen == [state is RoomState.UP, state is RoomState.DRAINING]


def test_what_people_told_it(core: FakeCore) -> None:
    pause = Order(kind="pause", name="linux", since=NOW - 90, by="root")
    drain = Order(kind="drain", name="virt/a/b", since=NOW - 5)
    profiles = dict(core.now.profiles)
    profiles["linux"] = replace(profiles["linux"], paused=pause)
    scrape = of_view(
        replace(
            core.now,
            profiles=MappingProxyType(profiles),
            orders=(pause, drain),
            restart=("plugins.monitor.listen: it is listening",),
        )
    )
    assert scrape("scaler_paused_seconds", profile="linux") == 90
    assert scrape("scaler_drained_seconds", plugin="virt", room="a/b") == 5
    assert scrape("scaler_restart_pending") == 1
    before = of_view(core.now)
    assert before("scaler_paused_seconds", profile="linux") == 0
    assert before("scaler_restart_pending") == 0


NAMES = st.sampled_from(
    [
        *("connections", "rate_limits", "token_expires", "last_poll", "last_look", "image_age"),
        *("limit", "remaining", "resets_at", "reserve", "assigned", "available", "core"),
        *("\ud800", 'a"\n\\'),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, JSON, max_size=5), st.text(max_size=5))
def test_odd_facts_do_no_harm(told: dict[str, Any], name: str) -> None:
    core = FakeCore()
    report = Report(plugin="rest", profile="linux", ok=True, text="x", time=NOW, facts=told)
    other = Report(plugin=f"{name}\ud800", profile=name, ok=True, text="x", time=NOW, facts=told)
    core.change(reports=(report, other, other))
    scrape = of_view(core.now)
    assert scrape("gha_idle_runners", profile="linux") == 3
    assert not [each for each in scrape.values.values() if math.isnan(each)]


def test_labels_are_bounded(core: FakeCore) -> None:
    window = {"limit": 1, "remaining": 1}
    limits = {"x" * 500 + str(number): window for number in range(10)}
    limits |= {str(number): window for number in range(10_000)}
    facts = {"rate_limits": limits}
    core.change(
        reports=(Report(plugin="rest", profile="", ok=True, text="", time=NOW, facts=facts),)
    )
    scrape = of_view(core.now)
    shown = [labels for name, labels in scrape.values if name == "scaler_rate_limit"]
    assert len(shown) == gauges.MOST
    assert max(len(dict(labels)["resource"]) for labels in shown) == gauges.LONGEST


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def test_a_job_from_its_offer_to_its_end() -> None:
    clock = Clock()
    tally = Tally(clock)
    steps = [job(1, each, queued=NOW - 5) for each in ("offered", "assigned", "running", "done")]
    steps[3] = replace(steps[3], result="failed")
    before = None
    for step, later in zip(steps, (0, 1, 8, 100), strict=True):
        clock.now += later
        tally.job_changed(step, before)
        tally.job_changed(step, step)
        before = step
    scrape = of_tally(tally)
    failed = {"profile": "linux", "job_result": "failed"}
    assert scrape("gha_started_jobs_total", profile="linux") == 1
    assert scrape("gha_completed_jobs_total", **failed) == 1
    assert scrape("gha_job_startup_duration_seconds_sum", profile="linux") == 8
    assert scrape("gha_job_startup_duration_seconds_bucket", profile="linux", le="10.0") == 1
    assert scrape("gha_job_startup_duration_seconds_bucket", profile="linux", le="5.0") == 0
    assert scrape("scaler_job_queue_seconds_sum", profile="linux") == 14
    assert scrape("gha_job_execution_duration_seconds_sum", **failed) == 100
    assert scrape.types["gha_started_jobs"] == "counter"
    assert scrape.types["gha_job_startup_duration_seconds"] == "histogram"


def test_jobs_of_which_not_every_step_was_told() -> None:
    tally = Tally(Clock())
    tally.job_changed(job(1, "running"), None)
    tally.job_changed(job(2, "done", result="succeeded", runner_name="linux.1@here"), None)
    tally.job_changed(job(3, "done", result="canceled"), job(3, "assigned"))
    tally.job_changed(job(4, "done", result="<script>" * 99, runner_name="x"), job(4, "assigned"))
    scrape = of_tally(tally)
    assert scrape("gha_started_jobs_total", profile="linux") == 3
    for result in ("succeeded", "canceled", "other"):
        assert scrape("gha_completed_jobs_total", profile="linux", job_result=result) == 1
    assert scrape("gha_job_startup_duration_seconds_count", profile="linux") is None
    assert scrape("gha_job_execution_duration_seconds_count", profile="linux") is None


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "REMEMBERED", 10)
    tally = Tally(Clock())
    for number in range(100):
        tally.job_changed(job(number, "assigned"), None)
    assert len(tally._steps) == 10
    tally.job_changed(job(1, "running"), job(1, "assigned"))
    tally.job_changed(job(99, "running"), job(99, "assigned"))
    scrape = of_tally(tally)
    assert scrape("gha_job_startup_duration_seconds_count", profile="linux") == 1
    for number in range(100):
        tally.job_changed(job(number, "done"), job(number, "running"))
    assert not tally._steps


def test_runners_that_come_and_go() -> None:
    tally = Tally(Clock())
    planned = replace(runner(1, RunnerState.PLANNED), created=900.0, since=900.0)
    booting = replace(planned, state=RunnerState.BOOTING, since=910.0)
    idle = replace(planned, state=RunnerState.IDLE, since=950.0)
    busy = replace(planned, state=RunnerState.BUSY, since=960.0)
    steps = [planned, booting, idle, idle, busy]
    for step, before in zip(steps, [None, *steps], strict=False):
        tally.runner_changed(step, before)
    scrape = of_tally(tally)
    for state in ("planned", "booting", "idle", "busy"):
        assert scrape("scaler_runner_transitions_total", profile="linux", state=state) == 1
    assert scrape("scaler_runner_startup_seconds_sum", profile="linux") == 50
    assert scrape("scaler_runner_startup_seconds_count", profile="linux") == 1


def test_no_global_state() -> None:
    one, other = Tally(), Tally()
    one.job_changed(job(1, "running"), None)
    assert of_tally(one)("gha_started_jobs_total", profile="linux") == 1
    assert of_tally(other)("gha_started_jobs_total", profile="linux") is None
