"""The switches of the simulator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Flow = Literal["assigned", "offered"]


@dataclass(slots=True)
class Options:
    """Switches that can be changed while the simulator runs; times in seconds.

    Attributes:
        flow: `assigned` as github.com, `offered` as Enterprise Server.
        poll_seconds: how long a poll without news is held.
        assign_timeout: an assignment that no runner takes lapses after this; `None`: never.
        assign_delay: between acquiring a job and its JobAssigned.
        vanish_delay: between the end of its job and the end of a runner's registration.
        session_timeout: a session that nobody polls or refreshes expires after this.
        single_label: keep and echo only the first label, as older Enterprise Servers do.
        byte_order_mark: start JSON of the Actions service with EF BB BF.
        acquire_limit: the most jobs that one acquirejobs really gives.
        delay: added to every request.
        version: of the Enterprise Server, told by `/meta` and in a header; before 3.18 it
            keeps only the first label; `None`: not an Enterprise Server.
        clock_offset: how far GitHub's clock is ahead of this machine's.
        silent: messages are kept back and every poll answers 202; statistics go on.
        statistics_on_get: whether scale sets are shown with statistics; sessions always are.
        limit_status: of the answer when the hourly budget is used up: 403 or 429.
        points_per_minute: more than that (GET 1, write 5) is a secondary limit; `None`: none.
        concurrent: more requests at once than that are one as well; `None`: no limit.
        secondary_status: 403 or 429.
        secondary_told: answer a secondary limit with `retry-after`, or with its text alone.
        list_delay: a new runner is in no list before that.
        list_shift: from page 2 on, so many rows of a list's start have gone meanwhile;
            below 0, so many have come.
        fail_labels: for each coming request that adds labels, the number of the label
            (from 1) that cannot be created, though all others are; 0 fails none.
        jit_timeout: a registration that no runner has used is removed after that.
        idle_timeout: a runner that is online and gets no job is removed after that.
        outdated: every runner is too old: it starts, is refused, and exits without a job.
    """

    flow: Flow = "assigned"
    poll_seconds: float = 50.0
    assign_timeout: float | None = 300.0
    assign_delay: float = 0.0
    vanish_delay: float = 0.0
    session_timeout: float | None = None
    single_label: bool = False
    byte_order_mark: bool = False
    acquire_limit: int | None = None
    delay: float = 0.0
    version: str | None = "3.19.1"
    clock_offset: float = 0.0
    silent: bool = False
    statistics_on_get: bool = True
    limit_status: int = 403
    points_per_minute: int | None = None
    concurrent: int | None = None
    secondary_status: int = 403
    secondary_told: bool = True
    list_delay: float = 0.0
    list_shift: int = 0
    fail_labels: list[int] = field(default_factory=list)
    jit_timeout: float | None = None
    idle_timeout: float | None = None
    outdated: bool = False

    @property
    def drops_labels(self) -> bool:
        """Whether only the first label of a scale set is kept."""
        return self.single_label or (self.version is not None and _number(self.version) < (3, 18))


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
