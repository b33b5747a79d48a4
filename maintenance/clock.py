"""Notices when the wall clock of this machine is set. After that, stored times are not trusted for a while."""

import math
import time
from collections.abc import Callable
from datetime import datetime

from models import utc_now

JUMP_SECONDS = 0.5  # between two looks at the clock; NTP's gradual corrections are far smaller
STEADY_SECONDS = 3600.0  # for which the clock must have run evenly before its word deletes or moves something


class WatchedClock:
    """The wall clock, compared with the monotonic clock at every look."""

    def __init__(self, wall: Callable[[], datetime] = utc_now, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._begun, self._jumped_at = monotonic(), -math.inf
        self._offset = wall().timestamp() - self._begun

    def seconds_since_jump(self) -> float:
        """The seconds since this object last noticed a jump of the clock; infinity if it noticed none."""
        now, monotonic = self._wall(), self._monotonic()  # in this order: the next look notices a jump between the two
        offset = now.timestamp() - monotonic
        if abs(offset - self._offset) > JUMP_SECONDS:
            self._jumped_at = monotonic
        self._offset = offset
        return monotonic - self._jumped_at

    def is_steady(self) -> bool:
        """True if this object has seen the clock run evenly for an hour.

        A new object cannot know whether the clock was set just before. So it begins as if it was set at that moment.
        """
        return min(self.seconds_since_jump(), self._monotonic() - self._begun) >= STEADY_SECONDS
