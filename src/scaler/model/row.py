"""A runner with what only the core needs to know, and the facts that are folded into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from scaler.records import Machine, Profile, Registration, Reservation, Runner, RunnerState
from scaler.units import Secret

LIVE = frozenset(
    {
        RunnerState.PLANNED,
        RunnerState.REGISTERED,
        RunnerState.BOOTING,
        RunnerState.IDLE,
        RunnerState.RESERVED,
        RunnerState.BUSY,
    }
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A runner with what only the core needs to know. Times are on the core's clock.

    Attributes:
        born: When it was planned.
        entered: When it came to its present state.
        config: The registration's config while it may still be asked for.
        digest: SHA-256 (hex) of the config, which a machine of it must have been made with.
        unregistered: Its registration is gone for certain.
        destroyed: Its machine is gone for certain, or never was.
        done: Its job ended, as far as messages say (`result` tells how).
        forced: Retire it even when it is said to be busy.
        refused: When `unregister_runner` last said Busy.
        unlisted, unseen: Since when its registration or machine is missing from complete lists.
        idle_again, offline: Since when a list says that it is not busy, or not online, any more.
        listed: When a complete list last told about its registration, while it boots.
        hold: Seconds for which its machine is kept, should its job fail.
        ended: When its machine was found to have stopped.
        unmade: It could not be registered or provisioned.
        failed: It ended by itself, or was given up, before it had a job.
        suspect: Its machine stopped, and nobody told of a job: what the other side says of its
            registration decides whether it failed.
        steady: It had been idle for long when its machine stopped.
        removed: The other side removed its registration, and nobody here did.
        served: It had a job that nobody told of: what else it ended in shows it.
        fetched: When its config was first asked for by its guest.
        told: When a fact last came first-hand: a list that began before then may not contradict it.
        max_lifetime, start_timeout: What its profile had when it was planned (seconds): what is
            lowered since counts for later ones only, what is raised at once. 0 where not known.
    """

    runner: Runner
    born: float
    entered: float
    config: Secret | None = None
    digest: str = ""
    unregistered: bool = False
    destroyed: bool = False
    done: bool = False
    result: str = ""
    forced: bool = False
    refused: float | None = None
    unlisted: float | None = None
    unseen: float | None = None
    idle_again: float | None = None
    offline: float | None = None
    listed: float | None = None
    failed: bool = False
    suspect: bool = False
    steady: bool = False
    removed: bool = False
    served: bool = False
    fetched: float | None = None
    told: float = 0.0
    hold: float = 0.0
    ended: float | None = None
    unmade: bool = False
    max_lifetime: float = 0.0
    start_timeout: float = 0.0

    def lifetime(self, profile: Profile) -> float:
        """Seconds after which it is retired, whatever it does."""
        return max(self.max_lifetime, profile.max_lifetime)

    def patience(self, profile: Profile) -> float:
        """Seconds for its machine to be made, and for it to come online."""
        return max(self.start_timeout, profile.start_timeout)


@dataclass(frozen=True)
class Registered:
    """`register_runner` answered."""

    registration: Registration


@dataclass(frozen=True)
class Provisioned:
    """`provision_runner` answered, or the machine was told of, or `listed`."""

    machine: Machine
    listed: bool = False


@dataclass(frozen=True)
class Seen:
    """The registration was looked at; `listed` where that was in a complete list."""

    registration: Registration
    listed: bool = False


@dataclass(frozen=True)
class Removed:
    """The source said that its registration is gone, and nobody here can have removed it."""


@dataclass(frozen=True)
class Unlisted:
    """The registration is absent from a complete list."""


@dataclass(frozen=True)
class Unseen:
    """The machine is absent from a complete list."""


@dataclass(frozen=True)
class JobStarted:
    """A message says that it runs this job."""

    job: str


@dataclass(frozen=True)
class JobDone:
    """A message says that its job ended."""

    job: str
    result: str


@dataclass(frozen=True)
class Retire:
    """It was decided to retire it; `failed` where it could not be made."""

    reason: str
    forced: bool = False
    failed: bool = False


@dataclass(frozen=True)
class Reserve:
    """It is promised to someone, if it is idle."""

    reservation: Reservation


@dataclass(frozen=True)
class Unreserve:
    """It is promised to nobody any more, and looks so to workflows."""

    reason: str


@dataclass(frozen=True)
class Fetched:
    """Its guest asked for its config."""


@dataclass(frozen=True)
class Refused:
    """`unregister_runner` said Busy."""


@dataclass(frozen=True)
class Unregistered:
    """`unregister_runner` returned."""


@dataclass(frozen=True)
class Destroyed:
    """`destroy_runner` returned, or no machine was ever asked for."""


@dataclass(frozen=True)
class Tick:
    """Time has passed."""

    profile: Profile | None


Fact: TypeAlias = (
    Registered
    | Provisioned
    | Seen
    | Removed
    | Unlisted
    | Unseen
    | JobStarted
    | JobDone
    | Retire
    | Reserve
    | Unreserve
    | Fetched
    | Refused
    | Unregistered
    | Destroyed
    | Tick
)
