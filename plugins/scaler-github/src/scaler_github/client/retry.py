"""Trying again: the one place that decides when, for every call of the client."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

import trio

from scaler_github.client.classify import GitHubError, Kind, Verdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

# Of the first pause: 5 s, doubling to a minute, while another one holds the session; a minute for
# a missing right or a token that is refused again and again, since a person must act
_CONFLICT, _CONFLICT_MOST, _PERSON = 5.0, 60.0, 60.0
_WITHIN = 45.0  # the core waits a minute for what is asked for a runner
_REFUSALS = 3  # in a row, until it is a person's business


class Backoff:
    """Pauses with full jitter, from 1 to 30 s; what GitHub tells is kept to the letter.

    Args:
        choose: `random.uniform`, or a test's stand-in.
    """

    def __init__(
        self,
        first: float = 1.0,
        largest: float = 30.0,
        choose: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._first = first
        self._largest = largest
        self._choose = choose
        self.failures = 0
        self._conflicts = 0
        self._refusals = 0

    def reset(self) -> None:
        """A call succeeded."""
        self.failures = self._conflicts = self._refusals = 0

    @property
    def refused(self) -> bool:
        """Whether the last failure was that the credential is refused."""
        return self._refusals > 0

    def after(self, error: GitHubError) -> float:
        """Seconds to wait after this failure."""
        self.failures += 1
        refused = error.kind in {Kind.CREDENTIAL, Kind.REFRESH}
        self._refusals = self._refusals + 1 if refused else 0
        if error.kind is Kind.WAIT:
            # Never earlier than told; a little later, so that callers do not come back as one
            return error.wait + self._choose(0, min(1.0, error.wait / 10))
        if error.kind is Kind.CONFLICT:
            doubled = _CONFLICT * 2.0 ** min(self._conflicts, 10)
            self._conflicts += 1
            return self._first * min(_CONFLICT_MOST, doubled)
        self._conflicts = 0
        if self._refusals >= _REFUSALS:
            return self._first * _PERSON
        largest = min(self._largest, self._first * 2.0 ** min(self.failures, 10))
        return max(error.wait, self._choose(self._first / 2, largest))


async def repeat(
    call: Callable[[], Awaitable[T]],
    *,
    attempts: int = 3,
    patience: float = 10.0,
    within: float = _WITHIN,
    backoff: Backoff | None = None,
) -> T:
    """Make a call that may be made twice, until it succeeds or trying again is of no use.

    Only for calls without lasting effects or with effects that do not add up: reading, deleting.

    Args:
        patience: The longest pause that is waited out; a longer one raises at once.
        within: Seconds for all of it: whoever waits for the outcome has a deadline, too.
    """
    backoff = backoff or Backoff()
    last: GitHubError | None = None
    with trio.move_on_after(within):
        while True:
            try:
                return await call()
            except GitHubError as error:
                last = error
                pause = backoff.after(error)
                hopeless = error.kind not in {Kind.RETRY, Kind.WAIT}
                if hopeless or backoff.failures >= attempts or error.wait > patience:
                    raise
                await trio.sleep(min(pause, patience))
    raise last or GitHubError(Verdict(Kind.RETRY, f"GitHub did not answer within {within:g} s"))
