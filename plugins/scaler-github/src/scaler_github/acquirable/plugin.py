"""The plugin of the fallback: one poller for each profile that has a queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from scaler import Duration, SettingsError, hookimpl
from scaler_github.acquirable.decide import APART
from scaler_github.acquirable.poller import Poller
from scaler_github.queue import ActionsQueue

if TYPE_CHECKING:
    from scaler import Context

INTERVAL = Duration(60)


class AcquirableJobs:
    """Looks for jobs that the queue has not told: what waits must not wait for a lost message."""

    api = "1.0"

    @dataclass(frozen=True)
    class Config:
        """`[plugins.acquirable-jobs]`.

        Attributes:
            interval: How often each profile's scale set is looked at, at least; 10s is the least.
        """

        interval: Duration = INTERVAL

        def __post_init__(self) -> None:
            if self.interval < APART:
                least = Duration(APART)
                raise ValueError(f"interval: found {self.interval}, wanted {least} or more")

    def __init__(self, context: Context[Config, None]) -> None:
        self._context = context

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        """Look at every profile's scale set until the scaler stops."""
        name = self._context.name
        try:
            queue = self._context.plugin(ActionsQueue)
        except LookupError:
            raise SettingsError([f"plugins.{name}: it needs [plugins.actions-queue]"]) from None
        async with trio.open_nursery() as nursery:
            for profile, state in queue.states.items():
                poller = Poller(
                    self._context,
                    profile,
                    account=queue.account(profile),
                    state=state,
                    interval=float(self._context.config.interval),
                )
                nursery.start_soon(poller.run, name=f"acquirable jobs of {profile}")
            task_status.started()
