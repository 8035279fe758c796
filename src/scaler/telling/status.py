"""How everything is, as plain data. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from scaler.records import RunnerState
from scaler.telling.problems import orders_of, problems, waits_since
from scaler.telling.standing import standing

if TYPE_CHECKING:
    from scaler.records import Job, Order, ProfileView, Room, Runner, View
    from scaler.telling.extras import Extras


def status(view: View, extras: Extras) -> dict[str, Any]:
    """How everything is; of the same shape whether it runs or not.

    Args:
        view: What there is.
        extras: What else is known.
    """
    found = problems(view, extras)
    return {
        "scaler": view.scaler,
        "running": extras.running,
        "version": extras.version,
        "pid": extras.pid,
        "started": extras.started,
        "time": extras.now,
        "as_of": extras.now if extras.running else extras.as_of,
        "stopping": view.stopping,
        "ok": extras.running and all(problem["order"] for problem in found),
        "problems": found,
        "profiles": [_profile(each, extras) for each in view.profiles.values()],
        "rooms": _rooms(view, extras),
        "runners": [_runner(each) for each in view.runners],
        "jobs": [_job(each, view, extras) for each in view.jobs if each.state != "done"],
        "plugins": [
            {
                "plugin": report.plugin,
                "profile": report.profile,
                "ok": report.ok,
                "text": report.text,
                "time": report.time,
            }
            for report in view.reports
        ],
        "orders": [
            {"kind": order.kind, "name": order.name, "since": order.since, "by": order.by}
            for order in view.orders
        ],
        "override": _override(view),
        "restart": list(view.restart),
        "reload": dict(extras.reload) if extras.reload is not None else None,
    }


def _profile(each: ProfileView, extras: Extras) -> dict[str, Any]:
    source = extras.sources.get(each.profile.name)
    settled = each.profile.name not in extras.unsettled
    return {
        "name": each.profile.name,
        "source": each.profile.source,
        "provisioners": list(each.profile.provisioners),
        "target_count": each.profile.target_count if settled else None,
        "max_count": each.profile.max_count if settled else None,
        "demand": each.demand,
        "waiting": 0 if source is None else source.waiting,
        "target": each.target if settled else None,
        "ceiling": each.ceiling,
        "counts": {str(state): number for state, number in each.counts.items()},
        "paused": _since(each.paused),
        "leaving": each.leaving,
        "why": each.why,
        "cure": each.cure,
    }


def _rooms(view: View, extras: Extras) -> list[dict[str, Any]]:
    runners: Counter[tuple[str, str]] = Counter()
    used: dict[tuple[str, str], Counter[str]] = {}
    for runner in view.runners:
        if runner.state is RunnerState.GONE:
            continue  # it is to be forgotten as soon as that can be written
        key = runner.provisioner, runner.room
        runners[key] += 1
        used.setdefault(key, Counter()).update(runner.resources)
    machines = standing(view, extras.builders)
    orders = orders_of(view)

    def told(plugin: str, room: Room) -> dict[str, Any]:
        key = plugin, room.name
        return {
            "plugin": plugin,
            "name": room.name,
            "state": str(room.state) if extras.running else "unknown",
            "drained": _since(orders.get(("drain", f"{plugin}/{room.name}"))),
            "total": dict(room.total),
            "used": dict(used.get(key, {})),
            "runners": runners[key],
            "machines": machines[key],
            "refuses": dict(room.refuses),
        }

    return [told(plugin, room) for plugin, rooms in view.rooms.items() for room in rooms]


def _runner(each: Runner) -> dict[str, Any]:
    return {
        "id": each.id,
        "name": each.name,
        "profile": each.profile,
        "state": str(each.state),
        "reason": each.reason,
        "since": each.since,
        "created": each.created,
        "until": each.until,
        "room": each.room,
        "provisioner": each.provisioner,
        "job": each.job,
        "reserved_for": each.reservation.unique_id if each.reservation is not None else "",
        "machine": each.machine.id if each.machine is not None else "",
        "addresses": list(each.machine.addresses) if each.machine is not None else [],
    }


def _job(each: Job, view: View, extras: Extras) -> dict[str, Any]:
    key = each.profile, each.id
    return {
        "id": each.id,
        "profile": each.profile,
        "name": each.name,
        "state": each.state,
        "runner": each.runner_name,
        "queued": each.queued,
        "since": waits_since(each, extras),
        "why": view.waiting.get(key, ""),
        "cure": view.cures.get(key, ""),
        "repository": each.repository,
        "workflow": each.workflow,
        "run_id": each.run_id,
        "url": each.url,
    }


def _override(view: View) -> dict[str, Any] | None:
    if view.override is None:
        return None
    return {
        "counts": dict(view.override.counts),
        "targets": dict(view.override.targets),
        "since": view.override.since,
        "until": view.override.until,
        "by": view.override.by,
    }


def _since(order: Order | None) -> dict[str, Any] | None:
    return {"since": order.since, "by": order.by} if order is not None else None
