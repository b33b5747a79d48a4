"""Counts the requests of the web processes by method, route and status, and how long they took, for /metrics.

One addition costs about a microsecond. Once a second a process writes its counts on the board (maintenance/board.py),
so every web process can report all of them, and a process that replaces a killed one goes on counting.
"""

import itertools
import os
import re
import threading
from bisect import bisect_left
from collections import Counter
from typing import Any, NamedTuple

from maintenance.board import Board

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
# Keys of the environ of WSGI: the route, which the app sets, and the id of the request, which the server sets.
ROUTE, REQUEST_ID = "ledger.route", "ledger.request_id"
SENT_ID = re.compile("[A-Za-z0-9._-]{1,64}")

Counts = dict[tuple[str, str, str], list[float]]  # (method, route, status) -> seconds in all, and a number per bucket


class Totals(NamedTuple):
    """The figures of all processes on a board.

    open: how many connections, streams and waits are open. processes: by kind, as Crew.state() has them; {} outside of
    the service.
    """

    counts: Counts
    open: dict[str, int]
    processes: dict[str, dict[str, int]]


class RequestIds:
    """The ids of requests: the X-Request-Id that a client or proxy has sent, if it is a word, else a new one."""

    def __init__(self) -> None:
        self._process, self._numbers = os.urandom(4).hex(), itertools.count(1)

    def of(self, environ: dict[str, Any]) -> str:
        """The id of the request with this environ."""
        sent = environ.get("HTTP_X_REQUEST_ID")
        if sent is not None and SENT_ID.fullmatch(sent):
            return str(sent)
        return f"{self._process}-{next(self._numbers)}"


class Traffic:
    """The requests that this process has answered, and those of the processes with which it shares a board."""

    def __init__(self) -> None:
        self.open: dict[str, int] = {}  # what is open in this process just now: connections, streams, waits
        self._counts: Counts = {}
        self._board, self._place = Board(1), 0
        self._writing = threading.Lock()

    def share(self, board: Board, place: int) -> None:
        """Use a place of a board that others read, too. Goes on from the counts that are there."""
        self._board, self._place = board, place
        self._counts = _counts(board.read(place))

    def add(self, environ: dict[str, Any], status: str, seconds: float) -> None:
        """Count a request. seconds: until its answer began."""
        method = environ["REQUEST_METHOD"]
        key = (method if method in METHODS else OTHER, environ.get(ROUTE, OTHER), status)
        counted = self._counts.get(key)
        if counted is None:
            counted = self._counts.setdefault(key, [0.0] * (len(BUCKETS) + 2))  # another thread may have added it
        counted[0] += seconds
        counted[bisect_left(BUCKETS, seconds) + 1] += 1

    def publish(self) -> None:
        """Write the counts of this process on the board. Several threads may call this."""
        with self._writing:
            # Other threads add keys. In Python 3.11, one may run during list(items()), but not during copy().
            counts = [[*key, counted] for key, counted in self._counts.copy().items()]
            self._board.write(self._place, {"counts": counts, "open": self.open})

    def totals(self) -> Totals:
        """The figures of all processes on the board."""
        self.publish()
        counts: Counts = {}
        open_: Counter[str] = Counter()
        processes: dict[str, dict[str, int]] = {}
        for value in (self._board.read(place) or {} for place in range(self._board.places)):
            for key, counted in _counts(value).items():
                add_counts(counts, key, counted)
            open_.update(value.get("open", {}))
            processes |= value.get("processes", {})
        return Totals(counts, dict(open_), processes)


def add_counts(total: dict[Any, list[float]], key: Any, counted: list[float]) -> None:
    """Add the figures of one key to a total."""
    total[key] = [sum(pair) for pair in zip(total.get(key, [0.0] * len(counted)), counted, strict=True)]


def _counts(value: Any) -> Counts:
    """The counts in the value of a place."""
    return {(method, route, status): counted for method, route, status, counted in (value or {}).get("counts", [])}
