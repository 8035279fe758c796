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
from typing import TYPE_CHECKING

from scaler_libvirt.hosts.networks import Entry
from scaler_libvirt.machine.identity import mac_of
from scaler_libvirt.machine.names import entry_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scaler_libvirt.hosts.networks import NetworkFacts

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
        entries = {entry.ip: entry for entry in network.entries}
        leased: dict[str, set[str]] = {}
        for mac, address in leases.items():
            leased.setdefault(address, set()).add(mac)
        with self._lock:
            for address in self._candidates(uuid, network, now):
                if address == network.address:
                    continue
                mine = entry_for(self._tag, network.uuid, address)
                there = entries.get(address)
                if there not in (None, mine) or leased.get(address, {mine.mac}) != {mine.mac}:
                    continue
                self._held[address] = uuid
                return Slot(entry=mine, entered=there is not None)
        return None

    def missing(self, network: NetworkFacts, most: int) -> list[Entry]:
        """The entries that a network lacks to have this many of ours, where there is room."""
        entries = {entry.ip for entry in network.entries}
        ours = sum(
            entry == entry_for(self._tag, network.uuid, entry.ip) for entry in network.entries
        )
        found: list[Entry] = []
        for first, last in network.ranges:
            for number in range(int(_Address(first)), int(_Address(last)) + 1):
                if ours + len(found) >= most:
                    return found
                address = str(_Address(number))
                if address not in entries and address != network.address:
                    found.append(entry_for(self._tag, network.uuid, address))
        return found

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

    def _candidates(self, uuid: str, network: NetworkFacts, now: float) -> Iterator[str]:
        yield from [each for each, holder in self._held.items() if holder == uuid]
        spans = [(_Address(first), _Address(last)) for first, last in network.ranges]

        def fits(address: str) -> bool:
            free = address not in self._held and now - self._freed.get(address, -math.inf) >= (
                self._rest
            )
            return free and any(first <= _Address(address) <= last for first, last in spans)

        ours = [
            entry.ip
            for entry in network.entries
            if entry == entry_for(self._tag, network.uuid, entry.ip) and fits(entry.ip)
        ]
        yield from sorted(ours, key=lambda each: self._freed.get(each, -math.inf))
        for first, last in spans:
            for number in range(int(first), int(last) + 1):
                if fits(str(_Address(number))):
                    yield str(_Address(number))
