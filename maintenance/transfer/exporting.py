"""`flask export`: writes all records, events and deliveries as JSON Lines, from one snapshot and with little memory.

An export has everything that a ledger must keep when it moves:

- Records with all their columns. A lease moves with its token. If its worker does not go on, housekeeping puts the work
  back into the queue when the lease ends, and finds the files of the lost attempt by the token.
- Events with their ids, the highest id so far, and the highest id that was deleted. So clients that resume
  with Last-Event-ID miss nothing.
- Deliveries with their webhook_id, so no webhook is lost. A receiver that gets one twice knows it by this id.

What follows from the records is not in it: the tally, the search index, files.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from database import available_migrations, bound_settings, database, is_postgresql
from database.clock import database_now
from database.snapshot import snapshot, stream
from errors import Pruned
from maintenance.reports import Report, silent
from maintenance.transfer.form import FORMAT, MODELS, PROGRAM, RECORDS, line, shown
from maintenance.workplace import private, publish_new, refuse_existing, refuse_served, workplace
from models import EPOCH, MICROSECOND, Event, iso, microseconds
from records import rows
from records.commits import newest

OVERLAP = timedelta(minutes=1)  # an increment goes back so far: a change gets its time a little before its commit
REPORT_ROWS = 1000


def export_to_file(path: Path, since: int | None = None, report: Report = silent) -> dict[str, Any]:
    """Write an export to a new file, which has its name only when it is complete and on disk.

    Returns what export() does. A pipe or a device is written directly. Raises BackupFailed if the file exists or
    is in STORAGE_DIR, Pruned and OSError.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            return export(file, since, report)
    refuse_existing(path)
    refuse_served(bound_settings(), path)
    with workplace(path.parent) as work:
        part = work / "export"
        with open(part, "xb", opener=private) as file:
            summary = export(file, since, report)
        publish_new(part, path)
    return summary


def export(out: BinaryIO, since: int | None = None, report: Report = silent) -> dict[str, Any]:
    """Write an export. since: only what has changed at this moment or later (microseconds since 1970).

    Returns the number of lines of each kind, and `next_since`: the moment from which the next increment must begin.
    Raises Pruned if events since the moment were deleted: then nobody knows which records were deleted.
    """
    database.execute_sql("SELECT 1")  # the first statement may migrate the schema
    with snapshot():
        next_since = _now() - OVERLAP
        _check_kept(since)
        total = _total(since)
        out.write(line("header", _header(since)))
        numbers = dict.fromkeys(("deleted", *MODELS), 0)
        for written, (kind, fields) in enumerate(_lines(since), 1):
            out.write(line(kind, fields))
            numbers[kind] += 1
            if written % REPORT_ROWS == 0:
                report("exporting", written, max(total, written))
        out.write(line("trailer", numbers))
        out.flush()
        report("exporting", sum(numbers.values()), sum(numbers.values()))
    return {**numbers, "next_since": iso(next_since)}


def schema() -> str:
    """The name of the newest migration of this program: the version of the schema."""
    return available_migrations()[-1]


def select(model: Any, condition: str = "") -> str:
    """A query of the rows of a model, in the order of an export. PostgreSQL would sort ids by its own language."""
    order = f"created_at, {model._meta.primary_key.column_name}{_binary()}" if model in RECORDS.values() else "event_id"
    return f"SELECT {rows.returned(model)} FROM {model._meta.table_name} {condition} ORDER BY {order}"


def _now() -> Any:
    (now,) = database.execute_sql(f"SELECT {database_now().sql}").fetchone()
    return EPOCH + now * MICROSECOND


def _header(since: int | None) -> dict[str, Any]:
    newest_id, pruned = newest()
    return {
        "format": FORMAT,
        "program": PROGRAM,
        "schema": schema(),
        "since": None if since is None else iso(EPOCH + since * MICROSECOND),
        "newest_event": max(newest_id, pruned),
        "pruned_event": pruned,
    }


def _lines(since: int | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """(kind, fields) of every line between the header and the trailer."""
    if since is not None:
        for name in RECORDS:
            yield from (("deleted", fields) for fields in _deleted(name, since))
    for kind, model in MODELS.items():
        where, values = _since(kind, since)
        for row in stream(select(model, where), values):
            yield kind, shown(model, rows.decoded(row))


def _since(kind: str, since: int | None) -> tuple[str, list[int]]:
    """The condition for rows that have changed since a moment, and its values. Events and deliveries never change.

    A record that was taken over, or has come back from an archive, has an old updated_at and a new event.
    """
    if since is None:
        return "", []
    later = f">= {database.param}"
    if kind not in RECORDS:
        return f"WHERE created_at {later}", [since]
    changed = f"SELECT {kind}_id FROM {kind} WHERE updated_at {later}"
    named = f"SELECT entity_id FROM event WHERE entity = '{kind}' AND created_at {later}"
    return f"WHERE {kind}_id IN ({changed} UNION {named})", [since, since]


def _total(since: int | None) -> int:
    """The number of rows that are written."""
    queries = [(MODELS[kind]._meta.table_name, *_since(kind, since)) for kind in MODELS]
    return sum(
        database.execute_sql(f"SELECT count(*) FROM {table} {where}", values).fetchone()[0]
        for table, where, values in queries
    )


def _deleted(name: str, since: int) -> Iterator[dict[str, Any]]:
    """The records of a kind that were deleted since a moment and do not exist now."""
    query = f"""SELECT entity_id, max(created_at) FROM event
        WHERE entity = '{name}' AND change = 'deleted' AND created_at >= {database.param}
        AND NOT EXISTS (SELECT 1 FROM {name} WHERE {name}_id = entity_id)
        GROUP BY entity_id ORDER BY entity_id{_binary()}"""
    for record_id, deleted_at in stream(query, [since]):
        yield {"entity": name, "entity_id": record_id, "deleted_at": iso(EPOCH + deleted_at * MICROSECOND)}


def _check_kept(since: int | None) -> None:
    if since is None or not newest()[1]:
        return
    oldest = Event.select(Event.created_at).order_by(Event.event_id).scalar()
    if oldest is None or since < microseconds(oldest):
        first = f"the oldest event is from {iso(oldest)}" if oldest else "no event is left"
        raise Pruned(f"Events since then have been deleted ({first}), so deletions are unknown: export everything.")


def _binary() -> str:
    return ' COLLATE "C"' if is_postgresql() else ""
