"""What is to be done: jobs, and the messages that tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

JobState: TypeAlias = Literal["offered", "assigned", "running", "done"]
_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Job:
    """One workflow job, as a source knows it.

    A source builds it from what it received; the core fills in `profile` (from the message), merges
    it with what it knew, and moves `state` forwards only.

    Attributes:
        id: Names the job for its whole life, the same in every message about it.
        state: `offered` (must be acquired), `assigned` (ours, waiting for a runner), `running`,
            `done`.
        ref: What the source needs to acquire it; opaque to the core.
        runner_name: The runner that runs or ran it; empty when it never reached one.
        result: How it ended (`succeeded`, `failed`, `canceled`, …); empty before.
        declined: Why a plugin objected to it; empty where none did.
    """

    id: str
    state: JobState
    profile: str = ""
    ref: str = ""
    labels: tuple[str, ...] = ()
    repository: str = ""
    run_id: str = ""
    name: str = ""
    workflow: str = ""
    event: str = ""
    queued: float | None = None
    runner_name: str = ""
    result: str = ""
    declined: str = ""
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What a source received, for `Context.deliver`.

    Attributes:
        id: Unique for ever within this source and profile: a second delivery changes nothing.
        profile: The profile that the jobs belong to, or None where the source knows only labels:
            then each job is matched by its labels.
        jobs: What the message says of single jobs; may be empty.
        demand: How many runners the profile's jobs need now, as a total (assigned and running
            jobs together), or None where the message does not tell.
        waiting: Jobs that wait and are not yet owed a runner of this profile, where known.
        cursor: Stored with the message's effect, in one transaction;
            `await context.load("cursor/<profile>")` answers it from then on. JSON types. None
            leaves the old one. (Where `profile` is None, it is stored after every profile's part,
            as `cursor/`.)
        reset: The place that the profile's jobs came from is new: what is known of jobs that are
            offered or assigned there is forgotten before the message is taken in; running ones
            stay.
        raw: The message as it came, for observers.
    """

    id: str
    profile: str | None
    jobs: tuple[Job, ...] = ()
    demand: int | None = None
    waiting: int | None = None
    cursor: Any = None
    reset: bool = False
    raw: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)


@dataclass(frozen=True, kw_only=True)
class Decline:
    """An objection to a job, answered by `on_job_available`."""

    reason: str
