"""The live table: jobs above, runners below, each with its state and its times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
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


def render(view: View, record: Record, height: int) -> RenderableType:
    """Everything at this moment, at most `height` lines."""
    profiles = _profiles(view)
    active = [job for job in view.jobs if job.state != "done"]
    ended = [job for job in view.jobs if job.state == "done"][-FINISHED:]
    runners = list(view.runners)
    room = max(4, height - len(view.profiles) - 12)
    shown = (ended + active)[: room // 2 + max(0, room // 2 - len(runners))]
    jobs = _jobs(view, shown, record)
    table = _runners(runners[: max(2, room - len(shown))], record)
    footer = Text(
        f"{trio.current_time() - record.began:5.1f} s   {record.done} jobs done"
        f"   {record.machines} machines made   Ctrl-C stops",
        style="dim",
    )
    return Group(profiles, jobs, table, footer)


def _profiles(view: View) -> Table:
    table = Table(title="profiles", title_justify="left", expand=True, box=None)
    for name in ("profile", "jobs need", "target", "may have", "runners", "why not more"):
        table.add_column(name, no_wrap=True)
    for name, profile in view.profiles.items():
        counts = ", ".join(f"{count} {state}" for state, count in sorted(profile.counts.items()))
        table.add_row(
            name,
            str(profile.demand),
            str(profile.target),
            str(profile.ceiling),
            counts or "none",
            profile.why,
        )
    return table


def _jobs(view: View, jobs: list[Job], record: Record) -> Table:
    table = Table(title="jobs", title_justify="left", expand=True, box=None)
    for name in ("job", "name", "profile", "state", "waited", "ran", "runner, or why it waits"):
        table.add_column(name, no_wrap=True)
    for job in jobs:
        times = record.jobs.get((job.profile, job.id))
        waiting = view.waiting.get((job.profile, job.id), "")
        table.add_row(
            job.id,
            job.name,
            job.profile,
            _state(job.state),
            _span(times, ("assigned", "offered"), ("running", "done")),
            _span(times, ("running",), ("done",)),
            job.runner_name or waiting,
        )
    return table


def _runners(runners: list[Runner], record: Record) -> Table:
    table = Table(title="runners", title_justify="left", expand=True, box=None)
    for name in ("runner", "state", "since", "age", "job", "machine"):
        table.add_column(name, no_wrap=True)
    for runner in runners:
        times = record.runners.get(runner.id)
        table.add_row(
            runner.name,
            _state(runner.state),
            _span(times, (runner.state,), ()),
            _span(times, ("planned",), ()),
            runner.job,
            runner.machine.id if runner.machine else "",
        )
    return table


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
