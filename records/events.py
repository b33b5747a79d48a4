"""The feed: every event once and in order, milliseconds after its commit, for all in this process who wait for one.

One thread looks for all of them, fifty times a second while somebody waits: on SQLite at the database's data_version,
on PostgreSQL at the sequence of event ids. (A NOTIFY would make PostgreSQL commit one transaction after another, which
cost writers two thirds of their throughput.)

Event ids are given before the commit. On SQLite writers take turns, so ids are committed in order; on PostgreSQL an
event may be committed after others with higher ids, and a reader that had passed it would never see it. So the feed
goes only as far as the ids are settled: up to the last one given at a look, once every transaction that was writing
events at that moment has ended. Such a transaction is known by its lock on the event table, which it takes before it is
given an id and holds until its commit can be seen; transactions that write no event are not waited for.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, LiteralString, NamedTuple, Protocol

import cysqlite

from database import database, give_back_connection, is_postgresql, release_connection, to_json
from errors import Pruned
from models import Event
from settings import Settings

log = logging.getLogger("ledger.feed")
POLL_SECONDS = 0.02  # between two looks, of which each takes 4 µs on SQLite and 100 µs on PostgreSQL
PACE_SECONDS = 0.01  # while there is much to see, or a writer that was seen has not ended
LINGER_SECONDS = 30.0  # the thread outlives its last user by so much
HELD_BYTES = 4 * 1024 * 1024
BATCH = 200
MARKS = 50
OURS: dict[str, Any] = {"application_name": "diffrhythm-ledger feed"}
# A server that vanished without a word is noticed.
ALIVE: dict[str, Any] = {"connect_timeout": 10, "keepalives_idle": 10, "tcp_user_timeout": 20_000}
NEWEST = "SELECT coalesce(max(event_id), 0), (SELECT event_id FROM pruned) FROM event"
GIVEN: LiteralString = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM event_event_id_seq"
WRITERS: LiteralString = """SELECT coalesce(array_agg(DISTINCT virtualtransaction), '{}') FROM pg_locks
    WHERE locktype = 'relation' AND relation = 'event'::regclass AND mode = 'RowExclusiveLock'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


class Message(NamedTuple):
    """An event, ready to be told."""

    event_id: int
    job_id: str
    name: str
    record: str


class Watch(Protocol):
    """A connection of its own to the database, that knows of every commit."""

    def look(self) -> bool:
        """Wait a little; True when something may have been committed since the last look, and at the first."""

    settled: int | None  # as of the last look, the id up to which no event is still to come; None while not known

    def close(self) -> None:
        """Close the connection."""


class SqliteWatch:
    """Looks at data_version, which changes with every commit of another connection."""

    def __init__(self) -> None:
        self._connection = cysqlite.Connection(database.database, timeout=10)
        self._version: Any = None
        self.settled: int | None = None

    def look(self) -> bool:
        """See Watch."""
        version = self._connection.execute("PRAGMA data_version").fetchone()
        if version == self._version:
            time.sleep(POLL_SECONDS)
            return False
        self._version = version
        row: Any = self._connection.execute(NEWEST).fetchone()
        self.settled = max(row)
        return True

    def close(self) -> None:
        """See Watch."""
        self._connection.close()


class PostgresqlWatch:
    """Looks at the sequence of event ids, and knows who was writing events when it had risen."""

    def __init__(self, settings: Settings) -> None:
        import psycopg

        self._connection = psycopg.connect(settings.database_url, autocommit=True, **(OURS | ALIVE))
        self.settled: int | None = None
        self._given, self._pause = -1, 0.0
        self._open: list[tuple[int, set[str]]] = []  # ids given, and the transactions that may hold lower ones

    def look(self) -> bool:
        """See Watch."""
        time.sleep(self._pause)
        given = self._read(GIVEN)
        has_changed = given != self._given or bool(self._open)
        if has_changed:
            self._settle(given, set(self._read(WRITERS)))  # the locks are read after the ids
        self._pause = PACE_SECONDS if has_changed else POLL_SECONDS
        return has_changed

    def close(self) -> None:
        """See Watch."""
        self._connection.close()

    def _settle(self, given: int, writers: set[str]) -> None:
        for _, others in self._open:
            others &= writers
        if given > self._given:
            if len(self._open) >= MARKS:  # while one writes for long: a later mark says less, but is as true
                self._open.pop()
            self._open.append((given, writers))
            self._given = given
        while self._open and not self._open[0][1]:
            self.settled = self._open.pop(0)[0]

    def _read(self, query: LiteralString) -> Any:
        row: Any = self._connection.execute(query).fetchone()
        return row[0]


