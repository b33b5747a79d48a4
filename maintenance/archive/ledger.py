"""The ledger's part of a move: which jobs may leave, and the one transaction that takes them out or puts them in.

The ledger decides a move. Its transaction also marks the events that it writes with "archived": true for a job that
leaves, and false for a job that comes back. So clients know what happened, and so does a later process that finds a
move that was not finished.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from database import database, from_json, is_postgresql
from maintenance.archive import rows
from maintenance.archive.rows import OF_JOBS, RECORDS, Rows
from models import JOB_STATUSES, LOOP_STATUSES
from records.commits import newest
from records.writes import marks, placed

PAGE = 1000
FINAL_LOOPS = ", ".join(f"'{status}'" for status in LOOP_STATUSES.final)
Versions = dict[str, frozenset[tuple[str, int]]]  # by job_id: the (id, updated_at) of the job, its tracks and its loops
# The records of some jobs: (job_id, id, updated_at).
VERSIONS = {
    "job": "SELECT job_id, job_id, updated_at FROM job WHERE job_id IN ({})",
    "track": "SELECT job_id, track_id, updated_at FROM track WHERE job_id IN ({})",
    "loop": """SELECT track.job_id, loop.loop_id, loop.updated_at FROM loop JOIN track
        ON track.track_id = loop.track_id WHERE track.job_id IN ({})""",
}
# Nothing of the job has changed since a moment, no loop of it is unfinished, and it has not come back since then.
MAY_LEAVE = f"""updated_at < ? AND lease_token IS NULL
    AND NOT EXISTS (SELECT 1 FROM track WHERE track.job_id = job.job_id AND track.updated_at >= ?)
    AND NOT EXISTS (SELECT 1 FROM loop JOIN track ON track.track_id = loop.track_id
        WHERE track.job_id = job.job_id AND (loop.updated_at >= ? OR loop.status NOT IN ({FINAL_LOOPS})
        OR loop.lease_token IS NOT NULL))
    AND NOT EXISTS (SELECT 1 FROM event WHERE event.job_id = job.job_id AND event.created_at >= ?)"""
MOMENTS = MAY_LEAVE.count("?")
# The condition of jobs that stay: deleted tracks can still come back, and their files are in the folder of the job. A
# rule such as "it has a starred track" belongs here.
IS_EXEMPT = "job_id IN (SELECT job_id FROM discarded_track)"


@dataclass(frozen=True)
class Rule:
    """Which jobs leave: of these final statuses, and not changed since this moment (microseconds since 1970)."""

    before: int
    statuses: tuple[str, ...] = JOB_STATUSES.final


def count_leaving(rule: Rule) -> int:
    """The number of jobs that a rule matches now."""
    count = f"SELECT count(*) FROM job WHERE status = ? AND {MAY_LEAVE} AND NOT ({IS_EXEMPT})"
    return sum(int(_rows(count, [status, *[rule.before] * MOMENTS])[0][0]) for status in rule.statuses)


def leaving(rule: Rule) -> Iterator[str]:
    """The ids of the jobs that a rule matches; the longest unchanged first, for each status."""
    page = f"""SELECT updated_at, job_id FROM job WHERE status = ? AND {MAY_LEAVE} AND NOT ({IS_EXEMPT})
        AND (updated_at, job_id) > (?, ?) ORDER BY updated_at, job_id LIMIT {PAGE}"""
    for status in rule.statuses:
        last: Sequence[Any] = (-1, "")
        while batch := _rows(page, [status, *[rule.before] * MOMENTS, *last]):
            yield from (job_id for _, job_id in batch)
            last = batch[-1]


def still_leaving(rule: Rule, job_ids: Sequence[str]) -> list[str]:
    """Those of these jobs that a rule matches now."""
    query = f"""SELECT job_id FROM job WHERE job_id IN ({marks(job_ids)})
        AND status IN ({marks(rule.statuses)}) AND {MAY_LEAVE} AND NOT ({IS_EXEMPT})"""
    return [job_id for (job_id,) in _rows(query, [*job_ids, *rule.statuses, *[rule.before] * MOMENTS])]


def mark() -> int:
    """The newest event id: what a move writes has greater ids."""
    return max(newest())


def versions(job_ids: Sequence[str], lock: bool = False) -> Versions:
    """The versions of these jobs. lock: until the end of the transaction, nobody changes the records returned.

    On PostgreSQL, a record that somebody is changing is left out, so that nobody waits for another.
    """
    every: dict[str, set[tuple[str, int]]] = {}
    if not job_ids:  # PostgreSQL accepts no empty list
        return {}
    for table, query in VERSIONS.items():
        ending = f" FOR UPDATE OF {table} SKIP LOCKED" if lock and is_postgresql() else ""
        for job_id, record_id, updated_at in _rows(query.format(marks(job_ids)) + ending, job_ids):
            every.setdefault(job_id, set()).add((record_id, updated_at))
    return {job_id: frozenset(records) for job_id, records in every.items()}


def read(job_ids: Sequence[str], newest_event: int) -> Rows:
    """The rows of these jobs, with their events up to this id."""
    read = {table: _select(table, job_ids) for table in RECORDS}
    return {**read, "event": _select("event", job_ids, f" AND event_id <= {newest_event} ORDER BY event_id")}


def take_out(rule: Rule, expected: Versions, newest_event: int) -> list[str]:
    """Delete jobs that have these versions, and their events up to this id, in one transaction.

    Returns the ids of the jobs that have these versions and that the rule matches. If there are others, it deletes
    nothing.
    """
    job_ids = list(expected)
    with database.atomic():
        current = versions(job_ids, lock=True)
        may_leave = set(still_leaving(rule, job_ids))  # after the locks, so that nothing changes any more
        unchanged = [name for name in job_ids if name in may_leave and current.get(name) == expected[name]]
        if unchanged == job_ids:
            places = marks(job_ids)
            _run(f"DELETE FROM event WHERE job_id IN ({places}) AND event_id <= ?", [*job_ids, newest_event])
            _run(f"DELETE FROM job WHERE job_id IN ({places})", job_ids)
            _mark_events(job_ids, "deleted", newest_event, is_archived=True)
    return unchanged


def put_in(moved: Rows, newest_event: int) -> None:
    """Create records as they were, in the transaction of the caller. Raises the errors of constraints.

    Webhooks were sent when the jobs ended, so none is sent now. An event stays away if the ledger has not come to its
    number, or has given it to another event: it is of another ledger.
    """
    job_ids = rows.texts(moved, "job", "job_id")
    for table in RECORDS:
        for row in moved[table]:
            _run(rows.insert(table, table, is_postgresql()), rows.decoded(row) if is_postgresql() else row)
    _run(f"DELETE FROM delivery WHERE job_id IN ({marks(job_ids)}) AND event_id > ?", [*job_ids, newest_event])
    _mark_events(job_ids, "created", newest_event, is_archived=False)
    number = rows.place("event", "event_id")
    for row in (row for row in moved["event"] if row[number] <= newest_event):
        insert = f"{rows.insert('event', 'event', is_postgresql())} ON CONFLICT (event_id) DO NOTHING"
        _run(insert, rows.decoded(row) if is_postgresql() else row)


def taken(moved: Rows) -> dict[str, str]:
    """The jobs that cannot come back, because the ledger has one of their ids: a reason by job_id."""
    tracks = dict(zip(*(rows.texts(moved, "track", name) for name in ("track_id", "job_id")), strict=True))
    loops = dict(zip(*(rows.texts(moved, "loop", name) for name in ("loop_id", "track_id")), strict=True))
    reasons: dict[str, str] = {}
    owners = {"job": None, "track": tracks, "loop": {loop: tracks[track] for loop, track in loops.items()}}
    for table, owner in owners.items():
        for record_id in present(table, rows.texts(moved, table, f"{table}_id")):
            reasons.setdefault(owner[record_id] if owner else record_id, f"the ledger has a {table} {record_id}")
    return reasons


def present(table: str, record_ids: Sequence[str]) -> list[str]:
    """Those of these ids that the ledger has."""
    key, matches = f"{table}_id", []
    for start in range(0, len(record_ids), PAGE):
        batch = record_ids[start : start + PAGE]
        matches += [name for (name,) in _rows(f"SELECT {key} FROM {table} WHERE {key} IN ({marks(batch)})", batch)]
    return matches


def has_left(job_ids: Sequence[str], newest_event: int) -> bool:
    """True if take_out() has committed for these jobs after this event; for a process that finds an unfinished move.

    Its events say so. A deletion without a mark means that the jobs were still here. If the events are deleted by now,
    the jobs have left if none of them is here.
    """
    marks = _marks_of_events(job_ids, "deleted", newest_event)
    return any(marks) or (not marks and not present("job", job_ids))


def has_come_back(job_ids: Sequence[str], newest_event: int) -> bool:
    """True if put_in() has committed for these jobs after this event; for a process that finds an unfinished move."""
    marks = _marks_of_events(job_ids, "created", newest_event)
    return False in marks or (not marks and len(present("job", job_ids)) == len(job_ids))


def _mark_events(job_ids: Sequence[str], change: str, newest_event: int, is_archived: bool) -> None:
    value = "true" if is_archived else "false"
    marked = (
        f"data || '{{\"archived\": {value}}}'" if is_postgresql() else f"json_set(data, '$.archived', json('{value}'))"
    )
    where = f"job_id IN ({marks(job_ids)}) AND event_id > ? AND change = ?"
    _run(f"UPDATE event SET data = {marked} WHERE {where}", [*job_ids, newest_event, change])


def _marks_of_events(job_ids: Sequence[str], change: str, newest_event: int) -> list[bool | None]:
    """The mark of each such event of a job; None for an event without a mark."""
    data = "data::text" if is_postgresql() else "data"
    where = f"job_id IN ({marks(job_ids)}) AND event_id > ? AND change = ? AND entity = 'job'"
    events = _rows(f"SELECT {data} FROM event WHERE {where}", [*job_ids, newest_event, change])
    return [from_json(text).get("archived") for (text,) in events]


def _select(table: str, job_ids: Sequence[str], more: str = "") -> list[Any]:
    where = OF_JOBS[table].format(marks(job_ids))
    return _rows(f"SELECT {rows.read_columns(table, is_postgresql())} FROM {table} WHERE {where}{more}", job_ids)


def _rows(sql: str, values: Sequence[Any]) -> list[Any]:
    return list(database.execute_sql(placed(sql), list(values)).fetchall())


def _run(sql: str, values: Sequence[Any]) -> None:
    database.execute_sql(placed(sql), list(values))
