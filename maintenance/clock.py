"""Notices that the wall clock of this machine was set: times that were written before do not count for a while."""

import time
from collections.abc import Callable
from datetime import datetime

from models import utc_now

JUMP_SECONDS = 0.5  # between two looks at the clock; NTP's gradual corrections are far smaller


class WatchedClock:
    """The wall clock, compared with the monotonic clock at every look.

    A new object cannot know whether the clock was set just before, so it begins as if it was.
    """

    def __init__(self, wall: Callable[[], datetime] = utc_now, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._steady_since = monotonic()
        self._offset = wall().timestamp() - self._steady_since

    def read(self) -> tuple[datetime, float]:
        """(now, the seconds for which the clock has run evenly, as far as this object has seen)."""
        now, monotonic = self._wall(), self._monotonic()  # in this order: a jump in between is seen by the next look
        offset = now.timestamp() - monotonic
        if abs(offset - self._offset) > JUMP_SECONDS:
            self._steady_since = monotonic
        self._offset = offset
        return now, monotonic - self._steady_since