class Feed:
    """The events of the bound database as they come; the thread that looks lives while somebody waits."""

    def __init__(self, settings: Settings, stopping: threading.Event) -> None:
        self.stopping = stopping
        self.position = -1  # every event up to here can be read; -1 until that is known
        self.changes = 0  # rises with every commit that is seen
        self._settings = settings
        self._held: deque[Message] = deque()  # every event after _since, up to position
        self._since, self._held_bytes = 0, 0
        lock = threading.Lock()
        self._moved, self._changed = threading.Condition(lock), threading.Condition(lock)
        self._users, self._left = 0, 0.0
        self._thread: threading.Thread | None = None
        self._is_closed = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While inside, position and changes follow the database."""
        with self._moved:
            self._users += 1
            if self._thread is None:
                self.position = -1
                self._thread = threading.Thread(target=self._run, daemon=True, name="feed")
                self._thread.start()
        try:
            yield
        finally:
            with self._moved:
                self._users, self._left = self._users - 1, time.monotonic()

    def wait(self, point: int, seconds: float) -> bool:
        """True as soon as position is beyond the point; False after so many seconds, or when the process stops."""
        with self._moved:
            self._moved.wait_for(lambda: self.position > point or self._is_ending(), seconds)
            return self.position > point and not self._is_ending()

    def wait_for_change(self, seen: int, seconds: float) -> int:
        """The number of changes as soon as it is not the one seen, or after so many seconds."""
        with self._moved:
            self._changed.wait_for(lambda: self.changes != seen or self._is_ending(), seconds)
            return self.changes

    def read(self, point: int, job_id: str | None = None) -> tuple[list[Message], int]:
        """(what follows a point, the point that reaches): some of the events up to position, all or of one job.

        Raises Pruned when events after the point may be gone.
        """
        with self._moved:
            position = max(point, self.position)
            if point >= self._since:
                return self._newer(point, job_id), position
        found = read_events(point, position, job_id)
        if newest()[1] > point:  # read after the events: what was deleted before they were read is known by now
            raise Pruned("Events after this point are gone.")
        return found, found[-1].event_id if len(found) == BATCH else position

    def close(self) -> None:
        """End the thread; nothing more comes."""
        with self._moved:
            self._is_closed = True
            thread = self._thread
        if thread is not None:
            thread.join()

    def _newer(self, point: int, job_id: str | None) -> list[Message]:
        found = []
        for message in reversed(self._held):
            if message.event_id <= point:
                break
            if job_id in (None, message.job_id):
                found.append(message)
        return found[::-1]

    def _is_ending(self) -> bool:
        return self._is_closed or self.stopping.is_set()

    def _is_wanted(self) -> bool:
        """False when the thread is to end, which it then has no way back from."""
        with self._moved:
            is_idle = not self._users and time.monotonic() - self._left > LINGER_SECONDS
            if is_idle or self._is_ending():
                self._thread = None
                self._moved.notify_all()
                self._changed.notify_all()
            return self._thread is threading.current_thread()

    def _run(self) -> None:
        while self._is_wanted():
            try:
                with closing(_watch(self._settings)) as watch:
                    self._follow(watch)
            except Exception as error:  # whatever a driver raises while the database is away
                log.warning("the feed goes on when the database answers again: %s", error)
                self.stopping.wait(1)
            finally:
                release_connection()

    def _follow(self, watch: Watch) -> None:
        while self._is_wanted():
            has_changed = watch.look()
            if watch.settled is not None and watch.settled > self.position:
                self._advance(watch.settled)
            if has_changed:
                with self._moved:
                    self.changes += 1
                    self._changed.notify_all()

    def _advance(self, settled: int) -> None:
        if self.position < 0:
            with self._moved:
                self.position = self._since = settled
                self._held.clear()
                self._held_bytes = 0
                self._moved.notify_all()
        while self.position < settled:
            found = read_events(self.position, settled)
            with self._moved:
                self._hold(found)
                self.position = found[-1].event_id if len(found) == BATCH else settled
                self._moved.notify_all()
        give_back_connection()

    def _hold(self, messages: list[Message]) -> None:
        self._held.extend(messages)
        self._held_bytes += sum(len(message.record) for message in messages)
        while self._held_bytes > HELD_BYTES:
            oldest = self._held.popleft()
            self._since, self._held_bytes = oldest.event_id, self._held_bytes - len(oldest.record)


def newest() -> tuple[int, int]:
    """(the newest event_id, the highest that was ever deleted), 0 when there is none."""
    row: tuple[int, int] = database.execute_sql(NEWEST).fetchone()
    return row


def read_events(after: int, to: int, job_id: str | None = None) -> list[Message]:
    """The first events after one id and up to another, all or of one job."""
    where = [Event.event_id > after, Event.event_id <= to, *([Event.job_id == job_id] if job_id else [])]
    return [_message(event) for event in Event.select().where(*where).order_by(Event.event_id).limit(BATCH)]


def newest_event(job_id: str, to: int) -> Message | None:
    """The last event of a job up to an id."""
    where = (Event.job_id == job_id, Event.event_id <= to)
    found = Event.select().where(*where).order_by(Event.event_id.desc()).first()
    return _message(found) if found else None


def _message(event: Event) -> Message:
    return Message(event.event_id, event.job_id, f"{event.entity}.{event.change}", to_json(event.record()))


def _watch(settings: Settings) -> Watch:
    return PostgresqlWatch(settings) if is_postgresql() else SqliteWatch()
