"""What a scaler that does not run left behind: told in the same shape as of one that does."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from scaler.records import Profile, ProfileView, Room, View
from scaler.telling.extras import Ended, Extras, Source, Unknown
from scaler.telling.reading import Read, Unreadable, read
from scaler.telling.remains import kept_of, reason_of
from scaler.telling.status import status
from scaler.telling.why import runner_of, why
from scaler.telling.words import ago, count

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scaler.records import Kept

NOT_RUNNING = "scaler is not running"
START = "start scaler"
LARGEST = 1_000_000  # that a count may be: Python refuses to write some very large numbers


def offline_status(
    folder: Path,
    *,
    name: str = "",
    profiles: Mapping[str, Any] | None = None,
    now: float | None = None,
) -> dict[str, Any]:
    """How things were when this scaler last ran, as `status` tells it. Blocks.

    A ledger that cannot be read is told of as a problem.

    Args:
        folder: `state_dir`.
        name: The scaler's, where it is known.
        profiles: `[profiles]` of the settings file as it is, where it is known.
        now: The present, in Unix seconds.
    """
    view, extras = _told(folder, name, profiles or {}, time.time() if now is None else now)
    return status(view, extras)


def offline_why(
    folder: Path,
    about: str | None = None,
    *,
    name: str = "",
    profiles: Mapping[str, Any] | None = None,
    now: float | None = None,
) -> dict[str, Any]:
    """What is known of something from when this scaler last ran, as `why` tells it. Blocks.

    Raises:
        Unknown: There is nothing of that name, or the ledger cannot be read.
    """
    view, extras = _told(folder, name, profiles or {}, time.time() if now is None else now, about)
    if extras.as_of is None and extras.trouble[1:]:
        _, text, fix = extras.trouble[1]
        raise Unknown(f"nothing can be told: {text}", fix)
    try:
        return why(view, extras, about)
    except Unknown as error:
        if not extras.trouble[1:]:
            raise
        _, text, fix = extras.trouble[1]  # what is looked for may stand in what cannot be read
        raise Unknown(f"{error.text}; {text}", fix) from None


def _told(
    folder: Path, name: str, profiles: Mapping[str, Any], now: float, about: str | None = None
) -> tuple[View, Extras]:
    trouble = []
    try:
        found = read(folder)
    except Unreadable as error:
        found = Read(written=now, version=0)
        trouble.append(("ledger", error.text, error.fix))
    when = f"; all of this is as of {ago(found.written, now)}" if not trouble else ""
    trouble.insert(0, ("scaler", NOT_RUNNING + when, START))
    if found.lost:
        text = f"{count(found.lost, 'row')} of it cannot be understood"
        trouble.append(("ledger", text, "see the log when scaler has started"))
    view = _view(found, name, profiles)
    number = runner_of(about, view) if about is not None else None
    ended: dict[int, Ended] = {}
    kept: dict[int | str, tuple[Kept, ...]] = {}
    if number is not None:
        kept[number] = kept_of(folder, number)
        if kept[number] and all(runner.id != number for runner in view.runners):
            ended[number] = Ended(id=number, reason=reason_of(folder, number))
    if about is not None and about in view.profiles:
        kept[about] = kept_of(folder, about)
    extras = Extras(
        now=now,
        running=False,
        as_of=found.written if found.version else None,
        evidence=str(folder / "evidence"),
        heard={} if found.clock is None else _heard(found, found.clock),
        sources={
            profile: Source(owed=owed, waiting=0, reported=True, at=None)
            for profile, owed in found.owed.items()
        },
        kept=kept,
        ended=ended,
        trouble=trouble,
        unsettled=[each for each in view.profiles if each not in profiles],
    )
    return view, extras


def _view(found: Read, name: str, profiles: Mapping[str, Any]) -> View:
    orders = {(order.kind, order.name): order for order in found.orders}
    names = [*profiles, *(runner.profile for runner in found.runners)]
    names += [job.profile for job in found.jobs]
    names += [order.name for order in found.orders if order.kind == "pause"]
    views = {}
    for each in dict.fromkeys(names):
        mine = [runner for runner in found.runners if runner.profile == each]
        profile = _profile(each, profiles.get(each))
        if mine:
            makers = tuple(dict.fromkeys(runner.provisioner for runner in mine))
            profile = Profile(
                name=each,
                target_count=profile.target_count,
                max_count=profile.max_count,
                source=mine[0].source,
                provisioners=makers,
            )
        views[each] = ProfileView(
            profile=profile,
            demand=found.owed.get(each, 0),
            target=profile.target_count,
            ceiling=0,
            counts=Counter(str(runner.state) for runner in mine),
            why=NOT_RUNNING,
            cure=START,
            paused=orders.get(("pause", each)),
        )
    rooms: dict[str, dict[str, Room]] = {}
    places = [(runner.provisioner, runner.room) for runner in found.runners if runner.provisioner]
    places += [
        (plugin, room)
        for plugin, _, room in (o.name.partition("/") for o in found.orders if o.kind == "drain")
    ]
    for plugin, room in places:
        rooms.setdefault(plugin, {})[room] = Room(name=room)
    waiting = {
        (job.profile, job.id): NOT_RUNNING
        for job in found.jobs
        if job.state in ("offered", "assigned")
    }
    return View(
        version=0,
        time=found.written,
        scaler=name or _scaler(found),
        stopping=False,
        profiles=views,
        jobs=found.jobs,
        runners=found.runners,
        rooms={plugin: tuple(each.values()) for plugin, each in rooms.items()},
        reports=(),
        waiting=waiting,
        cures=dict.fromkeys(waiting, START),
        events=(),
        orders=found.orders,
    )


def _profile(name: str, table: Any) -> Profile:
    """What a settings file says of a profile, as far as it makes sense."""
    table = table if isinstance(table, dict) else {}
    counts = [table.get("target_count"), table.get("max_count")]
    least, most = (each if type(each) is int and 0 <= each <= LARGEST else None for each in counts)
    labels = table.get("labels")
    return Profile(
        name=name,
        labels=tuple(str(each) for each in labels) if isinstance(labels, list) else (),
        target_count=least or 0,
        max_count=most if most is not None else least or 0,
    )


def _scaler(found: Read) -> str:
    """The scaler's name, from its runners' names."""
    for runner in found.runners:
        return runner.name.rpartition("@")[2]
    return ""


def _heard(found: Read, clock: float) -> dict[tuple[str, str], float]:
    return {key: found.written + heard - clock for key, heard in found.heard.items()}
