"""The records that cross hooks and Context: frozen, keyword-only; fields are added, never moved.

Times are Unix seconds unless a docstring says otherwise. Nothing here does I/O.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from scaler.units import Secret

JobState: TypeAlias = Literal["offered", "assigned", "running", "done"]
Resources: TypeAlias = Mapping[str, int]
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


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What lets a runner join, and what is known of it there.

    Attributes:
        name: The runner's name, `<profile>.<id>@<scaler name>`.
        ref: The source's own reference to it.
        config: What the machine needs to become that runner; only in the answer of
            `register_runner` and in the argument of `provision_runner`.
        expires: When an unused config stops working, where known: no machine is made with one that
            has expired.
        online: Whether the runner is connected; None where not known.
        busy: Whether it runs a job; None where not known.
        gone: True when the other side said for certain that it no longer exists, and it was not
            `unregister_runner` that removed it.
    """

    name: str
    ref: str = ""
    config: Secret | None = None
    expires: float | None = None
    online: bool | None = None
    busy: bool | None = None
    gone: bool = False


MachineState: TypeAlias = Literal["running", "stopped"]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a provisioner made.

    Attributes:
        runner: The runner's id, or None for a builder, which makes a profile's next image.
        id: The provisioner's own name for it, such as a UUID: another machine, another id.
        state: `stopped` means for certain that nothing runs in it any more (also: it is gone).
        why: Why it stopped, for people.
        room: The name of the room that it stands in.
        runner_name: The runner's name, as tagged on the machine itself.
        profile: Its profile, as tagged on the machine itself.
        addresses: Its addresses, where learnt.
        delivered: True where the registration's config was already put into it.
        digest: SHA-256 (hex) of the config that it was made with; empty where that is not known.
        key: SHA-256 (hex) of the secret by which its guest is known; empty where it has none, and
            is known by its address.
        facts: More of the provisioner's own, shown as they are; plain types.
    """

    runner: int | None
    id: str
    state: MachineState = "running"
    why: str = ""
    room: str = ""
    runner_name: str = ""
    profile: str = ""
    addresses: tuple[str, ...] = ()
    delivered: bool = False
    digest: str = ""
    key: str = ""
    facts: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)


class RoomState(enum.StrEnum):
    """Whether a room takes machines."""

    UP = "up"  #: takes machines
    DRAINING = "draining"  #: keeps what it has, takes nothing new
    DOWN = "down"  #: cannot be reached, so what it holds is unknown


@dataclass(frozen=True, kw_only=True)
class Room:
    """A place with resources: a hypervisor, a quota.

    Attributes:
        total: What may be used in all, not what is free. A resource that is left out is not
            limited here.
    """

    name: str
    total: Resources = field(default_factory=lambda: _EMPTY)
    state: RoomState = RoomState.UP


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """An idle runner promised to one `unique_id`."""

    unique_id: str
    qualified_repo: str
    run_id: str
    since: float


class RunnerState(enum.StrEnum):
    """Where a runner is in its life. Any state may go to `retiring`."""

    PLANNED = "planned"  #: in the ledger; being registered
    REGISTERED = "registered"  #: may join; its machine is being made
    BOOTING = "booting"  #: its machine exists
    IDLE = "idle"  #: online, waiting for a job
    RESERVED = "reserved"  #: promised to one unique_id
    BUSY = "busy"  #: running a job
    HELD = "held"  #: its job failed and the machine is kept for a person
    RETIRING = "retiring"  #: being unregistered, then destroyed
    GONE = "gone"  #: nothing is left of it


@dataclass(frozen=True, kw_only=True)
class Runner:
    """One registration and one machine for one job.

    Attributes:
        id: A positive integer, never used twice.
        name: `<profile>.<id>@<scaler name>`.
        reason: Why it is in its state, for people.
        since: When it came to its state.
        source: The plugin that registers it; every such call for this runner goes to it.
        provisioner: The plugin that makes its machine; every such call goes to it.
        room: Where the plan put it; empty where the provisioner has no rooms.
        resources: What its machine takes from the room.
        job: The id of the job that it runs or ran; empty before.
    """

    id: int
    name: str
    profile: str
    state: RunnerState
    reason: str = ""
    created: float = 0.0
    since: float = 0.0
    source: str = ""
    provisioner: str = ""
    room: str = ""
    resources: Resources = field(default_factory=lambda: _EMPTY)
    registration: Registration | None = None
    machine: Machine | None = None
    reservation: Reservation | None = None
    job: str = ""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A kind of runner, as the settings describe it. Times in seconds."""

    name: str
    labels: tuple[str, ...] = ()
    target_count: int = 0
    max_count: int = 0
    start_timeout: float = 240.0
    reserve_timeout: float = 60.0
    max_lifetime: float = 86400.0
    hold_failed: float = 0.0
    boot_script: str = ""
    resources: Resources = field(default_factory=lambda: _EMPTY)
    source: str = ""
    provisioners: tuple[str, ...] = ()


