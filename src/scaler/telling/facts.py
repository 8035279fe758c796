"""What is known of one thing, in the order in which a person asks for it. Pure."""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING, Any

from scaler.evidence.index import shelf_of
from scaler.records import RoomState, RunnerState
from scaler.telling.problems import orders_of, waits_since
from scaler.telling.words import ago, count, moment, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scaler.records import (
        Event,
        Job,
        Order,
        ProfileView,
        Registration,
        Report,
        Room,
        Runner,
        View,
    )
    from scaler.telling.extras import Ended, Extras, Kind

EVENTS = 30  # that are told of one thing, the last ones

Told = dict[str, Any]
Facts = list[list[str]]

_COMING = (RunnerState.PLANNED, RunnerState.REGISTERED, RunnerState.BOOTING)
_MEANS = {
    RunnerState.PLANNED: "it is being registered",
    RunnerState.REGISTERED: "it may join, and its machine is being made",
    RunnerState.BOOTING: "its machine exists, and its runner is not online yet",
    RunnerState.IDLE: "it is online and waits for a job",
    RunnerState.RESERVED: "it is promised to someone, and waits for that job",
    RunnerState.BUSY: "it runs a job",
    RunnerState.HELD: "its job failed, and its machine is kept for a person",
    RunnerState.RETIRING: "it is being unregistered, then its machine is destroyed",
    RunnerState.GONE: "nothing is left of it",
}


def job(view: View, extras: Extras, each: Job) -> Told:
    """A job: its state, since when, its profile, and which runner is coming."""
    now = extras.now
    since = waits_since(each, extras)
    found: Facts = [["state", each.state + (f" ({each.result})" if each.result else "")]]
    if since is not None:
        found.append(["queued" if each.queued is not None else "last heard of", ago(since, now)])
    found.append(["profile", each.profile])
    profile = view.profiles.get(each.profile)
    if profile is not None:
        found += _counts(profile, extras)
    if each.runner_name:
        found.append(["runner", _state_of(view, each.runner_name, now)])
    elif (each.profile, each.id) in view.waiting:
        found.append(["next runner", _next(view, each.profile, now)])
    found += _source(view, extras, each.profile)
    for label, value in (
        ("name", each.name),
        ("repository", each.repository),
        ("workflow", each.workflow),
        ("run", each.run_id),
        ("labels", ", ".join(each.labels)),
        ("declined", each.declined),
        ("page", each.url),
    ):
        if value:
            found.append([label, value])
    key = each.profile, each.id
    if key in view.waiting:
        text = view.waiting[key]
    elif each.state == "done":
        text = f"it is done: {each.result}" if each.result else "it is done"
    else:
        text = f"it runs on {each.runner_name or 'a runner that is not known'}"
    events = [event for event in view.events if event.job == each.id]
    return _told("job", each.id, text, view.cures.get(key, ""), found, events)


def runner(view: View, extras: Extras, each: Runner) -> Told:
    """A runner: its state, its machine, its registration, and what it went through."""
    now = extras.now
    then = "" if extras.running else ", when scaler last looked"
    found: Facts = [["state", f"{each.state} since {ago(each.since, now)}{then}"]]
    found.append(["means", _MEANS[each.state]])
    if each.created:
        found.append(["made", ago(each.created, now)])
    found.append(["profile", each.profile])
    if each.job:
        found.append(["job", each.job + (f" ({each.result})" if each.result else "")])
    if each.reservation is not None:
        reserved = f"{each.reservation.unique_id} since {ago(each.reservation.since, now)}"
        found.append(["reserved for", reserved])
    if each.until is not None:
        found.append(["held until", f"{moment(each.until, now)}, or: scaler release {each.id}"])
    if each.provisioner:
        found.append(["room", f"{each.provisioner}/{each.room}" if each.room else each.provisioner])
    if each.machine is not None:
        stopped = f", {each.machine.state}" if each.machine.state != "running" else ""
        stopped += f": {each.machine.why}" if each.machine.why else ""
        found.append(["machine", f"{each.machine.id}{stopped}"])
        if each.machine.addresses:
            found.append(["addresses", ", ".join(each.machine.addresses)])
    if each.registration is not None:
        found.append(["registration", _registered(each.registration)])
    if each.state is RunnerState.RETIRING and extras.running:
        found.append(["next try", _retry(extras, each)])
        if error := extras.errors.get(each.id, ""):
            found.append(["last error", error])
    story = extras.stories.get(each.id)
    events = story.events if story is not None else ()
    text = each.reason or _MEANS[each.state]
    return _told("runner", each.name, text, "", found, events, _kept(extras, each.id))


