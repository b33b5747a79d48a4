"""Notices commits: one connection that sees whether the database has changed, and which event ids are final.

SQLite: `PRAGMA data_version` changes with every commit of another connection. PostgreSQL: the sequence of event ids
rises. (NOTIFY would make PostgreSQL commit one transaction after another; writers then lost two thirds of their
throughput.)

An event gets its id before its transaction commits. SQLite has one writer at a time, so ids are committed in order. On
PostgreSQL an event may be committed after events with higher ids, and a reader that is past them would miss it. So an
id is settled only when no event with a lower id can still be committed: the last id that was assigned at one look is
settled when every transaction that was writing events at that look has ended. A transaction that writes events has a
lock on the event table, from before it gets an id until its commit can be seen. Other transactions do not matter.
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
# A server that has vanished is noticed after this long.
KEEPALIVE: dict[str, Any] = {"connect_timeout": 10, "keepalives_idle": 10, "tcp_user_timeout": 20_000}
NEWEST = "SELECT coalesce(max(event_id), 0), (SELECT event_id FROM pruned) FROM event"
LAST_ID: LiteralString = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM event_event_id_seq"
WRITERS: LiteralString = """SELECT coalesce(array_agg(DISTINCT virtualtransaction), '{}') FROM pg_locks
    WHERE locktype = 'relation' AND relation = 'event'::regclass AND mode = 'RowExclusiveLock'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


class Watch(Protocol):
    """A connection of its own that notices every commit."""

    settled: int | None  # at the last look: no event with an id up to this can still come; None when not known yet

    def look(self) -> bool:
        """Wait a little. True when there may be a commit since the last look, and at the first look."""

    def close(self) -> None:
        """Close the connection."""


class SqliteWatch:
    """Looks at data_version."""

    def __init__(self) -> None:
        self._connection = cysqlite.Connection(database.database, timeout=10)
        self._version: Any = None
        self.settled: int | None = None

    def look(self) -> bool:
        """Wait a little. True when there is a commit since the last look, and at the first look."""
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
    """Looks at the sequence of event ids and at the transactions that write events."""

    def __init__(self, settings: Settings) -> None:
        import psycopg

        self._connection = psycopg.connect(settings.database_url, autocommit=True, **(SESSION | KEEPALIVE))
        self.settled: int | None = None
        self._last_id, self._pause = -1, 0.0
        self._marks: list[tuple[int, set[str]]] = []  # ids, and the transactions that may commit lower ids

    def look(self) -> bool:
        """Wait a little. True when there may be a commit since the last look, and at the first look."""
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
            if len(self._marks) >= MAX_MARKS:  # one transaction writes for long: a later mark is as correct
                self._marks.pop()
            self._marks.append((last_id, writers))
            self._last_id = last_id
        while self._marks and not self._marks[0][1]:
            self.settled = self._marks.pop(0)[0]

    def _read(self, query: LiteralString) -> Any:
        row: Any = self._connection.execute(query).fetchone()
        return row[0]


def open_watch(settings: Settings) -> Watch:
    """A watch of the bound database."""
    return PostgresqlWatch(settings) if is_postgresql() else SqliteWatch()


def newest() -> tuple[int, int]:
    """(the newest event_id, the highest that was ever deleted); 0 when there is none."""
    row: tuple[int, int] = database.execute_sql(NEWEST).fetchone()
    return row
