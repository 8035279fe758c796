"""What the Monitor's clients see of a view: pure functions from records to plain JSON types.

The names, and the words for a runner's status, are those that clients of Servo's Monitor know.
Null stands for what is not known.
"""

from __future__ import annotations

import enum
import ipaddress
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scaler import RunnerState
from scaler_monitor.page import facts, verdict
from scaler_monitor.page.remains import Remains

if TYPE_CHECKING:
    from scaler import (
        Event,
        Job,
        Machine,
        Order,
        Override,
        ProfileView,
        Registration,
        Report,
        Reservation,
        Runner,
        View,
    )
    from scaler_monitor.page.remains import Ended


class Status(enum.StrEnum):
    """A runner's status in the words of the Monitor's clients."""

    INVALID = "Invalid"  #: nothing that could run a job, now or later
    STARTED_OR_CRASHED = "StartedOrCrashed"  #: on its way; nobody knows yet whether it comes
    IDLE = "Idle"
    RESERVED = "Reserved"
    BUSY = "Busy"
    DONE_OR_UNREGISTERED = "DoneOrUnregistered"  #: a machine that gets no job any more


OWN = frozenset({"settings", "ledger", "control"})  # what scaler itself reports by, serving on

_STATUS = {
    RunnerState.PLANNED: Status.STARTED_OR_CRASHED,
    RunnerState.REGISTERED: Status.STARTED_OR_CRASHED,
    RunnerState.BOOTING: Status.STARTED_OR_CRASHED,
    RunnerState.IDLE: Status.IDLE,
    RunnerState.RESERVED: Status.RESERVED,
    RunnerState.BUSY: Status.BUSY,
    RunnerState.HELD: Status.DONE_OR_UNREGISTERED,
    RunnerState.RETIRING: Status.DONE_OR_UNREGISTERED,
    RunnerState.GONE: Status.INVALID,
}


def status(state: RunnerState, *, machine: bool) -> Status:
    """The clients' word for a runner in this state, with a machine or without."""
    if state is RunnerState.RETIRING and not machine:
        return Status.INVALID
    return _STATUS[state]


def unready(view: View) -> list[dict[str, Any]]:
    """What keeps this scaler from serving: empty where it is ready.

    Ready means that every profile's source has reported since the start, and that no plugin's last
    report says that something is wrong. Settings that were not taken over, a ledger that was put
    aside and a control socket that cannot be made keep no job from its runner.
    """
    return [each for each in problems(view) if each["plugin"] not in OWN]


def problems(view: View) -> list[dict[str, Any]]:
    """What is wrong with it or with its plugins, also where it serves all the same."""
    found = [
        _problem(report.text, report.plugin, report.profile, report.time)
        for report in view.reports
        if not report.ok
    ]
    reported = {(report.plugin, report.profile) for report in view.reports}
    for name, each in view.profiles.items():
        source = each.profile.source
        if not reported & {(source, name), (source, "")}:
            found.append(_problem("its source has not reported yet", source, name))
    if view.stopping:
        found.append(_problem("stopping"))
    return found


def around(
    view: View, runners: list[Any], remains: Remains | None = None, *, base: str = "/"
) -> dict[str, Any]:
    """`/dashboard.json`, around its runners.

    Args:
        view: What there is.
        runners: As `listed` gives them, in whatever form.
        remains: What is left of failures.
        base: Where this Monitor is reached from outside, with a `/` at its end.
    """
    statuses: dict[str, Counter[Status]] = {name: Counter() for name in view.profiles}
    for each in view.runners:
        if each.profile in statuses:
            statuses[each.profile][_status(each)] += 1
    made = facts.image_made(view)
    ages = {name: max(0.0, view.time - time) for name, time in made.items()}
    judged = verdict.judge(view, now=view.time)
    began = facts.began(view)
    left = remains or Remains()
    return {
        "scaler": view.scaler,
        "version": view.version,
        "time": view.time,
        "stopping": view.stopping,
        "verdict": {"level": judged.level, "text": judged.text},
        "degraded": problems(view),
        "override": _override(view.override),
        "profile_runner_counts": {
            name: _counts(each.target, statuses[name], ages.get(name))
            for name, each in view.profiles.items()
        },
        "profiles": {name: _profile(each, left) for name, each in view.profiles.items()},
        "runners": runners,
        "failed": [_ended(each) for each in left.failed],
        "ended": [_ended(each) for each in left.ended],
        "builders": [_builder(each, base, began.get(each.id)) for each in view.builders],
        "jobs": [
            {
                **_job(each),
                "waiting": view.waiting.get((each.profile, each.id)),
                "cure": view.cures.get((each.profile, each.id)) or None,
            }
            for each in view.jobs
        ],
        "orders": [_order(each) for each in view.orders],
        "restart": list(view.restart),
        "rooms": rooms(view),
        "reports": [_report(each) for each in view.reports],
        "events": [_event(each) for each in view.events],
    }


