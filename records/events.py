"""Delivers every committed event once, in commit order, to all requests of this process that wait for events.

One thread checks the database for all these requests, fifty times a second while at least one request waits.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from database import give_back_connection, release_connection, to_json
from errors import Pruned
from models import Event
from records.commits import Watch, newest, open_watch
from settings import Settings

log = logging.getLogger("ledger.feed")
CLOSE_SECONDS = 2.0  # the thread may wait for a database that does not answer
IDLE_SECONDS = 30.0  # the thread ends this long after its last user
MAX_BUFFERED_CHARACTERS = 4 * 1024 * 1024
BATCH = 200


class Message(NamedTuple):
    """An event, encoded."""

    event_id: int
    job_id: str
    name: str
    record: str
    status: str | None


Follower = Callable[[list[Message], int], object]


class Feed:
    """The events of the bound database as they are committed."""

    def __init__(self, settings: Settings, stopping: threading.Event) -> None:
        self.stopping = stopping
        self.position = -1  # all events up to this id can be read; -1 before the thread has read it
        self.changes = 0  # rises with every commit that the thread notices
        self._settings = settings
        self._buffer: deque[Message] = deque()  # all events after _buffer_start, up to position
        self._buffer_start, self._buffered = 0, 0  # an event id; characters
        lock = threading.Lock()
        self._moved, self._changed = threading.Condition(lock), threading.Condition(lock)
        self._users, self._left_at = 0, 0.0
        self._followers: list[Follower] = []
        self._thread: threading.Thread | None = None
        self._is_closed = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A block in which position and changes follow the database."""
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
                self._users, self._left_at = self._users - 1, time.monotonic()

    def follow(self, follower: Follower) -> None:
        """From now on, the thread calls follower(messages, position) with all events up to each new position.

        It calls it without messages when events may be missing. Call this inside of watched().
        """
        self._followers.append(follower)

    def wait(self, point: int, seconds: float) -> bool:
        """Wait until position is beyond the point. False after these seconds, or when the process stops."""
        with self._moved:
            self._moved.wait_for(lambda: self.position > point or self._is_ending(), seconds)
            return self.position > point and not self._is_ending()

    def wait_for_change(self, seen: int, seconds: float) -> int:
        """Wait until the number of changes differs from `seen`, or these seconds have passed. Returns the number."""
        with self._moved:
            self._changed.wait_for(lambda: self.changes != seen or self._is_ending(), seconds)
            return self.changes

    def read(self, point: int, job_id: str | None = None) -> tuple[list[Message], int]:
        """(some of the events after a point, the point after them); of all jobs, or of one job.

        Raises Pruned if events after the point may have been deleted.
        """
        with self._moved:
            position = max(point, self.position)
            if point >= self._buffer_start:
                return self._buffered_after(point, job_id), position
        messages = read_events(point, position, job_id)
        if are_pruned_after(point):
            raise Pruned("Events after this point are gone.")
        return messages, messages[-1].event_id if len(messages) == BATCH else position

    def close(self) -> None:
        """End the thread; no more events come."""
        with self._moved:
            self._is_closed = True
            thread = self._thread
        if thread is not None:
            thread.join(CLOSE_SECONDS)

    def _buffered_after(self, point: int, job_id: str | None) -> list[Message]:
        messages = []
        for message in reversed(self._buffer):
            if message.event_id <= point:
                break
            if job_id in (None, message.job_id):
                messages.append(message)
        return messages[::-1]

    def _is_ending(self) -> bool:
        return self._is_closed or self.stopping.is_set()

    def _is_needed(self) -> bool:
        """True if the thread must go on. After False the thread ends, and the next user starts a new thread."""
        with self._moved:
            is_idle = not self._users and time.monotonic() - self._left_at > IDLE_SECONDS
            if is_idle or self._is_ending():
                self._thread = None
                self._moved.notify_all()
                self._changed.notify_all()
            return self._thread is threading.current_thread()

    def _run(self) -> None:
        while self._is_needed():
            try:
                with closing(open_watch(self._settings)) as watch:
                    self._follow(watch)
            except Exception as error:  # drivers raise many types of errors while the database is away
                log.warning("the feed goes on when the database answers again: %s", error)
                self.stopping.wait(1)
            finally:
                release_connection()

    def _follow(self, watch: Watch) -> None:
        while self._is_needed():
            has_changed = watch.look()
            if watch.settled is not None and watch.settled > self.position:
                self._advance(watch.settled)
            if has_changed:
                with self._moved:
                    self.changes += 1
                    self._changed.notify_all()

    def _advance(self, settled: int) -> None:
        """Read the events up to an id. If some of them were deleted before they were read, start again at this id."""
        if self.position < 0:
            self._start_at(settled)
        while self.position < settled:
            messages = read_events(self.position, settled)
            if are_pruned_after(self.position):
                self._start_at(settled)
            else:
                self._append(messages, messages[-1].event_id if len(messages) == BATCH else settled)
        give_back_connection()

    def _start_at(self, position: int) -> None:
        """Empty the buffer. Readers before this position then read the database, which records deleted events."""
        with self._moved:
            self.position = self._buffer_start = position
            self._buffer.clear()
            self._buffered = 0
            self._moved.notify_all()
        self._tell([], position)

    def _append(self, messages: list[Message], position: int) -> None:
        with self._moved:
            self._buffer.extend(messages)
            self._buffered += sum(len(message.record) for message in messages)
            while self._buffered > MAX_BUFFERED_CHARACTERS:
                oldest = self._buffer.popleft()
                self._buffer_start, self._buffered = oldest.event_id, self._buffered - len(oldest.record)
            self.position = position
            self._moved.notify_all()
        self._tell(messages, position)

    def _tell(self, messages: list[Message], position: int) -> None:
        for follower in self._followers:
            follower(messages, position)


def read_events(after: int, to: int, job_id: str | None = None) -> list[Message]:
    """The first events with ids above `after` and up to `to`; of all jobs, or of one job."""
    where = [Event.event_id > after, Event.event_id <= to, *([Event.job_id == job_id] if job_id else [])]
    return [_message(event) for event in Event.select().where(*where).order_by(Event.event_id).limit(BATCH)]


def are_pruned_after(point: int) -> bool:
    """True if an event after the point was deleted. Call this after reading the events, never before."""
    return newest()[1] > point


def newest_event(job_id: str, to: int) -> Message | None:
    """The last event of a job up to an id."""
    where = (Event.job_id == job_id, Event.event_id <= to)
    event = Event.select().where(*where).order_by(Event.event_id.desc()).first()
    return _message(event) if event else None


def _message(event: Event) -> Message:
    name, status = f"{event.entity}.{event.change}", event.data.get("status")
    return Message(event.event_id, event.job_id, name, to_json(event.record()), status)
