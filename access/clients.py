"""Names the client of a request by its address, for what is counted for each client."""

import ipaddress
from functools import lru_cache

ADDRESSES = 1024  # that are cached
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
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


def parsed(text: str) -> Address | None:
    """The address that a text is, an IPv4 address that is written as IPv6 as IPv4; None if it is no address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def name_of(address: Address) -> str:
    """The name of the client at an address: the address, or the /64 network of an IPv6 address."""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(address), NETWORK), strict=False))
    return str(address)


@lru_cache(ADDRESSES)
def _named(text: str) -> tuple[str, bool]:
    """The name of the client, and whether it is this machine."""
    address = parsed(text)
    return (text[:100], False) if address is None else (name_of(address), address.is_loopback)
