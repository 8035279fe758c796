"""Addresses in the one form in which they are compared.

A zone, which says by which of our own interfaces an address is reached, is dropped: it is no part
of who it is, and the core's addresses have none.
"""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_HOME = 64  # bits of an IPv6 address that one caller has in common with itself


def parsed(text: str) -> Address | None:
    """An address, IPv4 inside IPv6 as IPv4; None where it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or ipaddress.IPv6Address(int(address))
    return address


def normalised(text: str) -> str:
    """An address in its one spelling; `""` where it is none."""
    address = parsed(text)
    return "" if address is None else str(address)


def caller(text: str) -> str:
    """Who is counted as one: an address, and an IPv6 host with its whole /64, which it can use.

    What is no address stays as it is.
    """
    address = parsed(text)
    if address is None:
        return text
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address), _HOME), strict=False))
    return str(address)
