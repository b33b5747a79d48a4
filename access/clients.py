"""Names the client of a request by its address, for what is counted for each client."""

import ipaddress
from functools import lru_cache

ADDRESSES = 1024  # that are cached
NETWORK = 64  # bits: a client with IPv6 has all addresses of such a network


def client_of(address: str, is_forwarded: bool) -> str | None:
    """The client at an address: the address, or the /64 network of an IPv6 address.

    None for this machine, unless a proxy has forwarded the request: then the address stands for any client.
    """
    name, is_local = _named(address)
    return None if is_local and not is_forwarded else name


def is_loopback(address: str) -> bool:
    """True for an address that only this machine can reach."""
    return _named(address)[1]


@lru_cache(ADDRESSES)
def _named(text: str) -> tuple[str, bool]:
    """The name of the client, and whether it is this machine."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text[:100], False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            network = ipaddress.IPv6Network((int(address), NETWORK), strict=False)
            return str(network), address.is_loopback
        address = address.ipv4_mapped
    return str(address), address.is_loopback
