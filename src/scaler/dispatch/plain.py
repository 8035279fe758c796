"""An expected outcome as scaler's own: a plugin's may be of any class, and hold anything."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from scaler.dispatch.answers import judged
from scaler.dispatch.turns import HangingError
from scaler.dispatch.words import told
from scaler.errors import Busy, Gone, Incomplete, NoRoom, Outcome, Refused, Unavailable

if TYPE_CHECKING:
    from scaler.hooks import Contract

LONGEST_REST = 3600.0  # seconds of `retry_after`: an epoch in its place would be for ever
LONGEST_CODE = 100  # characters


class WrongOutcomeError(Exception):
    """What it holds is not what it may hold. The text says so."""


def plain(outcome: Outcome, terms: Contract) -> Outcome:
    """What an outcome says, of a class of scaler's own.

    Raises:
        WrongOutcomeError: A field of it is wrong.
    """
    if type(outcome) is HangingError:  # scaler's own
        return outcome
    text = told(outcome)
    if isinstance(outcome, Unavailable):
        rest = _rest(outcome)
        if not isinstance(outcome, Incomplete) or not terms.many:
            return Unavailable(text, rest)
        listed, trouble = judged(terms, outcome.listed)
        if trouble:
            raise WrongOutcomeError(f"raised Incomplete, and what it lists is wrong: {trouble}")
        return Incomplete(listed, text, rest)
    if isinstance(outcome, Refused):
        if not isinstance(outcome.code, str):
            raise _wrong(outcome, "code", "text")
        return Refused(str.__getitem__(outcome.code, slice(LONGEST_CODE)), text)
    kind = next((kind for kind in (Busy, Gone, NoRoom) if isinstance(outcome, kind)), Outcome)
    return kind(text)


def _rest(outcome: Unavailable) -> float | None:
    rest: Any = outcome.retry_after
    if rest is None:
        return None
    if isinstance(rest, bool) or not isinstance(rest, (int, float)):
        raise _wrong(outcome, "retry_after", "seconds as a number")
    if not (math.isfinite(rest) and rest >= 0):
        raise _wrong(outcome, "retry_after", "seconds, from 0 up")
    return min(float(rest), LONGEST_REST)


def _wrong(outcome: Outcome, name: str, wanted: str) -> WrongOutcomeError:
    found = type(getattr(outcome, name)).__name__
    kind = type(outcome).__name__
    return WrongOutcomeError(f"raised {kind} with a wrong {name} ({found}), wanted {wanted}")
