"""From the wire's words to scaler's records. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaler import Job, Message
from scaler_github.client import types

if TYPE_CHECKING:
    from scaler.records import JobState
    from scaler_github.client import QueueMessage

_STATES: dict[str, JobState] = {
    "JobAvailable": "offered",
    "JobAssigned": "assigned",
    "JobStarted": "running",
    "JobCompleted": "done",
}


@dataclass(frozen=True, slots=True)
class Place:
    """What a message's number belongs to: elsewhere the same number is another message."""

    scale_set: int
    host: str

    def cursor(self, message: int) -> dict[str, Any]:
        """What is stored with the effect of a message."""
        return {"scale_set": self.scale_set, "host": self.host, "message": message}

    def number(self, cursor: object) -> int:
        """The message's number in a stored cursor; 0 where it is from elsewhere, or is none."""
        if not isinstance(cursor, dict):
            return 0
        number = cursor.get("message")
        if type(number) is not int or number < 0 or cursor != self.cursor(number):
            return 0
        return number


def to_job(wire: types.JobMessage, web: str) -> Job | None:
    """A job, or None for a type of message that is not known.

    The request's number names the job: it stands in every message and in the list of acquirable
    jobs, and is another one once an assignment has lapsed and the job is given out again.

    Args:
        web: `https://HOST`, for the address of the job's run.
    """
    state = _STATES.get(wire.message_type)
    name = str(wire.runner_request_id) if wire.runner_request_id else wire.job_id
    if state is None or not name:
        return None
    repository = wire.repository_name
    if wire.owner_name and repository and "/" not in repository:
        repository = f"{wire.owner_name}/{repository}"
    run = str(wire.workflow_run_id) if wire.workflow_run_id else ""
    return Job(
        id=name,
        state=state,
        ref=str(wire.runner_request_id),
        labels=tuple(wire.request_labels),
        repository=repository,
        run_id=run,
        name=wire.job_display_name,
        workflow=wire.job_workflow_ref,
        event=wire.event_name,
        queued=types.unix_time(wire.queue_time),
        runner_name=wire.runner_name,
        result=wire.result,
        url=f"{web}/{repository}/actions/runs/{run}" if repository and run else "",
    )


def to_message(
    profile: str, place: Place, wire: QueueMessage, web: str, *, without_jobs: bool = False
) -> Message:
    """What is delivered for a message of the queue.

    Its id holds a digest of what came: numbers may start again (after an incident at GitHub), and
    the same number with another content is another message.
    """
    jobs = [] if without_jobs else [to_job(job, web) for job in wire.jobs]
    name = f"{place.scale_set}@{place.host}/{wire.id}/{wire.digest}"
    counts = wire.statistics
    return Message(
        id=f"{name}/skipped" if without_jobs else name,
        profile=profile,
        jobs=tuple(job for job in jobs if job is not None),
        demand=None if counts is None else counts.total_assigned_jobs,
        waiting=None if counts is None else counts.total_available_jobs,
        cursor=place.cursor(wire.id),
        raw=_raw(wire),
    )


def to_statistics_message(
    profile: str, place: Place, session: str, renewal: int, counts: types.Statistics
) -> Message:
    """What is delivered when a session tells the totals: demand is known before the first poll."""
    return Message(
        id=f"{place.scale_set}@{place.host}/session/{session}/{renewal}",
        profile=profile,
        demand=counts.total_assigned_jobs,
        waiting=counts.total_available_jobs,
    )


def _raw(wire: QueueMessage) -> dict[str, Any]:
    try:
        plain = types.decode(wire.raw)
    except ValueError:
        return {}
    return plain if isinstance(plain, dict) else {}
