"""What a look asks GitHub, and what it makes of the answers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from scaler_github.acquirable.decide import OFF, RENEW, Totals
from scaler_github.client import GitHubError
from scaler_github.queue.convert import to_offered

if TYPE_CHECKING:
    from scaler import Job
    from scaler_github.account import Account
    from scaler_github.client.types import Statistics
    from scaler_github.queue.state import QueueState

_NO_LIST = (404, 405, 501)


@dataclass(slots=True)
class Seen:
    """What one look saw.

    Attributes:
        counts: None where they could not be learnt.
        trusted: Whether zeros among these mean something.
        failures: What went wrong.
    """

    counts: Statistics | None = None
    trusted: bool = False
    jobs: list[Job] = field(default_factory=list)
    failures: list[GitHubError] = field(default_factory=list)

    @property
    def wait(self) -> float:
        """How long GitHub wants to be left alone, in seconds."""
        return max((each.wait for each in self.failures), default=0.0)


class Asker:
    """Asks for one profile. What GitHub cannot answer it is not asked again and again.

    Attributes:
        off: Until when the list of acquirable jobs is not asked for, on trio's clock.
        refusal: What GitHub said then; None before.
    """

    def __init__(self, account: Account, state: QueueState) -> None:
        self._account = account
        self._state = state
        self._trusted = False  # whether a scale set was ever shown with a total that is not 0
        self._tried = -math.inf  # when a session was last renewed for that
        self.off = -math.inf
        self.refusal: GitHubError | None = None

    async def look(self, scale_set: int) -> Seen:
        """Ask for everything once. Nothing is tried twice: the next look comes anyway."""
        seen = Seen()
        found = False
        try:
            found = await self._count(scale_set, seen)
        except GitHubError as error:
            seen.failures.append(error)
        if trio.current_time() >= self.off:
            try:
                seen.jobs = await self._jobs(scale_set)
                self.refusal = None
            except GitHubError as error:
                if found and _is_unknown(error):
                    self.off, self.refusal = trio.current_time() + OFF, error
                else:
                    seen.failures.append(error)
        return seen

    async def _count(self, scale_set: int, seen: Seen) -> bool:
        """Learn what is counted for the scale set; whether it is there."""
        found = await self._account.actions.get_scale_set(scale_set)
        if found is not None and found.statistics is not None:
            self._trusted = self._trusted or totals(found.statistics) != Totals()
            seen.counts, seen.trusted = found.statistics, self._trusted
            return True
        # A renewed session tells, too, in the queue's own words: now and then, where all is silent
        session, now = self._state.session, trio.current_time()
        if session is None:
            return found is not None
        if now >= max(self._tried, self._state.heard, session.told) + RENEW:
            self._tried = now
            if await session.renew():
                seen.counts, seen.trusted = session.statistics, True
        return found is not None

    async def _jobs(self, scale_set: int) -> list[Job]:
        listed = await self._account.actions.acquirable_jobs(scale_set)
        web = self._account.scope.web
        jobs = {job.id: job for one in listed if (job := to_offered(one, web)) is not None}
        return list(jobs.values())


def totals(counts: Statistics) -> Totals:
    """What is decided upon."""
    return Totals(
        counts.total_assigned_jobs, counts.total_available_jobs, counts.total_acquired_jobs
    )


def _is_unknown(error: GitHubError) -> bool:
    """Whether GitHub does not know this call at all."""
    verdict = error.verdict
    return verdict.status in _NO_LIST and "ScaleSetNotFound" not in verdict.type