def listed(view: View, each: Runner, base: str = "/") -> dict[str, Any]:
    """A runner's entry in `/dashboard.json`."""
    profile = view.profiles.get(each.profile)
    labels = profile.profile.labels if profile is not None else ()
    shown = runner(each, labels)
    return {
        "id": each.id,
        "screenshot_url": f"{base}runner/{each.id}/screenshot",
        "runner": shown,
        "state": each.state,
        "reason": each.reason or None,
        "since": each.since or None,
        "failed": each.failed,
        "result": each.result or None,
        "until": each.until,
        "facts": _plain(each.machine.facts) if each.machine is not None else {},
    }


def runner(each: Runner, labels: Iterable[str] | None = None) -> dict[str, Any]:
    """A runner as it stands in every answer about it.

    Args:
        each: The runner.
        labels: Its profile's labels, where they are to be shown.
    """
    machine = each.machine
    return {
        "id": each.id,
        "name": each.name,
        "profile": each.profile,
        "status": _status(each),
        "created_time": each.created or None,
        "registration": _registration(each.registration, labels, each.reservation),
        "guest_name": machine.id if machine is not None else None,
        "ipv4_address": _ipv4(machine),
        "host": (machine.room if machine is not None else "") or each.room or None,
        "job": each.job or None,
        "reservation": _reservation(each.reservation),
    }


def rooms(view: View) -> list[dict[str, Any]]:
    """Every room with what may be used in all and what its runners use."""
    used: dict[tuple[str, str], dict[str, int]] = {}
    for each in view.runners:
        if each.state is not RunnerState.GONE:
            room = used.setdefault((each.provisioner, each.room), {})
            for name, amount in each.resources.items():
                room[name] = room.get(name, 0) + amount
    drained = {each.name: each for each in view.orders if each.kind == "drain"}
    return [
        {
            "plugin": plugin,
            "name": each.name,
            "state": each.state,
            "drained": _order(drained[of]) if (of := f"{plugin}/{each.name}") in drained else None,
            "total": dict(each.total),
            "used": used.get((plugin, each.name), {}),
            "refuses": {name: why for name, why in each.refuses.items() if name in view.profiles},
        }
        for plugin, found in view.rooms.items()
        for each in found
    ]


def _status(each: Runner) -> Status:
    return status(each.state, machine=each.machine is not None)


def _counts(target: int, statuses: Counter[Status], image_age: float | None) -> dict[str, Any]:
    # Healthy are all that take up a place of the target; clients expect those that are done in it.
    healthy = statuses.total() - statuses[Status.INVALID]
    return {
        "target": target,
        "healthy": healthy,
        "started_or_crashed": statuses[Status.STARTED_OR_CRASHED],
        "idle": statuses[Status.IDLE],
        "reserved": statuses[Status.RESERVED],
        "busy": statuses[Status.BUSY],
        "excess_healthy": max(0, healthy - target),
        "wanted": max(0, target - healthy),
        "image_age": image_age,
    }


def _profile(each: ProfileView, remains: Remains) -> dict[str, Any]:
    return {
        "demand": each.demand,
        "target": each.target,
        "ceiling": each.ceiling,
        "states": dict(each.counts),
        "why": each.why or None,
        "cure": each.cure or None,
        "paused": _order(each.paused) if each.paused else None,
        "leaving": each.leaving,
        "kept": list(remains.profiles.get(each.profile.name, ())),
    }


