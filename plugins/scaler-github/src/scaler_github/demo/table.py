"""The live table: jobs above, runners below, each with its state and its times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from rich.console import Group
from rich.table import Table
from rich.text import Text

from scaler import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import RenderableType

    from scaler import Job, Runner, View
    from scaler_github.demo.record import Record, Times

COLOURS = {
    "offered": "yellow",
    "assigned": "yellow",
    "running": "green",
    "done": "dim",
    "planned": "yellow",
    "registered": "yellow",
    "booting": "cyan",
    "idle": "blue",
    "busy": "green",
    "retiring": "magenta",
    "gone": "dim",
}
FINISHED = 4  # finished jobs that stay in the table
FEW = 4  # rows: with fewer, titles and then profiles give way
NARROW = 70  # columns: below, only what matters most is shown


def render(view: View, record: Record, width: int, height: int) -> RenderableType:
    """Everything at this moment, at most `width` columns and `height` lines."""
    active = [job for job in view.jobs if job.state != "done"]
    ended = [job for job in view.jobs if job.state == "done"][-FINISHED:]
    titles, profiles = True, len(view.profiles) + 1
    room = height - profiles - 3 - 4  # titles; two heads, the footer, a line for the cursor
    if room < FEW:
        titles, room = False, room + 3
    if room < 2:
        profiles, room = 0, room + profiles
    room = max(2, room)
    runners = list(view.runners)[: max(room // 2, room - len(active + ended))]
    free = room - len(runners)
    jobs = [*ended[max(0, len(active + ended) - free) :], *active[:free]]
    seen = [
        _profiles(view, titles, width) if profiles else None,
        _jobs(view, jobs, record, titles, width),
        _runners(runners, record, titles, width),
        _footer(view, record, width),
    ]
    return Group(*(each for each in seen if each is not None))


def _footer(view: View, record: Record, width: int) -> Text:
    end = "stopping" if view.stopping else "Ctrl-C stops"
    spent = f"{trio.current_time() - record.began:5.1f} s   {record.done} jobs done"
    made = f"   {record.machines} machines made" if width >= NARROW else ""
    seen = f"   dashboard {record.dashboard}" if record.dashboard else ""
    return Text(f"{spent}{made}   {end}{seen}", style="dim", no_wrap=True, overflow="ellipsis")


def _profiles(view: View, titles: bool, width: int) -> Table:
    rows: list[dict[str, str | Text]] = []
    for name, profile in view.profiles.items():
        counts = ", ".join(f"{count} {state}" for state, count in sorted(profile.counts.items()))
        rows.append(
            {
                "profile": name,
                "jobs need": str(profile.demand),
                "target": str(profile.target),
                "may have": str(profile.ceiling),
                "runners": counts or "none",
                "why not more": profile.why,
            }
        )
    head = ("profile", "jobs need", "target", "may have", "runners", "why not more")
    return _table("profiles", head, ("profile", "target", "runners"), rows, titles, width)


def _jobs(view: View, jobs: list[Job], record: Record, titles: bool, width: int) -> Table:
    rows: list[dict[str, str | Text]] = []
    for job in jobs:
        times = record.jobs.get((job.profile, job.id))
        waiting = view.waiting.get((job.profile, job.id), "")
        rows.append(
            {
                "job": job.id,
                "name": job.name,
                "profile": job.profile,
                "state": _state(job.state),
                "waited": _span(times, ("assigned", "offered"), ("running", "done")),
                "ran": _span(times, ("running",), ("done",)),
                "runner, or why it waits": job.runner_name or waiting,
            }
        )
    head = ("job", "name", "profile", "state", "waited", "ran", "runner, or why it waits")
    return _table("jobs", head, ("job", "name", "state"), rows, titles, width)


def _runners(runners: list[Runner], record: Record, titles: bool, width: int) -> Table:
    rows: list[dict[str, str | Text]] = []
    for runner in runners:
        times = record.runners.get(runner.id)
        rows.append(
            {
                "runner": runner.name,
                "state": _state(runner.state),
                "since": _span(times, (runner.state,), ()),
                "age": _span(times, ("planned",), ()),
                "job": runner.job,
                "machine": runner.machine.id if runner.machine else "",
            }
        )
    head = ("runner", "state", "since", "age", "job", "machine")
    return _table("runners", head, ("runner", "state", "job"), rows, titles, width)


def _table(
    title: str,
    head: Sequence[str],
    short: Sequence[str],
    rows: Iterable[Mapping[str, str | Text]],
    titles: bool,
    width: int,
) -> Table:
    """One of the tables; with the columns of `short` alone where there is little room."""
    table = Table(title=title if titles else None, title_justify="left", expand=True, box=None)
    columns = head if width >= NARROW else short
    for name in columns:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in columns))
    return table


def _cell(value: str | Text) -> Text:
    """Names are nobody's markup, and no terminal's commands."""
    return value if isinstance(value, Text) else Text(printable(value))


def _state(state: str) -> Text:
    return Text(state, style=COLOURS.get(state, ""))


def _span(times: Times | None, first: tuple[str, ...], last: tuple[str, ...]) -> str:
    """Seconds from the first of these states to the first of those, or until now."""
    if times is None:
        return ""
    begin = next((times.states[each] for each in first if each in times.states), None)
    if begin is None:
        return ""
    end = next((times.states[each] for each in last if each in times.states), trio.current_time())
    return f"{end - begin:.1f} s"
