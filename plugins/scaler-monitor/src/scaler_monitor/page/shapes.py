"""Small pictures of numbers, as what an SVG element needs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scaler import RunnerState
from scaler_monitor.page.history import KEPT, Sample

WIDTH = 240.0  # of a bar and of a history, in units of their own
HEIGHT = 48.0  # of a history

GROUPS: Mapping[str, tuple[RunnerState, ...]] = {
    "busy": (RunnerState.BUSY,),
    "reserved": (RunnerState.RESERVED,),
    "idle": (RunnerState.IDLE,),
    "starting": (RunnerState.PLANNED, RunnerState.REGISTERED, RunnerState.BOOTING),
    "held": (RunnerState.HELD,),
    "ending": (RunnerState.RETIRING,),
}


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a bar: runners of one kind."""

    kind: str
    number: int
    x: float
    width: float


@dataclass(frozen=True, kw_only=True)
class Bar:
    """Runners by kind against a target.

    Attributes:
        target: Where the target's mark stands.
    """

    parts: tuple[Part, ...]
    target: float


@dataclass(frozen=True, kw_only=True)
class Line:
    """A history: points of lines and an area, as SVG writes them."""

    alive: str
    busy: str
    target: str
    text: str


def kind(state: RunnerState) -> str:
    """The word for a state on the page."""
    return next((name for name, states in GROUPS.items() if state in states), "ending")


def by_kind(counts: Mapping[str, int]) -> dict[str, int]:
    """Runners by kind, zeros included."""
    return {name: sum(counts.get(state, 0) for state in states) for name, states in GROUPS.items()}


def bar(counts: Mapping[str, int], target: int) -> Bar:
    """Runners against a target; what is no supply any more stands behind the rest."""
    most = max(sum(counts.values()), target, 1)
    parts, x = [], 0.0
    for name, number in by_kind(counts).items():
        if number:
            width = WIDTH * number / most
            parts.append(Part(kind=name, number=number, x=round(x, 2), width=round(width, 2)))
            x += width
    return Bar(parts=tuple(parts), target=round(WIDTH * target / most, 2))


def line(samples: Sequence[Sample], seconds: float) -> Line | None:
    """The history of a profile; None where there is nothing to draw yet.

    Args:
        samples: Oldest first; the newest stands at the right edge.
        seconds: Between two of them.
    """
    if len(samples) < 2:
        return None
    most = max(1, *(max(each.alive, each.target) for each in samples))
    start = KEPT - len(samples)
    live, busy, targets = (
        _points([getattr(each, name) for each in samples], start, most)
        for name in ("alive", "busy", "target")
    )
    left = live.partition(",")[0]
    return Line(
        alive=live,
        busy=f"{left},{HEIGHT:g} {busy} {WIDTH:g},{HEIGHT:g}",
        target=targets,
        text=_told(samples, seconds),
    )


def _points(values: Sequence[int], start: int, most: int) -> str:
    step = WIDTH / (KEPT - 1)
    room = HEIGHT - 4  # lines are not cut off at the edges
    points: list[tuple[float, float]] = []
    for number, value in enumerate(values, start):
        point = round(number * step, 1), round(HEIGHT - 2 - room * value / most, 1)
        if points and point[1] != points[-1][1]:
            points.append((point[0], points[-1][1]))  # counts jump, they do not glide
        points.append(point)
    flat = [
        point
        for index, point in enumerate(points)
        if not 0 < index < len(points) - 1
        or not points[index - 1][1] == point[1] == points[index + 1][1]
    ]
    return " ".join(f"{x:g},{y:g}" for x, y in flat)


def _told(samples: Sequence[Sample], seconds: float) -> str:
    minutes = max(1, round((len(samples) - 1) * seconds / 60))
    live = _range([each.alive for each in samples])
    busy = _range([each.busy for each in samples])
    target = _range([each.target for each in samples])
    over = "the last minute" if minutes == 1 else f"the last {minutes} minutes"
    return f"Over {over}: {live} runners, {busy} of them busy; target {target}"


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"
