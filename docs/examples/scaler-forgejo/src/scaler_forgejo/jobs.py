"""Decisions about jobs, without input or output: whose a job is, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scaler import Job, Message
from scaler_forgejo.answers import Run


@dataclass(frozen=True)
class Known:
    """What was last told of a profile.

    Attributes:
        jobs: The ids of the jobs that waited or ran; None where nothing was told yet.
        told: All that was told, to see a change by.
    """

    jobs: frozenset[str] = frozenset()
    told: frozenset[Job] | None = None


def deal(listed: Iterable[Run], profiles: Mapping[str, Sequence[str]]) -> dict[str, list[Run]]:
    """Give each job to one profile: of those that have all of its labels, the one with the fewest.

    More than one can run it where one profile's labels are a part of another's. Told of both, it
    would be given two runners.
    """
    dealt: dict[str, list[Run]] = {profile: [] for profile in profiles}
    for run in {each.id: each for each in listed}.values():
        wanted = set(run.runs_on or ())
        able = [name for name, labels in profiles.items() if wanted and wanted <= set(labels)]
        if able:
            dealt[min(able, key=lambda name: len(profiles[name]))].append(run)
    return dealt


def job_of(run: Run, repository: str = "") -> Job:
    """A job as the core knows it.

    Forgejo keeps a job's id when it is run again, and the core moves a job forwards only: each
    attempt is a job of its own. Nothing needs to be acquired, so that one that waits is ours.
    """
    return Job(
        id=f"{run.id}.{run.attempt}",
        state="running" if run.status == "running" else "assigned",
        ref=run.handle,
        labels=tuple(run.runs_on or ()),
        repository=repository,
        run_id=str(run.run_id or ""),
        name=run.name,
    )


def news(
    profile: str, runs: Sequence[Run], known: Known, *, ident: str, repository: str = ""
) -> tuple[Message, Known] | None:
    """The message about a profile's jobs, and what is known once it is delivered.

    None where nothing changed. A job that is listed no more has ended; the list does not tell how.

    Args:
        profile: Whose jobs they are.
        runs: All of them, as listed now.
        known: What was known before.
        ident: The message's own, never used before.
        repository: Where they come from, if that is known.
    """
    jobs = {job.id: job for job in (job_of(run, repository) for run in runs)}
    told = frozenset(jobs.values())
    if told == known.told:
        return None
    ended = [Job(id=each, state="done") for each in sorted(known.jobs - jobs.keys())]
    message = Message(
        id=ident,
        profile=profile,
        jobs=(*jobs.values(), *ended),
        demand=len(jobs),
        cursor=sorted(jobs),
    )
    return message, Known(frozenset(jobs), told)


def known_from(cursor: object) -> Known:
    """What an earlier life of this scaler knew, from the cursor that was stored with it."""
    if isinstance(cursor, list):
        return Known(frozenset(each for each in cursor if isinstance(each, str)))
    return Known()
