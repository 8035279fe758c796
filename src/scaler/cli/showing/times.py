"""Moments and lengths of time, short enough for a column."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def span(seconds: Any) -> str:
    """A length of time by its two largest units: `8s`, `3m12s`, `2h05m`, `3d4h`."""
    if not _number(seconds):
        return "?"
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02d}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02d}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR}h"


def since(time: Any, now: Any) -> str:
    """How long ago that was: `3m12s`; empty where it is not known."""
    if not (_number(time) and _number(now)):
        return ""
    return span(now - time)


def ago(time: Any, now: Any) -> str:
    """`3m12s ago`, or `in 3m12s`; empty where it is not known."""
    if not (_number(time) and _number(now)):
        return ""
    if time > now + 1:
        return f"in {span(time - now)}"
    return f"{span(now - time)} ago"


def clock(time: Any, now: Any = None) -> str:
    """A moment in UTC, to the second; without the date where that is also now's."""
    if not _number(time):
        return "?"
    try:
        when = datetime.fromtimestamp(time, UTC)
        today = _number(now) and datetime.fromtimestamp(now, UTC).date() == when.date()
    except (ValueError, OverflowError, OSError):
        return "?"
    return f"{when:%H:%M:%S} UTC" if today else f"{when:%Y-%m-%d %H:%M:%S} UTC"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
