"""From the wire's words to scaler's records. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from scaler import Job, Message
from scaler_github.client import types
from scaler_github.client.message import LARGEST

if TYPE_CHECKING:
    from scaler import JobState
    from scaler_github.client import QueueMessage

_STATES: dict[str, JobState] = {
    "JobAvailable": "offered",
    "JobAssigned": "assigned",
    "JobStarted": "running",
    "JobCompleted": "done",
}
_RECENT = 20
# What GitHub may send is longer than what a table, a page or a line of the log should carry
_TEXT, _ID, _LABELS = 200, 100, 50


@dataclass(frozen=True, slots=True)
class Place:
    """What a message's number belongs to: elsewhere the same number is another message.

    Attributes:
        scope: `Scope.place`: scale sets are numbered in each anew.
    """

    scale_set: int
    host: str
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a queue was received. Stored together with the effect of the last message.

    Attributes:
        message: The number of the last message; polls ask for what comes after it.
        recent: Number and content of the last messages, the newest last. A message that comes again
            is known by both: numbers alone may start again below (after an incident at GitHub), and
            then a low number is news.
    """

    place: Place
    message: int = 0
    recent: tuple[tuple[int, str], ...] = ()

    def knows(self, message: QueueMessage) -> bool:
        """Whether this message was received before."""
        return (message.id, message.content) in self.recent

    def after(self, message: QueueMessage) -> Cursor:
        """The cursor once this message is received."""
        recent = (*self.recent, (message.id, message.content))[-_RECENT:]
        return Cursor(self.place, message.id, recent)

    def to_json(self) -> dict[str, Any]:
        """What is stored."""
        return {
            "scale_set": self.place.scale_set,
            "host": self.place.host,
            "scope": self.place.scope,
            "message": self.message,
            "recent": [list(one) for one in self.recent],
        }

    @classmethod
    def from_json(cls, place: Place, stored: object) -> Cursor:
        """What was stored, if it is of this place; a fresh cursor otherwise."""
        if (read := _read(stored)) is None or read.place != place:
            return cls(place)
        return cls(place, read.message, read.recent)


class _Stored(types.Wire, rename=None, frozen=True):
    scale_set: int
    host: str
    message: Annotated[int, msgspec.Meta(ge=0)]
    scope: str = ""
    recent: tuple[tuple[int, str], ...] = ()

    @property
    def place(self) -> Place:
        """Where it was received."""
        return Place(self.scale_set, self.host, self.scope)


def _read(stored: object) -> _Stored | None:
    try:
        return types.convert(stored, _Stored)
    except ValueError:
        return None


def is_elsewhere(place: Place, stored: object) -> bool:
    """Whether the stored cursor is of another place than this one."""
    read = _read(stored)
    return read is not None and read.place != place


def to_job(wire: types.JobMessage, web: str) -> Job | None:
    """A job, or None for a type of message that is not known.

    The request's number names the job: it stands in every message and in the list of acquirable
    jobs, and is another one once an assignment has lapsed and the job is given out again.

    Args:
        web: `https://HOST`, for the address of the job's run.
    """
    state = _STATES.get(wire.message_type)
    name = str(wire.runner_request_id) if wire.runner_request_id else wire.job_id[:_ID]
    if state is None or not name:
        return None
    repository = wire.repository_name
    if wire.owner_name and repository and "/" not in repository:
        repository = f"{wire.owner_name}/{repository}"
    repository = repository[:_TEXT]
    run = str(wire.workflow_run_id) if wire.workflow_run_id else ""
    return Job(
        id=name,
        state=state,
        ref=str(wire.runner_request_id or ""),  # without it, a job cannot be acquired
        labels=tuple(label[:_TEXT] for label in wire.request_labels[:_LABELS]),
        repository=repository,
        run_id=run,
        name=wire.job_display_name[:_TEXT],
        workflow=wire.job_workflow_ref[:_TEXT],
        event=wire.event_name[:_TEXT],
        queued=types.unix_time(wire.queue_time),
        runner_name=wire.runner_name[:_TEXT],
        result=wire.result[:_TEXT],
        url=f"{web}/{repository}/actions/runs/{run}" if repository and run else "",
    )


def to_offered(wire: types.JobMessage, web: str) -> Job | None:
    """A job of the list of acquirable jobs, whatever it calls itself there."""
    return to_job(msgspec.structs.replace(wire, message_type="JobAvailable"), web)


def to_message(
    profile: str, cursor: Cursor, wire: QueueMessage, web: str, *, without_jobs: bool = False
) -> Message:
    """What is delivered for a message of the queue.

    Its id holds a digest of what came, since numbers may start again.

    Args:
        cursor: As it is before this message.
    """
    place = cursor.place
    jobs = [] if without_jobs else [to_job(job, web) for job in wire.jobs]
    name = f"{place.scale_set}@{place.host}/{wire.id}/{wire.digest}"
    counts = wire.statistics
    return Message(
        id=f"{name}/skipped" if without_jobs else name,
        profile=profile,
        jobs=tuple(job for job in jobs if job is not None),
        demand=None if counts is None else counts.total_assigned_jobs,
        waiting=None if counts is None else counts.total_available_jobs,
        cursor=cursor.after(wire).to_json(),
        raw=_raw(wire),
    )


def to_statistics_message(
    profile: str,
    place: Place,
    session: str,
    renewal: int,
    counts: types.Statistics,
    *,
    moved: bool = False,
) -> Message:
    """What is delivered when a session tells the totals: demand is known before the first poll.

    Args:
        moved: The last messages came from another place, and nobody will tell any more what became
            of the jobs that waited there. The cursor is stored with it, so that this is done once.
    """
    name = f"{place.scale_set}@{place.host}/session/{session}/{renewal}"
    return Message(
        id=f"{name}/moved" if moved else name,
        profile=profile,
        demand=counts.total_assigned_jobs,
        waiting=counts.total_available_jobs,
        cursor=Cursor(place).to_json() if moved else None,
        reset=moved,
    )


def _raw(wire: QueueMessage) -> dict[str, Any]:
    if len(wire.raw) > LARGEST:
        return {}
    try:
        plain = types.decode(wire.raw)
    except ValueError:
        return {}
    return plain if isinstance(plain, dict) else {}
