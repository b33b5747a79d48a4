"""Follows jobs or loops: their status, progress and message, from the events as they are committed."""

import json
from collections.abc import Collection
from typing import Any, NamedTuple

from errors import NotFound, Pruned
from models import Event
from records import rows
from records.events import Feed
from records.leases import WorkRepository
from records.pages import Page

DELETED = "deleted"
MOST = 200  # running records that are read at the start


class State(NamedTuple):
    """The state of a job or loop after a change. status: `deleted` if it does not exist any more."""

    record_id: str
    status: str
    progress: int
    message: str | None
    error: str | None


class Watcher:
    """Follows the records with these ids, or every record that is running if there are none.

    Use it inside of feed.watched().
    """

    def __init__(self, feed: Feed, repo: WorkRepository[Any], ids: Collection[str]) -> None:
        self.states: dict[str, State] = {}
        self.ids = frozenset(ids)
        self._feed, self._repo, self._point = feed, repo, -1

    def start(self) -> list[State]:
        """The states of the records now. Raises NotFound if one does not exist."""
        states = self._read_all()
        for record_id in sorted(self.ids - self.states.keys()):
            raise NotFound(f"There is no {self._repo.name} {ascii(record_id)}.")
        return states

    def changes(self, seconds: float) -> list[State]:
        """Wait for events, at most so many seconds. Returns the changed states, in order; [] if there are none."""
        if self._point < 0:  # the feed begins when its thread has read the database
            self._feed.wait(-1, seconds)
            self._point = self._feed.position
            return self._read_all() if self._point >= 0 else []
        self._feed.wait(self._point, seconds)
        try:
            messages, self._point = self._feed.read(self._point)
        except Pruned:
            self._point = self._feed.position
            return self._read_all()
        states = [self._state(json.loads(message.record)) for message in messages]
        return [state for state in states if state is not None and self._notice(state)]

    def is_over(self) -> bool:
        """True when all named records have finished or were deleted. Never, if none is named."""
        return bool(self.ids) and all(map(self.is_final, self.states.values()))

    def is_final(self, state: State) -> bool:
        """True if the record will not change any more, unless somebody retries it."""
        return state.status in (*self._repo.statuses.final, DELETED)

    def is_followed(self, state: State) -> bool:
        """True if more changes are expected: the record is named and not final, or no record is named and it runs."""
        return not self.is_final(state) if self.ids else self._repo.statuses.is_active(state.status)

    def _read_all(self) -> list[State]:
        """The states that differ from those noticed before.

        The newest event of a named record that does not exist any more says whether it is deleted or in an archive.
        """
        if self.ids:
            ids = list(filter(str.isascii, self.ids))  # no record has another one, and a database refuses broken text
            read = self._repo.get_rows(ids) if ids else []
        else:
            active = self._repo.in_status(*filter(self._repo.statuses.is_active, self._repo.statuses.steps))
            read = self._repo.page_rows(Page(limit=MOST), active)
        states = [self._of_row(row) for row in read]
        gone = self.states.keys() - {state.record_id for state in states}
        states += [self._last(record_id) for record_id in sorted(gone & self.ids)]
        return [state for state in states if self._notice(state)]

    def _notice(self, state: State) -> bool:
        """Keep a state. False if nothing has changed."""
        before = self.states.get(state.record_id)
        is_other = not (self.ids or before or self.is_followed(state))
        if before == state or is_other:
            return False
        self.states[state.record_id] = state
        if not self.ids and not self.is_followed(state):
            del self.states[state.record_id]
        return True

    def _last(self, record_id: str) -> State:
        """The state of a record that does not exist any more."""
        own = Event.select().where(Event.entity == self._repo.name, Event.entity_id == record_id)
        event = own.order_by(Event.event_id.desc()).first()
        if event is None:
            return self.states[record_id]._replace(status=DELETED)
        return self._of_event(record_id, event.change, event.data)

    def _of_row(self, row: rows.Row) -> State:
        names = ("status", "progress", "message", "error")
        return State(row[rows.key(self._repo.model)], *(row[rows.place(self._repo.model, name)] for name in names))

    def _state(self, event: dict[str, Any]) -> State | None:
        """The state in an event; None if it is about another record."""
        record_id = event["entity_id"]
        if event["entity"] != self._repo.name or (self.ids and record_id not in self.ids):
            return None
        return self._of_event(record_id, event["change"], event["data"])

    @staticmethod
    def _of_event(record_id: str, change: str, data: dict[str, Any]) -> State:
        is_deleted = change == "deleted" and not data.get("archived")  # in an archive, it keeps its status
        status = DELETED if is_deleted else data["status"]
        return State(record_id, status, data["progress"], data["message"], data["error"])
