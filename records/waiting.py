"""Reads the pending jobs in the order of the queue: the first ones, pages, and how many are before one of them."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from database import database
from database.queue import PLACE
from models import JOB_STATUSES, Job
from records import rows
from records.pages import merged
from records.queue import pending
from records.rows import Row
from records.writes import is_one_of, placed

ORDER = "priority DESC, waits_at, job_id"
# The jobs before and behind a place are two lists, because no index reads them as one.
BEFORE = ("priority > ?", f"priority = ? AND {PLACE} <= ? AND ({PLACE} < ? OR job_id < ?)")
BEHIND = ("priority < ?", f"priority = ? AND {PLACE} >= ? AND ({PLACE} > ? OR job_id > ?)")


class Place(NamedTuple):
    """Where a job waits in the queue: by these values, in this order."""

    priority: int
    waits_at: str
    job_id: str

    def values(self) -> tuple[Any, ...]:
        """The values of the placeholders of BEFORE and of BEHIND."""
        return self.priority, self.priority, self.waits_at, self.waits_at, self.job_id


def first(columns: str, limit: int) -> Sequence[Any]:
    """These columns of the first jobs of the queue."""
    sql = f"SELECT {columns}, {PLACE} AS waits_at FROM {pending(Job, 'claim')} ORDER BY {ORDER} LIMIT ?"
    return database.execute_sql(placed(sql), (limit,)).fetchall()  # type: ignore[no-any-return]


def positions(job_ids: Collection[str], most: int) -> dict[str, int]:
    """The numbers of these jobs in the queue, by id; 1 is the next one, most + 1 any that comes after `most` others.

    Those that do not wait have none. It counts the jobs before the first one, and reads only those from there to the
    last one: often they are neighbours.
    """
    places = _places(*is_one_of("job_id", list(job_ids)), f"ORDER BY {ORDER}")
    if not places:
        return {}
    before, until = count_before(places[0], most), count_before(places[-1], most)
    between = _behind("job_id, priority", places[0], min(until, most - 1) - before) if before < until else []
    listed = [places[0].job_id, *(row[0] for row in between)]
    numbers = {job_id: number for number, job_id in enumerate(listed, before + 1) if job_id in job_ids}
    later = {place.job_id: most + 1 for place in places} if until == most else {}
    return later | numbers


def page(after: Place | None, limit: int) -> list[tuple[Row, Place]]:
    """The rows of jobs in the order of the queue, behind a place, each with its place."""
    columns = rows.columns(Job)
    read = first(columns, limit) if after is None else _behind(columns, after, limit)
    places = (rows.place(Job, "priority"), rows.key(Job))
    return [(row[:-1], Place(row[places[0]], row[-1], row[places[1]])) for row in read]


def place_of(job_id: str) -> Place | None:
    """The place of a job; None if it is not pending."""
    return next(iter(_places("job_id = ?", [job_id])), None)


def count_before(place: Place, most: int) -> int:
    """The number of jobs before a place. most: the count stops there."""
    lists = " UNION ALL ".join(f"SELECT 1 FROM {pending(Job, 'claim')} AND {condition}" for condition in BEFORE)
    sql = placed(f"SELECT count(*) FROM (SELECT * FROM ({lists}) AS jobs LIMIT {most}) AS counted")
    (number,) = database.execute_sql(sql, place.values()).fetchone()
    return int(number)


def _places(condition: str, values: Sequence[Any], order: str = "") -> list[Place]:
    """The places of the pending jobs that meet this condition, in any order without an ORDER BY."""
    columns = f"SELECT priority, {PLACE} AS waits_at, job_id FROM job"
    sql = f"{columns} WHERE {condition} AND status = '{JOB_STATUSES.pending}' {order}"
    return [Place(*row) for row in database.execute_sql(placed(sql), values).fetchall()]


def _behind(columns: str, after: Place, limit: int) -> Sequence[Any]:
    one = f"SELECT {columns}, {PLACE} AS waits_at FROM {pending(Job, 'claim')}"
    lists = [f"{one} AND {condition}" for condition in BEHIND]
    sql = merged(lists, f"ORDER BY {ORDER} LIMIT {int(limit)}")
    return database.execute_sql(placed(sql), after.values()).fetchall()  # type: ignore[no-any-return]
