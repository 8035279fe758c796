"""Runners, what joins them to the other side, and whom they are promised to."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from scaler.records.machines import Machine, Resources
from scaler.units import Secret

_EMPTY: Mapping[str, Any] = MappingProxyType({})


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
        failed: Its start failed, or its job did: what its machine leaves is worth a look.
        result: How its job ended (`succeeded`, `failed`, `canceled`, …); empty where that is not
            known.
        until: When its machine goes, where it is held; else None.
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
    failed: bool = False
    result: str = ""
    until: float | None = None


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