def _ended(each: Ended) -> dict[str, Any]:
    return {
        "id": each.id,
        "name": each.name,
        "profile": each.profile or None,
        "time": each.time,
        "why": each.why or None,
        "kept": list(each.kept),
    }


def _order(each: Order) -> dict[str, Any]:
    return {"kind": each.kind, "name": each.name, "since": each.since, "by": each.by or None}


def _registration(
    registration: Registration | None, labels: Iterable[str] | None, promised: Reservation | None
) -> dict[str, Any] | None:
    if registration is None:
        return None
    number = registration.ref.rpartition("/")[2]  # its number there, where the reference ends in it
    online = {True: "online", False: "offline", None: None}
    return {
        "id": int(number) if number.isascii() and number.isdecimal() else registration.ref or None,
        "name": registration.name,
        "status": online[registration.online],
        "busy": registration.busy,
        "labels": None if labels is None else _labels(labels, promised),
    }


def _labels(labels: Iterable[str], promised: Reservation | None) -> list[dict[str, str]]:
    found = list(dict.fromkeys(("self-hosted", *labels)))
    if promised is not None:
        run = f"{promised.qualified_repo}/actions/runs/{promised.run_id}"
        found += [f"reserved-for:{promised.unique_id}", f"reserved-since:{int(promised.since)}"]
        found.append(f"reserved-by:{run}")
    return [{"name": name} for name in found]


def _override(override: Override | None) -> dict[str, Any] | None:
    if override is None:
        return None
    return {
        "counts": dict(override.counts),
        "targets": dict(override.targets),
        "since": override.since,
        "until": override.until,
        "by": override.by or None,
    }


def _builder(machine: Machine, base: str, began: float | None) -> dict[str, Any]:
    key = quote(machine.profile, "", errors="replace")
    return {
        "profile": machine.profile or None,
        "screenshot_url": f"{base}profile/{key}/screenshot",
        "guest_name": machine.id,
        "state": machine.state,
        "why": machine.why or None,
        "role": facts.role(machine) or None,
        "began": began,
        "facts": _plain(machine.facts),
        "ipv4_address": _ipv4(machine),
        "host": machine.room or None,
    }


def _report(each: Report) -> dict[str, Any]:
    return {
        "plugin": each.plugin,
        "profile": each.profile or None,
        "ok": each.ok,
        "text": each.text,
        "time": each.time,
        "facts": _plain(each.facts),
    }


def _plain(value: Any) -> Any:
    """A plugin's own facts as JSON types: what is none is shown as it shows itself."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _reservation(reservation: Reservation | None) -> dict[str, Any] | None:
    if reservation is None:
        return None
    return {
        "unique_id": reservation.unique_id,
        "qualified_repo": reservation.qualified_repo,
        "run_id": reservation.run_id,
        "since": int(reservation.since),
    }


def _ipv4(machine: Machine | None) -> str | None:
    addresses: Iterable[str] = machine.addresses if machine is not None else ()
    return next((found for address in addresses if (found := _as_ipv4(address))), None)


def _as_ipv4(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    found = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else address
    return str(found) if found is not None else None


def _job(each: Job) -> dict[str, Any]:
    return {
        "id": each.id,
        "profile": each.profile or None,
        "state": each.state,
        "name": each.name or None,
        "workflow": each.workflow or None,
        "repository": each.repository or None,
        "run_id": each.run_id or None,
        "event": each.event or None,
        "labels": list(each.labels),
        "queued": each.queued,
        "runner_name": each.runner_name or None,
        "result": each.result or None,
        "declined": each.declined or None,
        "url": each.url or None,
    }


def _event(each: Event) -> dict[str, Any]:
    return {
        "time": each.time,
        "text": each.text,
        "profile": each.profile or None,
        "runner": each.runner,
        "job": each.job or None,
    }


def _problem(
    text: str, plugin: str = "", profile: str = "", time: float | None = None
) -> dict[str, Any]:
    return {"text": text, "plugin": plugin or None, "profile": profile or None, "since": time}
