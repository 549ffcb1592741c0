"""Origin: what counts as one address, for whoever counts connections or wrong passwords by it."""

import ipaddress
from typing import Final

IPV6_BITS: Final = 64
"""One household or machine has all addresses of such a network (RFC 6177)."""


def origin_of(peer: str) -> str:
    """Return the IPv4 address or the IPv6 network of ``peer``, or ``peer`` if it is neither."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), IPV6_BITS), strict=False))
