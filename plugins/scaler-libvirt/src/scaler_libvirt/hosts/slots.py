"""Which address a machine gets on a network. Pure but for a lock: makings run in several threads.

An address and the hardware address of the interface that has it belong together for good: they are
a slot. So a network's DHCP server, which holds on to its leases for long, knows the same interface
under the same address whatever machine it belongs to. A slot is entered in the network's list of
hosts when it is first needed, which takes libvirt a third of a second, and stays there for as long
as the network runs. A machine only takes a slot, which costs nothing, and lets it go.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import uuid as uuids
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from scaler_libvirt.hosts.networks import Entry
from scaler_libvirt.machine.identity import mac_of
from scaler_libvirt.machine.names import entry_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scaler_libvirt.hosts.networks import NetworkFacts

MOST = 256  # of a network's entries are ours: each costs libvirt a line of the network and time
REST = 60.0  # seconds for which a freed slot is left alone: someone may still mean the one before

_Address = ipaddress.IPv4Address
_NAMES = uuids.UUID("b0c7e6a2-3a0f-4b0e-9d53-6f1b8e6f6c11")  # any, but always the same


@dataclass(frozen=True, kw_only=True)
class Slot:
    """An address, with the interface that has it.

    Attributes:
        entry: How it stands in the network's list of hosts.
        entered: Whether it stands there already.
    """

    entry: Entry
    entered: bool

    @property
    def address(self) -> str:
        """The address."""
        return self.entry.ip


@lru_cache(maxsize=4096)
def entry_for(tag: str, network: str, address: str) -> Entry:
    """The slot of an address: the same one, whoever asks and whenever.

    Args:
        tag: Of the scaler's name: two scalers in one network never mean the same slot.
        network: The network's UUID.
        address: In the network.
    """
    name = str(uuids.uuid5(_NAMES, f"{tag} {network} {address}"))
    return Entry(mac=mac_of(name), ip=address, name=entry_name(tag, name))


class Slots:
    """Deals a host's slots: never one that is held, was let go a moment ago, or is another's.

    Those that are entered come first, the one that was let go longest ago before others.
    """

    def __init__(self, tag: str, rest: float = REST) -> None:
        self._tag = tag
        self._rest = rest
        self._lock = threading.Lock()
        self._held: dict[str, str] = {}  # by address, the uuid of the machine that has it
        self._freed: dict[str, float] = {}

    def take(
        self, uuid: str, network: NetworkFacts, leases: Mapping[str, str], now: float
    ) -> Slot | None:
        """A slot for a machine, the one that it holds where it holds one; None: all are taken.

        Args:
            uuid: The machine's.
            network: As it is now.
            leases: By MAC, the address that the network's DHCP server has given out.
            now: In seconds, on a clock that never goes back.
        """
        usable = self._usable(network, leases)
        with self._lock:
            for address in self._in_turn(uuid, usable, now):
                self._held[address] = uuid
                return Slot(
                    entry=entry_for(self._tag, network.uuid, address),
                    entered=address in usable.entered,
                )
        return None

    def missing(
        self, network: NetworkFacts, leases: Mapping[str, str], most: int
    ) -> tuple[Entry, ...]:
        """The entries that a network lacks to have this many of ours, where there is room.

        Args:
            network: As it is now.
            leases: By MAC, the address that the network's DHCP server has given out.
            most: As many as are wanted; there are never more than `MOST`.
        """
        lacking = max(0, min(most, MOST) - len(self._ours(network)))
        return tuple(
            entry_for(self._tag, network.uuid, address)
            for address in islice(self._new(network, leases), lacking)
        )

    def refuse(self, uuid: str, address: str, now: float) -> None:
        """The slot turned out to be another's: for a while it is not dealt."""
        with self._lock:
            if self._held.get(address) == uuid:
                del self._held[address]
            self._freed[address] = now

    def hold(self, uuid: str, address: str) -> None:
        """A machine that was found has this address."""
        with self._lock:
            self._held[address] = uuid

    def free(self, uuid: str, now: float) -> None:
        """A machine is gone, or was never made."""
        with self._lock:
            for address in [each for each, holder in self._held.items() if holder == uuid]:
                del self._held[address]
                self._freed[address] = now

    def _usable(self, network: NetworkFacts, leases: Mapping[str, str]) -> _Usable:
        """Without the lock: this takes as long as the network's list of hosts is."""
        ours = self._ours(network)
        leased = _by_address(leases)
        mine = [entry for entry in ours if leased.get(entry.ip, {entry.mac}) == {entry.mac}]
        spans = _spans(network)
        inside = [
            entry.ip
            for entry in mine
            if any(first <= int(_Address(entry.ip)) <= last for first, last in spans)
        ]
        # (twice as many: some may be in another thread's hands at this moment)
        new = islice(self._new(network, leases), 2 * MOST if len(ours) < MOST else 0)
        return _Usable(
            entered=frozenset(entry.ip for entry in mine if entry.ip != network.address),
            dealt=tuple(address for address in inside if address != network.address),
            new=tuple(new),
        )

    def _ours(self, network: NetworkFacts) -> list[Entry]:
        return [
            entry
            for entry in network.entries
            if entry == entry_for(self._tag, network.uuid, entry.ip)
        ]

    def _new(self, network: NetworkFacts, leases: Mapping[str, str]) -> Iterator[str]:
        """Addresses that nobody has, in order."""
        entered = {entry.ip for entry in network.entries}
        leased = _by_address(leases)
        for first, last in _spans(network):
            for number in range(first, last + 1):
                address = str(_Address(number))
                if address in entered or address == network.address:
                    continue
                if address in leased:
                    mac = entry_for(self._tag, network.uuid, address).mac
                    if leased[address] != {mac}:
                        continue
                yield address

    def _in_turn(self, uuid: str, usable: _Usable, now: float) -> Iterator[str]:
        known = {*usable.entered, *usable.new}
        yield from [each for each, holder in self._held.items() if holder == uuid and each in known]
        dealt = sorted(usable.dealt, key=lambda each: self._freed.get(each, -math.inf))
        for address in (*dealt, *usable.new):
            rested = now - self._freed.get(address, -math.inf) >= self._rest
            if rested and address not in self._held:
                yield address


@dataclass(frozen=True, kw_only=True)
class _Usable:
    """The addresses of a network that may be ours.

    Attributes:
        entered: Those that stand in its list of hosts.
        dealt: Of these, the ones that new machines may get.
        new: The first that do not stand there.
    """

    entered: frozenset[str]
    dealt: tuple[str, ...]
    new: tuple[str, ...]


def _spans(network: NetworkFacts) -> list[tuple[int, int]]:
    return [(int(_Address(first)), int(_Address(last))) for first, last in network.ranges]


def _by_address(leases: Mapping[str, str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for mac, address in leases.items():
        found.setdefault(address, set()).add(mac)
    return found
