"""Writes the tables of README.md and plan.md from `results/*.json`.

    python benchmarks/report.py             write them
    python benchmarks/report.py --check     say whether they are as the results are; 1 if not

A table stands between `<!-- NAME -->` and `<!-- /NAME -->`; everything else is left alone.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import growth
import hooks
import ledger
import plan
import start
from bench import results

HERE = Path(__file__).parent
PAGES = (HERE / "README.md", HERE / "plan.md")
NOTHING = "*No figures yet.*"
BURST = ["flow", "jobs", "delay, ms", "**all started, s**", "runs between", "wanted", "sought",
         "floor", "listener", "times quicker", "median job, s", "listener's",
         "CPU s: scaler", "stand-in"]  # fmt: skip


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
        f"{results.table(BURST, rows)}\n\nThe stand-in alone answers {alone['rate']:,} requests a "
        f"second, at {alone['cost_us']:g} µs of CPU each."
    )


def requests(found: dict[str, Any]) -> str:
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
    return results.table(start.HEAD, [start.cells(*row) for row in found["rows"].items()])


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
    "requests": ("burst", requests),
    "plan": ("plan", _rows(plan.HEAD, plan.cells)),
    "start": ("start", _starts),
    "hooks": ("hooks", _hooks),
    "ledger": ("ledger", _rows(ledger.HEAD, ledger.cells)),
    "growth": ("growth", _growth),
    **{
        f"{n} machine": (n, machine)
        for n in ("burst", "plan", "start", "hooks", "ledger", "growth")
    },
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
    stale = [page for page in PAGES if filled(page.read_text()) != page.read_text()]
    for page in stale:
        if given.check:
            print(f"{page.name} is not as the results are: run python benchmarks/report.py")
        else:
            page.write_text(filled(page.read_text()))
            print(f"written: {page}")
    return int(given.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
