"""What a listener knows of its queue, for whoever works beside it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from scaler_github.client import QueueSession
    from scaler_github.client.types import Statistics

LAPSES = 120.0  # seconds for which a queue that has lost its session is still taken for ours


class QueueState:
    """One profile's queue, as its listener sees it. Times are trio's.

    Attributes:
        scale_set: The number of its scale set; None while it is not known.
        session: The open session; None while there is none.
        introduced: Whether the core was told what the session said as it was opened.
        counts: The totals that the core was told last; None before the first.
        counted: When these were true at GitHub, at the latest.
        heard: When the last message came.
        unexplained: Since when looks beside the queue tell other totals than its messages did.
    """

    def __init__(self) -> None:
        self.scale_set: int | None = None
        self.session: QueueSession | None = None
        self.introduced = False
        self.counts: Statistics | None = None
        self.counted = -math.inf
        self.heard = -math.inf
        self.unexplained: float | None = None
        self._rival = False
        self._left = False
        self._held = -math.inf  # when a session of ours was last open
        self._news = trio.Event()

    @property
    def rival(self) -> bool:
        """Whether another one listens, as far as GitHub says."""
        return self._rival

    def is_ours(self, now: float) -> bool:
        """Whether the jobs of this queue are ours to tell of.

        They are while our session is open, for a while after it was lost, and while the one in the
        way is likely a session of ours whose number was lost.
        """
        if self.session is not None:
            return True
        return not self._rival and (self._left or now - self._held < LAPSES)

    def opened(self, session: QueueSession) -> None:
        """The session is open."""
        self.session, self.introduced = session, False
        self._rival = self._left = False
        self._ring()

    def lost(self) -> None:
        """There is no session any more."""
        if self.session is not None:
            self.session = None
            self._held = trio.current_time()
            self._ring()

    def refused(self, *, left: bool) -> None:
        """Another session is in the way; `left`: likely one of ours, which only expires."""
        if (self._rival, self._left) != (not left, left):
            self._rival, self._left = not left, left
            self._ring()

    def introduce(self) -> None:
        """The core was told what the open session said."""
        self.introduced = True
        self._ring()

    def looked(self, counts: Statistics, at: float) -> None:
        """The core was told these totals by a look, and no message had said so."""
        if self.unexplained is None:
            self.unexplained = trio.current_time()
        self.count(counts, at)

    def count(self, counts: Statistics, at: float) -> None:
        """The core was told these totals, which were true at `at` or later."""
        if at >= self.counted:
            self.counts, self.counted = counts, at
            self._ring()

    def came(self) -> None:
        """A message came."""
        self.heard = self.counted = trio.current_time()
        self.unexplained = None
        self._ring()

    def nudge(self) -> None:
        """Have whoever waits for news look again."""
        self._ring()

    async def news(self) -> None:
        """Wait until something of this changes."""
        await self._news.wait()

    def _ring(self) -> None:
        self._news.set()
        self._news = trio.Event()
