"""Is it well, and if not, what holds it? Pure: from a view and the time to one sentence."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler import RoomState, RunnerState
from scaler_monitor.page import facts
from scaler_monitor.page.words import count, shortened, span, when

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scaler import Job, View

PATIENCE = 300.0  # seconds that a job may wait before that is bad by itself
SILENCE = 300.0  # seconds since a source last asked, after which it is silent
TOLD = 3  # findings in the one sentence


class Level(enum.StrEnum):
    """How urgent something is."""

    WELL = "well"
    NOTE = "note"  #: nothing to be woken for, and good to know
    BAD = "bad"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is not as it should be, or is good to know.

    Attributes:
        about: The part of the page that tells more: its id.
    """

    level: Level
    text: str
    about: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How the whole is.

    Attributes:
        lead: What its one sentence begins with.
        told: What the sentence goes on with: a few of the findings, or one that all is calm.
        rest: The other findings, the worst first.
    """

    level: Level
    lead: str
    told: tuple[Finding, ...]
    rest: tuple[Finding, ...] = ()

    @property
    def text(self) -> str:
        """The one sentence."""
        return f"{self.lead}: {'; '.join(each.text for each in self.told)}"


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A job that waits.

    Attributes:
        since: When it was queued, where known.
    """

    job: Job
    reason: str
    since: float | None


def waiting(view: View) -> list[Waiting]:
    """Jobs that wait, the one that waits longest first."""
    found = [
        Waiting(job=job, reason=reason, since=job.queued)
        for job in view.jobs
        if (reason := view.waiting.get((job.profile, job.id))) is not None
    ]
    return sorted(found, key=lambda each: (each.since is None, each.since or 0.0, each.job.id))


def judge(view: View, *, now: float) -> Verdict:
    """How the whole is, at this time (Unix seconds)."""
    jobs = waiting(view)
    found = [
        *_plugins(view, now),
        *_jobs(view, jobs, now),
        *_profiles(view, jobs),
        *_rest(view, now),
    ]
    bad = [each for each in found if each.level is Level.BAD]
    notes = [each for each in found if each.level is Level.NOTE]
    worst = bad or notes
    if not worst:
        calm = Finding(level=Level.WELL, text=_calm(view, jobs), about="profiles")
        return Verdict(level=Level.WELL, lead="All is well", told=(calm,))
    return Verdict(
        level=worst[0].level,
        lead="Not well" if bad else "Nothing is broken, but",
        told=tuple(worst[:TOLD]),
        rest=(*worst[TOLD:], *(notes if bad else ())),
    )


def _calm(view: View, jobs: list[Waiting]) -> str:
    if not view.profiles:
        return "no profile is set up"
    profiles = f"{count(len(view.profiles), 'profile')} at target"
    if not jobs:
        return f"{profiles}, nothing waits"
    wait = "job waits" if len(jobs) == 1 else "jobs wait"
    return f"{profiles}, {len(jobs)} {wait} for a runner that is on its way"


def _plugins(view: View, now: float) -> Iterator[Finding]:
    """What plugins report as wrong, and sources that say nothing."""
    images = facts.image_reports(view)
    for report in view.reports:
        where = f"{report.plugin} ({report.profile})" if report.profile else report.plugin
        if not report.ok:
            text = f"{where}: {shortened(report.text, 200)}"
            about = "profiles" if images.get(report.profile) is report else "sources"
            yield Finding(level=Level.BAD, text=text, about=about)
            continue
        asked = facts.asked(report)
        if asked is not None and now - asked > SILENCE and not view.stopping:
            text = f"{where} has not asked for {span(now - asked)}"
            yield Finding(level=Level.BAD, text=text, about="sources")
    reported = {(report.plugin, report.profile) for report in view.reports}
    silent: dict[str, list[str]] = {}
    for name, each in view.profiles.items():
        source = each.profile.source
        if not reported & {(source, name), (source, "")}:
            silent.setdefault(source, []).append(name)
    for source, names in silent.items():
        text = f"{', '.join(names)}: {source} has not reported yet"
        yield Finding(level=Level.BAD, text=text, about="sources")


