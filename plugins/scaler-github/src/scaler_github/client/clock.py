"""GitHub's clock, learnt from its answers: ours may be wrong, and JWTs are judged by GitHub's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from scaler_github.client.classify import server_time

if TYPE_CHECKING:
    from collections.abc import Mapping


class ServerClock:
    """The difference between GitHub's clock and this machine's, to the second."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def heard(self, headers: Mapping[str, str]) -> None:
        """Learn from an answer's `Date`; without one nothing changes."""
        now = time.time()
        ahead = server_time(headers, now + self._ahead) - now
        # `Date` has no fractions, and the answer was some time on its way
        self._ahead = 0.0 if abs(ahead) < 2 else ahead

    @property
    def ahead(self) -> float:
        """Seconds that GitHub's clock is ahead of ours; less than two count as none."""
        return self._ahead

    def now(self) -> float:
        """Unix seconds, as GitHub sees them."""
        return time.time() + self._ahead
