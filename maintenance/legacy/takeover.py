"""`flask import-legacy`: every old row arrives, arrives changed, or is listed with the reason why it does not.

The files are copied first, then one transaction writes all records. A run that was killed or refused can be repeated:
a record knows by its fingerprint that it was made from an old row, so a second run adds no records. It adds the files
of those that have none.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from database import bound_settings, database, is_postgresql
from errors import Invalid
from files.storage import Storage
from maintenance.legacy.arrivals import MODELS, Arrival, arrive
from maintenance.legacy.audio import PATHS, Audio
from maintenance.legacy.source import TABLES, Old, OldDatabase, open_old
from maintenance.reports import Report, silent
from maintenance.transfer import loading
from models import Job, Track, utc_now
from records import rows, writes
from records.commits import newest
from records.tally import fold_tally
from records.writes import placed

NUMBERS = ("rows", "added", "changed", "present", "left_out")
PARENTS: dict[str, tuple[Any, str]] = {"tracks": (Job, "job_id"), "loops": (Track, "track_id")}


@dataclass
class Result:
    """What became of the old rows.

    tables: for each table the numbers of its rows, of those that were added, of those of them that were changed, of
    those that were present before, and of those that were left out. odd: the rows that were changed or left out.
    """

    tables: dict[str, dict[str, int]] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    odd: list[dict[str, Any]] = field(default_factory=list)

    def count(self, table: str, what: str, number: int = 1) -> None:
        """Count rows."""
        self.tables.setdefault(table, dict.fromkeys(NUMBERS, 0))[what] += number

    def note(self, table: str, old: Old, what: str, reason: str) -> None:
        """Count and list a row that was changed or left out."""
        self.count(table, what)
        old_id = old[TABLES[table][0]]
        shown_id = old_id if isinstance(old_id, str | int) or old_id is None else repr(old_id)
        self.odd.append({"table": table, "id": shown_id, "outcome": what, "reason": reason})


def take_over(path: Path, storage: Storage, files: Path | None = None, report: Report = silent) -> Result:
    """Bring all rows of the old database into this one. files: the folder with the audio of the old service.

    Raises Invalid if the old database or the folder cannot be read, StorageFull, StorageUnusable and Busy. Then no
    record was added.
    """
    if files is not None and not files.is_dir():
        raise Invalid(f"{files} is no folder.")
    ours = bound_settings().sqlite_path
    if not is_postgresql() and ours.exists() and path.exists() and ours.samefile(path):
        raise Invalid(f"{path} is the database of this service, too: set DB_PATH to another file.")
    with open_old(path) as old:
        takeover = Takeover(old, Audio(storage, files), report)
        if files is not None:
            takeover.copy_files()
        takeover.write()
    return takeover.result


class Takeover:
    """One run."""

    def __init__(self, old: OldDatabase, audio: Audio, report: Report) -> None:
        self.old, self.audio, self.report = old, audio, report
        self.result = Result()
        self._fallback = int(old.path.stat().st_mtime) * 1_000_000

    def copy_files(self) -> None:
        """Copy the audio of records that are not here yet, or have no files here."""
        for table in PATHS:
            for batch in self._batches("copying files of", table, only_children=True):
                arrivals = [arrival for old in batch if (arrival := self._arrival(table, old)) is not None]
                present = _present(MODELS[table], [arrival.record_id for arrival in arrivals])
                for arrival in arrivals:
                    self.audio.copy(arrival, self.audio.columns(arrival, present.get(arrival.record_id)))

    def write(self) -> None:
        """Write all records in one transaction. Webhooks are not sent for them: their jobs ended long ago."""
        with database.atomic():
            loading.keep_writers_out()
            before = max(newest())
            for table in MODELS:
                self.result.count(table, "rows", self.old.count(table))
                for batch in self._batches("taking over", table):
                    self._add(table, batch)
            database.execute_sql(placed("DELETE FROM delivery WHERE event_id > ?"), [before])
            fold_tally()
        self.result.files = {"copied": self.audio.copied, "missing": self.audio.missing}

    def _batches(self, what: str, table: str, only_children: bool = False) -> Iterator[list[Old]]:
        done, total = 0, self.old.count(table)
        self.report(f"{what} {table}", done, total)
        for batch in self.old.batches(table, only_children):
            yield batch
            done += len(batch)
            self.report(f"{what} {table}", done, total)

    def _arrival(self, table: str, old: Old) -> Arrival | None:
        try:
            return arrive(table, old, self._fallback)
        except Invalid:
            return None

    def _add(self, table: str, batch: list[Old]) -> None:
        arrivals: dict[str, Arrival] = {}
        for old in batch:
            try:
                arrival = arrive(table, old, self._fallback)
                if arrival.record_id in arrivals:
                    raise Invalid(f"the id {arrival.record_id} is there twice")
                arrivals[arrival.record_id] = arrival
            except Invalid as error:
                self.result.note(table, old, "left_out", str(error))
        self._insert(table, self._with_parents(table, self._new(table, arrivals)))

    def _new(self, table: str, arrivals: dict[str, Arrival]) -> list[Arrival]:
        """The arrivals that are not here yet."""
        model = MODELS[table]
        for record_id, record in _present(model, list(arrivals)).items():
            arrival = arrivals.pop(record_id)
            if arrival.has_become(record):
                self.result.count(table, "present")
                self._add_files(model, arrival, record)
            else:
                reason = (
                    f"{model._meta.table_name} {record_id} exists here, and was not made from this row as it is now"
                )
                self.result.note(table, arrival.old, "left_out", reason)
        return list(arrivals.values())

    def _add_files(self, model: Any, arrival: Arrival, record: dict[str, Any]) -> None:
        """Let a record that arrived without its files name the copies of this run."""
        copies = self.audio.copies(arrival, self.audio.columns(arrival, record))
        if copies:
            assignments = [writes.assign(model, column, name) for column, name in copies.items()]
            key = (f"{model._meta.primary_key.column_name} = ?", (arrival.record_id,))
            writes.update(model, [*assignments, writes.touched(utc_now())], [key])

    def _with_parents(self, table: str, arrivals: list[Arrival]) -> list[Arrival]:
        """The arrivals whose parent is here."""
        if table not in PARENTS:
            return arrivals
        model, column = PARENTS[table]
        parents = _present(model, list({arrival.fields[column] for arrival in arrivals}))
        for arrival in arrivals:
            if arrival.fields[column] not in parents:
                reason = f"its {model._meta.table_name} {arrival.old[column]!r:.80} is not here"
                self.result.note(table, arrival.old, "left_out", reason)
        return [arrival for arrival in arrivals if arrival.fields[column] in parents]

    def _insert(self, table: str, arrivals: list[Arrival]) -> None:
        for arrival in arrivals:
            self.audio.place(arrival)
        by_id = {arrival.record_id: arrival for arrival in arrivals}
        for values, error in loading.insert(MODELS[table], [arrival.row() for arrival in arrivals]):
            arrival = by_id.pop(values[rows.key(MODELS[table])])
            self.result.note(table, arrival.old, "left_out", str(error))
        self.result.count(table, "added", len(by_id))
        for arrival in by_id.values():
            if arrival.reasons:
                self.result.note(table, arrival.old, "changed", "; ".join(arrival.reasons))


def _present(model: Any, ids: list[str]) -> dict[str, dict[str, Any]]:
    """The columns of the records with these ids."""
    names = [field.column_name for field in rows.fields(model)]
    present = loading.existing(model, ids) if ids else ()
    return {row[rows.key(model)]: dict(zip(names, row, strict=True)) for row in present}
