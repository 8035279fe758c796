"""How long it took after each fault until jobs started again, told at the end of a run."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest
    from tests.faults.world import World

RECOVERY = "recovery"
FIGURES = "figures"  # texts that a test tells
_ROW = re.compile(r"test_(c\d\d)_")


def recoveries(world: World) -> list[float]:
    """The seconds of the clock from the end of each fault of a world until jobs started again.

    These are those that waited, as far as there may be machines for them (I9); a probe where none
    did. Making a machine and its boot is in it.
    """
    found = []
    for over, jobs in world._resumptions:
        wanted = min(world.most, len(jobs))
        started = world.oracle.started_at
        times = sorted(started[job] for job in jobs if started.get(job, -1.0) >= over)
        if 0 < wanted <= len(times):
            found.append(times[wanted - 1] - over)
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each row: how often, p50 and the longest; and what tests have counted."""
    rows: dict[str, list[float]] = defaultdict(list)
    texts: list[str] = []
    for report in terminalreporter.getreports("passed"):
        row = _ROW.search(report.nodeid)
        texts += [
            f"{report.nodeid.partition('::')[2]}: {text}"
            for name, text in report.user_properties
            if name == FIGURES and report.when == "call"
        ]
        for name, seconds in report.user_properties:
            if name == RECOVERY and report.when == "call" and isinstance(seconds, float):
                rows[row[1].upper() if row else "others"].append(seconds)
    if rows:
        terminalreporter.section("recovery, in simulated seconds")
        every = [seconds for times in rows.values() for seconds in times]
        for name, times in [*sorted(rows.items()), ("all", every)]:
            middle, longest = statistics.median(times), max(times)
            terminalreporter.line(
                f"{name:>6}: {len(times):4} faults, p50 {middle:5.1f}, max {longest:5.1f}"
            )
    if texts:
        terminalreporter.section("figures of faults")
        for text in sorted(texts):
            terminalreporter.line(text)
