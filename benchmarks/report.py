"""Writes the tables of README.md, plan.md and docs/explanation/transport.md from `results/*.json`.

    python benchmarks/report.py             write them
    python benchmarks/report.py --check     say whether they are as the results are; 1 if not

A table, with what is reached of what was aimed at, stands between `<!-- NAME -->` and
`<!-- /NAME -->`; everything else is left alone.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import growth
import hooks
import ledger
import monitor
import plan
import requests
import start
from bench import results

HERE = Path(__file__).parent
PAGES = (
    HERE / "README.md",
    HERE / "plan.md",
    HERE.parent / "docs" / "explanation" / "transport.md",
)
SOURCES = ("burst", "plan", "start", "hooks", "ledger", "growth", "transport", "requests",
           "monitor")  # fmt: skip
NOTHING = "*No figures yet.*"
BURST = ["flow", "jobs", "delay, ms", "**all started, s**", "min–max, s", "must, s",
         "hoped for, s", "floor, s", "listener, s", "listener ÷ scaler", "median job, s",
         "listener's median job, s", "CPU s: scaler", "CPU s: stand-in"]  # fmt: skip
TRANSPORT = ["client", "plain / TLS", "tasks", "CPU µs a request", "requests a second"]
CONNECTED = ["client", "plain / TLS", "connections", "cold, s", "cold, CPU s", "warm, s",
             "warm, CPU s"]  # fmt: skip


@dataclass(frozen=True)
class Aim:
    """A figure beside what it should be at most, and what is known of why it is more."""

    text: str
    figure: float
    most: float
    unit: str
    least: float | None = None
    why: str = ""

    @property
    def reached(self) -> bool:
        """Whether it is."""
        return self.figure <= self.most

    def __str__(self) -> str:
        found = f"{self.text}: {self.figure:,.4g} of {self.most:,g} {self.unit}".rstrip()
        why = [self.why] if self.why else []
        if self.least is not None and self.least <= self.most:
            why.append(f"the best run, {self.least:,.4g}, is within it")
        return found if self.reached or not why else f"{found} ({'; '.join(why)})"


def reached(aims: Sequence[Aim], found: dict[str, Any]) -> str:
    """Which aims are reached, and which are not, and why."""
    good, bad = [one for one in aims if one.reached], [one for one in aims if not one.reached]
    lines = []
    if good:
        lines.append(f"Reached: {'; '.join(map(str, good))}.")
    if bad:
        lines += ["Not reached:", "\n".join(f"- {one}" for one in bad)]
    given = found["machine"]
    if bad and given["load"] > given["cores"]:
        lines.append(
            f"The machine was busy: load {given['load']:g} on {given['cores']} cores when it ended."
        )
    return "\n\n".join(lines)


def burst(found: dict[str, Any]) -> str:
    """Bursts beside GitHub's listener."""
    rows = []
    for row in found["rows"]:
        started, peer = row["all_started"], row["listener"]
        rows.append(
            [
                row["flow"],
                row["jobs"],
                f"{row['delay'] * 1000:g}",
                f"**{started['median']:.2f}**",
                f"{started['min']:.2f}–{started['max']:.2f}",
                _or(row["wanted"]),
                _or(row["sought"]),
                f"{row['floor']:.2f}",
                _or(peer),
                "" if peer is None else f"{peer / started['median']:.1f}",
                f"{row['median_job']['median']:.2f}",
                _or(row["listener_median"]),
                f"{row['scaler_cpu']['median']:.2f}",
                f"{row['hub_cpu']['median']:.2f}",
            ]
        )
    alone = found["stand_in"]
    return (
        f"{results.table(BURST, rows)}\n\n{reached(_burst_aims(found), found)}\n\nThe stand-in "
        f"alone answers {alone['rate']:,} requests a second, at {alone['cost_us']:g} µs of CPU "
        "each."
    )


def _burst_aims(found: dict[str, Any]) -> list[Aim]:
    aims = []
    for row in found["rows"]:
        where = f"{row['jobs']} jobs {row['flow']}, {row['delay'] * 1000:g} ms"
        started, used = row["all_started"], row["scaler_cpu"]["median"]
        for word, key in (("must", "wanted"), ("hoped for", "sought")):
            if (most := row[key]) is None:
                continue
            why = f"scaler's own processor time is {used:.2f} s" if used > most else ""
            aims.append(
                Aim(f"{where}, {word}", round(started["median"], 2), most, "s",
                    round(started["min"], 2), why)
            )  # fmt: skip
    return aims


def _burst_requests(found: dict[str, Any]) -> str:
    """What was asked of GitHub, until all have started and until nothing is left."""
    kinds = ("JIT config", "acquire", "poll", "delete message", "remove runner")
    head = ["flow, jobs, delay", *kinds]
    rows = [
        [
            f"{row['flow']}, {row['jobs']}, {row['delay'] * 1000:g} ms",
            *(f"{row['requests'].get(k, 0)} / {row['requests_done'].get(k, 0)}" for k in kinds),
        ]
        for row in found["rows"]
    ]
    return results.table(head, rows)


def machine(found: dict[str, Any]) -> str:
    """Where the figures are from."""
    given = found["machine"]
    return (
        f"{given['date']}, commit {given['commit']}, Python {given['python']}, "
        f"{given['cores']} cores, load {given['load']:g} when it ended"
    )


