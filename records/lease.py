"""A lease as it is stored: which record it holds, its token, its length and its end."""

from datetime import datetime, timedelta
from typing import NamedTuple

CLOCK_SLACK_SECONDS = 5.0  # the clocks of several machines may differ this much


class Lease(NamedTuple):
    """A lease as it is stored. Each renewal makes another one, because it moves the end."""

    record_id: str
    token: str
    seconds: float
    expires_at: datetime

    def has_expired(self, now: datetime) -> bool:
        """True after its end. Also if its end is further away than its length: then the clock was set back."""
        return not now <= self.expires_at <= now + timedelta(seconds=self.seconds + CLOCK_SLACK_SECONDS)
