"""What one run may cost, and which answers are given again without asking GitHub.

In memory alone: after a start everybody begins anew, and the core still knows who was granted what.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Generic, TypeVar

import trio

from scaler import Refused, Selection, Unavailable
from scaler_github.selecting.codes import REMEMBERED, Code, refused

if TYPE_CHECKING:
    from collections.abc import Hashable

    from scaler_github.selecting.query import Query

T = TypeVar("T")

LOOKS = 30  # of one run within a minute
_MINUTE, _HOUR = 60.0, 3600.0
_GRANTED = 15.0  # seconds for which a yes is given again
_MOST = 10_000  # runs or requests that are remembered, of each kind


class Spending:
    """The accounts of all runs.

    Args:
        per_run: Reservations that one run may be granted within an hour.
    """

    def __init__(self, per_run: int) -> None:
        self._per_run = per_run
        self._noes = _Kept[tuple[str, str]]()
        self._yeses = _Kept[Selection]()
        self._looks = _Kept[deque[float]]()
        self._grants = _Kept[dict[str, float]]()

    def renew(self, per_run: int) -> None:
        """Go by other rules: what was granted still counts, and what was answered is not repeated.

        Args:
            per_run: As when it was made.
        """
        self._per_run = per_run
        self._noes, self._yeses = _Kept(), _Kept()

    def known(self, query: Query) -> Selection | None:
        """The answer of a moment ago, where there is one.

        Raises:
            Refused: It was a no.
        """
        if (no := self._noes.get(query)) is not None:
            raise Refused(*no)
        return self._yeses.get(query)

    def check(self, query: Query) -> None:
        """Whether its run may be granted something, and looked at once more; the look counts.

        Raises:
            Refused: It was granted as much as it may be.
            Unavailable: It was looked at too often within the minute.
        """
        granted = self._grants.get(query.run) or {}
        now = trio.current_time()
        count = sum(since > now - _HOUR for since in granted.values())
        if query.unique_id not in granted and count >= self._per_run:
            raise refused(Code.QUOTA, f"{self._per_run}")
        looks = self._looks.get(query.run) or deque()
        while looks and looks[0] <= now - _MINUTE:
            looks.popleft()
        if len(looks) >= LOOKS:
            text = f"artifacts of this run were looked for {LOOKS} times within a minute"
            raise Unavailable(text, max(1.0, looks[0] + _MINUTE - now))
        looks.append(now)
        self._looks.put(query.run, looks, _MINUTE)

    def refused(self, query: Query, no: Refused) -> None:
        """It was refused, after GitHub was asked."""
        seconds = REMEMBERED.get(Code(no.code))
        if seconds is not None:
            self._noes.put(query, (no.code, str(no)), seconds)

    def granted(self, query: Query, selection: Selection, fresh: float) -> None:
        """It was granted; the proof stays good for so many seconds."""
        self._yeses.put(query, selection, min(_GRANTED, fresh))
        now = trio.current_time()
        grants = {
            unique: since
            for unique, since in (self._grants.get(query.run) or {}).items()
            if since > now - _HOUR
        }
        self._grants.put(query.run, {**grants, query.unique_id: now}, _HOUR)


class _Kept(Generic[T]):
    """Values that are forgotten after a time, and the oldest where there are too many."""

    def __init__(self) -> None:
        self._values: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()

    def get(self, key: Hashable) -> T | None:
        until, value = self._values.get(key, (0.0, None))
        return value if until > trio.current_time() else None

    def put(self, key: Hashable, value: T, seconds: float) -> None:
        self._values[key] = trio.current_time() + seconds, value
        self._values.move_to_end(key)
        if len(self._values) > _MOST:
            self._values.popitem(last=False)
