"""One hypervisor: the machines on it, and what happens to them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import libvirt
import trio

from scaler import Machine, NoRoom, Room, RoomState, Unavailable
from scaler_libvirt.hosts import driver
from scaler_libvirt.hosts.connection import Connection, OpenLink, Pace
from scaler_libvirt.hosts.events import Feed, LifecycleEvent
from scaler_libvirt.hosts.link import open_link
from scaler_libvirt.hosts.making import Making
from scaler_libvirt.hosts.roster import Roster
from scaler_libvirt.hosts.sender import Sender
from scaler_libvirt.machine.domain import DomainType, Identity, Shape, build, domain_name, new_uuid

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Sequence

    from scaler_libvirt.settings import HostSettings

_STARTED = libvirt.VIR_DOMAIN_EVENT_STARTED
_STOPPED = libvirt.VIR_DOMAIN_EVENT_STOPPED
_CRASHED = libvirt.VIR_DOMAIN_EVENT_CRASHED
_RESUMED = libvirt.VIR_DOMAIN_EVENT_RESUMED


class Host:
    """A room of ours. It knows UUIDs and identities, and never holds on to a domain.

    Args:
        settings: Where it is.
        scaler: Whose machines are ours.
        machine_changed: Told of every machine that appears or stops.
        changed: Told when the host goes up or down.
        log: Where to write.
        pace: How long things may take.
        opener: Opens connections.
    """

    def __init__(
        self,
        settings: HostSettings,
        *,
        scaler: str,
        machine_changed: Callable[[Machine], None],
        changed: Callable[[], None],
        log: logging.LoggerAdapter[logging.Logger],
        pace: Pace,
        opener: OpenLink = open_link,
    ) -> None:
        self.settings = settings
        self.name = settings.name
        self.connection = Connection(settings.name, settings.uri, pace, opener)
        self._scaler = scaler
        self._machine_changed = machine_changed
        self._changed = changed
        self._log = log
        self._pace = pace
        self._roster = Roster()
        self._making: dict[int, Making] = {}
        self._coming: set[str] = set()  # the UUIDs of what is being made
        self._sender = Sender(self.connection, pace.create, self._landed)
        self._feed: Feed | None = None
        self._pictures: dict[str, _Picture] = {}

    def room(self) -> Room:
        """This host as the plan sees it."""
        state = RoomState.UP if self.connection.up else RoomState.DOWN
        return Room(name=self.name, total=self.settings.total(), state=state)

    async def serve(self) -> None:
        """Be connected and follow events, until cancelled."""
        feed = self._feed = Feed()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow, feed)
            nursery.start_soon(self._sender.run, feed)
            nursery.start_soon(self.connection.keep, feed, self.look, self._changed)

    async def look(self) -> list[Machine]:
        """All of our machines here; tells what is new or ended since the last look."""
        before = self._roster.uuids()
        listing = await self.connection.call(
            partial(driver.list_ours, scaler=self._scaler), deadline=self._pace.look
        )
        appeared, ended = self._roster.compare(listing, before)
        for seen in appeared:
            self._machine_changed(self._machine(seen))
        for seen, why in ended:
            self._machine_changed(self._machine(seen, stopped=why))
        return [
            self._machine(seen) if seen.running else self._machine(seen, stopped=seen.why)
            for seen in listing
        ]

    async def provision(self, runner: int, identity: Identity, shape: Shape) -> Machine:
        """Make a runner's machine, once: asked again, the same one is answered.

        Raises:
            NoRoom: libvirt says that the host has no memory or disk space for it.
            NameTakenError: Its name is another's domain.
            Unavailable: The host cannot be asked, or did not answer.
        """
        making = self._making.get(runner)
        if making is None:
            making = self._make(runner, identity, shape)
            self._sender.put(making)
        elif not making.identity.same_runner(identity):
            raise driver.NameTakenError(
                f"{identity.runner_name!r} is being made with another config already"
            )
        try:
            with trio.move_on_after(self._pace.create):
                await making.news.wait()
        finally:
            if not making.landed.is_set() and making.drop():
                making.error = self._unavailable("the call was not sent in time")
                self._landed([making])
        if making.seen is not None:
            return self._machine(making.seen, stopped=self._roster.why_ended(making.seen.uuid))
        match making.error:
            case driver.NoSpaceError():
                raise NoRoom(f"host {self.name}: {making.error}") from making.error
            case None:
                raise self._unavailable(making.overdue or "its domain is still being made")
            case error:
                raise error

    def _make(self, runner: int, identity: Identity, shape: Shape) -> Making:
        facts = self.connection.facts
        if self._feed is None or facts is None:
            raise self._unavailable(self.connection.trouble)
        uuid = new_uuid()
        xml = build(
            identity,
            shape,
            kind=self._domain_type(facts.driver),
            uuid=uuid,
            x86=facts.arch in ("x86_64", "i686"),
        )
        create = partial(
            driver.create,
            xml=xml,
            name=domain_name(identity.runner_name),
            uuid=uuid,
            identity=identity,
        )
        making = self._making[runner] = Making(identity, uuid, create)
        self._coming.add(uuid)
        return making

    def _landed(self, makings: Sequence[Making]) -> None:
        for making in makings:
            runner = making.identity.runner
            if runner is not None and self._making.get(runner) is making:
                del self._making[runner]
            self._coming.discard(making.uuid)
            making.land()
            if making.seen is not None and self._roster.saw(making.seen):
                self._machine_changed(self._machine(making.seen))

    def _unavailable(self, text: str) -> Unavailable:
        return Unavailable(f"host {self.name}: {text}")

    def _domain_type(self, driver_name: str) -> DomainType:
        match driver_name.upper():
            case "TEST":
                return "test"
            case "QEMU":
                return "kvm" if self.settings.acceleration == "kvm" else "qemu"
            case other:
                raise ValueError(f"host {self.name}: no machines are made on {other} hypervisors")

    async def destroy(self, runner: int, name: str) -> bool:
        """Leave nothing of a runner's machine here; answer whether there was something.

        Args:
            runner: Its id.
            name: Its name.

        Raises:
            Unavailable: The host cannot be asked, or its machine is still being made.
        """
        if (making := self._making.get(runner)) is not None:
            with trio.move_on_after(self._pace.destroy):
                await making.landed.wait()
            if not making.landed.is_set():
                raise self._unavailable("its domain is still being made")
        count = await self.connection.call(
            partial(
                driver.destroy,
                scaler=self._scaler,
                runner=runner,
                name=domain_name(name),
                uuid=self._roster.uuid_of(runner),
                others=self._roster.uuids(),
            ),
            deadline=self._pace.destroy,
        )
        return count > 0

    async def screenshot(self, uuid: str) -> bytes | None:
        """A PNG, or None where the machine is gone. All who ask meanwhile share one."""
        picture = self._pictures.get(uuid)
        if picture is not None:
            await picture.taken.wait()
            if picture.png is not None:
                return picture.png
        picture = self._pictures[uuid] = _Picture()
        try:
            picture.png = await self.connection.call(
                partial(driver.screenshot, uuid=uuid, scaler=self._scaler),
                deadline=self._pace.screenshot,
                lane="pictures",
            )
            return picture.png
        finally:
            if self._pictures.get(uuid) is picture:
                del self._pictures[uuid]
            picture.taken.set()

    async def _follow(self, feed: Feed) -> None:
        missed = 0
        async for event in feed.events:
            try:
                if feed.missed != missed:
                    missed = feed.missed
                    self._log.warning(
                        "host %s: %d events came too fast; looking at everything", self.name, missed
                    )
                    await self.look()
                await self._step(event)
            except Unavailable as error:
                # the next connection begins with a look, and so does the next tick
                self._log.debug("%s: %s is not looked at: %s", self.name, event.uuid, error)
            except driver.Error as error:
                self._log.warning("%s: looking at %s: %s", self.name, event.uuid, error)

    async def _step(self, event: LifecycleEvent) -> None:
        if event.step == _STOPPED:
            self._stopped(event.uuid, driver.why_stopped(event.detail))
        elif event.step == _CRASHED:
            self._stopped(event.uuid, "its system crashed")
        elif event.step in (_STARTED, _RESUMED) and not self._expected(event.uuid):
            seen = await self.connection.call(
                partial(driver.look_up, uuid=event.uuid, scaler=self._scaler),
                deadline=self._pace.look,
            )
            if seen is not None and seen.running and self._roster.saw(seen):
                self._machine_changed(self._machine(seen))

    def _stopped(self, uuid: str, why: str | None) -> None:
        seen = self._roster.ended(uuid, why or "it went to another host")
        if seen is not None and why is not None:
            self._machine_changed(self._machine(seen, stopped=why))

    def _expected(self, uuid: str) -> bool:
        return self._roster.knows(uuid) or uuid in self._coming

    def _machine(self, seen: driver.Seen, stopped: str | None = None) -> Machine:
        identity = seen.identity
        facts: dict[str, Any] = {"domain": seen.domain, "generation": identity.generation}
        return Machine(
            runner=identity.runner,
            id=seen.uuid,
            state="running" if stopped is None else "stopped",
            why=stopped or "",
            room=self.name,
            runner_name=identity.runner_name,
            profile=identity.profile,
            digest=identity.config_sha256,
            facts=facts,
        )


class _Picture:
    """A screenshot that is being taken."""

    def __init__(self) -> None:
        self.taken = trio.Event()
        self.png: bytes | None = None
