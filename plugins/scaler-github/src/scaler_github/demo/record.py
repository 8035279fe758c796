"""What the demo saw, as the hooks told it: for the table, the lines and the summary."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from scaler import RunnerState, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler import Job, Runner


@dataclass
class Times:
    """When a job or a runner came to each of its states; trio's clock."""

    states: dict[str, float] = field(default_factory=dict)

    def took(self, first: str, last: str) -> float | None:
        """Seconds from one state to another, where both came."""
        if first in self.states and last in self.states:
            return self.states[last] - self.states[first]
        return None


class Record:
    """Filled by the demo's plugin. `line` is called with every step, in words, escaped."""

    def __init__(self, line: Callable[[str], None]) -> None:
        self._show = line
        self.began = trio.current_time()
        self.jobs: dict[tuple[str, str], Times] = {}
        self.runners: dict[int, Times] = {}
        self.done = 0
        self.machines = 0
        self.gone = 0
        self.dashboard = ""

    def job(self, job: Job, before: Job | None) -> None:
        """A job took a step."""
        times = self.jobs.setdefault((job.profile, job.id), Times())
        if before is not None and before.state == job.state:
            return
        if before is None:  # one message may bring both its arrival and its start
            times.states["assigned"] = trio.current_time()
        times.states[job.state] = trio.current_time()
        self.done += job.state == "done"
        where = f" on {job.runner_name}" if job.runner_name else ""
        how = f", {job.result}" if job.result else ""
        self._line(f"job    {job.id} {job.name} ({job.profile}): {job.state}{where}{how}")

    def runner(self, runner: Runner, before: Runner | None) -> None:
        """A runner took a step."""
        times = self.runners.setdefault(runner.id, Times())
        if runner.machine is not None and (before is None or before.machine is None):
            self.machines += 1
        if before is not None and before.state is runner.state:
            return
        times.states[runner.state] = trio.current_time()
        self.gone += runner.state is RunnerState.GONE and runner.machine is not None
        why = f", {runner.reason}" if runner.reason else ""
        self._line(f"runner {runner.name}: {runner.state}{why}")

    def _line(self, text: str) -> None:
        self._show(printable(text))

    def summary(self, left: int) -> list[str]:
        """The demo in a few lines; `left` is how many machines are still there."""
        waits = [
            wait
            for times in self.jobs.values()
            if (wait := times.took("assigned", "running")) is not None
        ]
        lines = [
            f"{trio.current_time() - self.began:.0f} s: {len(self.jobs)} jobs came,"
            f" {len(waits)} started, {self.done} done;"
            f" {self.machines} machines made, {self.gone} gone again, {left} left as they were"
        ]
        if waits:
            lines.append(
                f"from a job's arrival to its start: {statistics.median(waits):.1f} s in the"
                f" middle, {max(waits):.1f} s at most (of that, booting takes 0.6 to 1.8 s)"
            )
        return lines
