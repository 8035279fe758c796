"""Secrets taken out of plain data that a plugin shows to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def hidden(data: Mapping[str, Any], hide: Callable[[str], str]) -> dict[str, Any]:
    """A copy of plain data in which no text, and no key, has a secret."""
    return {hide(key): _value(each, hide) for key, each in data.items()}


def _value(value: Any, hide: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {
            hide(key) if isinstance(key, str) else key: _value(each, hide)
            for key, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return type(value)(_value(each, hide) for each in value)
    return value
