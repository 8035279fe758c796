"""What the page shows, worked out from records: plain values for the templates. Pure."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from markupsafe import Markup

from scaler import RoomState, RunnerState
from scaler_monitor.page import cleaning, dashboard, facts, shapes, verdict
from scaler_monitor.page.history import EVERY
from scaler_monitor.page.remains import Remains
from scaler_monitor.page.words import shortened

if TYPE_CHECKING:
    from scaler import Event, Job, Machine, Panel, Report, Runner, View
    from scaler_monitor.page.history import Sample

MOST_RUNNERS = 200
MOST_WAITING = 100
MOST_EVENTS = 50
MOST_FACTS = 30  # of one panel

_EMPTY: Mapping[Any, Any] = MappingProxyType({})
_FIRST = {  # those that somebody may have to look at; many idle ones are all alike
    state: place
    for place, state in enumerate(
        (
            RunnerState.HELD,
            RunnerState.RETIRING,
            RunnerState.PLANNED,
            RunnerState.REGISTERED,
            RunnerState.BOOTING,
            RunnerState.RESERVED,
            RunnerState.BUSY,
            RunnerState.IDLE,
            RunnerState.GONE,
        )
    )
}


_ROLES = {"builder": "being built", "smoke": "being tried", "probe": "the host is being tried"}
_STATES = {RoomState.DRAINING: "takes nothing new", RoomState.DOWN: "cannot be reached"}


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A picture that there is of a machine: when it was taken, and what its address ends in."""

    time: float
    version: str


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What the page shows beside the view.

    Attributes:
        panels: Of plugins, by their names; None where one could not be made.
        shots: Of runners, by their ids, and of builders, by their profiles.
        remains: What is left of runners and of failures.
        linked: Whether what was kept may be fetched from here without a token.
    """

    panels: Mapping[str, Panel | None] = field(default_factory=lambda: _EMPTY)
    shots: Mapping[int | str, Shot] = field(default_factory=lambda: _EMPTY)
    samples: Mapping[str, Sequence[Sample]] = field(default_factory=lambda: _EMPTY)
    remains: Remains = field(default_factory=Remains)
    linked: bool = False


def chosen(view: View) -> list[Runner]:
    """The runners that are shown: those that somebody may want to look at come first."""
    if len(view.runners) <= MOST_RUNNERS:
        return sorted(view.runners, key=_place)
    return heapq.nsmallest(MOST_RUNNERS, view.runners, key=_place)


def _place(runner: Runner) -> tuple[bool, int, float, int]:
    return not facts.paused(runner.machine), _FIRST[runner.state], runner.since, runner.id


def scene(view: View, runners: Sequence[Runner], beside: Beside, *, now: float) -> dict[str, Any]:
    """Everything that the templates name."""
    judged = verdict.judge(view, now=now)
    jobs = verdict.waiting(view)
    made, images, began = facts.image_made(view), facts.image_reports(view), facts.began(view)
    waits = dict.fromkeys(view.profiles, 0)
    for each in jobs:
        waits[each.job.profile] = waits.get(each.job.profile, 0) + 1
    links = _Links(view.jobs, runners)
    return {
        "now": now,
        "scaler": view.scaler,
        "verdict": judged,
        "title": title(judged, view.scaler),
        "override": view.override,
        "profiles": [
            {
                "name": name,
                "view": each,
                "alive": verdict.alive(each.counts),
                "kinds": shapes.by_kind(each.counts),
                "bar": shapes.bar(each.counts, each.target),
                "line": shapes.line(beside.samples.get(name, ()), EVERY),
                "waits": waits[name],
                "image": made.get(name),
                "told": images.get(name),
                **_screen(name, beside.shots),
                "kept": beside.remains.profiles.get(name, ()),
            }
            for name, each in view.profiles.items()
        ],
        "waiting": [
            {
                "job": each.job,
                "reason": each.reason,
                "cure": view.cures.get((each.job.profile, each.job.id), ""),
                "since": each.since,
                "run": link(each.job.url),
            }
            for each in jobs[:MOST_WAITING]
        ],
        "more_waiting": max(0, len(jobs) - MOST_WAITING),
        "runners": [_runner(each, links, beside.shots) for each in runners],
        "more_runners": len(view.runners) - len(runners),
        "all_runners": len(view.runners),
        "failed": beside.remains.failed,
        "ended": beside.remains.ended,
        "linked": beside.linked,
        "restart": view.restart,
        "builders": [_builder(each, beside.shots, began) for each in view.builders],
        "sources": [
            {"report": each, "asked": facts.asked(each), "text": shortened(each.text)}
            for each in sorted(view.reports, key=_report_place)
        ],
        "rooms": [
            {
                **each,
                "resources": _resources(each),
                "says": _STATES.get(each["state"], ""),
                "refusals": _refusals(each["refuses"]),
            }
            for each in dashboard.rooms(view)
        ],
        "limits": facts.limits(view),
        "events": [_event(each, view.scaler) for each in view.events[-MOST_EVENTS:][::-1]],
        "panels": [_panel(name, panel) for name, panel in beside.panels.items()],
    }


def title(judged: verdict.Verdict, scaler: str) -> str:
    """The page's title: how it is can be read in a row of tabs."""
    word = {
        verdict.Level.WELL: "well",
        verdict.Level.NOTE: "note",
        verdict.Level.BAD: "NOT WELL",
    }[judged.level]
    return f"{word} · {scaler} · scaler"


