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
    from scaler import Context, SettingsChange

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
        self._pollers: dict[str, Poller] = {}

    @hookimpl
    async def on_settings_changed(self, change: SettingsChange) -> list[str]:
        """Look as often as the settings say now. Profiles are looked at as their listeners are."""
        for poller in self._pollers.values():
            poller.look_every(float(self._context.config.interval))
        return []

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        """Look at every profile's scale set until the scaler stops."""
        name = self._context.name
        try:
            queue = self._context.plugin(ActionsQueue)
        except LookupError:
            raise SettingsError([f"plugins.{name}: it needs [plugins.actions-queue]"]) from None
        self._pollers = {}
        async with trio.open_nursery() as nursery:
            task_status.started()
            with trio.CancelScope() as following:
                nursery.start_soon(self._end, following)
                while True:
                    changed = queue.lines.changed
                    self._follow(queue, nursery)
                    await changed.wait()

    async def _end(self, following: trio.CancelScope) -> None:
        await self._context.stopping.wait()
        following.cancel()

    def _follow(self, queue: ActionsQueue, nursery: trio.Nursery) -> None:
        """Look beside those who listen now, and beside nobody else."""
        states = queue.lines.states
        for profile, poller in list(self._pollers.items()):
            if states.get(profile) is not poller.state:
                poller.end()
                del self._pollers[profile]
        for profile in queue.lines:
            if profile not in self._pollers and profile in states:
                self._pollers[profile] = poller = Poller(
                    self._context,
                    profile,
                    account=queue.account(profile),
                    state=states[profile],
                    interval=float(self._context.config.interval),
                )
                nursery.start_soon(poller.run, name=f"acquirable jobs of {profile}")
