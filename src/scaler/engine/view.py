"""A picture of everything for panels and pages: immutable, versioned, without secrets."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING

from scaler.records import Job, Override, ProfileView, RunnerState, View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler.engine.state import State
    from scaler.model.override import Active
    from scaler.model.row import Row


def build(state: State) -> View:
    """The view of the state as it is now."""
    runners = tuple([row.runner for row in state.rows.values()])
    counts: dict[str, dict[str, int]] = {name: {} for name in state.profiles}
    for (name, is_), count in Counter([(each.profile, each.state) for each in runners]).items():
        if name in counts:
            counts[name][is_] = count
    jobs = tuple(known.job for each in state.jobs.values() for known in each.values())
    return View(
        version=state.version,
        time=state.clock.wall(),
        scaler=state.scaler,
        stopping=state.stopping,
        profiles=MappingProxyType(
            {
                name: ProfileView(
                    profile=profile,
                    demand=state.plan.demand.get(name, 0),
                    target=state.plan.targets.get(name, profile.target_count),
                    ceiling=0 if state.stopping else state.plan.ceilings.get(name, 0),
                    counts=MappingProxyType(counts[name]),
                    why=state.plan.why.get(name, ""),
                )
                for name, profile in state.profiles.items()
            }
        ),
        jobs=jobs + tuple(state.finished),
        runners=runners,
        rooms=MappingProxyType(
            {plugin: tuple(rooms) for plugin, rooms in state.rooms.items() if rooms is not None}
        ),
        reports=(*state.reports.values(), *state.faults.values()),
        waiting=MappingProxyType(_waiting(state, jobs)),
        events=tuple(state.events),
        override=_override(state.override) if state.override is not None else None,
        builders=tuple(state.builders.values()),
        asked=MappingProxyType(dict(state.asked)),
    )


def _override(active: Active) -> Override:
    return Override(
        counts=MappingProxyType(dict(active.counts)),
        targets=MappingProxyType(dict(active.targets)),
        since=active.since,
        until=active.until,
        by=active.by,
    )


def _waiting(state: State, jobs: tuple[Job, ...]) -> Mapping[tuple[str, str], str]:
    """Why each job that waits does."""
    coming: dict[str, list[Row]] = {}
    waits = any(job.state in ("offered", "assigned") for job in jobs)
    for row in state.rows.values() if waits else ():
        if row.runner.state in (RunnerState.PLANNED, RunnerState.REGISTERED, RunnerState.BOOTING):
            coming.setdefault(row.runner.profile, []).append(row)
    why: dict[tuple[str, str], str] = {}
    for job in jobs:
        if job.state not in ("offered", "assigned"):
            continue
        if job.declined:
            text = f"declined by {job.declined}"
        elif job.state == "offered":
            ceiling = state.plan.ceilings.get(job.profile, 0)
            text = f"not acquired yet: this profile may have {ceiling} runners now"
        elif state.plan.why.get(job.profile):
            text = state.plan.why[job.profile]
        elif job.profile in coming:
            runner = min((row.runner for row in coming[job.profile]), key=lambda each: each.id)
            text = f"{runner.name} is {runner.state}"
        else:
            text = "waiting for it to be given to a runner"
        why[job.profile, job.id] = text
    return why
