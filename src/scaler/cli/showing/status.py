"""How everything is, as lines: what is wrong first, and then what there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaler.cli.showing import rows
from scaler.cli.showing.columns import cut, folded, table
from scaler.cli.showing.times import ago, clock, since

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaler.cli.showing.columns import Cell, Column, Paint

    Status = Mapping[str, Any]

SHORT = 20  # rows of runners or jobs that are shown where not all are asked for
_LEAST = 10  # lines from which on there is room for more than what is wrong
_STEPS = (SHORT, 10, 5, 3, 1, 0)


@dataclass(frozen=True, kw_only=True)
class Page:
    """Where it is shown.

    Attributes:
        width: Columns; None where there is no limit.
        paint: What colours.
        most: Rows of runners, and of jobs, at most; None for all.
        more: The command that shows all.
    """

    width: int | None
    paint: Paint
    most: int | None = SHORT
    more: str = "scaler status --all"


def shown(status: Status, page: Page) -> list[str]:
    """All of it."""
    tables = [
        _table(page, rows.PROFILES, rows.profiles(status), "profiles"),
        _table(page, rows.ROOMS, rows.rooms(status), "rooms"),
        _table(page, rows.RUNNERS, rows.runners(status), "runners", page.most),
        _table(page, rows.JOBS, rows.jobs(status), "jobs that wait", page.most),
    ]
    lines = [*verdict(status, page), *_problems(status, page), *_more(status, page)]
    for each in tables:
        if each:
            lines += ["", *each]
    return lines


def fitted(status: Status, page: Page, height: int, clock: str = "") -> list[str]:
    """As much of it as so many lines can show, the most important first.

    Args:
        status: What scaler answered.
        page: Where it is shown.
        height: Lines there are.
        clock: What stands on top of it, where there is room for that.
    """
    lines: list[str] = []
    top = [page.paint(clock, "dim")] if clock and height > _LEAST else []
    for most in _STEPS:
        lines = top + shown(
            status, Page(width=page.width, paint=page.paint, most=most, more=page.more)
        )
        if len(lines) <= height:
            return lines
    rest = page.paint(cut(f"… {len(lines) - height + 1} more lines", page.width or 80), "dim")
    return [*lines[: height - 1], rest] if height > 1 else lines[:1]


def verdict(status: Status, page: Page) -> list[str]:
    """In one line, how it is; more where it does not run."""
    name = f"scaler {status.get('scaler') or ''}".strip()
    now = status.get("time")
    if not status.get("running", True):
        lines = [page.paint(f"{name} is not running", "red")]
        if as_of := status.get("as_of"):
            when = f"as of {clock(as_of, now)} ({ago(as_of, now)})"
            lines += folded(f"what follows is from its ledger, {when}", page.width)
        return lines
    told = _list(status, "problems")
    needs = sum(not each.get("order") for each in told)
    if status.get("stopping"):
        word, colour = "is stopping", "yellow"
    elif needs:
        word, colour = f"{needs} thing{'s need' if needs > 1 else ' needs'} you", "red"
    elif not status.get("ok", True):
        word, colour = "not all is well", "red"
    else:
        word, colour = "all is well", "green"
        if told:
            word += f", {len(told)} thing{'s' if len(told) > 1 else ''} to know"
    colon = "" if word.startswith("is ") else ":"
    head = f"{name}{colon} {word}"
    facts = _facts(status, now)
    first, *rest = folded(f"{head} · {facts}", page.width) if facts else [head]
    if first.startswith(head):
        first = page.paint(head, colour) + page.paint(first[len(head) :], "dim")
    return [first, *(page.paint(each, "dim") for each in rest)]


def _facts(status: Status, now: Any) -> str:
    """What there is in numbers."""
    runners = _list(status, "runners")
    busy = sum(each.get("state") == "busy" for each in runners)
    wait = sum(each.get("state") in ("offered", "assigned") for each in _list(status, "jobs"))
    told = [f"{len(runners)} runner{'' if len(runners) == 1 else 's'}"]
    told[0] += f", {busy} busy" if busy else ""
    if wait:
        told.append(f"{wait} job{' waits' if wait == 1 else 's wait'}")
    if up := since(status.get("started"), now):
        told.append(f"up {up}")
    if status.get("version"):
        told.append(str(status["version"]))
    return " · ".join(told)


def _problems(status: Status, page: Page) -> list[str]:
    lines: list[str] = []
    for each in _list(status, "problems"):
        if each.get("about") == "scaler" and not status.get("running", True):
            continue  # that it does not run was said already
        colour = "yellow" if each.get("order") else "red"
        about, text = str(each.get("about") or ""), str(each.get("text") or "")
        whole = f"{about}: {text}" if about else text
        first, *rest = folded(whole, page.width, first="  ! ", rest="    ")
        lines += [page.paint(first, colour), *(page.paint(line, colour) for line in rest)]
        if cure := each.get("cure"):
            lines += folded(str(cure), page.width, first="    → ", rest="      ")
    return ["", *lines] if lines else []


def _more(status: Status, page: Page) -> list[str]:
    """What holds for a while, or was read and not taken."""
    now = status.get("time")
    lines: list[str] = []
    override = status.get("override")
    if isinstance(override, dict):
        counts = override.get("counts") or {}
        targets = ", ".join(f"{name} +{number}" for name, number in counts.items() if number)
        by = f" by {override['by']}" if override.get("by") else ""
        until = f"until {clock(override.get('until'), now)} ({ago(override.get('until'), now)})"
        lines += folded(f"more runners{by} {until}: {targets or 'none'}", page.width)
    reload = status.get("reload")
    wrong = (reload.get("problems") or []) if isinstance(reload, dict) else []
    if isinstance(reload, dict) and not reload.get("ok", True) and len(wrong) > 1:
        # (one alone is told as a problem)
        when = ago(reload.get("time"), now)
        lines += folded(f"the settings that were read {when} are wrong:", page.width)
        for each in wrong:
            lines += folded(str(each), page.width, first="  ", rest="    ")
    return ["", *lines] if lines else []


def _table(
    page: Page,
    columns: Sequence[Column],
    found: Sequence[Sequence[Cell | str]],
    what: str,
    most: int | None = None,
) -> list[str]:
    if not found:
        return []
    left = 0 if most is None else max(0, len(found) - most)
    lines = table(columns, found[: len(found) - left], page.width, page.paint) if found else []
    if left == len(found):
        lines = []
    if left:
        more = "more " if left < len(found) else ""
        hint = f" ({page.more})" if page.more else ""
        lines += [
            page.paint(line, "dim") for line in folded(f"… {left} {more}{what}{hint}", page.width)
        ]
    return lines


def _list(status: Status, key: str) -> list[Mapping[str, Any]]:
    found = status.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
