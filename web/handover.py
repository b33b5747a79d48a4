"""A response body that knows whether the server could send it; if not, what the response gave away is taken back."""

import logging
from collections.abc import Callable, Iterator

from database import AWAY, give_back_connection
from errors import LedgerError

log = logging.getLogger("ledger.web")


class Handover:
    """One block of bytes for WSGI; close() calls take_back() unless the server has read to the end.

    Granian asks for the block after the last one only while the connection of the client is open. A WSGI application
    cannot see that connection, so it cannot look before it leases something to a client.
    """

    def __init__(self, block: bytes, take_back: Callable[[], object]) -> None:
        self._block, self._take_back = block, take_back
        self._is_open = True

    def __iter__(self) -> Iterator[bytes]:
        """The block; reading on after it means that it could be sent."""
        yield self._block
        self._is_open = False

    def close(self) -> None:
        """End the response. What take_back() cannot do now, the expiry of the lease does later."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            self._take_back()
        except (LedgerError, *AWAY) as error:
            log.warning("a lease that could not be delivered expires by itself: %s", error)
        finally:
            give_back_connection()
