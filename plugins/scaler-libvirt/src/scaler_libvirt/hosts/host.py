"""One hypervisor: the machines on it, and what happens to them."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import trio

from scaler import Incomplete, NoRoom, Unavailable
from scaler_libvirt.hosts import assembly, driver
from scaler_libvirt.hosts.acceleration import FINDING_OUT, Acceleration
from scaler_libvirt.hosts.base import CannotBeMadeError, PoolTroubleError
from scaler_libvirt.hosts.connection import Connection, OpenLink, Pace
from scaler_libvirt.hosts.events import Feed
from scaler_libvirt.hosts.follow import Follower
from scaler_libvirt.hosts.link import open_link
from scaler_libvirt.hosts.machines import Machines
from scaler_libvirt.hosts.making import Making
from scaler_libvirt.hosts.orders import Orders
from scaler_libvirt.hosts.reasons import plain
from scaler_libvirt.hosts.remnants import Remnant, Sightings, remnants
from scaler_libvirt.hosts.seeing import LOG, Seeing
from scaler_libvirt.hosts.sender import Sender
from scaler_libvirt.hosts.slots import Slots
from scaler_libvirt.hosts.standing import Standing
from scaler_libvirt.hosts.suitability import Suitability
from scaler_libvirt.machine.identity import domain_name
from scaler_libvirt.machine.names import tag_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scaler import Machine
    from scaler_libvirt.hosts.order import Order
    from scaler_libvirt.hosts.ties import Ties
    from scaler_libvirt.machine.identity import Identity
    from scaler_libvirt.machine.shape import DomainType
    from scaler_libvirt.settings import HostSettings

_HEARD = 0.5  # seconds for an event to come that says why a machine is not listed any more


class Host(Standing):
    """A room of ours. It knows UUIDs and identities, and never holds on to a domain.

    Args:
        settings: Where it is.
        ties: To the world above.
        pace: How long things may take.
        opener: Opens connections.
        alone: Whether guests may be known by their addresses here.

    Attributes:
        name: Of the room.
    """

    def __init__(
        self,
        settings: HostSettings,
        ties: Ties,
        *,
        pace: Pace,
        opener: OpenLink = open_link,
        alone: bool = True,
    ) -> None:
        self.settings = settings
        self.alone = alone
        self.name = settings.name
        self.pace = pace
        self.connection = Connection(settings.name, settings.uri, pace, opener)
        self.scaler = ties.scaler
        self.tag = tag_of(ties.scaler)
        self.ties = ties
        slots = Slots(self.tag)
        self.orders = Orders(
            settings, scaler=ties.scaler, guest_url=ties.guest_url, slots=slots, alone=alone
        )
        wants = self.wants()
        self.pool = self.pool_for(wants)
        self.machines = Machines(settings.name, self.pool, ties.scaler, slots, ties.machine_changed)
        self.acceleration = Acceleration(settings, ties.scaler, ties.memory, ties.log)
        self.suitability = Suitability(
            settings,
            ties,
            wants,
            self.connection,
            self.acceleration,
            slots,
            busy=lambda: bool(self._makings),
        )
        self._slots = slots
        self._makings: dict[int | str, Making] = {}
        self._coming: set[str] = set()  # the UUIDs of what is being made
        self._sightings = Sightings(pace.create)
        self._left: dict[str, Remnant] = {}
        self._sender = Sender(self.connection, pace.create, self._landed)
        self._feed: Feed | None = None
        self._seeing = Seeing(self.connection, ties.scaler, self.pool, self.machines.roster)

    async def is_empty(self) -> bool:
        """Whether nothing of ours is here, by a look that saw everything."""
        if not self.connection.up:
            return False
        try:
            found = await self.look()
        except (Unavailable, Incomplete, driver.Error, CannotBeMadeError):
            return False
        return not (found or self.builders_left() or self._makings)

    async def serve(self) -> None:
        """Be connected and follow events, until cancelled."""
        feed = self._feed = Feed()
        follower = Follower(
            self.connection,
            self.ties,
            self.machines,
            expected=lambda uuid: uuid in self._coming,
            look=self._look,
            deadline=self.pace.look,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follower.run, feed)
            nursery.start_soon(follower.help)
            nursery.start_soon(follower.learn)
            nursery.start_soon(self._sender.run, feed)
            nursery.start_soon(self.suitability.run)
            nursery.start_soon(self.connection.keep, feed, self._arrive, self._moved)

    def _moved(self) -> None:
        """It went up or down."""
        self.suitability.wake()
        self.ties.changed()

    async def _arrive(self) -> None:
        await self._look(_HEARD)
        self.seen = True
        await self.suitability.arrive()

    # -- looking

    async def look(self) -> list[Machine]:
        """All of our machines here; tells what is new or ended since the last look.

        Those of which only volumes are left are among them, as stopped.

        Raises:
            Incomplete: Volumes cannot be looked at now: those that came to be alone since the last
                look are missing.
        """
        found, trouble = await self._look(_HEARD)
        if trouble is not None:
            text = f"of which machines only disks are left is not known: {trouble}"
            raise Incomplete(found, f"host {self.name}: {text}") from trouble
        return found

    async def _look(self, hear: float = 0) -> tuple[list[Machine], PoolTroubleError | None]:
        """Look; answer what there is, and why its volumes could not be looked at.

        Args:
            hear: Seconds for events to come; 0 where the task asks that takes them.
        """
        before, coming = self.machines.roster.uuids(), frozenset(self._coming)
        looked = await self.connection.call(
            partial(assembly.look, scaler=self.scaler, pool=self.pool), deadline=self.pace.look
        )
        if hear:
            await self.machines.hear(before - {seen.uuid for seen in looked.domains}, hear)
        self.machines.look(looked.domains, before)
        found = [
            self.machines.record(seen, stopped=None if seen.running else seen.why)
            for seen in looked.domains
        ]
        trouble = looked.names if isinstance(looked.names, PoolTroubleError) else None
        if not isinstance(looked.names, PoolTroubleError):
            alive = {*coming, *self._coming, *self.machines.roster.uuids()}
            alive |= {seen.uuid for seen in looked.domains}
            await self._count(remnants(looked.names, self.tag, alive))
        # (volumes that cannot be looked at are there all the same)
        shown = {machine.runner for machine in found}
        for remnant in self._left.values():
            if remnant.whose.runner is not None and remnant.whose.runner not in shown:
                shown.add(remnant.whose.runner)
                found.append(self.machines.remnant(remnant))
        return found, trouble

    async def _count(self, seen: dict[str, Remnant]) -> None:
        """Take in the remnants that were seen."""
        told = self.ties.known() if seen else ()
        sure = self._sightings.sure(
            seen,
            lambda uuid: self.machines.roster.why_ended(uuid) is not None or uuid in told,
            time.monotonic(),
        )
        self._left = {remnant.whose.uuid: remnant for remnant in sure if remnant.worth}
        litter = [name for remnant in sure if not remnant.worth for name in remnant.names]
        if litter:
            try:
                await self.connection.call(
                    partial(assembly.tidy, pool=self.pool, names=litter), deadline=self.pace.look
                )
            except (Unavailable, driver.Error, PoolTroubleError) as error:
                # nobody needs them gone: a look is worth more
                self.ties.log.info("host %s: %s stay: %s", self.name, ", ".join(litter), error)

    def builders_left(self) -> list[Machine]:
        """Machines that make or try images, of which only volumes were left at the last look."""
        return [
            self.machines.remnant(remnant)
            for remnant in self._left.values()
            if remnant.whose.runner is None
        ]

    # -- making

    def kind(self) -> tuple[DomainType, str]:
        """How machines are run here now, and the processor's architecture.

        Raises:
            Unavailable: There is no connection.
            NoRoom: It is not known yet, or no machines are made on such a hypervisor.
        """
        facts = self.connection.facts
        if self._feed is None or facts is None:
            raise self.unavailable(self.connection.trouble)
        if self.acceleration.kind is None:
            try:
                self.acceleration.given(facts)
            except ValueError as error:
                raise NoRoom(f"host {self.name}: {error}") from error
        if self.acceleration.kind is None:
            raise NoRoom(f"host {self.name}: {FINDING_OUT}")
        return self.acceleration.kind, facts.arch

    async def provision(
        self,
        key: int | str,
        order: Callable[[], Order],
        same: Callable[[Identity], bool] = lambda _: True,
    ) -> Machine:
        """Make a machine, once: asked again, the same one is answered.

        Args:
            key: Its runner's id, or its UUID where it has none.
            order: Writes the order, where none is being carried out.
            same: Whether the machine that is being made for this key already is the one wanted.

        Raises:
            NoRoom: libvirt says that the host has no memory or disk space for it, or something
                that it needs is not there, or that such a machine cannot be started.
            NameTakenError: Its name is another's domain.
            Unavailable: The host cannot be asked, or did not answer.
        """
        making = self._makings.get(key)
        if making is None:
            wanted = order()
            making = self._makings[key] = Making(
                wanted.identity, wanted.uuid, partial(assembly.make, order=wanted)
            )
            self._coming.add(wanted.uuid)
            self._sender.put(making)
        elif not same(making.identity):
            raise driver.NameTakenError(
                f"{making.identity.runner_name!r} is being made with another config already"
            )
        try:
            with trio.move_on_after(self.pace.create):
                await making.news.wait()
        finally:
            if not making.landed.is_set() and making.drop():
                making.error = self.unavailable("the call was not sent in time")
                self._landed([making])
        if making.seen is not None:
            why = self.machines.roster.why_ended(making.seen.uuid)
            return self.machines.record(making.seen, stopped=why)
        match making.error:
            case driver.NoSpaceError() | CannotBeMadeError() | ValueError():
                raise NoRoom(f"host {self.name}: {making.error}") from making.error
            case None:
                raise self.unavailable(making.overdue or "its domain is still being made")
            case error:
                raise error

    def _landed(self, makings: Sequence[Making]) -> None:
        for making in makings:
            for key in (making.identity.runner, making.uuid):
                if key is not None and self._makings.get(key) is making:
                    del self._makings[key]
            if making.seen is not None:
                self.machines.saw(making.seen)
            else:
                self._slots.free(making.uuid, time.monotonic())
            if isinstance(making.error, (driver.Error, CannotBeMadeError)):
                making.error = CannotBeMadeError(plain(making.error))  # others' still can
            if isinstance(making.error, (CannotBeMadeError, ValueError)):
                self.suitability.spoilt(making.identity.profile, str(making.error))
            # (last: until now it is known as coming, from here on as running)
            self._coming.discard(making.uuid)
            making.land()

    def makings(self) -> list[Making]:
        """What is being made."""
        return list(self._makings.values())

    # -- ending

    async def destroy(self, runner: int, name: str) -> bool:
        """Leave nothing of a runner's machine here; answer whether there was something.

        Args:
            runner: Its id.
            name: Its name.

        Raises:
            Unavailable: The host cannot be asked, or its machine is still being made.
        """
        if (making := self._makings.get(runner)) is not None:
            with trio.move_on_after(self.pace.destroy):
                await making.landed.wait()
            if not making.landed.is_set():
                raise self.unavailable("its domain is still being made")
        try:
            count = await self.connection.call(
                partial(
                    assembly.destroy,
                    scaler=self.scaler,
                    runner=runner,
                    tag=self.tag,
                    name=domain_name(name),
                    pool=self.pool,
                    uuid=self.machines.roster.uuid_of(runner),
                    others=self.machines.roster.uuids(),
                ),
                deadline=self.pace.destroy,
            )
        except PoolTroubleError as error:
            raise self.unavailable(f"its disk may be there: {error}") from error
        self._left = {
            uuid: remnant for uuid, remnant in self._left.items() if remnant.whose.runner != runner
        }
        return count > 0

    async def tail(self, runner: int | None, uuid: str, limit: int = LOG) -> bytes:
        """The end of a machine's serial log, without what it was given in secret.

        Args:
            runner: Whose machine; None for a machine that has none.
            uuid: The machine's, where that is known.
            limit: In bytes.

        Raises:
            Unavailable: The host cannot be asked.
        """
        return await self._seeing.tail(runner, uuid, limit)

    async def screenshot(self, uuid: str) -> bytes | None:
        """A PNG, or None where the machine is gone. All who ask meanwhile share one."""
        return await self._seeing.screenshot(uuid)

    def unavailable(self, text: str) -> Unavailable:
        """What to raise where it cannot be asked."""
        return Unavailable(f"host {self.name}: {text}")
