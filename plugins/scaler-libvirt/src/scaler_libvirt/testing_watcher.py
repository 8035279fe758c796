"""A second client of a hypervisor, which sees every domain's life.

libvirt's test driver forgets its domains with the last connection that is closed. While a watcher
runs, they live on when the process that made them is killed, as real ones do.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import libvirt
import trio

from scaler_libvirt.hosts import driver
from scaler_libvirt.hosts.events import Feed, LifecycleEvent, turn_event_loop
from scaler_libvirt.hosts.reasons import why_stopped
from scaler_libvirt.machine.identity import Identity, identity_of

if TYPE_CHECKING:
    from collections.abc import Callable

_MANY = 100_000  # events that may wait: none may be missed


@dataclass(kw_only=True)
class Life:
    """A domain from its start to its end.

    Attributes:
        identity: From its metadata; None where it had gone before it could be asked, or is
            nobody's machine.
        ended: When it stopped; None while it lives.
        why: In words.
    """

    uuid: str
    identity: Identity | None
    began: float
    ended: float | None = None
    why: str = ""


class Watcher:
    """Watches one hypervisor, and plays the switch of its machines.

    Args:
        uri: libvirt's connection URI.
        started, stopped: Called in the trio run, in the order in which it happened.

    Attributes:
        lives: Every domain that was seen, oldest first.
    """

    def __init__(
        self,
        uri: str,
        started: Callable[[Life], object] = lambda life: None,
        stopped: Callable[[Life], object] = lambda life: None,
    ) -> None:
        self._uri = uri
        self._started = started
        self._stopped = stopped
        self._connection: Any = None
        self._live: dict[str, Life] = {}
        self.lives: list[Life] = []

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Watch until cancelled; `started()` once nothing is missed any more."""
        turn_event_loop()
        feed = Feed(_MANY)
        callback = await trio.to_thread.run_sync(self._open, feed)
        try:
            task_status.started()
            async for event in feed.events:
                await self._step(event)
                if feed.missed:
                    raise RuntimeError(f"{feed.missed} events were missed")
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._close, callback)

    def alive(self, uuid: str) -> bool:
        """Whether a domain lives, as far as events have told."""
        return uuid in self._live

    async def power_off(self, uuid: str) -> None:
        """Let a machine shut itself down, as a guest does; fine where it is gone."""
        await trio.to_thread.run_sync(partial(self._power_off, uuid))

    async def listing(self) -> dict[str, Identity]:
        """Every machine of any scaler, by its UUID, asked of libvirt itself."""
        return await trio.to_thread.run_sync(self._listing)

    async def _step(self, event: LifecycleEvent) -> None:
        if event.step == libvirt.VIR_DOMAIN_EVENT_STARTED:
            identity = await trio.to_thread.run_sync(self._identity, event.uuid)
            life = Life(uuid=event.uuid, identity=identity, began=time.monotonic())
            self._live[event.uuid] = life
            self.lives.append(life)
            self._started(life)
        elif event.step in (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_CRASHED):
            ended = self._live.pop(event.uuid, None)
            if ended is not None:
                ended.ended = time.monotonic()
                ended.why = why_stopped(event.detail) or ""
                self._stopped(ended)

    # What blocks

    def _open(self, feed: Feed) -> int:
        self._connection = libvirt.open(self._uri)
        return int(
            self._connection.domainEventRegisterAny(
                None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, _stepped, feed
            )
        )

    def _close(self, callback: int) -> None:
        with suppress(driver.Error):
            self._connection.domainEventDeregisterAny(callback)
        with suppress(driver.Error):
            self._connection.close()

    def _identity(self, uuid: str) -> Identity | None:
        try:
            return identity_of(self._connection.lookupByUUIDString(uuid).XMLDesc())
        except driver.Error:
            return None

    def _power_off(self, uuid: str) -> None:
        with suppress(driver.Error):
            self._connection.lookupByUUIDString(uuid).shutdown()

    def _listing(self) -> dict[str, Identity]:
        uuids = [domain.UUIDString() for domain in self._connection.listAllDomains()]
        found = {uuid: self._identity(uuid) for uuid in uuids}
        return {uuid: identity for uuid, identity in found.items() if identity is not None}


def _stepped(_connection: Any, domain: Any, step: int, detail: int, feed: Feed) -> None:
    """Called by libvirt's thread: must neither raise nor wait."""
    with suppress(driver.Error):
        feed.post(LifecycleEvent(domain.UUIDString(), step, detail))
