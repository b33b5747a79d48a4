"""Notices leases that nobody renews, by the monotonic clock of this process."""

import time
from collections.abc import Callable, Collection
from datetime import datetime

from models import utc_now
from records.lease import Lease

PATIENCE = 0.5  # of the length of a lease: a worker that is alive renews it in that time


class LeaseWatch:
    """The leases of one kind of work, and when this process first saw each of them.

    A jump of the wall clock cannot keep a lost lease alive, and it cannot end a lease that its worker renews. A wrong
    clock of the machine that has written the lease cannot, either. The wall clock can only end a lease sooner, after
    the time in which a worker that is alive renews it.
    """

    def __init__(self, wall: Callable[[], datetime] = utc_now, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._seen_at: dict[Lease, float] = {}

    def lost(self, leases: Collection[Lease]) -> list[Lease]:
        """Those of these leases that count as lost now. Call it regularly, with all leases of one kind of work.

        A lease is lost when it has not been renewed for its whole length since this object first saw it. If it has
        expired by the wall clock, half of its length is enough.
        """
        now, wall = self._monotonic(), self._wall()
        self._seen_at = {lease: self._seen_at.get(lease, now) for lease in leases}
        return [
            lease
            for lease, seen_at in self._seen_at.items()
            if now - seen_at >= lease.seconds * (PATIENCE if lease.has_expired(wall) else 1)
        ]
