"""Why something waits, is held or ended: what is asked about is found, and told in full. Pure."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from scaler.records import RunnerState
from scaler.telling import facts
from scaler.telling.extras import Unknown
from scaler.telling.problems import PATIENCE, held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scaler.records import View
    from scaler.telling.extras import Extras

MOST = 100  # things that are told of at once, where everything that is held was asked for
_LISTED = 10  # profiles that are named where nothing was found
_RUNNER = re.compile(
    r"(?:(?P<profile>.+)\.)?(?P<id>[1-9][0-9]{0,18})(?:@(?P<scaler>.*))?", re.ASCII
)

Told = dict[str, Any]


def why(view: View, extras: Extras, about: str | None = None) -> dict[str, Any]:
    """Why this waits, is held or ended; without a name, all that waits or is held.

    Args:
        view: What there is.
        extras: What else is known, with the stories and the evidence of what is asked about.
        about: A profile, runner, job, plugin or room.

    Raises:
        Unknown: There is nothing of that name.
    """
    found = list(_held(view, extras)) if about is None else list(_named(view, extras, about))
    if about is not None and not found:
        raise _unknown(view, about)
    return {"found": found[:MOST], "more": max(0, len(found) - MOST)}


def runner_of(about: str, view: View) -> int | None:
    """The id of the runner that a text may mean: by id, `profile.id` or name."""
    match = _RUNNER.fullmatch(about)
    if match is None or (match["scaler"] is not None and match["scaler"] != view.scaler):
        return None
    number = int(match["id"])
    for runner in view.runners:
        if runner.id == number:
            return number if match["profile"] in (None, runner.profile) else None
    return number


def _named(view: View, extras: Extras, about: str) -> Iterator[Told]:
    if about in view.profiles:
        yield facts.profile(view, extras, view.profiles[about])
    number = runner_of(about, view)
    if number is not None:
        live = [runner for runner in view.runners if runner.id == number]
        if live:
            yield facts.runner(view, extras, live[0])
        elif number in extras.ended:
            yield facts.ended(view, extras, extras.ended[number])
    for job in view.jobs:
        if about == job.id or about == job.run_id != "":
            yield facts.job(view, extras, job)
    for plugin in dict.fromkeys(report.plugin for report in view.reports):
        if about == plugin:
            yield facts.plugin(view, plugin)
    for plugin, rooms in view.rooms.items():
        for room in rooms:
            if about in (room.name or plugin, f"{plugin}/{room.name}"):
                yield facts.room(view, extras, plugin, room)


def _held(view: View, extras: Extras) -> Iterator[Told]:
    for name, profile in view.profiles.items():
        waits = extras.waits.get(name)
        stopped = waits is not None and bool(waits.stopped)
        if held(profile) or profile.paused is not None or profile.leaving or stopped:
            yield facts.profile(view, extras, profile)
    for plugin in dict.fromkeys(report.plugin for report in view.reports if not report.ok):
        yield facts.plugin(view, plugin)
    for job in view.jobs:
        if (job.profile, job.id) in view.waiting:
            yield facts.job(view, extras, job)
    for runner in view.runners:
        if runner.state is RunnerState.RETIRING and extras.now - runner.since > PATIENCE:
            yield facts.runner(view, extras, runner)


def _unknown(view: View, about: str) -> Unknown:
    rooms = [room.name for each in view.rooms.values() for room in each]
    names = [*view.profiles, *(runner.name for runner in view.runners), *rooms]
    names += [name.partition("@")[0] for name in names if "@" in name]
    names += [job.id for job in view.jobs]
    near = difflib.get_close_matches(about, names[:5000], n=3)
    guess = f" (did you mean {' or '.join(near)}?)" if near else ""
    profiles = [_labelled(view, name) for name in view.profiles]
    listed = "; ".join(profiles[:_LISTED]) or "none"
    if len(profiles) > _LISTED:
        listed += f"; and {len(profiles) - _LISTED} more"
    return Unknown(
        f'there is no profile, runner or job "{about[:80]}"{guess}; profiles: {listed}',
        "a job whose labels no profile has is never told to scaler: compare its runs-on with the"
        " profiles; one whose profile may have no more runners may not be told either: see it with"
        " scaler why PROFILE; a runner that has ended is forgotten when nothing is kept of it",
    )


def _labelled(view: View, name: str) -> str:
    labels = view.profiles[name].profile.labels
    return f"{name} (labels {', '.join(labels)})" if labels else name
