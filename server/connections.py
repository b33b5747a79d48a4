"""All open connections: which may be opened, and which are closed when there are too many, or too much is unread."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from access.shares import SHARES, Clients, Limit
from errors import Busy
from server.answers import Refusal, refusal

if TYPE_CHECKING:
    from server.http import Connection

MOST_REFUSED = 200  # connections that are being refused; one more is closed without an answer
CROWDED = 0.9  # beyond this part of the connections, those without a request are closed, to have room for new clients
UNSENT_BYTES = 64 * 1024 * 1024  # all answers together that clients are slow to read
UNCHECKED_PARTS = 64  # a part of UNSENT_BYTES may be added before it is checked


class Connections:
    """The open connections of this process. All methods run in the event loop."""

    def __init__(self, most: int, clients: Clients) -> None:
        self.clients = clients
        self.slow: dict[Connection, None] = {}  # clients that read slowly, in the order in which they became slow
        self._unchecked = 0  # bytes of clients that have become slow since limit_unsent()
        self._all: set[Connection] = set()
        self._places = Limit(most, "connections")
        self._admitted: dict[Connection, str] = {}  # the client of each connection that has a place

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator["Connection"]:
        return iter(self._all)

    def __contains__(self, connection: object) -> bool:
        return connection in self._all

    def add(self, connection: "Connection") -> Refusal | None:
        """Add a new connection. Returns why it must be refused; None if it need not, or if it is cut off at once."""
        self._all.add(connection)
        client = self.clients.of(connection.peer)
        try:
            self._places.take(client)
        except Busy as error:
            if len(self._all) - len(self._admitted) > MOST_REFUSED:
                connection.transport.abort()
                return None
            return refusal(error)
        self._admitted[connection] = client
        return None

    def remove(self, connection: "Connection") -> None:
        """Forget a connection that is lost."""
        self._all.discard(connection)
        self.slow.pop(connection, None)
        client = self._admitted.pop(connection, None)
        if client is not None:
            self._places.give_back(client)

    def make_room(self) -> None:
        """When nearly as many connections are open as may be, close some of those that have no request.

        The addresses with most connections lose theirs first, and of one address those that have waited for longest.
        """
        too_many = len(self._admitted) - int(self._places.most * CROWDED)
        if too_many <= 0:
            return
        idle = [connection for connection in self._admitted if connection.is_idle]
        open_ = self._places.by_client
        idle.sort(key=lambda connection: (-open_.get(self._admitted[connection], 0), connection.since))
        for connection in idle[:too_many]:
            connection.transport.close()

    def has_become_slow(self, connection: "Connection") -> None:
        """Remember a client that reads slowly. Call limit_unsent() if much may have been added since its last call.

        That looks at all slow clients: with 1,000 of them, for each that becomes slow, it would take most of the time.
        """
        self.slow[connection] = None
        self._unchecked += connection.unsent()
        if self._unchecked > UNSENT_BYTES // UNCHECKED_PARTS:
            self.limit_unsent()

    def limit_unsent(self) -> None:
        """Cut off clients until the unread answers fit into UNSENT_BYTES, and those of each address into its share.

        Those that have been slow for longest are cut off first.
        """
        self._unchecked = 0
        unsent = {connection: connection.unsent() for connection in self.slow}
        too_many = sum(unsent.values()) - UNSENT_BYTES
        by_client: Counter[str] = Counter()
        for connection, size in unsent.items():
            by_client[connection.client] += size
        for connection, size in unsent.items():
            client = connection.client
            if too_many > 0 or client and by_client[client] > UNSENT_BYTES // SHARES:
                too_many -= size
                by_client[client] -= size
                del self.slow[connection]
                connection.transport.abort()
