"""A value that ends: renewed in time, by one caller while the others wait for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import trio

from scaler_github.client.classify import GitHubError, Kind, Verdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

_EARLY = 60.0  # renewed this many seconds before it ends, where it lasts long enough
_PATIENCE = 40.0  # seconds for one renewal, all its steps together
_KEPT_AFTER_FAILURE = 30.0  # while the old one is good, a failed renewal is not repeated at once


@dataclass(frozen=True, slots=True)
class Lease(Generic[T]):
    """A value and how long it is good; times are trio's.

    Attributes:
        due: When it should be renewed; it is still good until `ends`.
    """

    value: T = field(repr=False)
    due: float
    ends: float

    @classmethod
    def lasting(cls, value: T, lifetime: float, early: float = _EARLY) -> Lease[T]:
        """A value that is good for so many seconds from now."""
        now = trio.current_time()
        return cls(value, now + lifetime - min(early, lifetime / 4), now + lifetime)


class Renewed(Generic[T]):
    """Keeps a lease, and renews it. Safe to use from many tasks.

    Args:
        renew: Answers a new lease, or raises GitHubError.
        slow: For how many seconds a failure is answered again without asking, by the failure and
            by how many there were in a row. Each caller tries again at its own pace, and together
            they would be a storm.
    """

    def __init__(
        self,
        renew: Callable[[], Awaitable[Lease[T]]],
        slow: Callable[[GitHubError, int], float],
    ) -> None:
        self._renew = renew
        self._slow = slow
        self._lock = trio.Lock()
        self._lease: Lease[T] | None = None
        self._flights = 0
        self._made_from = 0
        self._failure: GitHubError | None = None
        self._failures = 0
        self._failed_at = -_KEPT_AFTER_FAILURE

    def forget(self) -> None:
        """What it is made from has changed: renew at the next call, also after a failure."""
        self._lease = self._failure = None
        self._failed_at = -_KEPT_AFTER_FAILURE
        self._failures = 0
        self._made_from += 1

    async def get(self, refused: T | None = None) -> T:
        """The value.

        Args:
            refused: One that GitHub just answered 401 to: it is not answered again.

        Raises:
            GitHubError: There is none, and none can be had.
        """
        if (good := self._good(refused)) is not None:
            return good.value
        seen = self._flights
        async with self._lock:
            if (good := self._good(refused)) is not None:
                return good.value
            failure = self._failure
            if failure is not None and (self._flights != seen or self._too_soon(failure)):
                raise GitHubError(failure.verdict)  # the flight that we waited for
            self._failure = None  # one that is cancelled has no outcome for those who wait
            made_from = self._made_from
            try:
                lease = await self._within_patience()
                self._failures = 0
                if made_from == self._made_from:
                    self._lease = lease
                return lease.value
            except GitHubError as error:
                self._failure, self._failed_at = error, trio.current_time()
                self._failures += error.kind is not Kind.WAIT
                old = self._lease
                if old is None or old.value is refused or old.ends <= trio.current_time():
                    raise
                return old.value  # it is good for a while yet: the next caller tries again
            finally:
                self._flights += 1

    async def _within_patience(self) -> Lease[T]:
        """Renew, before the deadline of whoever waits for it breaks it off without an outcome."""
        with trio.move_on_after(_PATIENCE):
            return await self._renew()
        raise GitHubError(Verdict(Kind.RETRY, f"GitHub gave no token within {_PATIENCE:g} s"))

    def _good(self, refused: T | None) -> Lease[T] | None:
        lease = self._lease
        if lease is None or (refused is not None and lease.value is refused):
            return None
        now = trio.current_time()
        recently_failed = now < self._failed_at + _KEPT_AFTER_FAILURE
        return lease if now < (lease.ends if recently_failed else lease.due) else None

    def _too_soon(self, failure: GitHubError) -> bool:
        return trio.current_time() < self._failed_at + self._slow(failure, self._failures)


def growing(error: GitHubError, failures: int) -> float:
    """Seconds after which it is tried again: 1, doubling to 30; a limit is kept by `Limits`."""
    return 0.0 if error.kind is Kind.WAIT else min(30.0, 0.5 * 2.0 ** min(failures, 10))
