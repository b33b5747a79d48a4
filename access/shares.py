"""Limits of what clients may have open: a total for all of them, and a share of it for each client address."""

import ipaddress
from collections.abc import Callable
from functools import lru_cache

from access.clients import name_of, parsed
from errors import Busy, TooMany
from settings import Network

SHARES = 4  # an address may use a quarter of a limit: that is enough for all people behind one router
REMEMBERED = 4096  # addresses whose client is kept, so that most requests need not parse theirs
LOOPBACK = frozenset({ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1")})


class Clients:
    """Says which client an address belongs to. The addresses in `exempt` have no share: proxies, and this machine."""

    def __init__(self, exempt: frozenset[Network]) -> None:
        self._exempt = exempt
        self.of: Callable[[str], str] = lru_cache(REMEMBERED)(self._client)

    def _client(self, address: str) -> str:
        """The name of the client; '' if no share is counted: the address is exempt, or is not known."""
        place = parsed(address)
        if place is None or any(place in network for network in self._exempt):
            return ""
        return name_of(place)


class Limit:
    """How many of some things may be open. It forgets a client that has none. One thread uses it at a time."""

    def __init__(self, most: int, things: str) -> None:
        self.most, self.things = most, things
        self.share = max(1, most // SHARES)
        self.used = 0
        self.by_client: dict[str, int] = {}

    def check(self, client: str, amount: int = 1) -> None:
        """Raise TooMany if that is more than the share of this client, and Busy if it is more than there is."""
        if client and self.by_client.get(client, 0) + amount > self.share:
            raise TooMany(f"Your address has too many {self.things} open: try again in a moment.")
        if self.used + amount > self.most:
            raise Busy(f"Too many {self.things} are open: try again in a moment.")

    def take(self, client: str, amount: int = 1) -> None:
        """Count something that this client opens. Raises TooMany or Busy, and then counts nothing."""
        self.check(client, amount)
        self.used += amount
        if client:
            self.by_client[client] = self.by_client.get(client, 0) + amount

    def give_back(self, client: str, amount: int = 1) -> None:
        """Count no longer what this client had open."""
        self.used -= amount
        if client:
            left = self.by_client.pop(client, 0) - amount
            if left > 0:
                self.by_client[client] = left
