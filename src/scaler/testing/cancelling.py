"""Where to cancel a call: at each await, or, where there are too many, at some of all."""

from __future__ import annotations

MOST = 40  # places at which a call is cancelled


def points(awaits: int, most: int = MOST) -> list[int]:
    """Up to so many of 1 to `awaits`, spread evenly, with the first and the last."""
    if awaits <= most:
        return list(range(1, awaits + 1))
    return sorted({1 + round(each * (awaits - 1) / (most - 1)) for each in range(most)})
