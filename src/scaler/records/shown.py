"""What is shown to people: findings, panels, pictures, and the view of everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from scaler.records.machines import Machine, Room
from scaler.records.orders import Order
from scaler.records.runners import Profile, Runner
from scaler.records.work import Job

Need: TypeAlias = Literal["required", "useful", "unseen"]
_EMPTY: Mapping[str, Any] = MappingProxyType({})


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
class Kept:
    """One item of evidence.

    Attributes:
        name: Such as `serial.log`.
        size: Bytes.
        time: When it was kept.
    """

    name: str
    size: int
    time: float


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
        cure: What ends that, in a sentence.
        calm: Whether nobody need act, though it is under its target: nothing but an order to drain
            rooms holds it; or its jobs have their runners, and its spares come as soon as what
            works in its rooms has ended.
        paused: The order that pauses it, if one does.
        leaving: Whether the settings have it no more: what it has comes to its end.
    """

    profile: Profile
    demand: int
    target: int
    ceiling: int
    counts: Mapping[str, int]
    why: str = ""
    cure: str = ""
    calm: bool = False
    paused: Order | None = None
    leaving: bool = False


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
        cures: For each of them, where there is something to be done, what.
        override: The temporary targets that are active, if any.
        builders: Machines that make images.
        asked: What the guest of each machine (its id) has asked for so far, `boot` or
            `registration`, whatever it was given; a builder's, too. Forgotten with the machine, and
            at a restart.
        orders: What people told it, and have not taken back.
        restart: What the settings file says that counts only after a restart.
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
    asked: Mapping[str, frozenset[str]] = field(default_factory=lambda: _EMPTY)
    cures: Mapping[tuple[str, str], str] = field(default_factory=lambda: MappingProxyType({}))
    orders: tuple[Order, ...] = ()
    restart: tuple[str, ...] = ()