def ended(view: View, extras: Extras, each: Ended) -> Told:
    """A runner that is no more: what is kept of it."""
    events = [event for event in view.events if event.runner == each.id]
    kept = _kept(extras, each.id)
    text = each.reason or "it is no more" + ("" if kept else ", and nothing is kept of it")
    found: Facts = [
        ["state", "ended" + (f" at {ago(events[-1].time, extras.now)}" if events else "")]
    ]
    if kept:
        folder = os.path.join(extras.evidence, shelf_of(each.id))
        found.append(["kept", f"{count(len(kept), 'file')} in {folder}"])
    jobs = [each.job for each in events if each.job]
    if jobs:
        found.append(["job", jobs[-1]])
    return _told("runner", str(each.id), text, "", found, events, kept)


def profile(view: View, extras: Extras, each: ProfileView) -> Told:
    """A profile: its counts, what waits for it, and what its source and its rooms say."""
    now, name = extras.now, each.profile.name
    found = _counts(each, extras)
    if each.paused is not None:
        found.insert(0, ["paused", _by(each.paused, now)])
    if each.leaving:
        found.insert(0, ["leaving", "the settings have it no more: what it has comes to its end"])
    waiting = [job for job in view.jobs if (job.profile, job.id) in view.waiting]
    mine = [job for job in waiting if job.profile == name]
    times = [since for job in mine if (since := waits_since(job, extras)) is not None]
    longest = f", the longest for {span(now - min(times))}" if times else ""
    found.append(["waiting", f"{count(len(mine), 'job')}{longest}"])
    if (waits := extras.waits.get(name)) is not None:
        found.append(["failures", f"{waits.failures} in a row, the last: {waits.error}"])
        if waits.until > now:
            found.append(["next try", f"in {span(waits.until - now)}"])
    found += _source(view, extras, name)
    for plugin in each.profile.provisioners:
        for room in view.rooms.get(plugin, ()):
            said = [str(room.state) if extras.running else "unknown", room.refuses.get(name, "")]
            if (order := orders_of(view).get(("drain", f"{plugin}/{room.name}"))) is not None:
                said.insert(1, f"drained {_by(order, now)}")
            found.append([f"room {plugin}/{room.name}", ", ".join(filter(None, said))])
    events = [event for event in view.events if event.profile == name]
    text = each.why or _well(view, each)
    return _told("profile", name, text, each.cure, found, events, _kept(extras, name))


def plugin(view: View, name: str) -> Told:
    """A plugin: what it says of itself."""
    mine = [report for report in view.reports if report.plugin == name]
    wrong = [report.text for report in mine if not report.ok]
    found = [
        [report.profile or "all", f"{'ok' if report.ok else 'not ok'}: {report.text}"]
        for report in mine
    ]
    return _told("plugin", name, "; ".join(wrong) or "it is well", "", found, ())


def room(view: View, extras: Extras, plugin: str, each: Room) -> Told:
    """A room: its state, and what stands in it."""
    name = f"{plugin}/{each.name}"
    order = orders_of(view).get(("drain", name))
    found: Facts = [["state", str(each.state) if extras.running else "unknown"]]
    if order is not None:
        found.append(["drained", _by(order, extras.now)])
    there = [
        one
        for one in view.runners
        if (one.provisioner, one.room) == (plugin, each.name) and one.state is not RunnerState.GONE
    ]
    builders = [
        machine.id
        for maker, machine in extras.builders
        if (maker, machine.room) == (plugin, each.name)
    ]
    found += [[one.name, f"{one.state} since {ago(one.since, extras.now)}"] for one in there]
    found += [["builder", machine] for machine in builders]
    found += [[f"{plugin} says", one.text] for one in view.reports if one.plugin == plugin]
    found += [[f"refuses {profile}", text] for profile, text in each.refuses.items()]
    if extras.running and each.state is RoomState.DOWN and not view.stopping:
        text = "it cannot be reached: what is there is unknown"
        text += "; it is drained, too" if order is not None else ""
        return _told("room", name, text, "bring it up again, or its connection", found, ())
    if order is None and extras.running and each.state is RoomState.DRAINING:
        text = f"it takes nothing new: {plugin} says so by itself, and no order does"
        cure = (
            f"[plugins.{plugin}] of the settings says so of it, or does not name it any more:"
            " change that, then: scaler reload"
        )
        return _told("room", name, text, cure, found, ())
    if order is None:
        return _told("room", name, f"it is {found[0][1]}", "", found, ())
    known = extras.running and each.state is not RoomState.DOWN
    empty = known and not there and not builders
    text = "it is drained" + (": nothing of scaler's is there" if empty else "")
    return _told("room", name, text, f"scaler undrain {name.rstrip('/')}", found, ())


