"""What the work in hand is about: every record that is logged meanwhile says so."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})

#: By the names of a record's facts. It is of a task, and of the threads that the task waits for;
#: whoever sets it has a task of its own.
ABOUT: ContextVar[Mapping[str, Any]] = ContextVar("scaler.about", default=_NOTHING)

#: Secrets that the work in hand was given: no record that is logged meanwhile shows them.
GIVEN: ContextVar[tuple[str, ...]] = ContextVar("scaler.given", default=())


def without(text: str, secrets: tuple[str, ...]) -> str:
    """The text with `***` in place of these."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
