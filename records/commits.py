"""Notices commits: one connection that checks whether the database has changed, and which event ids are settled.

SQLite: `PRAGMA data_version` changes with every commit of another connection. PostgreSQL: the sequence of event ids
rises. This module does not use NOTIFY: with it, PostgreSQL commits one transaction after another, and writers lost two
thirds of their throughput.

An event gets its id before its transaction commits. SQLite has one writer at a time, so ids are committed in order. On
PostgreSQL an event may be committed after events with higher ids, and a reader that has read those would miss it. So an
id is settled only when no event with a lower id can still be committed. Each look reads the last assigned id and the
transactions that are writing events. When all these transactions have ended, this id is settled. A transaction that
writes events has a lock on the event table, from before it gets an id until its commit is visible. Other transactions
do not matter.
"""

import time
from typing import Any, LiteralString, Protocol

import cysqlite

from database import database, is_postgresql
from settings import Settings

POLL_SECONDS = 0.02  # between two looks; a look takes 4 µs on SQLite and 100 µs on PostgreSQL
BUSY_POLL_SECONDS = 0.01  # while the database changes, or a writer has not ended
MAX_MARKS = 50
SESSION: dict[str, Any] = {"application_name": "diffrhythm-ledger feed"}
# How soon a lost connection to the server is noticed.
KEEPALIVE: dict[str, Any] = {"connect_timeout": 10, "keepalives_idle": 10, "tcp_user_timeout": 20_000}
NEWEST = "SELECT coalesce(max(event_id), 0), (SELECT event_id FROM pruned) FROM event"
LAST_ID: LiteralString = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM event_event_id_seq"
WRITERS: LiteralString = """SELECT coalesce(array_agg(DISTINCT virtualtransaction), '{}') FROM pg_locks
    WHERE locktype = 'relation' AND relation = 'event'::regclass AND mode = 'RowExclusiveLock'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


class Watch(Protocol):
    """A connection of its own that notices every commit."""

    settled: int | None  # all events with ids up to this one are committed; None before the first result

    def look(self) -> bool:
        """Wait a moment. True if there may be a commit since the last look; always True at the first look."""

    def close(self) -> None:
        """Close the connection."""


class SqliteWatch:
    """A watch for SQLite: reads data_version."""

    def __init__(self) -> None:
        self._connection = cysqlite.Connection(database.database, timeout=10)
        self._version: Any = None
        self.settled: int | None = None

    def look(self) -> bool:
        """Wait a moment. True if there is a commit since the last look; always True at the first look."""
        version = self._connection.execute("PRAGMA data_version").fetchone()
        if version == self._version:
            time.sleep(POLL_SECONDS)
            return False
        self._version = version
        row: Any = self._connection.execute(NEWEST).fetchone()
        self.settled = max(row)
        return True

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class PostgresqlWatch:
    """A watch for PostgreSQL: reads the sequence of event ids and the transactions that write events."""

    def __init__(self, settings: Settings) -> None:
        import psycopg

        self._connection = psycopg.connect(settings.database_url, autocommit=True, **(SESSION | KEEPALIVE))
        self.settled: int | None = None
        self._last_id, self._pause = -1, 0.0
        self._marks: list[tuple[int, set[str]]] = []  # ids, and the transactions that may commit lower ids

    def look(self) -> bool:
        """Wait a moment. True if there may be a commit since the last look; always True at the first look."""
        time.sleep(self._pause)
        last_id = self._read(LAST_ID)
        has_changed = last_id != self._last_id or bool(self._marks)
        if has_changed:
            self._settle(last_id, set(self._read(WRITERS)))  # the locks are read after the id
        self._pause = BUSY_POLL_SECONDS if has_changed else POLL_SECONDS
        return has_changed

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _settle(self, last_id: int, writers: set[str]) -> None:
        for _, transactions in self._marks:
            transactions &= writers
        if last_id > self._last_id:
            if len(self._marks) >= MAX_MARKS:  # a transaction takes long: a later mark is also correct
                self._marks.pop()
            self._marks.append((last_id, writers))
            self._last_id = last_id
        while self._marks and not self._marks[0][1]:
            self.settled = self._marks.pop(0)[0]

    def _read(self, query: LiteralString) -> Any:
        row: Any = self._connection.execute(query).fetchone()
        return row[0]


def open_watch(settings: Settings) -> Watch:
    """Open a watch of the bound database."""
    return PostgresqlWatch(settings) if is_postgresql() else SqliteWatch()


def newest() -> tuple[int, int]:
    """(the newest event_id, the highest event_id that was ever deleted); 0 if there is none."""
    row: tuple[int, int] = database.execute_sql(NEWEST).fetchone()
    return row
