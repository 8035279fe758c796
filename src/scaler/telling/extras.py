"""What is told besides the view: immutable, so that it can be put into words in a thread."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from scaler.records import Event, Kept, Machine, Runner

_NONE: Mapping[Any, Any] = MappingProxyType({})
Kind: TypeAlias = Literal["job", "runner", "profile", "plugin", "room"]


class Unknown(LookupError):
    """There is nothing of that name, or it cannot be known whether there is.

    Attributes:
        text: What was looked for, and where.
        fix: What to do instead.
    """

    def __init__(self, text: str, fix: str) -> None:
        super().__init__(text)
        self.text = text
        self.fix = fix


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a profile's source reports.

    Attributes:
        owed: Runners that its jobs need now, as it said last.
        waiting: Jobs that wait, and are not owed to this profile yet.
        reported: Whether it has said so since the start.
        at: When it did last (Unix seconds); None where it never did.
    """

    owed: int
    waiting: int
    reported: bool
    at: float | None


@dataclass(frozen=True, kw_only=True)
class Waits:
    """A profile whose starts fail.

    Attributes:
        failures: How many in a row.
        error: The last one.
        until: When the next is tried (Unix seconds).
        stopped: Why it is stopped, where it is.
    """

    failures: int
    error: str
    until: float
    stopped: str = ""


@dataclass(frozen=True, kw_only=True)
class Story:
    """What a runner went through since scaler started.

    Attributes:
        steps: The runner in each of its states.
        events: What else happened to it.
    """

    steps: Sequence[Runner] = ()
    events: Sequence[Event] = ()


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A runner that is no more.

    Attributes:
        reason: What was kept in words of why it ended; may be empty.
    """

    id: int
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What the view does not tell. Times are Unix seconds.

    Attributes:
        now: The present.
        version: The scaler's.
        running: False where this is told from a ledger alone.
        started: When it started; None where that is not known.
        as_of: For one that does not run, when its ledger was written last.
        evidence: The folder of what is kept.
        reload: What became of the last reload: `time`, `ok`, `problems`.
        heard: When something was last heard of a job, by (profile, id).
        sources: What each profile's source reports.
        waits: Profiles whose starts fail.
        retries: When the next try to retire a runner is, by its id.
        errors: What the last try to retire a runner failed by.
        builders: Machines that make images, by their plugin.
        unwritten: Orders that count, and would be lost by a restart, as `kind name`.
        stories: What runners went through; of those alone that are asked for.
        kept: What is kept as evidence, by runner's id or profile's key; likewise.
        ended: Runners that are no more, and are asked for.
        trouble: More that a person must look at, as (about, text, cure).
        unsettled: Profiles of which it is not known what the settings say.
    """

    now: float
    version: str = ""
    running: bool = True
    pid: int | None = None
    started: float | None = None
    as_of: float | None = None
    evidence: str = ""
    reload: Mapping[str, Any] | None = None
    heard: Mapping[tuple[str, str], float] = field(default_factory=lambda: _NONE)
    sources: Mapping[str, Source] = field(default_factory=lambda: _NONE)
    waits: Mapping[str, Waits] = field(default_factory=lambda: _NONE)
    retries: Mapping[int, float] = field(default_factory=lambda: _NONE)
    errors: Mapping[int, str] = field(default_factory=lambda: _NONE)
    builders: Sequence[tuple[str, Machine]] = ()
    unwritten: Sequence[str] = ()
    stories: Mapping[int, Story] = field(default_factory=lambda: _NONE)
    kept: Mapping[int | str, Sequence[Kept]] = field(default_factory=lambda: _NONE)
    ended: Mapping[int, Ended] = field(default_factory=lambda: _NONE)
    trouble: Sequence[tuple[str, str, str]] = ()
    unsettled: Collection[str] = ()
