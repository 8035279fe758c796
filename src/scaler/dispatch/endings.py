"""What a call's error means: an expected outcome, a fault, or a cancellation from outside."""

from __future__ import annotations

from dataclasses import dataclass

import trio

from scaler.errors import Outcome


@dataclass(frozen=True)
class Ending:
    """What is in an error.

    Attributes:
        cancelled: A cancellation that goes on upwards is in it.
        outcome: An expected outcome, and nothing else beside a cancellation.
        fault: What is the plugin's own.
    """

    cancelled: bool = False
    outcome: Outcome | None = None
    fault: BaseException | None = None


def read(error: BaseException, cancelled: bool) -> Ending:
    """Tell what an error is; `cancelled` where a cancellation was to be expected.

    A `trio.Cancelled` that comes out where nothing was cancelled is a fault: it was kept from an
    earlier cancellation, or made by hand.
    """
    rest: BaseException | None = error
    if cancelled:
        if isinstance(error, trio.Cancelled):
            return Ending(cancelled=True)
        if isinstance(error, BaseExceptionGroup):
            _, rest = error.split(trio.Cancelled)
            if rest is None:
                return Ending(cancelled=True)
    assert rest is not None
    found = rest is not error
    if (outcome := only_outcome(rest)) is not None:
        return Ending(found, outcome=outcome)
    return Ending(found, fault=rest)


def only_outcome(error: BaseException) -> Outcome | None:
    """The expected outcome inside an exception group that holds nothing else."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, Outcome) else None
