"""Notices when the wall clock of this machine is set. After that, stored times are not trusted for a while."""

import time
from collections.abc import Callable
from datetime import datetime

from models import utc_now

JUMP_SECONDS = 0.5  # between two reads of the clock; NTP's gradual corrections are far smaller


class WatchedClock:
    """The wall clock, compared with the monotonic clock at every read.

    A new object cannot know whether the clock was set just before. So it begins as if the clock was set at that moment.
    """

    def __init__(self, wall: Callable[[], datetime] = utc_now, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._steady_since = monotonic()
        self._offset = wall().timestamp() - self._steady_since

    def read(self) -> tuple[datetime, float]:
        """(the time now, the seconds since this object last noticed a jump of the clock, or since it was created)."""
        now, monotonic = self._wall(), self._monotonic()  # in this order: the next read notices a jump between the two
        offset = now.timestamp() - monotonic
        if abs(offset - self._offset) > JUMP_SECONDS:
            self._steady_since = monotonic
        self._offset = offset
        return now, monotonic - self._steady_since
