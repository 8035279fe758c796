"""Numbers and times in words, as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def span(seconds: float) -> str:
    """How long something has been going on, to the minute: what is shown changes that seldom."""
    minutes = int(max(0.0, seconds) // 60)
    if minutes < 1:
        return "under a minute"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def clock(time: float) -> str:
    """A time of day, where the day is plain."""
    return _moment(time).strftime("%H:%M:%S UTC") if _known(time) else "?"


def when(time: float, now: float) -> str:
    """A moment to the minute, with its day where that is not today."""
    if not _known(time) or not _known(now):
        return "?"
    moment = _moment(time)
    today = moment.date() == _moment(now).date()
    return moment.strftime("%H:%M UTC" if today else "%Y-%m-%d %H:%M UTC")


def coming(time: float, now: float) -> str:
    """How long it is until then."""
    return f"in {span(time - now)}" if time - now >= 60 else "now"


def stamp(time: float) -> str:
    """A moment, for programs."""
    return _moment(time).strftime("%Y-%m-%dT%H:%M:%SZ") if _known(time) else ""


def count(number: int, one: str, many: str = "") -> str:
    """A number of things."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def amount(resource: str, number: int) -> str:
    """How much of a resource: memory is told in bytes."""
    if "memory" not in resource and "disk" not in resource:
        return f"{number:,}"
    for unit, size in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20)):
        if number >= size:
            text = f"{number / size:.1f}".removesuffix(".0")
            return f"{text} {unit}"
    return f"{number:,} B"


def shortened(text: str, most: int = 300) -> str:
    """What has no known end, at most so many characters of it."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _moment(time: float) -> datetime:
    return datetime.fromtimestamp(time, UTC)


def _known(time: float) -> bool:
    return 0 <= time < 1e11
