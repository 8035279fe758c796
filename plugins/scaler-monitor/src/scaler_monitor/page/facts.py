"""What plugins tell in their reports' facts, as far as it is known what it means.

A plugin may report what it likes. These names are understood, and nothing happens where they are
missing or of another type: `last_poll` and `last_look` (Unix seconds: when a source last asked),
`image_age` (seconds, at the time of the report; for the report of one profile), `images` (of the
same: a list, each with `building: {machine, began}` where one is being made), and `rate_limits`, in
the facts or in each of `connections`: `{resource: {limit, remaining, resets_at, reserve}}`.

And of machines' facts: `paused` (why it stands still), `role` (a builder's: `builder`, `smoke`),
`domain`, `pool` and `volumes` (where a person finds it and its disk).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scaler import Machine, Report, View


@dataclass(frozen=True, kw_only=True)
class Limit:
    """How much of a quota is left.

    Attributes:
        of: Whose it is: the plugin, and its connection where it has several.
        reserve: What is kept back for what must not wait, where that is known.
        resets: When it is whole again (Unix seconds), where that is known.
    """

    of: str
    resource: str
    limit: int
    remaining: int
    reserve: int | None = None
    resets: float | None = None


def asked(report: Report) -> float | None:
    """When the plugin last asked its other side, where it tells (Unix seconds)."""
    times = [_number(report.facts.get(name)) for name in ("last_poll", "last_look")]
    return max((time for time in times if time is not None), default=None)


def image_made(view: View) -> dict[str, float]:
    """When each profile's image was made (Unix seconds), where it is known."""
    made: dict[str, float] = {}
    for report in view.reports:
        age = _number(report.facts.get("image_age"))
        if report.profile and age is not None:
            made[report.profile] = max(made.get(report.profile, 0.0), report.time - age)
    return made


def image_reports(view: View) -> dict[str, Report]:
    """What is told of each profile's images, where anything is; what is wrong comes before."""
    found: dict[str, Report] = {}
    for report in view.reports:
        if report.profile and not report.facts.keys().isdisjoint(("image_age", "images")):
            before = found.get(report.profile)
            if before is None or (before.ok and not report.ok):
                found[report.profile] = report
    return found


def began(view: View) -> dict[str, float]:
    """Since when the image has been in the making that each builder (its id) makes."""
    found: dict[str, float] = {}
    for report in view.reports:
        images = report.facts.get("images")
        for each in images if isinstance(images, list | tuple) else ():
            building = each.get("building") if isinstance(each, Mapping) else None
            if isinstance(building, Mapping):
                time = _number(building.get("began"))
                if time is not None:
                    found[str(building.get("machine"))] = time
    return found


def paused(machine: Machine | None) -> str:
    """Why a machine stands still; empty where it does not."""
    told = None if machine is None else machine.facts.get("paused")
    if isinstance(told, str):
        return told
    return "it stands still" if told is True else ""


def role(machine: Machine) -> str:
    """What a builder is for, in a word; empty where that is not told."""
    return _words(machine.facts.get("role"))


def place(machine: Machine | None) -> list[tuple[str, str]]:
    """Where a person finds a machine and its disk: what it is, and its name there."""
    if machine is None:
        return []
    found = [(name, _words(machine.facts.get(name))) for name in ("domain", "pool", "volumes")]
    return [(name, text) for name, text in found if text]


def limits(view: View) -> list[Limit]:
    """Every quota that a plugin tells of."""
    found = []
    for report in view.reports:
        found += list(_limits(report.plugin, report.facts))
        connections = report.facts.get("connections")
        if isinstance(connections, Mapping):
            for name, facts in connections.items():
                of = report.plugin if len(connections) == 1 else f"{report.plugin}: {name}"
                found += list(_limits(of, facts))
    return found


def _limits(of: str, facts: Any) -> Iterator[Limit]:
    told = facts.get("rate_limits") if isinstance(facts, Mapping) else None
    for resource, each in told.items() if isinstance(told, Mapping) else ():
        if not isinstance(each, Mapping):
            continue
        limit, remaining = _number(each.get("limit")), _number(each.get("remaining"))
        reserve = _number(each.get("reserve"))
        if limit and remaining is not None:
            yield Limit(
                of=of,
                resource=str(resource),
                limit=int(limit),
                remaining=int(remaining),
                reserve=None if reserve is None else int(reserve),
                resets=_number(each.get("resets_at")),
            )


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < 1e15 else None  # neither infinite nor NaN
