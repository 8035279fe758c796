"""Draws the results: `results/*.json` to `results/*.svg`. Needs matplotlib (the extra `bench`).

    python benchmarks/plots.py

Text is text and the background is left to the page: middle tones read on white and on dark.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from bench import results
from monitor import GUEST_MS

try:
    import matplotlib as mpl
    import matplotlib.pyplot as plt
except ModuleNotFoundError:
    sys.exit("plots.py needs matplotlib: pip install -e '.[bench]' (in the checkout, in its .venv)")

GREY = "#737373"
PALE = "#73737355"
BLUE, SKY, ORANGE, GREEN, RED, PINK = (
    "#2f7fc1", "#6db3e8", "#e08a1e", "#1a9e77", "#d9603b", "#c065a8",
)  # fmt: skip
COLOURS = (BLUE, ORANGE, GREEN, RED, PINK, SKY)
LINES = (("wanted", "must", GREEN, "--"), ("sought", "hoped for", PINK, ":"))
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
    """Bars beside the listener's, logarithmic, with must, hoped for and the floor."""
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
                if number != 1:
                    continue
                for key_of, text, colour_of, dashes in LINES:
                    if row[key_of]:
                        ends = (place - 0.42, place + 0.42)
                        axes.hlines(row[key_of], *ends, color=colour_of, lw=1.2, ls=dashes,
                                    label=text if place == 0 else None)  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(top=45)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(
        range(len(places)), [f"{-jobs} jobs at once\n{delay * 1000:g} ms a request"
                             for jobs, delay in places]
    )  # fmt: skip
    axes.minorticks_off()
    axes.set_ylabel("seconds until all have started\n(logarithmic)")
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
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.8), width_ratios=(1.6, 1, 1))
    names = ("survey", "load", "look", "pass", "view", "plan")
    for name, colour in zip(names, COLOURS, strict=True):
        label = found["what"][name].removesuffix(", ms")
        left.plot(counts, [row[name] for row in rows], "o-", ms=4, color=colour, label=label)
    facts = [row["fact"] / 1000 for row in rows]
    left.plot(counts, facts, "o:", ms=4, color=GREY, label="one fact")
    left.set_title("time")
    left.set_ylabel("ms (logarithmic)")
    left.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.2), ncols=2, fontsize=9)
    middle.plot(counts, [row["mb"] for row in rows], "o-", ms=4, color=BLUE)
    middle.set_title("memory in all")
    middle.set_ylabel("MB (logarithmic)")
    right.plot(counts, [row["kb"] for row in rows], "o-", ms=4, color=ORANGE)
    right.set_title("memory a runner")
    right.set_ylabel("kB (logarithmic)")
    for axes in (left, middle, right):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.minorticks_off()
        axes.set_xlabel("runners (logarithmic)")
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
    axes.set_ylabel("µs a dispatch (logarithmic)")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def monitor(found: dict[str, Any]) -> None:
    """What a reserved runner costs by the number of runners, beside Servo's monitor."""
    axes = _axes(7.2, 3.8)
    kinds = (("github", "take", BLUE, "a take, all of it"),
             ("instant", "take", ORANGE, "without GitHub"),
             ("bare", "take", GREEN, "without GitHub and the disk"),
             ("github", "empty", GREY, "an empty request"))  # fmt: skip
    sizes: list[int] = []
    for kind, key, colour, label in kinds:
        rows = [row for row in found["takes"] if row["kind"] == kind]
        sizes = [row["runners"] for row in rows]
        axes.plot(sizes, [row[key] for row in rows], "o-", ms=4, color=colour, label=label)
    axes.plot(sizes, [GUEST_MS * size for size in sizes], "--", color=RED, label="Servo's monitor")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.set_xlabel("runners (logarithmic)")
    axes.set_ylabel("ms until the answer\n(logarithmic)")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _axes(width: float, height: float) -> Any:
    return plt.subplots(figsize=(width, height))[1]


def main() -> int:
    drawings: dict[str, Callable[[dict[str, Any]], None]] = {
        "burst": burst,
        "growth": growth,
        "hooks": hooks,
        "monitor": monitor,
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
