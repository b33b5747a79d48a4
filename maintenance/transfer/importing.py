"""`flask import`: reads an export into this database, in one transaction.

If the import fails or is killed, the database is as before. Importing a file again changes nothing.

- A record whose id exists here must be the same. In an increment (`--since`), the version with the later updated_at
  wins. An increment also deletes the records that were deleted.
- Events keep their ids. An event that this database has deleted already stays deleted. Triggers write an event for each
  imported row, and a delivery for each job that has ended; the import removes these, as the file has its own.
- Deliveries come only with events that are new here, because the others may have been sent.
- A lease is imported as it is. Its worker may go on if it uses this database.
  Otherwise housekeeping puts the work back into the queue.
"""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any, BinaryIO

from database import database, is_postgresql
from errors import Invalid
from maintenance.reports import Report, silent
from maintenance.transfer import loading
from maintenance.transfer.form import MODELS, RECORDS, shown, stored
from maintenance.transfer.lines import Line, Lines, key, wrong
from models import Delivery, Event
from records import rows
from records.commits import LAST_ID, newest
from records.tally import fold_tally
from records.writes import placed

CLOCK_SLACK = 1_000_000  # microseconds between the clock of a program and that of the database


def import_file(file: BinaryIO, report: Report = silent) -> dict[str, int]:
    """Import an export. Returns the numbers of rows `added`, `changed`, `deleted` and `unchanged`.

    Raises Invalid, which names the line that is wrong, and Busy. Then nothing was imported.
    """
    with _whole(file) as (whole, size):
        lines = Lines(whole, size, report)
        with database.atomic():
            loading.keep_writers_out()
            load = Load(lines.header)
            for kind, batch in lines.batches():
                load.add(kind, batch)
            load.finish()
    return {name: load.numbers[name] for name in ("added", "changed", "deleted", "unchanged")}


class Load:
    """One import, in its transaction. newest, pruned: the highest event ids at its beginning, present and deleted."""

    def __init__(self, header: dict[str, Any]) -> None:
        self.header, self.numbers = header, Counter[str]()
        newest_id, self.pruned = newest()
        self.newest = self._removed = max(newest_id, self.pruned)
        self._late: set[int] = set()  # added events with lower ids: their transactions ended after an earlier export

    def add(self, kind: str, batch: list[Line]) -> None:
        """Add lines of one kind. Raises Invalid."""
        if kind == "deleted":
            self._delete(batch)
        elif kind == "event":
            lines = self._new(Event, [line for line in batch if key(Event, line) > self.pruned])
            self._insert(Event, lines)
            self._late |= {key(Event, line) for line in lines if key(Event, line) <= self.newest}
        elif kind == "delivery":
            self._insert(Delivery, [line for line in batch if self._is_new(key(Delivery, line))])
        else:
            self._insert(MODELS[kind], self._new(MODELS[kind], batch))
        if kind not in ("event", "delivery"):
            self._remove_own_events()

    def finish(self) -> None:
        """Restore what the removed events have moved, and let new events come after those of the file."""
        _execute("UPDATE pruned SET event_id = ?", max(self.pruned, self.header["pruned_event"]))
        _raise_sequence(max(self.newest, self.header["newest_event"], newest()[0]))
        fold_tally()

    def _is_new(self, event_id: int) -> bool:
        """True if this import has added the event with this id, or the event was deleted before it was exported."""
        return event_id > self.newest or event_id in self._late

    def _new(self, model: Any, batch: list[Line]) -> list[Line]:
        """The lines whose rows do not exist here. Changes the rows that an increment has a later version of."""
        present = {row[rows.key(model)]: row for row in loading.existing(model, [key(model, line) for line in batch])}
        added: dict[Any, Line] = {}
        for line in batch:
            record_id = key(model, line)
            if record_id in added:
                raise wrong(line.number, f"the id {record_id} is in the file twice")
            if record_id in present:
                self._compare(model, line, present[record_id])
            else:
                added[record_id] = line
        return list(added.values())

    def _compare(self, model: Any, line: Line, row: rows.Row) -> None:
        """Do nothing for a row that is the same or older; change it to a later version. Raises Invalid."""
        values = stored(model, shown(model, row))
        if values == line.values:
            self.numbers["unchanged"] += 1
            return
        if self.header["since"] is None or model is Event:
            self._refuse(model, line)
        ours, theirs = (rows.version(model, version) for version in (values, line.values))
        if ours == theirs:
            self._refuse(model, line)
        if ours > theirs:
            self.numbers["unchanged"] += 1
            return
        try:
            loading.replace(model, line.values)
        except Invalid as error:
            raise wrong(line.number, str(error)) from None
        self.numbers["changed"] += 1

    def _refuse(self, model: Any, line: Line) -> None:
        raise wrong(
            line.number,
            f"{model._meta.table_name} {key(model, line)} exists here and differs. Import into an empty database, "
            "or into one that has an earlier export of the same ledger and has not changed since",
        )

    def _insert(self, model: Any, batch: list[Line]) -> None:
        numbers = {key(model, line): line.number for line in batch}
        for values, error in loading.insert(model, [line.values for line in batch]):
            raise wrong(numbers[values[rows.key(model)]], str(error))
        self.numbers["added"] += len(batch)

    def _delete(self, batch: Iterable[Line]) -> None:
        for line in batch:
            entity, record_id, deleted_at = line.values
            table, column = RECORDS[entity]._meta.table_name, RECORDS[entity]._meta.primary_key.column_name
            sql = f"DELETE FROM {table} WHERE {column} = ? AND updated_at <= ?"
            self.numbers["deleted"] += _execute(sql, record_id, deleted_at + CLOCK_SLACK)

    def _remove_own_events(self) -> None:
        """Delete what triggers have written for a batch. No other process writes events meanwhile.

        A trigger notes the highest id, and the next call begins there: PostgreSQL would read the deleted rows again.
        """
        _execute("DELETE FROM delivery WHERE event_id > ?", self._removed)
        _execute("DELETE FROM event WHERE event_id > ?", self._removed)
        (highest,) = database.execute_sql("SELECT event_id FROM pruned").fetchone()
        self._removed = max(self._removed, highest)


@contextmanager
def _whole(file: BinaryIO) -> Generator[tuple[BinaryIO, int]]:
    """(the file, its length in bytes). A pipe is copied to a temporary file, so that no lock waits for a slow pipe."""
    if file.seekable():
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        yield file, size
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        size = copy.tell()
        copy.seek(0)
        yield copy, size


def _raise_sequence(event_id: int) -> None:
    """Let the next event get a higher id than this."""
    if is_postgresql():
        _execute(f"SELECT setval('event_event_id_seq', greatest(?, ({LAST_ID}), 1))", event_id)
        return
    _execute("INSERT INTO sqlite_sequence (name, seq) SELECT 'event', 0 WHERE NOT EXISTS "
             "(SELECT 1 FROM sqlite_sequence WHERE name = 'event')")  # fmt: skip
    _execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'event'", event_id)


def _execute(sql: str, *values: Any) -> int:
    """Run a statement. Returns the number of rows that it changed."""
    return int(database.execute_sql(placed(sql), values).rowcount)