Need: TypeAlias = Literal["required", "useful", "unseen"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a check saw.

    Attributes:
        fix: How to mend it, where it is not ok.
        need: What it means that it is not ok. `required`: without it jobs do not run. `useful`: it
            works, and is worth mending, such as a token that expires soon. `unseen`: it cannot be
            seen from here, and is not needed.
    """

    ok: bool
    text: str
    fix: str = ""
    need: Need = "required"


@dataclass(frozen=True, kw_only=True)
class SelectionRequest:
    """Someone asks for runners, with a proof that a selector plugin looks up."""

    unique_id: str
    qualified_repo: str
    run_id: str
    address: str = ""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a selector authorised."""

    profile: str
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A plugin's part of the dashboard. `html` is a fragment; `data` is for programs."""

    title: str
    data: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    html: str = ""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A machine's screen at one moment.

    Attributes:
        png: The picture.
        time: When it was taken.
        etag: Names its content: the same picture, the same text.
    """

    png: bytes = field(repr=False)
    time: float
    etag: str


@dataclass(frozen=True, kw_only=True)
class Override:
    """Temporary target counts.

    Attributes:
        counts: Runners added for each profile that was asked for, as adjusted.
        targets: Every profile's target while it is active.
        until: When it ends at the latest.
    """

    counts: Mapping[str, int]
    targets: Mapping[str, int]
    since: float
    until: float
    by: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """A plugin's own line about how it is, per profile or (profile "") as a whole."""

    plugin: str
    profile: str
    ok: bool
    text: str
    time: float
    facts: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)


@dataclass(frozen=True, kw_only=True)
class ProfileView:
    """A profile at one moment.

    Attributes:
        demand: Runners that jobs need now.
        target: Runners that should exist.
        ceiling: Runners that it may have in all, now.
        counts: Runners by state, zeros left out.
        why: Why it is under its target, or may have no runner at all, in words; empty where it is
            neither.
    """

    profile: Profile
    demand: int
    target: int
    ceiling: int
    counts: Mapping[str, int]
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened, for people."""

    time: float
    text: str
    profile: str = ""
    runner: int | None = None
    job: str = ""


@dataclass(frozen=True, kw_only=True)
class View:
    """An immutable snapshot of everything, without secrets.

    Attributes:
        version: Grows with every change.
        waiting: For each job that waits, by (profile, id), why it does.
        override: The temporary targets that are active, if any.
        builders: Machines that make images.
    """

    version: int
    time: float
    scaler: str
    stopping: bool
    profiles: Mapping[str, ProfileView]
    jobs: tuple[Job, ...]
    runners: tuple[Runner, ...]
    rooms: Mapping[str, tuple[Room, ...]]
    reports: tuple[Report, ...]
    waiting: Mapping[tuple[str, str], str]
    events: tuple[Event, ...]
    override: Override | None = None
    builders: tuple[Machine, ...] = ()
