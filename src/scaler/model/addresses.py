"""Addresses, each in one form."""

from __future__ import annotations

import ipaddress


def normal(text: str) -> str:
    """An address in its one form: IPv4 in IPv6 as IPv4, no zone. What is none stays as it is."""
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)
