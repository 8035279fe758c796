"""What is known of a job, from messages that come late, twice or in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler.model.evolve import evolve
from scaler.records import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from scaler.model.demand import Demand

RANK = {"offered": 0, "assigned": 1, "running": 2, "done": 3}

# A job assigned and not confirmed for this long, while its source says that nothing is owed, was
# given to someone else: an assignment that is not picked up lapses after about five minutes.
ASSIGNMENT_LASTS = 360.0
# A job that waits for a day is cancelled by the other side, sometimes without a word.
OFFER_LASTS = 86400.0


@dataclass(frozen=True, kw_only=True)
class KnownJob:
    """A job and when (on the core's clock) something was last heard of it.

    `tried` counts fruitless tries to acquire it; `retry_at` is when the next one may be.
    """

    job: Job
    heard: float
    tried: int = 0
    retry_at: float = 0.0


def merge(known: Job | None, seen: Job) -> Job:
    """The job after `seen` was heard: its state never goes back, and what is known stays known."""
    if known is None:
        return seen
    state = seen.state if RANK[seen.state] > RANK[known.state] else known.state
    return evolve(
        known,
        state=state,
        ref=seen.ref or known.ref,
        labels=seen.labels or known.labels,
        repository=seen.repository or known.repository,
        run_id=seen.run_id or known.run_id,
        name=seen.name or known.name,
        workflow=seen.workflow or known.workflow,
        event=seen.event or known.event,
        queued=known.queued if known.queued is not None else seen.queued,
        runner_name=seen.runner_name or known.runner_name,
        result=seen.result or known.result,
        url=seen.url or known.url,
    )


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """The jobs of one message, each job's steps from the first to the last."""
    return sorted(jobs, key=lambda job: RANK[job.state])


def committed(jobs: Iterable[KnownJob], lives: Callable[[str], bool]) -> int:
    """How many jobs are ours, and need a runner or have one.

    Args:
        lives: Whether there is a runner of this name that works. A job that ran on one that is no
            more is over, though nobody said so yet: another runner would be of no use to it.
    """
    return sum(
        known.job.state == "assigned"
        or (known.job.state == "running" and lives(known.job.runner_name))
        for known in jobs
    )


def forgotten(
    jobs: Iterable[KnownJob], demand: Demand, served: Container[str], now: float
) -> list[KnownJob]:
    """The jobs that nothing confirms any more, oldest first.

    The source owes fewer runners than there are jobs known to be ours, it said so after it last
    spoke of them, no live runner runs them, and they have been silent for long.

    Args:
        jobs: The jobs of one profile.
        demand: What its source reported.
        served: The ids of jobs that a live runner runs.
        now: The core's clock.
    """
    jobs = list(jobs)
    lost = [
        known
        for known in jobs
        if known.job.state == "done"
        or (known.job.state == "offered" and now - known.heard > OFFER_LASTS)
    ]
    ours = [known for known in jobs if known.job.state in ("assigned", "running")]
    silent = [
        known
        for known in ours
        if known.job.id not in served
        and now - known.heard > ASSIGNMENT_LASTS
        and demand.at >= known.heard
    ]
    too_many = max(0, len(ours) - demand.owed)
    return lost + sorted(silent, key=lambda known: known.heard)[:too_many]
