"""A picture of everything for panels and pages: immutable, versioned, without secrets."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING

from scaler.model import orders
from scaler.model.reasons import Why
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
    rooms = orders.applied(state.rooms, orders.drained(state.orders))
    waiting = _waiting(state, jobs)
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
                    ceiling=0
                    if state.stopping or state.shut(name)
                    else state.plan.ceilings.get(name, 0),
                    counts=MappingProxyType(counts[name]),
                    why=state.plan.why.get(name, ""),
                    cure=state.plan.cures.get(name, ""),
                    calm=name in state.plan.calm,
                    paused=state.orders.get(("pause", name)),
                    leaving=name in state.leaving_profiles,
                )
                for name, profile in state.profiles.items()
            }
        ),
        jobs=jobs + tuple(state.finished),
        runners=runners,
        rooms=MappingProxyType(
            {plugin: tuple(rooms) for plugin, rooms in rooms.items() if rooms is not None}
        ),
        reports=(*state.reports.values(), *state.faults.values()),
        waiting=MappingProxyType({key: why.text for key, why in waiting.items()}),
        cures=MappingProxyType({key: why.cure for key, why in waiting.items() if why.cure}),
        events=tuple(state.events),
        override=_override(state.override) if state.override is not None else None,
        builders=tuple(state.builders.values()),
        asked=MappingProxyType(dict(state.asked)),
        orders=tuple(state.orders.values()),
        restart=state.restart,
    )


def _override(active: Active) -> Override:
    return Override(
        counts=MappingProxyType(dict(active.counts)),
        targets=MappingProxyType(dict(active.targets)),
        since=active.since,
        until=active.until,
        by=active.by,
    )


def _waiting(state: State, jobs: tuple[Job, ...]) -> Mapping[tuple[str, str], Why]:
    """Why each job that waits does, and what ends that."""
    coming: dict[str, list[Row]] = {}
    waits = any(job.state in ("offered", "assigned") for job in jobs)
    for row in state.rows.values() if waits else ():
        if row.runner.state in (RunnerState.PLANNED, RunnerState.REGISTERED, RunnerState.BOOTING):
            coming.setdefault(row.runner.profile, []).append(row)
    return {
        (job.profile, job.id): _held(state, job, coming.get(job.profile))
        for job in jobs
        if job.state in ("offered", "assigned")
    }


def _held(state: State, job: Job, coming: list[Row] | None) -> Why:
    """Why one job waits; `coming`: runners of its profile that are on their way."""
    held = Why(state.plan.why.get(job.profile, ""), state.plan.cures.get(job.profile, ""))
    if job.declined:
        plugin = job.declined.partition(":")[0]
        return Why(f"declined by {job.declined}", f"see the settings of [plugins.{plugin}]")
    if job.state == "offered":
        if held.text and state.shut(job.profile):
            return Why(f"not acquired yet: {held.text}", held.cure)
        ceiling = state.plan.ceilings.get(job.profile, 0)
        text = f"not acquired yet: this profile may have {ceiling} runners now"
        return Why(text, held.cure)
    if held.text:
        return held
    if coming:
        runner = min((row.runner for row in coming), key=lambda each: each.id)
        return Why(f"{runner.name} is {runner.state}")
    return Why("waiting for it to be given to a runner")
