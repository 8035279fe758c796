"""What a person has to look at, the worst first. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from scaler.control.place import by_itself
from scaler.model.orders import parted
from scaler.records import RoomState, RunnerState
from scaler.telling.standing import standing
from scaler.telling.words import count, moment, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scaler.records import Job, Order, ProfileView, View
    from scaler.telling.extras import Extras

PATIENCE = 300.0  # seconds that a job waits, or a runner is being retired, before that is told
SETTINGS = "settings"
OWN = (SETTINGS, "control", "ledger")  # what the core reports by, in place of a plugin's name

_LOOK = "scaler check says what is wrong, and how to mend it"
_LIVE = (
    RunnerState.PLANNED,
    RunnerState.REGISTERED,
    RunnerState.BOOTING,
    RunnerState.IDLE,
    RunnerState.RESERVED,
    RunnerState.BUSY,
)
Problem = dict[str, Any]


def problems(view: View, extras: Extras) -> list[Problem]:
    """Everything of that kind; what is no failure comes last (`order`): a person ordered it, or it
    passes by itself."""
    found = [_said(about, text, cure) for about, text, cure in extras.trouble]
    if extras.running:
        found += [*_reload(extras), *_profiles(view, extras), *_jobs(view, extras)]
        found += [*_rooms(view), *_plugins(view, extras), *_retiring(view, extras)]
    found += _orders(view, extras)
    return sorted(found, key=lambda problem: bool(problem["order"]))


def waits_since(job: Job, extras: Extras) -> float | None:
    """Since when a job waits, as far as that is known."""
    return job.queued if job.queued is not None else extras.heard.get((job.profile, job.id))


def live(profile: ProfileView) -> int:
    """How many runners it has that work or will."""
    return sum(profile.counts.get(state, 0) for state in _LIVE)


def held(profile: ProfileView) -> bool:
    """Whether it is under its target, or gets no jobs at all, and that is not on purpose."""
    if not profile.why or profile.paused is not None or profile.leaving:
        return False
    none = profile.ceiling == 0 and profile.profile.max_count > 0
    return live(profile) < profile.target or none


def _said(about: str, text: str, cure: str = "", *, order: bool = False) -> Problem:
    return {"about": about, "text": text, "cure": cure, "order": order}


def _reload(extras: Extras) -> Iterator[Problem]:
    reload = extras.reload
    if reload is None or not _failed(extras):
        return
    first, *rest = reload["problems"] or ["it could not be read"]
    more = f" (and {len(rest)} more)" if rest else ""
    text = f"read at {moment(reload['time'], extras.now)} and not taken over: {first}{more}"
    yield _said(SETTINGS, text, "mend the file, then: scaler reload")


def _failed(extras: Extras) -> bool:
    return extras.reload is not None and not extras.reload["ok"]


def _profiles(view: View, extras: Extras) -> Iterator[Problem]:
    if view.stopping:
        return
    for name, profile in view.profiles.items():
        waits = extras.waits.get(name)
        if held(profile) and not profile.calm:
            yield _said(f"profile {name}", profile.why, profile.cure)
        elif waits is not None and waits.stopped and profile.paused is None:
            yield _said(f"profile {name}", waits.stopped, profile.cure)


def _jobs(view: View, extras: Extras) -> Iterator[Problem]:
    """Jobs that wait for long, those together that wait for the same."""
    groups: dict[tuple[str, str, str], list[float]] = {}
    for job in view.jobs:
        key = job.profile, job.id
        since = waits_since(job, extras)
        if key not in view.waiting or since is None or extras.now - since < PATIENCE:
            continue
        profile = view.profiles.get(job.profile)
        if profile is not None and (profile.paused is not None or held(profile)):
            continue  # told of the profile
        group = job.profile, view.waiting[key], view.cures.get(key, "")
        groups.setdefault(group, []).append(since)
    for (name, why, cure), times in groups.items():
        longest = span(extras.now - min(times))
        verb = f"waits for {longest}" if len(times) == 1 else f"wait, the longest for {longest}"
        yield _said(f"profile {name}", f"{count(len(times), 'job')} {verb}: {why}", cure)


def _rooms(view: View) -> Iterator[Problem]:
    for plugin, rooms in view.rooms.items():
        for room in rooms:
            name = f"{plugin}/{room.name}"
            about = f"room {name}".rstrip("/")
            if room.state == RoomState.DOWN and view.stopping:
                continue  # its plugin has let go of it
            if room.state == RoomState.DOWN:
                yield _said(
                    about,
                    "cannot be reached: what is there is unknown",
                    "bring it up again, or its connection",
                )
            elif room.state == RoomState.DRAINING and not _ordered(view, "drain", name):
                text = f"takes nothing new: {plugin} says that it is draining"
                yield _said(about, text, f"scaler why {name.rstrip('/')}", order=True)


def _plugins(view: View, extras: Extras) -> Iterator[Problem]:
    for report in view.reports:
        if report.ok or (report.plugin == SETTINGS and _failed(extras)):
            continue  # (that is told of with its cure)
        profile = f" ({report.profile})" if report.profile else ""
        if report.plugin in OWN:
            yield _said(f"{report.plugin}{profile}", report.text)
        else:
            yield _said(f"plugin {report.plugin}{profile}", report.text, _LOOK)


def _retiring(view: View, extras: Extras) -> Iterator[Problem]:
    for runner in view.runners:
        lasts = extras.now - runner.since
        if runner.state is RunnerState.RETIRING and lasts > PATIENCE:
            error = extras.errors.get(runner.id, "")
            text = f"is being retired for {span(lasts)}" + (f": {error}" if error else "")
            yield _said(f"runner {runner.name}", text, f"scaler why {runner.id}")


def _orders(view: View, extras: Extras) -> Iterator[Problem]:
    for order in view.orders:
        yield _order(view, extras, order)
    if extras.running and not view.stopping:
        for name, profile in view.profiles.items():
            if held(profile) and profile.calm:
                yield _said(f"profile {name}", profile.why, profile.cure, order=True)
        yield from _strangers(view)
    for name, profile in view.profiles.items():
        if profile.leaving:
            text, cure = _leaving(view, name)
            yield _said(f"profile {name}", text, cure, order=True)
    for each in extras.unwritten:
        yield _said(
            "ledger",
            f"the order `{each}` counts, but could not be written: a restart would lose it",
            "see whether the disk of state_dir is full",
        )
    leaving = any(each.leaving for each in view.profiles.values())
    cure = "restart scaler, once no profile is leaving any more" if leaving else "restart scaler"
    for each in view.restart:
        if by_itself(each):
            fix = "mend what it says, then: scaler reload"
            yield _said(SETTINGS, f"does not count yet: {each}", fix, order=True)
            continue
        yield _said(SETTINGS, f"counts only after a restart: {each}", cure, order=True)


def _order(view: View, extras: Extras, order: Order) -> Problem:
    when = f"since {moment(order.since, extras.now)}" + (f" by {order.by}" if order.by else "")
    if order.kind == "pause":
        jobs = sum(profile == order.name for profile, _ in view.waiting)
        text = f"paused {when}" + (f"; {count(jobs, 'job')} wait for it" if jobs > 1 else "")
        text += "; 1 job waits for it" if jobs == 1 else ""
        if order.name not in view.profiles and extras.running:
            text += "; the settings have no such profile"
        return _said(f"profile {order.name}", text, f"scaler resume {order.name}", order=True)
    text = f"drained {when}"
    left = standing(view, extras.builders)[parted(order.name)]
    text += f"; {count(left, 'machine')} still there" if left else ""
    if extras.running and order.name not in _names(view):
        text += "; no plugin tells of such a room now"
    name = order.name.rstrip("/")  # of a provisioner that tells of no rooms
    return _said(f"room {name}", text, f"scaler undrain {name}", order=True)


def _strangers(view: View) -> Iterator[Problem]:
    """Runners of profiles that were taken out of the settings before the last start."""
    found = Counter(
        runner.profile
        for runner in view.runners
        if runner.profile not in view.profiles and runner.state is not RunnerState.GONE
    )
    for name, number in found.items():
        text = f"the settings do not have it, and there {'is' if number == 1 else 'are'} still"
        text += f" {count(number, 'runner')} of it: what works there comes to its end"
        cure = f"wait; to keep it, put [profiles.{name}] back and run scaler reload"
        yield _said(f"profile {name}", text, cure, order=True)


def _leaving(view: View, name: str) -> tuple[str, str]:
    known = sum(job.profile == name and job.state in ("assigned", "running") for job in view.jobs)
    jobs = max(known, view.profiles[name].demand)  # sources that tell only totals name no jobs
    runners = sum(runner.profile == name for runner in view.runners)
    text = "the settings have it no more: what it has comes to its end"
    text += f" ({count(jobs, 'job')}, {count(runners, 'runner')})"
    if not jobs:
        return text, ""
    return text, f"do not restart scaler before {'its job is' if jobs == 1 else 'they are'} done"


def _ordered(view: View, kind: str, name: str) -> bool:
    return any(order.kind == kind and order.name == name for order in view.orders)


def _names(view: View) -> set[str]:
    return {f"{plugin}/{room.name}" for plugin, rooms in view.rooms.items() for room in rooms}


def orders_of(view: View) -> Mapping[tuple[str, str], Order]:
    """The orders by kind and name."""
    return {(order.kind, order.name): order for order in view.orders}
