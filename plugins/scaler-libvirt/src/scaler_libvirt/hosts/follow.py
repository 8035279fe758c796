"""What happens to a host's machines between two looks: events, standstills, addresses."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import libvirt
import trio

from scaler import Unavailable
from scaler_libvirt.hosts import asking, driver
from scaler_libvirt.hosts.base import CannotBeMadeError
from scaler_libvirt.hosts.events import REBOOTED
from scaler_libvirt.hosts.reasons import CRASHED, why_stopped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scaler_libvirt.hosts.connection import Connection
    from scaler_libvirt.hosts.events import Feed, LifecycleEvent
    from scaler_libvirt.hosts.machines import Machines
    from scaler_libvirt.hosts.ties import Ties

_RUNS = (libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_RESUMED)
_SOON, _LATE = 1.0, 5.0  # seconds between two questions for addresses; it grows
_DEADLINE = 20.0


class Follower:
    """Keeps what is known of a host's machines in step with what happens to them.

    Args:
        connection: To the host.
        ties: To the world above.
        machines: What is known.
        expected: Whether a machine is being made.
        look: Looks at everything, without waiting for events: they wait for this task meanwhile.
        deadline: For a look at one machine, in seconds.
    """

    def __init__(
        self,
        connection: Connection,
        ties: Ties,
        machines: Machines,
        *,
        expected: Callable[[str], bool],
        look: Callable[[], Awaitable[object]],
        deadline: float,
    ) -> None:
        self._connection = connection
        self._ties = ties
        self._machines = machines
        self._expected = expected
        self._look = look
        self._deadline = deadline

    async def run(self, feed: Feed) -> None:
        """Follow events, until cancelled."""
        name, log = self._connection.name, self._ties.log
        missed = 0
        async for event in feed.events:
            try:
                if feed.missed != missed:
                    missed = feed.missed
                    log.warning(
                        "host %s: %d events came too fast; looking at everything", name, missed
                    )
                    await self._look()
                await self._step(event)
            except Unavailable as error:
                # the next connection begins with a look, and so does the next tick
                log.debug("%s: %s is not looked at: %s", name, event.uuid, error)
            except (driver.Error, CannotBeMadeError) as error:
                log.warning("%s: looking at %s: %s", name, event.uuid, error)

    async def _step(self, event: LifecycleEvent) -> None:
        machines = self._machines
        if event.step == libvirt.VIR_DOMAIN_EVENT_STOPPED:
            why = why_stopped(event.detail)
            machines.ended(event.uuid, why or "it went to another host", tell=why is not None)
        elif event.step == libvirt.VIR_DOMAIN_EVENT_CRASHED:
            machines.ended(event.uuid, CRASHED)
        elif event.step == libvirt.VIR_DOMAIN_EVENT_SUSPENDED:
            if event.detail == libvirt.VIR_DOMAIN_EVENT_SUSPENDED_IOERROR:
                machines.paused(event.uuid, "space")
            elif event.detail == libvirt.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED:
                machines.paused(event.uuid, "person")
        elif event.step == REBOOTED:
            machines.rebooted(event.uuid)
        elif event.step in _RUNS:
            await self._runs(event.uuid)

    async def _runs(self, uuid: str) -> None:
        self._machines.paused(uuid, "")
        if self._machines.roster.knows(uuid) or self._expected(uuid):
            return
        seen = await self._connection.call(
            partial(driver.look_up, uuid=uuid, scaler=self._ties.scaler), deadline=self._deadline
        )
        if seen is not None and seen.running:
            self._machines.saw(seen)

    async def help(self) -> None:
        """Let machines go on that had no disk space, and give those up that had none for long."""
        while True:
            await trio.sleep(_SOON)
            due = self._machines.standstills.due(time.monotonic())
            for uuid in due.given_up:
                self._machines.gave_up(uuid)
            for uuid in due.resume:
                try:
                    await self._connection.call(
                        partial(driver.resume, scaler=self._ties.scaler, uuid=uuid),
                        deadline=_DEADLINE,
                    )
                except (Unavailable, driver.Error) as error:
                    self._ties.log.info("%s: %s: %s", self._connection.name, uuid, error)

    async def learn(self) -> None:
        """Ask for the addresses that nobody fixed, until they are known."""
        pause, turns = _SOON, asking.Turns()
        while True:
            await trio.sleep(pause)
            asked = turns.next(
                asking.Question(uuid=seen.uuid, mac=seen.identity.mac, source=self._source(seen))
                for seen in self._machines.nameless()
            )
            pause = min(_LATE, pause * 1.5) if asked else _SOON
            if not asked:
                continue
            try:
                found = await self._connection.call(
                    partial(asking.addresses, questions=asked), deadline=_DEADLINE
                )
            except (Unavailable, driver.Error) as error:
                self._ties.log.debug("%s: no addresses: %s", self._connection.name, error)
                continue
            for uuid, addresses in found.items():
                self._machines.learnt(uuid, addresses)

    def _source(self, seen: driver.Seen) -> asking.Source:
        own = self._ties.own.get(seen.identity.profile)
        return "lease" if own is None or own.address == "fixed" else own.address
