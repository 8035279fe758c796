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

LONGEST_DELAY = 5000  # milliseconds


def arguments(text: str) -> argparse.ArgumentParser:
    """A command line with what every benchmark understands."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short run, for a first look")
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    return parser


def positive(text: str) -> int:
    """A whole number of at least 1, from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def several(text: str) -> list[int]:
    """Whole numbers of at least 1, separated by commas, from the command line."""
    return [positive(each.strip()) for each in text.split(",")]


def milliseconds(text: str) -> float:
    """A delay, from the command line."""
    try:
        found = float(text)
    except ValueError:  # no number is told like one that is out of bounds
        found = -1.0
    if not 0 <= found <= LONGEST_DELAY:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of milliseconds from 0 to {LONGEST_DELAY:,}"
        )
    return found


def directory(text: str) -> Path:
    """A folder that is there, from the command line."""
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text}")
    return Path(text)


def new_file(text: str) -> Path:
    """A file to be written, in a folder that is there, from the command line."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent}")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a folder")
    return path


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
    git = ["git", "-C", str(Path(__file__).parent)]
    command = [*git, "describe", "--always"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    # the figures themselves and the pages that show them do not count
    measured = (":/src", ":/plugins", ":(top,glob)benchmarks/**/*.py")
    command = [*git, "diff", "--quiet", "HEAD", "--", *measured]
    if subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 1:
        commit += "-dirty"
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
