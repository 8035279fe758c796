"""What came of an order, in words: what follows from it, and how it is taken back."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from scaler.cli.showing.rows import short
from scaler.cli.showing.times import ago, clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SPARE = ("planned", "registered", "booting", "idle")
_WORKING = ("reserved", "busy", "held")


def paused(name: str, before: Mapping[str, Any] | None, now: Any) -> list[str]:
    """What follows from pausing this profile.

    Args:
        name: Its key.
        before: How it was before that; None where it was not there.
        now: When it was so.
    """
    back = f"resume with: scaler resume {shlex.quote(name)}"
    if before is None:
        return [f"{name} is paused; {back}"]
    if order := before.get("paused"):
        by = f" by {order['by']}" if order.get("by") else ""
        since = f"since {clock(order.get('since'), now)} ({ago(order.get('since'), now)}){by}"
        return [f"{name} is paused already {since}; {back}"]
    counts = before.get("counts") or {}
    parts: list[str] = []
    for states, word in ((("idle",), "idle"), (_SPARE[:3], "starting")):
        if number := sum(counts.get(state, 0) for state in states):
            parts.append(f"{_runners(number, word, not parts)} go{'es' if number == 1 else ''}")
    for state, what in (("busy", "finish"), ("reserved", "stay"), ("held", "stay")):
        if number := counts.get(state, 0):
            verb = (
                f"{what}{'es' if number == 1 and what == 'finish' else 's' if number == 1 else ''}"
            )
            parts.append(f"{_runners(number, state, not parts)} {verb}")
    told = ", ".join(parts) if parts else "it has no runners"
    return [f"{name} is paused: {told}; {back}"]


def _runners(number: int, word: str, first: bool) -> str:
    if first:
        return f"{number} {word} runner{'' if number == 1 else 's'}"
    return f"{number} {word} one{'' if number == 1 else 's'}"


def named(runner: Mapping[str, Any], jobs: Mapping[str, str]) -> str:
    """A runner, with its job where it has one.

    Args:
        runner: As an answer has it.
        jobs: What jobs are called, by their ids.
    """
    name = short(str(runner.get("name") or runner.get("id") or "?"))
    job = str(runner.get("job") or "")
    state = str(runner.get("state") or "?")
    if not job:
        return f"{name} ({state})"
    called = f" {jobs[job]}" if jobs.get(job) else ""
    return f"{name} ({state}, job {job}{called})"


def jobs_of(status: Mapping[str, Any]) -> dict[str, str]:
    """What jobs are called, by their ids."""
    found = status.get("jobs")
    return {
        str(each.get("id")): str(each.get("name") or "")
        for each in (found if isinstance(found, list) else [])
        if isinstance(each, dict)
    }


def find_runner(status: Mapping[str, Any], about: str) -> Mapping[str, Any] | None:
    """The runner that a text means: by its id, its name, or its name without the scaler's."""
    for each in status.get("runners") or []:
        name = str(each.get("name") or "")
        number = about.lstrip("0") if about.isascii() and about.isdigit() else about
        if number == str(each.get("id")) or about in (name, short(name)):
            found: Mapping[str, Any] = each
            return found
    return None


def find_room(status: Mapping[str, Any], about: str) -> Mapping[str, Any] | None:
    """The room that a text means: by its name, or by its plugin's with it; None if not just one.

    One without a name is called by its plugin's alone.
    """
    rooms = [
        each
        for each in status.get("rooms") or []
        if about
        in (each.get("name") or each.get("plugin"), f"{each.get('plugin')}/{each.get('name')}")
    ]
    return rooms[0] if len(rooms) == 1 else None


def names(status: Mapping[str, Any], key: str) -> list[str]:
    """What can be named by this key of a request."""
    if key == "profiles":
        return [str(each.get("name")) for each in status.get("profiles") or []]
    if key == "host":
        rooms = [(each.get("plugin"), each.get("name")) for each in status.get("rooms") or []]
        return [f"{name}" for _, name in rooms] + [f"{plugin}/{name}" for plugin, name in rooms]
    if key == "runner":
        full = [str(each.get("name")) for each in status.get("runners") or []]
        return [short(name) for name in full] + full
    return []


def there(status: Mapping[str, Any], room: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The runners in a room."""
    at = room.get("plugin"), room.get("name")
    return [
        each
        for each in status.get("runners") or []
        if (each.get("provisioner"), each.get("room")) == at and each.get("state") != "gone"
    ]


def working(runners: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that would not go by themselves."""
    return [each for each in runners if each.get("state") in _WORKING]