def link(url: str) -> str | None:
    """An address that a browser may be led to: of the web, and of nothing else."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    if any(character <= " " or character == "\\" for character in url):
        return None
    return url


class _Links:
    """Jobs of the runners that are shown: their ids are a source's own, so by profile as well."""

    def __init__(self, jobs: Sequence[Job], runners: Sequence[Runner]) -> None:
        wanted = {(each.profile, each.job) for each in runners if each.job}
        self._jobs = {(job.profile, job.id): job for job in jobs if (job.profile, job.id) in wanted}

    def of(self, runner: Runner) -> Job | None:
        return self._jobs.get((runner.profile, runner.job))


def _runner(each: Runner, links: _Links, shots: Mapping[int | str, Shot]) -> dict[str, Any]:
    job = links.of(each)
    shot = shots.get(each.id)
    return {
        "runner": each,
        "kind": shapes.kind(each.state),
        "short": each.name.partition("@")[0],
        "job": job,
        "run": link(job.url) if job is not None else None,
        "room": (each.machine.room if each.machine is not None else "") or each.room,
        "address": each.machine.addresses[0] if each.machine and each.machine.addresses else "",
        "paused": facts.paused(each.machine),
        "place": facts.place(each.machine) if each.state is RunnerState.HELD else [],
        "shot": f"runner/{each.id}/screenshot.png?v={shot.version}" if shot else None,
        "shot_time": shot.time if shot else None,
    }


def _builder(
    each: Machine, shots: Mapping[int | str, Shot], began: Mapping[str, float]
) -> dict[str, Any]:
    role = facts.role(each)
    return {
        "machine": each,
        "does": _ROLES.get(role, role) if each.state == "running" else "",
        "began": began.get(each.id),
        "paused": facts.paused(each),
        **_screen(each.profile, shots),
    }


def _screen(profile: str, shots: Mapping[int | str, Shot]) -> dict[str, Any]:
    """The last picture of what made, or makes, a profile's image."""
    shot = shots.get(profile)
    key = quote(profile, "", errors="replace")
    return {
        "shot": f"profile/{key}/screenshot.png?v={shot.version}" if shot else None,
        "shot_time": shot.time if shot else None,
    }


def _event(each: Event, scaler: str) -> dict[str, Any]:
    who = each.profile if each.runner is None else f"{each.profile}.{each.runner}"
    text = each.text.removeprefix(f"{who}@{scaler} ").removeprefix(f"{who} ")  # it is said before
    return {"time": each.time, "who": who, "text": shortened(text)}


def _report_place(report: Report) -> tuple[bool, str, str]:
    return report.ok, report.plugin, report.profile


def _resources(room: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name in sorted({*room["total"], *room["used"]}):
        total, used = room["total"].get(name), room["used"].get(name, 0)
        if total == 0 == used:
            continue
        share = 0.0 if not total else min(1.0, used / total)
        width = round(shapes.WIDTH * share, 2)
        found.append({"name": name, "used": used, "total": total, "width": width, "share": share})
    return found


def _refusals(refuses: Mapping[str, str]) -> list[tuple[str, str]]:
    """Why which profiles are not taken: those with the same reason stand together."""
    found: dict[str, list[str]] = {}
    for name, why in refuses.items():
        found.setdefault(why, []).append(name)
    return [(", ".join(names), why) for why, names in found.items()]


def _panel(name: str, panel: Panel | None) -> dict[str, Any]:
    if panel is None:
        return {"name": name, "title": name, "failed": True, "html": "", "facts": []}
    return {
        "name": name,
        "title": panel.title or name,
        "failed": False,
        "html": Markup(cleaning.cleaned(panel.html)) if panel.html else "",
        "facts": [
            (str(key), shortened(_told(value)))
            for key, value in list(panel.data.items())[:MOST_FACTS]
        ],
    }


def _told(value: Any) -> str:
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}" if math.isfinite(value) else "not known"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_told(each)}" for key, each in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(map(_told, value))
    return str(value)
