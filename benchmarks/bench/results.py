"""Results of a benchmark: with the machine they come from, as a file that the report is made of."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("BENCH_RESULTS") or Path(__file__).parent.parent / "results")


def arguments(text: str) -> argparse.ArgumentParser:
    """A command line with what every benchmark understands."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short run, for a first look")
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    return parser


def save(name: str, figures: dict[str, Any], *, folder: Path = FOLDER) -> None:
    """Write a benchmark's figures down."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **figures}, indent=1) + "\n")
    print(f"written: {path}")


def load(name: str, *, folder: Path = FOLDER) -> dict[str, Any] | None:
    """The figures as they were kept, or None."""
    path = folder / f"{name}.json"
    return dict(json.loads(path.read_text())) if path.exists() else None


def machine() -> dict[str, Any]:
    """Where and when the figures were taken."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }


def spread(values: Sequence[float], digits: int = 4) -> dict[str, float]:
    """Median, least and most of several runs."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
    }


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown; the first column is text, the others are numbers."""
    lines = [f"| {' | '.join(head)} |", f"|---{'|--:' * (len(head) - 1)}|"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines)
