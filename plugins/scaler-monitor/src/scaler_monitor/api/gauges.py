"""What there is now, as numbers: pure, from a view to metrics.

The names that begin with `gha_` are those of GitHub's own controller, where they mean the same.
Whatever a plugin reports that is not as expected is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

from scaler import RunnerState
from scaler import __version__ as version
from scaler_monitor.page import dashboard, facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from scaler import View

LONGEST = 100  # characters of a label's value
MOST = 500  # values of one metric whose labels a plugin names

_REGISTERED = {RunnerState.BOOTING, RunnerState.IDLE, RunnerState.RESERVED, RunnerState.BUSY}


class Gauge:
    """One metric with its values; a label's values never come twice.

    Args:
        name: Its name.
        text: What it says, for people.
        labels: The names of its labels.
    """

    def __init__(self, name: str, text: str, *labels: str) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._values: dict[tuple[str, ...], float] = {}

    def add(self, value: float, *labels: str) -> None:
        """One value; the first one of its labels counts."""
        if len(self._values) < MOST:
            self._values.setdefault(tuple(map(plain, labels)), float(value))

    def family(self) -> Metric:
        """All of it, for the text."""
        family = GaugeMetricFamily(self._name, self._text, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        return family


def plain(text: str) -> str:
    """A label's value that can be written in any encoding, and is not too long."""
    return text[:LONGEST].encode("utf-8", "replace").decode()


def of(view: View, now: float) -> Iterator[Metric]:
    """Every metric of a view.

    Args:
        view: What there is.
        now: Unix seconds.
    """
    info = InfoMetricFamily("scaler_build", "The version of scaler", labels=())
    info.add_metric((), {"version": version})
    yield info
    yield from _whole(view)
    yield from _profiles(view)
    yield from _jobs(view, now)
    yield from _runners(view)
    yield from _rooms(view)
    yield from _orders(view, now)
    yield from _reports(view, now)


def _whole(view: View) -> Iterator[Metric]:
    ready = Gauge("scaler_ready", "Whether /readyz says yes")
    ready.add(not dashboard.unready(view))
    yield ready.family()
    restart = Gauge("scaler_restart_pending", "New settings that count only after a restart")
    restart.add(len(view.restart))
    yield restart.family()
    stopping = Gauge("scaler_stopping", "Whether it is being shut down")
    stopping.add(view.stopping)
    yield stopping.family()
    override = Gauge("scaler_override_active", "Whether a policy override is active")
    override.add(view.override is not None)
    yield override.family()
    added = Gauge("scaler_override_runners", "Runners that the policy override adds", "profile")
    for profile, count in (view.override.counts if view.override else {}).items():
        added.add(count, profile)
    yield added.family()


def _profiles(view: View) -> Iterator[Metric]:
    least = Gauge("gha_min_runners", "Runners that should always exist", "profile")
    most = Gauge("gha_max_runners", "Runners that may exist at most", "profile")
    desired = Gauge("gha_desired_runners", "Runners that should exist now", "profile")
    ceiling = Gauge("scaler_ceiling_runners", "Runners that may exist now, in all", "profile")
    demand = Gauge("scaler_demand_runners", "Runners that jobs need now", "profile")
    for name, each in view.profiles.items():
        least.add(each.profile.target_count, name)
        most.add(each.profile.max_count, name)
        desired.add(each.target, name)
        ceiling.add(each.ceiling, name)
        demand.add(each.demand, name)
    for gauge in (least, most, desired, ceiling, demand):
        yield gauge.family()


def _jobs(view: View, now: float) -> Iterator[Metric]:
    counts = Counter((each.profile, each.state) for each in view.jobs)
    waits: dict[str, float] = {}
    for job in view.jobs:
        if job.state in ("offered", "assigned") and job.queued is not None:
            waits[job.profile] = max(waits.get(job.profile, 0.0), now - job.queued)
    assigned = Gauge("gha_assigned_jobs", "Jobs assigned to it, also those that run", "profile")
    running = Gauge("gha_running_jobs", "Jobs that run on its runners", "profile")
    available = Gauge("scaler_available_jobs", "Jobs offered and not acquired yet", "profile")
    acquired = Gauge("scaler_acquired_jobs", "Jobs acquired that wait for a runner", "profile")
    oldest = Gauge("scaler_oldest_wait_seconds", "Since when the oldest job has waited", "profile")
    for name in view.profiles:
        told = _statistics(view, name)
        known = counts[name, "assigned"] + counts[name, "running"]
        assigned.add(told.get("assigned", known), name)
        running.add(counts[name, "running"], name)
        available.add(told.get("available", counts[name, "offered"]), name)
        acquired.add(counts[name, "assigned"], name)
        oldest.add(waits.get(name, 0.0), name)
    for gauge in (assigned, running, available, acquired, oldest):
        yield gauge.family()


