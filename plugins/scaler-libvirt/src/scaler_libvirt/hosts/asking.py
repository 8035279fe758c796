"""Asks for the addresses of machines: one operation for a worker thread, however many they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import libvirt

from scaler_libvirt.hosts import driver

if TYPE_CHECKING:
    from collections.abc import Iterable

Source = Literal["lease", "arp", "agent"]
_SOURCES = {
    "lease": libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE,
    "arp": libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP,
    "agent": libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT,
}
AGENTS = 10  # that are asked in one go: a job can have each of them take all of its time
_PATIENCE = 1  # seconds that an agent, which is the guest's, may take to answer


@dataclass(frozen=True, kw_only=True)
class Question:
    """Which addresses the interface of a machine has."""

    uuid: str
    mac: str
    source: Source


class Turns:
    """Who is asked in the next go: everyone whom the host knows, and of the agents some in turn."""

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}  # by UUID, in which go its agent was asked last
        self._goes = 0

    def next(self, questions: Iterable[Question]) -> tuple[Question, ...]:
        """Those of the questions that are to be asked now."""
        self._goes += 1
        everyone = tuple(questions)
        others = [each for each in everyone if each.source != "agent"]
        agents = sorted(
            (each for each in everyone if each.source == "agent"),
            key=lambda each: self._asked.get(each.uuid, 0),
        )
        there = {each.uuid for each in agents}
        self._asked = {uuid: go for uuid, go in self._asked.items() if uuid in there}
        chosen = agents[:AGENTS]
        self._asked |= {each.uuid: self._goes for each in chosen}
        return (*others, *chosen)


def addresses(
    connection: driver.Connection, questions: Iterable[Question]
) -> dict[str, tuple[str, ...]]:
    """By UUID, the addresses that are known; without those of whom none is."""
    found = {}
    for question in questions:
        try:
            domain = connection.lookupByUUIDString(question.uuid)
            if question.source == "agent":
                domain.agentSetResponseTimeout(_PATIENCE, 0)
            interfaces = domain.interfaceAddresses(_SOURCES[question.source], 0)
        except driver.Error:
            continue  # it is gone, or has no agent yet
        known = _of(interfaces, question.mac)
        if known:
            found[question.uuid] = known
    return found


def _of(interfaces: dict[str, dict[str, object]], mac: str) -> tuple[str, ...]:
    """The IPv4 addresses of the interface that is ours; agents tell of others, too."""
    return tuple(
        str(address["addr"])
        for interface in interfaces.values()
        if str(interface.get("hwaddr", "")).lower() == mac
        for address in interface.get("addrs") or ()  # type: ignore[attr-defined]
        if address.get("type") == libvirt.VIR_IP_ADDR_TYPE_IPV4
    )
