"""libvirt's networks: plain functions that block, for worker threads.

An address is fixed by an entry in its network's list of hosts, which is added to the network as it
runs, and never to how it is defined: nothing of ours outlives the network's restart.
"""

from __future__ import annotations

import ipaddress
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any, TypeAlias

import libvirt

from scaler_libvirt.hosts import driver
from scaler_libvirt.hosts.base import NetworkTroubleError

Network: TypeAlias = Any  # libvirt-python ships no types

_TAKEN = "existing dhcp host entry"
_SECTION = libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST
_LIVE = libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of a network's list of hosts."""

    mac: str
    ip: str
    name: str


@dataclass(frozen=True, kw_only=True)
class NetworkFacts:
    """What a network is.

    Attributes:
        uuid: Tells it from one that was made anew under its name.
        bridge: The host's interface in it; empty where it has none of its own.
        address: The host's own IPv4 address in it; empty where libvirt gives it none.
        subnet: Of that address, as `192.168.1.0/24`; empty without one.
        ranges: First and last address of each range that its DHCP server deals from.
        entries: Its list of hosts.
    """

    name: str
    uuid: str
    bridge: str
    address: str
    subnet: str
    ranges: tuple[tuple[str, str], ...]
    entries: tuple[Entry, ...]


def open_network(connection: driver.Connection, name: str) -> Network:
    """A network by its name.

    Raises:
        NetworkTroubleError: There is none, or it is not active.
    """
    try:
        network = connection.networkLookupByName(name)
    except driver.Error as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_NETWORK:
            raise
        raise NetworkTroubleError(
            f"there is no network {name!r}: make one (virsh net-define), or name another as "
            "network in [plugins.libvirt] hosts"
        ) from error
    if not network.isActive():
        raise NetworkTroubleError(f"network {name!r} is not active: virsh net-start {name}")
    return network


def see_filter(connection: driver.Connection, name: str) -> None:
    """See that libvirt has this filter.

    Raises:
        NetworkTroubleError: It has not.
    """
    try:
        connection.nwfilterLookupByName(name)
    except driver.Error as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_NWFILTER:
            raise
        raise NetworkTroubleError(
            f"there is no network filter {name!r}: make one (virsh nwfilter-define), or name "
            "another as network_filter in [profiles.X.libvirt]"
        ) from error


def facts(network: Network) -> NetworkFacts:
    """What a network is, as it runs now."""
    return read_facts(str(network.XMLDesc()))


def read_facts(xml: str) -> NetworkFacts:
    """What a network is, from its XML. Only IPv4: that is what addresses are fixed in."""
    root = ET.fromstring(xml)
    address = subnet = ""
    ranges: list[tuple[str, str]] = []
    entries: list[Entry] = []
    for element in root.findall("ip"):
        if element.get("family", "ipv4") != "ipv4":
            continue
        if not address:
            address = element.get("address", "")
            mask = element.get("netmask") or element.get("prefix", "32")
            subnet = str(ipaddress.ip_network(f"{address}/{mask}", strict=False)) if address else ""
        ranges += [
            (each.get("start", ""), each.get("end", "")) for each in element.findall("dhcp/range")
        ]
        entries += [
            Entry(mac=each.get("mac", "").lower(), ip=each.get("ip", ""), name=each.get("name", ""))
            for each in element.findall("dhcp/host")
        ]
    bridge = root.find("bridge")
    return NetworkFacts(
        name=root.findtext("name", ""),
        uuid=root.findtext("uuid", ""),
        bridge="" if bridge is None else bridge.get("name", ""),
        address=address,
        subnet=subnet,
        ranges=tuple(ranges),
        entries=tuple(entries),
    )


def leases(network: Network) -> dict[str, str]:
    """By MAC, the IPv4 address that the network's DHCP server has given out."""
    try:
        found = network.DHCPLeases()
    except driver.Error as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return {}  # libvirt's test driver
        raise
    return {
        str(lease["mac"]).lower(): str(lease["ipaddr"])
        for lease in found
        if lease.get("type") == libvirt.VIR_IP_ADDR_TYPE_IPV4 and lease.get("mac")
    }


def add_host(network: Network, entry: Entry) -> bool:
    """Fix an address; False: someone has it, or the name or the MAC. Takes a third of a second."""
    try:
        network.update(
            libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, _SECTION, -1, _element(entry), _LIVE
        )
    except driver.Error as error:
        if _TAKEN in str(error):
            return False
        raise
    return True


def _element(entry: Entry) -> str:
    return ET.tostring(
        ET.Element("host", mac=entry.mac, name=entry.name, ip=entry.ip), encoding="unicode"
    )