def _statistics(view: View, profile: str) -> dict[str, float]:
    """What a profile's source says of its jobs as a whole, where it does."""
    source = view.profiles[profile].profile.source
    for report in view.reports:
        if (report.plugin, report.profile) == (source, profile):
            numbers = {name: number(report.facts.get(name)) for name in ("assigned", "available")}
            return {name: value for name, value in numbers.items() if value is not None}
    return {}


def _runners(view: View) -> Iterator[Metric]:
    counts = Counter((each.profile, each.state) for each in view.runners)
    registered = Gauge("gha_registered_runners", "Runners that are registered", "profile")
    busy = Gauge("gha_busy_runners", "Runners that run a job", "profile")
    idle = Gauge("gha_idle_runners", "Runners that are online and run no job", "profile")
    promised = Gauge("scaler_reservations", "Runners that are reserved and not busy yet", "profile")
    states = Gauge("scaler_runners", "Runners by state", "profile", "state")
    for name in view.profiles:
        registered.add(sum(counts[name, each] for each in _REGISTERED), name)
        busy.add(counts[name, RunnerState.BUSY], name)
        idle.add(counts[name, RunnerState.IDLE] + counts[name, RunnerState.RESERVED], name)
        promised.add(counts[name, RunnerState.RESERVED], name)
        for state in RunnerState:
            states.add(counts[name, state], name, state)
    for gauge in (registered, busy, idle, promised, states):
        yield gauge.family()


def _rooms(view: View) -> Iterator[Metric]:
    labels = ("plugin", "room")
    up = Gauge("scaler_room_up", "Whether a room takes machines", *labels)
    text = "Whether a room is being emptied: by an order, its settings, or being out of them"
    draining = Gauge("scaler_room_draining", text, *labels)
    total = Gauge("scaler_room_total", "What may be used of it in all", *labels, "resource")
    used = Gauge("scaler_room_used", "What its runners use of it", *labels, "resource")
    for room in dashboard.rooms(view):
        names = room["plugin"], room["name"]
        up.add(room["state"] == "up", *names)
        draining.add(room["state"] == "draining", *names)
        for resource, amount in room["total"].items():
            total.add(amount, *names, resource)
            used.add(room["used"].get(resource, 0), *names, resource)
    for gauge in (up, draining, total, used):
        yield gauge.family()


def _orders(view: View, now: float) -> Iterator[Metric]:
    paused = Gauge("scaler_paused_seconds", "Since a profile was paused; 0: it is not", "profile")
    drained = Gauge("scaler_drained_seconds", "Since a room was drained", "plugin", "room")
    for name, each in view.profiles.items():
        paused.add(max(0.0, now - each.paused.since) if each.paused else 0.0, name)
    for order in view.orders:
        if order.kind == "drain":
            plugin, _, room = order.name.partition("/")
            drained.add(max(0.0, now - order.since), plugin, room)
    for gauge in (paused, drained):
        yield gauge.family()


def _reports(view: View, now: float) -> Iterator[Metric]:
    labels = ("plugin", "profile")
    degraded = Gauge("scaler_degraded", "Whether a plugin says that something is wrong", *labels)
    polled = Gauge("scaler_last_poll_age_seconds", "Since a source last asked", *labels)
    expiry = Gauge(
        "scaler_token_expiry_timestamp_seconds", "When a token expires", "plugin", "connection"
    )
    for report in view.reports:
        degraded.add(not report.ok, report.plugin, report.profile)
        asked = facts.asked(report)
        if asked is not None:
            polled.add(max(0.0, now - asked), report.plugin, report.profile)
        for connection, until in _expiries(report.facts):
            expiry.add(until, report.plugin, connection)
    ages = Gauge("scaler_image_age_seconds", "Since its image was made", "profile")
    for name, made in facts.image_made(view).items():
        ages.add(max(0.0, now - made), name)
    for gauge in (degraded, polled, expiry, ages, *_limits(view)):
        yield gauge.family()


def _limits(view: View) -> tuple[Gauge, ...]:
    labels = ("account", "resource")
    limit = Gauge("scaler_rate_limit", "Calls that a window allows", *labels)
    remaining = Gauge("scaler_rate_limit_remaining", "Calls that are left of it", *labels)
    resets = Gauge("scaler_rate_limit_reset_timestamp_seconds", "When the next begins", *labels)
    for each in facts.limits(view):
        limit.add(each.limit, each.of, each.resource)
        remaining.add(each.remaining, each.of, each.resource)
        if each.resets is not None:
            resets.add(each.resets, each.of, each.resource)
    return limit, remaining, resets


def _expiries(told: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    connections = told.get("connections")
    every = [("", told), *(connections.items() if isinstance(connections, Mapping) else ())]
    for name, each in every:
        until = number(each.get("token_expires")) if isinstance(each, Mapping) else None
        if until is not None:
            yield str(name), until


def number(value: Any) -> float | None:
    """A finite number that a plugin told; None where it is something else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e15 else None
