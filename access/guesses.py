"""Limits how often the secrets that people choose can be guessed: API_TOKEN and the password of players.

Tokens of the file and ids of sessions have 256 random bits, so nobody can guess them, and they are never limited.
"""

import threading
import time

from errors import TooManySignIns

MOST_FAILURES = 10
SECONDS = 60.0
MOST_PLACES = 4096  # places that are remembered; the oldest are forgotten first

Place = tuple[str, str]  # the client, as access/clients.py names it, and the secret


class Guesses:
    """The failed sign-ins by client and secret, and the clients that know a secret."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[Place, tuple[float, int]] = {}  # when the minute began, and the failures in it
        self._knowing: dict[Place, None] = {}

    def judge(self, client: str | None, secret: str, is_right: bool) -> None:
        """Count a sign-in of this client, unless it is None.

        After 10 failures in a minute, it raises TooManySignIns until the minute is over, also for the right secret.
        A client that has used the right one before may always use it: nobody at its address can lock it out. So for
        such an address the limit does not slow guesses down; only a secret that was chosen at random prevents them.
        """
        if client is None or is_right and (client, secret) in self._knowing:
            return
        with self._lock:
            self._judge((client, secret), is_right, time.monotonic())

    def _judge(self, place: Place, is_right: bool, now: float) -> None:
        began_at, failures = self._failures.get(place, (now, 0))
        if now - began_at >= SECONDS:
            began_at, failures = now, 0
        if failures >= MOST_FAILURES:
            raise TooManySignIns(began_at + SECONDS - now)
        if is_right:
            self._knowing[place] = None
            _limit(self._knowing)
        else:
            self._failures.pop(place, None)  # so that it is the newest
            self._failures[place] = began_at, failures + 1
            _limit(self._failures)


def _limit(places: dict[Place, tuple[float, int]] | dict[Place, None]) -> None:
    """Forget the oldest place if there are too many."""
    if len(places) > MOST_PLACES:
        del places[next(iter(places))]
