"""`/metrics`: what there is now, and what was counted since the start.

The text has a part for every runner's sake, and whoever comes may ask for it: it is made in a
thread, once for all, and not anew at once.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import trio
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from quart import Blueprint, Response, request

from scaler import RunnerState
from scaler_monitor.api import gauges, params
from scaler_monitor.paced import Paced, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric

    from scaler import Job, Runner, View
    from scaler_monitor.site import Site

REMEMBERED = 20_000  # jobs whose last step is kept
RESULTS = ("succeeded", "failed", "canceled", "skipped", "abandoned")
BUCKETS = (1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 240, 300, 600, 1200, 1800, 3600, 7200, 21600)

_READY = (RunnerState.IDLE, RunnerState.RESERVED, RunnerState.BUSY)


class Tally:
    """Counts what happens to jobs and runners. It begins at 0 with every start.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._steps: OrderedDict[tuple[str, str], float] = OrderedDict()
        self.registry = CollectorRegistry()
        registry, profile = self.registry, ("profile",)
        result = ("profile", "job_result")
        self._started = Counter(
            "gha_started_jobs", "Jobs that were started", profile, registry=registry
        )
        self._completed = Counter(
            "gha_completed_jobs", "Jobs that came to their end", result, registry=registry
        )
        self._startup = Histogram(
            "gha_job_startup_duration_seconds",
            "From a job's assignment until it ran",
            profile,
            registry=registry,
            buckets=BUCKETS,
        )
        self._execution = Histogram(
            "gha_job_execution_duration_seconds",
            "From when a job ran until its end",
            result,
            registry=registry,
            buckets=BUCKETS,
        )
        self._queue = Histogram(
            "scaler_job_queue_seconds",
            "From when a job was queued until it ran",
            profile,
            registry=registry,
            buckets=BUCKETS,
        )
        self._boot = Histogram(
            "scaler_runner_startup_seconds",
            "From a runner's plan until it was online",
            profile,
            registry=registry,
            buckets=BUCKETS,
        )
        self._transitions = Counter(
            "scaler_runner_transitions",
            "Runners that came to a state",
            ("profile", "state"),
            registry=registry,
        )

    def job_changed(self, job: Job, before: Job | None) -> None:
        """A job took a step, as `on_job_changed` tells it."""
        if before is not None and before.state == job.state:
            return
        now, profile, key = self._clock(), gauges.plain(job.profile), (job.profile, job.id)
        since = self._steps.pop(key, None)
        if job.state == "running" or (job.state == "done" and self._was_missed(job, before)):
            self._started.labels(profile).inc()
        if job.state == "running":
            if since is not None:
                self._startup.labels(profile).observe(max(0.0, now - since))
            if job.queued is not None:
                self._queue.labels(profile).observe(max(0.0, now - job.queued))
        if job.state == "done":
            result = job.result if job.result in RESULTS else "other"
            self._completed.labels(profile, result).inc()
            if since is not None and before is not None and before.state == "running":
                self._execution.labels(profile, result).observe(max(0.0, now - since))
        elif job.state != "offered":
            self._steps[key] = now
            if len(self._steps) > REMEMBERED:
                self._steps.popitem(last=False)

    def runner_changed(self, runner: Runner, before: Runner | None) -> None:
        """A runner took a step, as `on_runner_changed` tells it."""
        if before is not None and before.state is runner.state:
            return
        profile = gauges.plain(runner.profile)
        self._transitions.labels(profile, runner.state).inc()
        if runner.state in _READY and before is not None and before.state not in _READY:
            self._boot.labels(profile).observe(max(0.0, runner.since - runner.created))

    @staticmethod
    def _was_missed(job: Job, before: Job | None) -> bool:
        """Whether a job that is done ran, and nobody told that it did."""
        return bool(job.runner_name) and (before is None or before.state != "running")


class _All(Collector):
    """The counted and the seen, for the text."""

    def __init__(self, tally: Tally, view: View) -> None:
        self._tally = tally
        self._view = view

    def collect(self) -> Iterator[Metric]:
        return chain(gauges.of(self._view, time.time()), self._tally.registry.collect())


def routes(site: Site) -> Blueprint:
    """`/metrics`."""
    blueprint = Blueprint("metrics", __name__)
    one = trio.CapacityLimiter(1)

    async def make() -> tuple[bytes, float]:
        seen = _All(site.tally, site.context.view())
        work = partial(timed, partial(generate_latest, seen))
        return await trio.to_thread.run_sync(work, limiter=one)

    text = Paced(make)

    @blueprint.get("/metrics")
    async def metrics() -> Response:
        params.read(request.query_string, required={})
        return Response(await text.get(), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    return blueprint
