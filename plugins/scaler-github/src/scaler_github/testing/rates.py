"""How much a credential may ask of the REST API: by the hour, by the minute, and at once."""

from __future__ import annotations

import math
from collections import Counter, deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler_github.testing.errors import RestRefusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scaler_github.testing.options import Options

CORE, REGISTRATION = "core", "actions_runner_registration"
#: Calls an hour, by resource.
LIMITS = {CORE: 5000, REGISTRATION: 10_000}
#: Whose budget a request without a good credential is counted on.
ANONYMOUS = ""
_ANONYMOUS_LIMIT = 60
_HOUR, _MINUTE = 3600.0, 60.0


@dataclass(slots=True)
class RateLimit:
    """An hourly budget; change it at will.

    Attributes:
        limit: calls an hour.
        used: calls since the last reset.
        reset: when `used` starts again at 0, in seconds since the epoch.
        resource: which calls it is for.
    """

    limit: int = 5000
    used: int = 0
    reset: float = 0.0
    resource: str = CORE

    @property
    def remaining(self) -> int:
        """Calls that are left."""
        return max(0, self.limit - self.used)


class Budgets:
    """The budgets of all credentials; an account is a user, an installation, or an App."""

    def __init__(self, now: Callable[[], float], options: Options) -> None:
        self._now = now
        self._options = options
        self._budgets: dict[tuple[str, str], RateLimit] = {}
        self._points: dict[str, deque[tuple[float, int]]] = {}
        self._closed: dict[str, float] = {}
        self._running: Counter[str] = Counter()

    def of(self, account: str, resource: str = CORE) -> RateLimit:
        """The budget of an account for a resource, as it is now."""
        if account == ANONYMOUS:
            resource = CORE
        budget = self._budgets.get((account, resource))
        if budget is None:
            limit = _ANONYMOUS_LIMIT if account == ANONYMOUS else LIMITS[resource]
            budget = self._budgets[account, resource] = RateLimit(limit, resource=resource)
        if self._now() >= budget.reset:
            budget.used, budget.reset = 0, self._now() + _HOUR
        return budget

    def close(self, account: str, seconds: float) -> None:
        """Put an account under a secondary limit for so long, whatever it has asked."""
        self._closed[account] = self._now() + seconds

    @contextmanager
    def running(self, account: str) -> Iterator[None]:
        """One request of an account is being answered."""
        self._running[account] += 1
        try:
            yield
        finally:
            self._running[account] -= 1

    def spend(self, account: str, resource: str, method: str) -> None:
        """Count one request; raises `RestRefusal` when a limit is reached."""
        budget = self.of(account, resource)
        if budget.remaining == 0:
            raise RestRefusal(self._options.limit_status, f"API rate limit exceeded for {account}.")
        seconds = self._secondary(account, 1 if method in {"GET", "HEAD", "OPTIONS"} else 5)
        if seconds > 0:
            told = {"retry_after": str(math.ceil(seconds))} if self._options.secondary_told else {}
            raise RestRefusal(
                self._options.secondary_status,
                "You have exceeded a secondary rate limit. Please wait a few minutes before "
                "you try again.",
                **told,
            )
        budget.used += 1

    def _secondary(self, account: str, cost: int) -> float:
        """Seconds until a request of this cost is within the secondary limits."""
        now, most = self._now(), self._options.points_per_minute
        if now < self._closed.get(account, 0.0):
            return self._closed[account] - now
        if self._options.concurrent is not None and (
            self._running[account] > self._options.concurrent
        ):
            return _MINUTE
        spent = self._points.setdefault(account, deque())
        while spent and spent[0][0] <= now - _MINUTE:
            spent.popleft()
        if most is not None and sum(points for _, points in spent) + cost > most:
            return spent[0][0] + _MINUTE - now if spent else _MINUTE
        spent.append((now, cost))
        return 0.0
