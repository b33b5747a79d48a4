"""Turns an OSError of the storage folder into an error that tells the client what to do."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EDQUOT, ENOSPC, EPERM, EROFS

from errors import LedgerError, StorageFull, StorageGone, StorageUnusable

log = logging.getLogger("ledger.storage")
FULL = (ENOSPC, EDQUOT)
FORBIDDEN = (EACCES, EPERM)


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn an OSError into StorageFull or StorageUnusable. The log has the path and the reason."""
    try:
        yield
    except StorageGone:
        raise
    except OSError as error:
        log.error("the storage folder cannot be used: %s", error)
        raise refusal(error) from None


def refusal(error: OSError) -> LedgerError:
    """The error for a client. It depends on errno alone, and its sentence has no path; StorageGone is such an error."""
    if isinstance(error, StorageGone):
        return error
    if error.errno in FULL:
        return StorageFull("The disk of the storage folder is full: free some space, then send this again.")
    if error.errno == EROFS:
        return StorageUnusable(
            "The storage folder cannot be written, because its disk is read-only: the log of the system says why. "
            "Mount it for writing, then send this again."
        )
    if error.errno in FORBIDDEN:
        return StorageUnusable(
            "The storage folder cannot be written: give the service's user the right to write there, "
            "then send this again."
        )
    return StorageUnusable("The storage folder cannot be used: the service's log says why.")