def _told(
    kind: Kind,
    name: str,
    text: str,
    cure: str,
    found: Facts,
    events: Iterable[Event],
    kept: list[dict[str, Any]] | None = None,
) -> Told:
    told = [{"time": event.time, "text": event.text} for event in events]
    return {
        "kind": kind,
        "name": name,
        "text": text,
        "cure": cure,
        "facts": found,
        "events": told[-EVENTS:],
        "kept": kept or [],
    }


def _counts(each: ProfileView, extras: Extras) -> Facts:
    runners = ", ".join(f"{number} {state}" for state, number in each.counts.items() if number)
    if not extras.running:  # what it may have is decided anew by the next start
        return [
            ["runners", f"{runners or 'none'}, then"],
            ["needed by jobs", f"{each.demand}, then"],
        ]
    return [
        ["may have", f"{each.ceiling} now (max_count {each.profile.max_count})"],
        ["target", f"{each.target} (target_count {each.profile.target_count})"],
        ["runners", runners or "none"],
        ["needed by jobs", str(each.demand)],
    ]


def _source(view: View, extras: Extras, name: str) -> Iterator[list[str]]:
    """What the source of a profile reports, in figures and in its own words."""
    source = extras.sources.get(name)
    if source is not None:
        text = f"{source.owed} owed, {source.waiting} waiting"
        text += f", at {ago(source.at, extras.now)}" if source.at is not None else ""
        yield ["source", text if source.reported else "has reported nothing since the start"]
    for report in _concerning(view, name):
        text = f"{'ok' if report.ok else 'not ok'}: {report.text}"
        yield [f"{report.plugin} says", text]


def _concerning(view: View, name: str) -> Iterator[Report]:
    """What the source and the provisioners of a profile say of it, or of themselves."""
    known = view.profiles.get(name)
    plugins = (known.profile.source, *known.profile.provisioners) if known is not None else ()
    for report in view.reports:
        if report.plugin in plugins and report.profile in ("", name):
            yield report


def _next(view: View, name: str, now: float) -> str:
    coming = [each for each in view.runners if each.profile == name and each.state in _COMING]
    if not coming:
        return "none is on its way"
    first = min(coming, key=lambda each: each.id)
    more = f" (and {len(coming) - 1} more)" if len(coming) > 1 else ""
    return f"{first.name} is {first.state} since {ago(first.since, now)}{more}"


def _state_of(view: View, name: str, now: float) -> str:
    for each in view.runners:
        if each.name == name:
            return f"{name} is {each.state} since {ago(each.since, now)}"
    return f"{name}, which is no more"


def _registered(each: Registration) -> str:
    if each.gone:
        return "gone"
    known = {True: "", False: "not ", None: "not known whether "}
    return f"{known[each.online]}online, {known[each.busy]}busy"


def _retry(extras: Extras, each: Runner) -> str:
    when = extras.retries.get(each.id)
    if when is None:
        return "goes on now"
    return f"in {span(when - extras.now)}" if when > extras.now else "now"


def _well(view: View, each: ProfileView) -> str:
    runners = sum(each.counts.values())
    if ill := [report for report in _concerning(view, each.profile.name) if not report.ok]:
        had = f"it has {count(runners, 'runner')}, and a target of {each.target}"
        return f"{had}; {ill[0].plugin} is not well: {ill[0].text}"
    text = f"nothing holds it: {count(runners, 'runner')}, and a target of {each.target}"
    working = sum(each.counts.get(state, 0) for state in (RunnerState.BUSY, RunnerState.RESERVED))
    if working and working >= each.ceiling:
        text += "; it may have no more, and its source may not tell of further jobs that wait"
    return text


def _by(order: Order, now: float) -> str:
    return f"since {ago(order.since, now)}" + (f" by {order.by}" if order.by else "")


def _kept(extras: Extras, subject: int | str) -> list[dict[str, Any]]:
    folder = os.path.join(extras.evidence, shelf_of(subject))
    return [
        {
            "name": each.name,
            "size": each.size,
            "time": each.time,
            "path": os.path.join(folder, each.name),
        }
        for each in extras.kept.get(subject, ())
    ]