def _jobs(view: View, jobs: list[Waiting], now: float) -> Iterator[Finding]:
    """Jobs that wait, by profile: too long, or with something that holds them."""
    by_profile: dict[str, list[Waiting]] = {}
    for each in jobs:
        by_profile.setdefault(each.job.profile, []).append(each)
    for name, found in by_profile.items():
        since = found[0].since
        age = None if since is None else max(0.0, now - since)
        late = age is not None and age >= PATIENCE
        profile = view.profiles.get(name)
        if profile is not None and profile.paused:
            late = False  # somebody wanted it so
        if not late and (profile is None or not profile.why):
            continue
        number = "1 job waits" if len(found) == 1 else f"{len(found):,} jobs wait"
        longest = "" if age is None else f", {'' if len(found) == 1 else 'the longest '}{span(age)}"
        text = f"{name or 'no profile'}: {number}{longest}: {shortened(found[0].reason, 200)}"
        yield Finding(level=Level.BAD if late else Level.NOTE, text=text, about="waiting")


def _profiles(view: View, jobs: list[Waiting]) -> Iterator[Finding]:
    """Profiles that have fewer runners than they should, as far as no waiting job tells it."""
    told = {each.job.profile for each in jobs}
    for name, each in view.profiles.items():
        if each.why and name not in told and not view.stopping:
            there = alive(each.counts)
            calm = each.paused is not None or each.leaving or each.calm
            level = Level.NOTE if calm or there >= each.target else Level.BAD
            text = f"{name}: {there} of {each.target} runners: {shortened(each.why, 200)}"
            yield Finding(level=level, text=text, about="profiles")


def _rest(view: View, now: float) -> Iterator[Finding]:
    """What is as somebody wanted it, and what is kept for somebody."""
    if view.stopping:
        yield Finding(level=Level.NOTE, text="stopping: no new runners", about="profiles")
    if view.override is not None:
        added = ", ".join(f"{name} +{number}" for name, number in view.override.counts.items())
        text = f"an override is active until {when(view.override.until, now)}: {added}"
        yield Finding(level=Level.NOTE, text=text, about="override")
    for plugin, rooms in view.rooms.items():
        for room in rooms:
            if room.state is RoomState.DOWN:
                text = f"room {room.name} ({plugin}) cannot be reached"
                yield Finding(level=Level.BAD, text=text, about="rooms")
            elif room.state is RoomState.DRAINING:
                text = f"room {room.name} ({plugin}) takes nothing new"
                yield Finding(level=Level.NOTE, text=text, about="rooms")
    if view.restart:
        settings = "a new setting counts" if len(view.restart) == 1 else "new settings count"
        text = f"{settings} only after a restart: {shortened(view.restart[0], 200)}"
        yield Finding(level=Level.NOTE, text=text, about="sources")
    yield from _still(view)
    yield from _held(view, now)


def _still(view: View) -> Iterator[Finding]:
    """Machines that stand still."""
    found = [(each, why) for each in view.runners if (why := facts.paused(each.machine))]
    if found:
        runner, why = found[0]
        who = runner.name.partition("@")[0]
        who += f" and {len(found) - 1:,} more" if len(found) > 1 else ""
        yield Finding(level=Level.NOTE, text=f"{who}: {shortened(why, 200)}", about="runners")


def _held(view: View, now: float) -> Iterator[Finding]:
    """Machines that are kept for a person."""
    held = sum(each.counts.get(RunnerState.HELD, 0) for each in view.profiles.values())
    if not held:
        return
    kept = "its machine is" if held == 1 else "their machines are"
    text = f"{count(held, 'job')} failed, and {kept} kept for a look"
    ends = [each.until for each in view.runners if each.until is not None]
    if ends:
        text += f"{' until' if held == 1 else ', the first until'} {when(min(ends), now)}"
    yield Finding(level=Level.NOTE, text=text, about="runners")


_OVER = frozenset({RunnerState.HELD, RunnerState.RETIRING, RunnerState.GONE})


def alive(counts: Mapping[str, int]) -> int:
    """Runners that have, or will have, a place for a job."""
    return sum(number for state, number in counts.items() if state not in _OVER)
