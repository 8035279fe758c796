"""Addresses in the one form in which they are compared."""

from __future__ import annotations

import ipaddress


def normal(text: str) -> str:
    """An address as everyone writes it, without its zone; IPv4 within IPv6 as the IPv4 that it is.

    What is no address stays as it is.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)
