"""Times and amounts in words."""

from __future__ import annotations

import math
from datetime import UTC, datetime

_DAY = 86400.0


def moment(time: float, now: float) -> str:
    """A moment: `17:20 UTC`, with the day before it where that is another one."""
    try:
        when = datetime.fromtimestamp(time, UTC)
        today = datetime.fromtimestamp(now, UTC).date()
    except (ValueError, OverflowError, OSError):
        return "an unknown time"
    return f"{when:%H:%M} UTC" if when.date() == today else f"{when:%Y-%m-%d %H:%M} UTC"


def span(seconds: float) -> str:
    """A length of time, as exact as is of use: `12 s`, `14 min`, `3 h 5 min`, `2 d 3 h`."""
    if not math.isfinite(seconds):
        return "an unknown time"
    whole = max(0, round(seconds))
    if whole < 100:
        return f"{whole} s"
    if whole < 5400:
        return f"{round(whole / 60)} min"
    minutes = round(whole / 60)
    if whole < _DAY:
        return _two(minutes // 60, "h", minutes % 60, "min")
    hours = round(whole / 3600)
    return _two(hours // 24, "d", hours % 24, "h")


def ago(time: float, now: float) -> str:
    """A moment, and how long ago that is: `17:20 UTC (14 min ago)`."""
    if time > now:
        return moment(time, now)
    return f"{moment(time, now)} ({span(now - time)} ago)"


def count(number: int, one: str, many: str = "") -> str:
    """`1 job`, `3 jobs`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def _two(large: int, unit: str, small: int, part: str) -> str:
    return f"{large} {unit} {small} {part}" if small else f"{large} {unit}"
