"""Checks of work that should have gone on: expired leases, and backups."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from maintenance.backup import is_too_old, newest_backup_age
from maintenance.checks.faults import Fault, Place
from maintenance.housekeeping import REPOS
from models import EPOCH, utc_now

STUCK = timedelta(minutes=10)  # housekeeping runs every two seconds


def stuck_lease(place: Place) -> Iterator[Fault]:
    """Jobs and loops whose lease expired long ago: no process does housekeeping."""
    for repo in REPOS:
        model: Any = repo.model
        ended = model.lease_expires_at
        for (record_id,) in model.select(repo.key).where(ended > EPOCH, ended < utc_now() - STUCK).tuples():
            yield Fault("stuck_lease", f"{repo.name} {record_id}", "start the service, or run `flask check --fix`")


def old_backup(place: Place) -> Iterator[Fault]:
    """Automatic backups that are not made: the newest good one is older than two periods, or there is none."""
    if is_too_old(place.settings, newest_backup_age(place.settings)):
        yield Fault("old_backup", "BACKUP_DIR", "read the log of the service, or run `flask backup`")


def requeue() -> None:
    """Put work with an expired lease back into the queue. The files of lost attempts stay."""
    for repo in REPOS:
        repo.requeue_expired()
