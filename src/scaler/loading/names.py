"""Finding the name that was meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that looks most like this one; empty where none does."""
    by_folded = {_fold(other): other for other in known}
    close = difflib.get_close_matches(_fold(name), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean "Z"?)`, or nothing."""
    found = nearest(name, known)
    return f' (did you mean "{found}"?)' if found else ""


def _fold(name: str) -> str:
    return name.casefold().replace("-", "_")
