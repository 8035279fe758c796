"""What the simulated GitHub holds: scale sets, sessions, messages, jobs and agents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections import deque

    from scaler_github.testing.timing import Bell

#: States of a `Job`, in the order in which it passes through them.
QUEUED, OFFERED, ACQUIRED, ASSIGNED, RUNNING, COMPLETED = (
    "queued",
    "offered",
    "acquired",
    "assigned",
    "running",
    "completed",
)


@dataclass(slots=True)
class Message:
    """One delivery of the queue: at most 50 job messages, packed when first polled."""

    id: int
    jobs: list[dict[str, Any]]
    type: str = "RunnerScaleSetJobMessages"
    #: Sent instead of the job messages, for answers that GitHub should not give.
    raw_body: str | None = None
    #: Sent instead of the real statistics.
    statistics: dict[str, int] | None = None


@dataclass(slots=True)
class Session:
    """A client's hold on the queue of one scale set."""

    id: str
    owner: str
    scale_set_id: int
    #: When the client last polled or refreshed; seconds since the epoch.
    seen: float
    #: Polls that wait now.
    waiting: int = 0


@dataclass(slots=True, kw_only=True)
class ScaleSet:
    """A runner scale set with its queue of messages."""

    id: int
    scope: str
    name: str
    group_id: int
    labels: list[dict[str, str]]
    setting: dict[str, Any]
    created: float
    enabled: bool = True
    #: The last advertised total; `None` when the client polls without the header.
    capacity: int | None = 0
    session: Session | None = None
    bell: Bell
    #: Job messages that no poll has fetched yet.
    news: deque[dict[str, Any]]
    #: Fetched and not yet deleted, by message id, oldest first.
    unacknowledged: dict[int, Message] = field(default_factory=dict)
    #: To be delivered again, whatever the client's cursor says.
    again: deque[Message]
    #: Deleted by the client; the newest thousand.
    acknowledged: deque[Message]
    offered: dict[int, Job] = field(default_factory=dict)
    acquired: dict[int, Job] = field(default_factory=dict)
    assigned: dict[int, Job] = field(default_factory=dict)
    running: dict[int, Job] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    #: Agents that are online and without a job, first come first.
    idle: dict[str, Agent] = field(default_factory=dict)

    @property
    def label_names(self) -> set[str]:
        """Its labels in lower case, for comparing."""
        return {label["name"].lower() for label in self.labels}

    @property
    def room(self) -> bool:
        """Whether one more job may be assigned under the last advertised capacity."""
        if self.capacity is None:
            return True
        return len(self.assigned) + len(self.running) + len(self.acquired) < self.capacity

    def statistics(self) -> dict[str, int]:
        """The seven totals; `totalAssignedJobs` includes the running ones."""
        return {
            "totalAvailableJobs": len(self.offered),
            "totalAcquiredJobs": len(self.acquired),
            "totalAssignedJobs": len(self.assigned) + len(self.running),
            "totalRunningJobs": len(self.running),
            "totalRegisteredRunners": len(self.agents),
            "totalBusyRunners": sum(agent.job is not None for agent in self.agents.values()),
            "totalIdleRunners": len(self.idle),
        }


@dataclass(slots=True, kw_only=True)
class Job:
    """One workflow job; times are seconds since the epoch."""

    request_id: int
    job_id: str
    run_id: int
    scope: str
    #: The scale set it asked for by name; `None` when it asked by labels.
    target: str | None
    labels: tuple[str, ...]
    repository: str
    event: str
    workflow: str
    display_name: str
    #: Seconds from start to success; `None` until somebody finishes it.
    run_time: float | None
    queued_at: float
    state: str = QUEUED
    scale_set_id: int | None = None
    #: Scale sets that it was offered to.
    offers: set[int] = field(default_factory=set)
    #: How many assignments lapsed.
    lapses: int = 0
    assigned_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    runner_name: str = ""
    runner_id: int = 0
    result: str | None = None

    @property
    def owner(self) -> str:
        """The owner of its repository."""
        return self.repository.partition("/")[0]


@dataclass(slots=True, kw_only=True)
class Agent:
    """A registered runner: of a scale set, or by REST when `scale_set_id` is `None`."""

    id: int
    name: str
    scope: str
    scale_set_id: int | None
    group_id: int
    labels: list[dict[str, Any]]
    created: float
    online: bool = False
    #: Its JIT configuration was used; it works once.
    used: bool = False
    #: How often its runner was started and refused as too old.
    refused: int = 0
    #: It has run a job and is about to vanish.
    done: bool = False
    job: Job | None = None

    @property
    def busy(self) -> bool:
        """Whether it runs a job."""
        return self.job is not None

    @property
    def status(self) -> str:
        """`online` or `offline`."""
        return "online" if self.online else "offline"
