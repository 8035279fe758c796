"""The machines of one host, as they are known and as the core is told of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trio

from scaler import Machine
from scaler_libvirt.hosts.life import WHY_GIVEN_UP, WORDS, Pause, Standstills
from scaler_libvirt.hosts.reasons import SHUT_DOWN, UNSEEN
from scaler_libvirt.hosts.remnants import LEFT
from scaler_libvirt.hosts.roster import Roster
from scaler_libvirt.machine.identity import domain_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scaler_libvirt.hosts.driver import Seen
    from scaler_libvirt.hosts.remnants import Remnant
    from scaler_libvirt.hosts.slots import Slots


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a machine came to be off.

    Attributes:
        why: For people.
        clean: True where it powered itself off, False where it crashed or was destroyed, None
            where nobody saw it end.
    """

    why: str
    clean: bool | None


class Machines:
    """What is known of a host's machines. Used in the trio run alone.

    Args:
        room: The host's name.
        pool: Where volumes are; shown, so that a person finds a disk that is kept.
        scaler: Whose machines they are.
        slots: Told who holds an address.
        tell: Told of every machine that appears, changes or ends.

    Attributes:
        pool: See above.
        roster: Who runs, and who ended.
        standstills: Who stands still.
    """

    def __init__(
        self, room: str, pool: str, scaler: str, slots: Slots, tell: Callable[[Machine], None]
    ) -> None:
        self._room = room
        self.pool = pool
        self._scaler = scaler
        self._slots = slots
        self._tell = tell
        self._news = trio.Event()
        self._learnt: dict[str, tuple[str, ...]] = {}
        self._reboots: dict[str, int] = {}
        self.roster = Roster()
        self.standstills = Standstills()

    def saw(self, seen: Seen) -> None:
        """A machine runs, or did until a moment ago."""
        if self.roster.saw(seen):
            self._began(seen)
        elif not self.roster.knows(seen.uuid):  # its end was told before it was known to be there
            self._slots.free(seen.uuid, time.monotonic())

    def look(self, listing: Sequence[Seen], before: frozenset[str]) -> None:
        """Take in a complete look; see `Roster.compare`."""
        appeared, ended = self.roster.compare(listing, before)
        for seen in appeared:
            self._began(seen)
        for seen, why in ended:
            self._over(seen, why)
        for seen in listing:
            if seen.running:
                self.paused(seen.uuid, seen.pause)

    async def hear(self, missing: frozenset[str], within: float) -> None:
        """Let events come first that say how these ended: a look knows only that they did."""
        with trio.move_on_after(within):
            while any(self.roster.knows(uuid) for uuid in missing):
                await self._news.wait()

    def ended(self, uuid: str, why: str, *, tell: bool = True) -> None:
        """A domain is off."""
        seen = self.roster.ended(uuid, why)
        if seen is not None:
            self._over(seen, why, tell=tell)

    def vanished(self, uuid: str) -> None:
        """A machine that nothing is known of is not there."""
        self.roster.ended(uuid, UNSEEN)
        self._wake()

    def paused(self, uuid: str, why: Pause) -> None:
        """A machine stands still, or (empty) goes on."""
        seen = self.roster.get(uuid)
        if seen is not None and self.standstills.set(uuid, why, time.monotonic()):
            self._tell(self.record(seen))

    def gave_up(self, uuid: str) -> None:
        """A machine stood still for too long."""
        seen = self.roster.get(uuid)
        if seen is not None:
            self._tell(self.record(seen))

    def learnt(self, uuid: str, addresses: tuple[str, ...]) -> None:
        """A machine's addresses are known."""
        seen = self.roster.get(uuid)
        if seen is not None and self._learnt.get(uuid) != addresses:
            self._learnt[uuid] = addresses
            self._tell(self.record(seen))

    def nameless(self) -> list[Seen]:
        """The machines with an interface of ours whose address is not known."""
        return [
            seen
            for seen in self.roster.machines()
            if seen.identity.mac and not seen.identity.address and seen.uuid not in self._learnt
        ]

    def rebooted(self, uuid: str) -> None:
        """A machine's system began anew."""
        seen = self.roster.get(uuid)
        if seen is not None:
            self._reboots[uuid] = self._reboots.get(uuid, 0) + 1
            self._tell(self.record(seen))

    async def wait_ended(self, uuid: str) -> Ended:
        """Wait until a machine is known to be off; at once where it is."""
        while (why := self.roster.why_ended(uuid)) is None:
            await self._news.wait()
        return Ended(why=why, clean=None if why in (UNSEEN, LEFT) else why == SHUT_DOWN)

    def record(self, seen: Seen, stopped: str | None = None) -> Machine:
        """A machine as the core is told of it.

        Args:
            seen: The domain.
            stopped: Why it is off; None where it runs.
        """
        identity = seen.identity
        facts: dict[str, Any] = {"domain": seen.domain, "generation": identity.generation}
        if identity.runner is None:
            facts["role"] = identity.role
        if identity.image:
            facts["image"] = identity.image
        if seen.uuid in self._reboots:
            facts["reboots"] = self._reboots[seen.uuid]
        if (pause := self.standstills.why(seen.uuid)) and stopped is None:
            facts["paused"] = WORDS[pause]
            if self.standstills.given_up(seen.uuid):
                stopped = WHY_GIVEN_UP
        return Machine(
            runner=identity.runner,
            id=seen.uuid,
            state="running" if stopped is None else "stopped",
            why=stopped or "",
            room=self._room,
            runner_name=identity.runner_name,
            profile=identity.profile,
            addresses=self.addresses(seen),
            delivered=identity.delivered,
            digest=identity.config_sha256,
            key=identity.key_sha256,
            facts=facts,
        )

    def addresses(self, seen: Seen) -> tuple[str, ...]:
        """A machine's addresses, as far as they are known."""
        if seen.identity.address:
            return (seen.identity.address,)
        return self._learnt.get(seen.uuid, ())

    def remnant(self, remnant: Remnant) -> Machine:
        """What is left of a machine, as the core is told of it."""
        whose = remnant.whose
        why = self.roster.why_ended(whose.uuid)
        disk = {"pool": self.pool, "volumes": ", ".join(remnant.names)}
        was = self.roster.was(whose.uuid)
        if was is not None:
            record = self.record(was, stopped=why or LEFT)
            return _with_facts(record, disk)
        name = "" if whose.runner is None else f"{whose.profile}.{whose.runner}@{self._scaler}"
        return Machine(
            runner=whose.runner,
            id=whose.uuid,
            state="stopped",
            why=why or LEFT,
            room=self._room,
            runner_name=name,
            profile=whose.profile,
            facts={"domain": domain_name(name), **disk},
        )

    def _began(self, seen: Seen) -> None:
        if seen.identity.address:
            self._slots.hold(seen.uuid, seen.identity.address)
        if seen.pause:
            self.standstills.set(seen.uuid, seen.pause, time.monotonic())
        self._tell(self.record(seen))

    def _over(self, seen: Seen, why: str, *, tell: bool = True) -> None:
        self._slots.free(seen.uuid, time.monotonic())
        self.standstills.gone(seen.uuid)
        self._learnt.pop(seen.uuid, None)
        self._reboots.pop(seen.uuid, None)
        if tell:
            self._tell(self.record(seen, stopped=why))
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, trio.Event()
        news.set()


def _with_facts(machine: Machine, more: dict[str, str]) -> Machine:
    return Machine(**{**vars(machine), "facts": {**machine.facts, **more}})
