"""The rows of a status: profiles, rooms, runners and jobs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from scaler.cli.showing.columns import Cell, Column
from scaler.cli.showing.times import ago, since
from scaler.units import Size

if TYPE_CHECKING:
    from collections.abc import Mapping

    Rows = list[list[Cell | str]]

PROFILES = (
    Column("PROFILE", least=12),
    Column("RUNNERS", right=True),
    Column("BUSY", rank=2, right=True),
    Column("IDLE", rank=3, right=True),
    Column("STARTING", rank=5, right=True),
    Column("OTHER", rank=6),
    Column("JOBS", rank=4, right=True),
    Column("MAX", rank=7, right=True),
    Column("NOTE", rank=1, least=20),
)
ROOMS = (
    Column("ROOM", least=12),
    Column("STATE", least=8),
    Column("MACHINES", rank=2, right=True),
    Column("USED", rank=4, least=20),
    Column("NOTE", rank=3, least=20),
)
RUNNERS = (
    Column("RUNNER", least=12),
    Column("STATE"),
    Column("SINCE", rank=1, right=True),
    Column("JOB", rank=2, least=16),
    Column("ROOM", rank=3, least=8),
    Column("AGE", rank=5, right=True),
    Column("WHY", rank=4, least=20),
)
JOBS = (
    Column("JOB", least=12),
    Column("PROFILE", rank=3, least=8),
    Column("WAITS", right=True),
    Column("NAME", rank=2, least=12),
    Column("REPOSITORY", rank=4, least=12),
    Column("WHY", rank=1, least=20),
)

_STARTING = ("planned", "registered", "booting")
_HAS = (*_STARTING, "idle", "reserved", "busy")
_FIRST = ("busy", "held", "reserved", "idle", "booting", "registered", "planned", "retiring")
_COLOURS = {"busy": "green", "held": "yellow", "retiring": "dim"}
_LARGE = 1 << 20  # what is counted in so many is bytes


def profiles(status: Mapping[str, Any]) -> Rows:
    """The profiles, in the order of the settings."""
    now = status.get("time")
    told = {
        str(each.get("about")): "yellow" if each.get("order") else "red"
        for each in reversed(_dicts(status.get("problems")))  # the worst comes first
    }
    found: Rows = []
    for each in _dicts(status.get("profiles")):
        counts = each.get("counts") or {}
        has = sum(counts.get(state, 0) for state in _HAS)
        target, most = ("?" if n is None else n for n in map(each.get, ("target", "max_count")))
        other = [f"{n} {state}" for state, n in counts.items() if state not in _HAS]
        colour = "yellow" if each.get("paused") or each.get("leaving") else ""
        colour = colour or told.get(f"profile {each.get('name')}", "")
        note = _note(each, now, running=status.get("running", True))
        if not note:
            note = _beyond(each, has)
        found.append(
            [
                str(each.get("name", "?")),
                Cell(f"{has}/{target}", colour),
                _number(counts.get("busy", 0)),
                _number(counts.get("idle", 0) + counts.get("reserved", 0)),
                _number(sum(counts.get(state, 0) for state in _STARTING)),
                ", ".join(other),
                _number(each.get("demand", 0)),
                str(most),
                Cell(note, colour),
            ]
        )
    return found


def _note(profile: Mapping[str, Any], now: Any, *, running: bool) -> str:
    told = []
    if profile.get("leaving"):
        told.append("leaving: the settings have it no more")
    if paused := profile.get("paused"):
        told.append(_told("paused", paused, now))
    if (why := profile.get("why")) and running and not paused:
        told.append(str(why))
    return "; ".join(told)


def _beyond(profile: Mapping[str, Any], has: int) -> str:
    """Jobs that its source keeps, since it has all the runners that it may have."""
    waiting, most = profile.get("waiting"), profile.get("max_count")
    if not (isinstance(waiting, int) and isinstance(most, int)) or not waiting or has < most:
        return ""
    return f"{waiting} more {'job waits' if waiting == 1 else 'jobs wait'}: max_count is {most}"


def rooms(status: Mapping[str, Any]) -> Rows:
    """The rooms, by the names that commands know them by."""
    now = status.get("time")
    found: Rows = []
    each_room = _dicts(status.get("rooms"))
    names = Counter(each.get("name") for each in each_room)
    for each in each_room:
        name = str(each.get("name") or "")
        if names[each.get("name")] > 1 or not name:
            name = f"{each.get('plugin', '?')}/{name}"
        machines = each.get("machines", each.get("runners", 0))
        state, colour = str(each.get("state", "?")), ""
        known = status.get("running", True) and state not in ("down", "unknown")
        drained = each.get("drained")
        if state == "down":  # also where it is drained: what is there is not known
            colour = "red"
        elif drained:
            state, colour = "draining" if machines else "drained", "yellow"
        elif state != "up":
            colour = "yellow"
        note = [_told("drained", drained, now)] if drained else []
        if drained and not machines and known:
            note.insert(0, "empty: safe to switch off")
        note += [f"{profile}: {why}" for profile, why in (each.get("refuses") or {}).items()]
        found.append([name, Cell(state, colour), _number(machines), _used(each), "; ".join(note)])
    return found


def _used(room: Mapping[str, Any]) -> str:
    total, used = room.get("total") or {}, room.get("used") or {}
    told = []
    for name in dict.fromkeys([*total, *used]):
        most = f"/{_amount(total[name], total[name])}" if name in total else ""
        told.append(f"{name} {_amount(used.get(name, 0), total.get(name, 0))}{most}")
    return ", ".join(told)


def _amount(value: Any, like: Any) -> str:
    """A number; bytes in the largest unit of which there is at least one."""
    if not isinstance(value, int) or not isinstance(like, int) or max(value, like) < _LARGE:
        return str(value)
    for unit in "TGM":
        scale = Size.parse(f"1{unit}")
        if value >= scale:
            return f"{value / scale:.1f}".removesuffix(".0") + unit
    return "0" if not value else f"{value / Size.parse('1M'):.1f}M"


def runners(status: Mapping[str, Any]) -> Rows:
    """The runners: those that work first, and of them those that have for longest."""
    now = status.get("time")
    names = {each.get("id"): str(each.get("name") or "") for each in _dicts(status.get("jobs"))}
    found: Rows = []
    for each in sorted(_dicts(status.get("runners")), key=_order):
        state, job = str(each.get("state", "?")), str(each.get("job") or "")
        called = f"{job} {names[job]}" if names.get(each.get("job")) else job
        if each.get("reserved_for") and not job:
            called = f"for {each['reserved_for']}"
        why = str(each.get("reason") or "")
        if until := each.get("until"):
            why += f"{'; ' if why else ''}until {ago(until, now)}"
        found.append(
            [
                short(str(each.get("name") or each.get("id") or "?")),
                Cell(state, _COLOURS.get(state, "")),
                since(each.get("since"), now),
                called,
                str(each.get("room") or ""),
                since(each.get("created"), now),
                why,
            ]
        )
    return found


def _order(runner: Mapping[str, Any]) -> tuple[int, float]:
    state, entered = runner.get("state"), runner.get("since")
    place = _FIRST.index(state) if state in _FIRST else len(_FIRST)
    return place, entered if isinstance(entered, int | float) else 0.0


def jobs(status: Mapping[str, Any]) -> Rows:
    """The jobs that wait, the longest first."""
    now, running = status.get("time"), status.get("running", True)
    waiting = [
        each for each in _dicts(status.get("jobs")) if each.get("state") in ("offered", "assigned")
    ]
    waiting.sort(key=lambda each: _or_last(each.get("queued")))
    return [
        [
            str(each.get("id", "?")),
            str(each.get("profile") or ""),
            since(each.get("queued"), now) or "?",
            str(each.get("name") or ""),
            str(each.get("repository") or ""),
            str(each.get("why") or each.get("state") or "") if running else "",
        ]
        for each in waiting
    ]


def short(name: str) -> str:
    """A runner's name without that of its scaler: commands know it by that, too."""
    return name.rpartition("@")[0] or name


def _or_last(time: Any) -> float:
    return time if isinstance(time, int | float) else float("inf")


def _told(what: str, order: Mapping[str, Any], now: Any) -> str:
    by = f" by {order['by']}" if order.get("by") else ""
    return f"{what} {ago(order.get('since'), now)}{by}"


def _number(value: Any) -> str:
    return str(value) if value else "-"


def _dicts(found: Any) -> list[Mapping[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
