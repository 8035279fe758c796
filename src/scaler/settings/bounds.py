"""Bounds and patterns, as `msgspec.Meta` or `annotated_types` say them in an `Annotated`."""

from __future__ import annotations

import operator
import re
from typing import Any

_BOUNDS = {
    "ge": (operator.ge, "{} or more"),
    "gt": (operator.gt, "more than {}"),
    "le": (operator.le, "{} or less"),
    "lt": (operator.lt, "less than {}"),
}


def out_of_bounds(value: Any, meta: Any) -> str:
    """What is wanted of the value where it breaks a bound; empty where it keeps them all."""
    for name, (keeps, words) in _BOUNDS.items():
        bound = getattr(meta, name, None)
        if bound is not None and not keeps(value, bound):
            return words.format(type(value)(bound))
    shortest, longest = getattr(meta, "min_length", None), getattr(meta, "max_length", None)
    if shortest is not None and len(value) < shortest:
        return "one that is not empty" if shortest == 1 else f"a length of {shortest} or more"
    if longest is not None and len(value) > longest:
        return f"a length of {longest} or less"
    pattern = getattr(meta, "pattern", None)
    if pattern is not None and not re.search(pattern, value):
        return getattr(meta, "description", None) or f"a match for {pattern}"
    return ""
