"""What a call's error means: an expected outcome, a fault, or a cancellation from outside."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from scaler.dispatch.plain import WrongOutcomeError, plain
from scaler.dispatch.words import said
from scaler.errors import Outcome

if TYPE_CHECKING:
    from types import CodeType

    from scaler.hooks import Contract

LONGEST_TRACEBACK = 100_000  # characters of what is logged of one error


@dataclass(frozen=True)
class Ending:
    """What is in an error.

    Attributes:
        cancelled: A cancellation that goes on upwards is in it.
        outcome: An expected outcome, and nothing else beside a cancellation.
        fault: What is the plugin's own. It can be printed.
        text: What it is, in words; of a fault.
    """

    cancelled: bool = False
    outcome: Outcome | None = None
    fault: BaseException | None = None
    text: str = ""


def read(error: BaseException, cancelled: bool, terms: Contract) -> Ending:
    """Tell what an error is; `cancelled` where a cancellation was to be expected.

    A `trio.Cancelled` that comes out where nothing was cancelled is a fault: it was kept from an
    earlier cancellation, or made by hand. To be called in the plugin's own time: an error may do
    anything when looked at. Afterwards none of that is looked at again.
    """
    try:
        return _read(error, cancelled, terms)
    except BaseException:
        text = f"raised {type.__dict__['__name__'].__get__(type(error))} (which cannot be read)"
        return Ending(fault=RuntimeError(text), text=text)


def _read(error: BaseException, cancelled: bool, terms: Contract) -> Ending:
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
        try:
            return Ending(found, outcome=plain(outcome, terms))
        except WrongOutcomeError as wrong:
            return Ending(found, fault=_printable(rest), text=str(wrong))
    text = f"raised {said(rest)}"
    if isinstance(rest, trio.Cancelled):
        text = "raised Cancelled, though nothing was cancelled"
    return Ending(found, fault=_printable(rest), text=text)


def _printable(error: BaseException) -> BaseException:
    """It, or where it cannot be printed, or only at great length, one in its place."""
    try:
        if sum(map(len, traceback.format_exception(error))) <= LONGEST_TRACEBACK:
            return error
    except BaseException:  # of its `__notes__`, for example
        return RuntimeError(f"{said(error)} (whose traceback cannot be printed)")
    return RuntimeError(said(error)).with_traceback(error.__traceback__)


def only_outcome(error: BaseException) -> Outcome | None:
    """The expected outcome inside an exception group that holds nothing else."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, Outcome) else None


def cut(error: BaseException, code: CodeType) -> None:
    """Forget what earlier calls have added to an error that is raised again and again.

    Args:
        error: As it was caught.
        code: Of the function that has caught it, then and now.
    """
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        if step.tb_next.tb_frame.f_code is code:
            step.tb_next = None
        step = step.tb_next