def _or(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _rows(head: list[str], cells: Callable[[Any], list[str]]) -> Callable[[dict[str, Any]], str]:
    return lambda found: results.table(head, [cells(row) for row in found["rows"]])


def _starts(found: dict[str, Any]) -> str:
    shown = results.table(start.HEAD, [start.cells(*row) for row in found["rows"].items()])
    aims = [
        Aim(text, row["median"], float(most.replace(",", "")), "", row["min"])
        for name, row in found["rows"].items()
        for text, most in [start.TEXTS[name]]
        if most
    ]
    return f"{shown}\n\n{reached(aims, found)}"


def _plan(found: dict[str, Any]) -> str:
    shown = results.table(plan.HEAD, [plan.cells(row) for row in found["rows"]])
    aims = [
        Aim(f'"{row["situation"]}"', row["median_ms"], plan.AIM, "ms", row["best_ms"])
        for row in found["rows"]
        if row["situation"] in plan.AIMED
    ]
    return f"{shown}\n\n{reached(aims, found)}"


def _transport(found: dict[str, Any]) -> str:
    keys = ("client", "kind", "tasks", "us", "per_second")
    return results.table(TRANSPORT, [[row[key] for key in keys] for row in found["rows"]])


def _connected(found: dict[str, Any]) -> str:
    keys = ("cold_s", "cold_cpu_s", "warm_s", "warm_cpu_s")
    rows = [
        [row["client"], row["kind"], row["connections"], *(f"{row[key]:.2f}" for key in keys)]
        for row in found["burst"]
    ]
    return results.table(CONNECTED, rows)


def _per_job(found: dict[str, Any]) -> str:
    shown = results.table(requests.HEAD, [requests.cells(row) for row in found["rows"]])
    return f"{shown}\n\n{reached([Aim(*aim) for aim in requests.aims(found)], found)}"


def _without_jobs(found: dict[str, Any]) -> str:
    shown = results.table(requests.IDLE_HEAD, [requests.idle_cells(row) for row in found["idle"]])
    return f"{shown}\n\n{reached([Aim(*aim) for aim in requests.idle_aims(found)], found)}"


def _takes(found: dict[str, Any]) -> str:
    return results.table(monitor.TAKES_HEAD, [monitor.take_cells(row) for row in found["takes"]])


def _pages(found: dict[str, Any]) -> str:
    shown = results.table(monitor.DATA_HEAD, [monitor.data_cells(row) for row in found["data"]])
    aims = reached([Aim(*aim) for aim in monitor.aims(found)], found)
    return f"{shown}\n\n{monitor.rest(found)}\n\n{aims}"


def _hooks(found: dict[str, Any]) -> str:
    counts = [str(count) for count in found["counts"]]
    rows = [
        [row["kind"], row["functions"], *(row["us"].get(count, "") for count in counts)]
        for row in found["rows"]
    ]
    return results.table(hooks.HEAD, rows)


def _growth(found: dict[str, Any]) -> str:
    head = ["what", *(f"{row['runners']:,}" for row in found["rows"])]
    cells = [
        [text, *(f"{row[name]:,.4g}" for row in found["rows"])]
        for name, text in growth.WHAT.items()
    ]
    return results.table(head, cells)


#: By the marker's name: whose results, and how they are shown.
TABLES: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "burst": ("burst", burst),
    "requests": ("burst", _burst_requests),
    "plan": ("plan", _plan),
    "start": ("start", _starts),
    "hooks": ("hooks", _hooks),
    "ledger": ("ledger", _rows(ledger.HEAD, ledger.cells)),
    "growth": ("growth", _growth),
    "requests per job": ("requests", _per_job),
    "requests while idle": ("requests", _without_jobs),
    "monitor takes": ("monitor", _takes),
    "monitor pages": ("monitor", _pages),
    "transport": ("transport", _transport),
    "transport burst": ("transport", _connected),
    **{f"{n} machine": (n, machine) for n in SOURCES},
}


def filled(text: str, *, folder: Path = results.FOLDER) -> str:
    """A page with its tables as the results are."""

    def table(match: re.Match[str]) -> str:
        name = match["name"]
        source, show = TABLES[name]
        found = results.load(source, folder=folder)
        shown = NOTHING if found is None else show(found)
        return f"<!-- {name} -->\n{shown}\n<!-- /{name} -->"

    return re.sub(
        r"<!-- (?P<name>[\w ]+) -->\n.*?<!-- /(?P=name) -->", table, text, flags=re.DOTALL
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    given = parser.parse_args()
    if not any((results.FOLDER / f"{name}.json").exists() for name in SOURCES):
        print(f"there are no results in {results.FOLDER}: run a benchmark with --save first")
        return 1
    stale = [page for page in PAGES if filled(page.read_text()) != page.read_text()]
    for page in stale:
        if given.check:
            print(f"{page.name} is not as the results are: run python benchmarks/report.py")
        else:
            page.write_text(filled(page.read_text()))
            print(f"written: {page}")
    if not stale:
        *first, last = (page.name for page in PAGES)
        print(f"{', '.join(first)} and {last} are as the results are")
    return int(given.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
