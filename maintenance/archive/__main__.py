"""Moves jobs that are older than ARCHIVE_AFTER into the archive beside the database: python -m maintenance.archive."""

import logging
import sys

from database import AWAY, init_database
from errors import Busy, LedgerError
from files.child import give_way
from maintenance.archive.ledger import Rule
from maintenance.archive.moves import archive
from maintenance.archive.regular import regular_path
from maintenance.logs import log_to_stderr
from models import microseconds, utc_now
from settings import get_settings

log = logging.getLogger("ledger.archive")


def main() -> None:
    """Archive once. If another process is moving jobs, end soon. Raises what archive() raises."""
    give_way()
    settings = get_settings()
    log_to_stderr(settings)
    if settings.archive_after is None:
        return
    init_database(settings)
    try:
        result = archive(regular_path(settings), Rule(microseconds(utc_now() - settings.archive_after)))
    except Busy:
        return
    for job_id, reason in result.refused.items():
        log.warning("job %s stays in the ledger: %s", job_id, reason)


if __name__ == "__main__":
    try:
        main()
    except (LedgerError, OSError, *AWAY) as error:
        log.warning("old jobs cannot be archived: %s", " ".join(str(error).split()))
        sys.exit(1)
