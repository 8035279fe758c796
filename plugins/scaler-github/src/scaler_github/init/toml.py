"""Values as TOML writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
# what JSON leaves as it is, and TOML or a reader's eye must not meet
_ODD = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def key(text: str) -> str:
    """A key, in quotes where it needs them."""
    return text if _BARE.fullmatch(text) else string(text)


def dotted(path: Sequence[str]) -> str:
    """A key path, as it stands in a table's head."""
    return ".".join(map(key, path))


def string(text: str) -> str:
    """A basic string."""
    quoted = json.dumps(text, ensure_ascii=False)
    return _ODD.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def value(found: Any) -> str:
    """A value on one line: strings, whole numbers, true and false, lists and inline tables of them.

    Raises:
        TypeError: It is something else, which settings do not have.
    """
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, int):
        return str(found)
    if isinstance(found, str):
        return string(found)
    if isinstance(found, Mapping):
        inside = ", ".join(f"{key(name)} = {value(one)}" for name, one in found.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(found, Sequence):
        return f"[{', '.join(map(value, found))}]"
    raise TypeError(f"{type(found).__name__} is no value of the settings")


def lines(found: Any) -> list[str]:
    """The same, with each inline table of a list on a line of its own."""
    several = isinstance(found, Sequence) and not isinstance(found, str)
    if several and found and all(isinstance(each, Mapping) for each in found):
        return ["[", *(f"  {value(each)}," for each in found), "]"]
    return [value(found)]
