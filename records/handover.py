"""A response body that notices when the server cannot send it, and then undoes what the response promised."""

import logging
from collections.abc import Callable, Iterator

from database import AWAY, give_back_connection
from errors import LedgerError

log = logging.getLogger("ledger.web")


class Handover:
    """A body of one block for WSGI. close() calls take_back() unless the body was read to its end.

    A server that supports this class first checks whether the client is still connected. Any other server first sends
    the block, and then asks for the next one.
    """

    def __init__(self, block: bytes, take_back: Callable[[], object]) -> None:
        self._block, self._take_back = block, take_back
        self._is_open = True

    def __iter__(self) -> Iterator[bytes]:
        """The block. If the server reads again after the block, the block was sent."""
        yield self._block
        self._is_open = False

    def close(self) -> None:
        """End the response. If take_back() fails, the lease expires later by itself."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            self._take_back()
        except (LedgerError, *AWAY) as error:
            log.warning("a lease that could not be delivered expires by itself: %s", error)
        finally:
            give_back_connection()
