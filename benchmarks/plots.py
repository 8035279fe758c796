"""Draws the results: `results/*.json` to `results/*.svg`. Needs matplotlib (the extra `bench`).

    python benchmarks/plots.py

Text is text and the background is left to the page: middle tones read on white and on dark.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from bench import results

GREY = "#808080"
PALE = "#80808055"
BLUE, SKY, ORANGE, GREEN, RED, PINK = (
    "#2f7fc1", "#6db3e8", "#e08a1e", "#1a9e77", "#d9603b", "#c065a8",
)  # fmt: skip
COLOURS = (BLUE, ORANGE, GREEN, RED, PINK, SKY)
STYLE = {
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.labelcolor": GREY,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": GREY,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "grid.color": PALE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": GREY,
    "svg.fonttype": "none",
    "svg.hashsalt": "benchmarks",
    "text.color": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
}


def burst(found: dict[str, Any]) -> None:
    """Bars beside the listener's, on a logarithmic scale, with what was wanted and the floor."""
    rows = [row for row in found["rows"] if row["listener"] is not None]
    places = sorted({(-row["jobs"], row["delay"]) for row in rows})
    axes = _axes(7.2, 3.8)
    bars = (("GitHub's Go listener", None, GREY), ("scaler, jobs assigned", "assigned", BLUE),
            ("scaler, jobs offered", "offered", SKY))  # fmt: skip
    width = 0.26
    for number, (label, flow, colour) in enumerate(bars):
        for place, key in enumerate(places):
            row = _row(rows, key, flow)
            if row is None:
                continue
            at = place + (number - 1) * width
            height = row["listener"] if flow is None else row["all_started"]["median"]
            axes.bar(at, height, width * 0.9, color=colour, label=label if place == 0 else None)
            axes.annotate(f"{height:.2g}", (at, height), (0, 3), textcoords="offset points",
                          ha="center", color=GREY)  # fmt: skip
            if flow is not None:
                text = "floor: delays and boot alone" if (place, number) == (0, 1) else None
                axes.hlines(row["floor"], at - width * 0.45, at + width * 0.45, color=RED, lw=2,
                            label=text)  # fmt: skip
                if row["wanted"] and number == 1:
                    axes.hlines(row["wanted"], place - 0.42, place + 0.42, color=GREEN, lw=1.2,
                                ls="--", label="wanted" if place == 0 else None)  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(top=45)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(
        range(len(places)), [f"{-jobs} jobs at once\n{delay * 1000:g} ms a request"
                             for jobs, delay in places]
    )  # fmt: skip
    axes.minorticks_off()
    axes.set_ylabel("seconds until all have started")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _row(rows: list[dict[str, Any]], key: tuple[int, float], flow: str | None) -> Any:
    for row in rows:
        if (-row["jobs"], row["delay"]) == key and flow in (None, row["flow"]):
            return row
    return None


def growth(found: dict[str, Any]) -> None:
    """Time and memory by the number of runners, both logarithmic."""
    rows = found["rows"]
    counts = [row["runners"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.4, 3.8), width_ratios=(1.6, 1))
    names = ("survey", "load", "look", "pass", "view", "plan")
    for name, colour in zip(names, COLOURS, strict=True):
        label = found["what"][name].removesuffix(", ms")
        left.plot(counts, [row[name] for row in rows], "o-", ms=4, color=colour, label=label)
    facts = [row["fact"] / 1000 for row in rows]
    left.plot(counts, facts, "o:", ms=4, color=GREY, label="one fact")
    left.set_title("time, ms")
    left.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.2), ncols=2, fontsize=9)
    right.plot(counts, [row["mb"] for row in rows], "o-", ms=4, color=BLUE, label="MB in all")
    right.plot(counts, [row["kb"] for row in rows], "o-", ms=4, color=ORANGE, label="kB a runner")
    right.set_title("memory")
    right.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.2), fontsize=9)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.minorticks_off()
        axes.set_xlabel("runners")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_major_formatter("{x:g}")
    figure.tight_layout()


def hooks(found: dict[str, Any]) -> None:
    """The cost of a dispatch by the number of plugins, for each kind of delivery."""
    axes = _axes(7.2, 3.8)
    colours = dict(zip(("tell", "vote", "ask", "gather", "route"), COLOURS, strict=False))
    for row in found["rows"]:
        points = [(int(count), cost) for count, cost in row["us"].items() if int(count) > 0]
        if row["functions"] == "plain" and row["kind"] in colours:
            continue
        bare = row["kind"] not in colours
        dashes = ("--" if row["functions"] == "async" else ":") if bare else "-"
        axes.plot(*zip(*points, strict=True), dashes, marker="o", ms=4,
                  color=colours.get(row["kind"], GREY), label=row["kind"])  # fmt: skip
    axes.set_yscale("log")
    axes.set_xticks([1, 5, 10, 15, 20])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("plugins that implement the hook (coroutines that do nothing)")
    axes.minorticks_off()
    axes.set_ylabel("µs a dispatch")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _axes(width: float, height: float) -> Any:
    return plt.subplots(figsize=(width, height))[1]


def main() -> int:
    drawings: dict[str, Callable[[dict[str, Any]], None]] = {
        "burst": burst,
        "growth": growth,
        "hooks": hooks,
    }
    mpl.use("svg")
    for name, draw in drawings.items():
        found = results.load(name)
        if found is None:
            print(f"{name}: no results yet")
            continue
        with mpl.rc_context(STYLE):
            draw(found)
            path = results.FOLDER / f"{name}.svg"
            plt.savefig(path, bbox_inches="tight", metadata={"Date": None, "Creator": None})
            plt.close("all")
        print(f"drawn: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
