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
_PATIENCE = 1  # seconds that an agent, which is the guest's, may take to answer


@dataclass(frozen=True, kw_only=True)
class Question:
    """Which addresses the interface of a machine has."""

    uuid: str
    mac: str
    source: Source


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
