"""When to look, and what of a look may be told. Pure; times are seconds on one clock.

A look is a fallback: it must not be what tires GitHub, and must not be believed over the queue.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

APART = 10.0  # seconds between two looks, at least
SETTLED = 5.0  # seconds for which the queue and the jobs may disagree: messages come in pieces
RENEW = 300.0  # between renewals of a session for its totals, and without a message before one
OFF = 3600.0  # until a list that GitHub does not have is asked for again


@dataclass(frozen=True, slots=True)
class Totals:
    """What GitHub counts for a scale set.

    Attributes:
        assigned: Jobs that are ours, running ones included.
        available: Jobs on offer.
        acquired: Jobs that we took and that are not assigned yet.
    """

    assigned: int = 0
    available: int = 0
    acquired: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What the core knows of a profile's jobs: how many are ours, and how many on offer."""

    ours: int = 0
    offered: int = 0


def disagree(totals: Totals | None, known: Known) -> bool:
    """Whether GitHub counts other jobs than the core knows."""
    if totals is None:
        return False
    # one that was just taken is ours already, and not yet counted as assigned
    ours = totals.assigned <= known.ours <= totals.assigned + totals.acquired
    return not ours or totals.available != known.offered


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to look next.

    Attributes:
        interval: Between two looks where there is no reason for one.
        looked: When the last one began.
        session: The session that the last observation saw.
        fresh: Whether there was no look yet since it was opened.
        odd_since: Since when the queue and the jobs disagree.
        again: Whether the last look asks for another one.
        pause: Between looks for these two reasons: doubles while they change nothing.
        barred: GitHub said not to come before then.
    """

    interval: float
    looked: float = -math.inf
    session: str = ""
    fresh: bool = True
    odd_since: float = math.inf
    again: bool = False
    pause: float = APART
    barred: float = -math.inf

    def observed(self, now: float, session: str, odd: bool) -> Schedule:
        """After seeing which session is open (or none), and whether numbers disagree."""
        fresh = self.fresh or (session != "" and session != self.session)
        pause = self.pause if odd or self.again else APART
        return replace(
            self,
            session=session or self.session,
            fresh=fresh,
            odd_since=min(self.odd_since, now) if odd else math.inf,
            pause=pause,
        )

    @property
    def due(self) -> float:
        """When to look next."""
        reasons = [self.looked + self.interval]
        if self.fresh:
            reasons.append(-math.inf)
        if self.odd_since < math.inf:
            reasons.append(max(self.odd_since + SETTLED, self.looked + self.pause))
        if self.again:
            reasons.append(self.looked + self.pause)
        return max(min(reasons), self.looked + APART, self.barred)

    def after(
        self, began: float, *, changed: bool, again: bool = False, wait: float = 0.0
    ) -> Schedule:
        """After a look.

        Args:
            changed: It saw something that was not known.
            again: It could not be finished, or wants a second one that says the same.
            wait: What GitHub told to wait, from `began` on.
        """
        vain = not changed and (again or self.again or self.odd_since < math.inf)
        pause = min(max(self.interval, APART), self.pause * 2) if vain else APART
        barred = began + wait
        return replace(self, looked=began, fresh=False, again=again, pause=pause, barred=barred)


def telling(
    look: Totals, told: Totals | None, before: Totals | None, *, trusted: bool
) -> Totals | None:
    """What of a look's totals the core may be told; None for nothing.

    More is told at once: a runner too many is of no use for a while, one that is missing keeps a
    job waiting. Less is told once two looks say so.

    Args:
        told: What the core was told last, if anything.
        before: What the last look saw, if it saw anything and nothing was told since.
        trusted: Whether zeros mean something: a service that fills in no totals says 0 of all.
    """
    if told is None or look.assigned > told.assigned:
        return look if trusted or look != Totals() else None
    if look.assigned == told.assigned:
        more = look.available > told.available
        less = look.available < told.available and trusted
        return look if more or less else None
    if not trusted or before is None or before.assigned >= told.assigned:
        return None
    return replace(look, assigned=max(look.assigned, before.assigned))
