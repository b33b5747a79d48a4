"""Moves pending jobs to another place of the queue, at the same cost for any length of the queue.

Places are fractions, as texts of their digits: database/queue.py. Between two of them there is always another one. So a
move changes one job, and never numbers others again.
"""

from decimal import Decimal, localcontext
from itertools import count
from typing import Any

from database import database, is_postgresql
from database.queue import DIGITS, PLACE
from errors import Invalid
from models import JOB_STATUSES, Job
from records.refusals import not_waiting
from records.writes import Clause, placed

STEP = 2_000_000  # microseconds: so far ahead of the first one there is room for many others
PENDING = f"status = '{JOB_STATUSES.pending}'"
ORDER = f"priority {{0}}, {PLACE} {{1}}, job_id {{1}} LIMIT 1"


def changes_of_move(job_id: str, other_id: str | None) -> list[Clause]:
    """The changes that put a job before another pending one, or first if other_id is None. [] if it is there already.

    Call it in a transaction: on PostgreSQL, others that move jobs wait for its end. Raises WrongStatus if the other job
    is not pending, and Invalid if there is none.
    """
    if is_postgresql():  # on SQLite, a writer is alone
        database.execute_sql("SELECT one FROM queue_state FOR UPDATE")
    other = _first() if other_id is None else _pending(other_id)
    if other is None:  # nothing is pending
        return []
    key, priority, high = other
    before, low = _before(priority, high) or (None, f"{int(high[:DIGITS]) - STEP:0{DIGITS}}")
    if job_id in (key, before):
        return []
    return [("priority = ?", (priority,)), ("place = ?", (between(low, high),))]


def between(low: str, high: str) -> str:
    """A place between two places, with as few digits as possible."""
    lower, upper = Decimal(f"0.{low}"), Decimal(f"0.{high}")
    with localcontext(prec=max(len(low), len(high)) + 2):
        middle = (lower + upper) / 2
        rounded = (middle.quantize(Decimal(1).scaleb(-digits)) for digits in count(DIGITS))
        return next(f"{place:f}".removeprefix("0.") for place in rounded if lower < place < upper)


def _first() -> Any:
    """(job_id, priority, place) of the first job of the queue, or None."""
    return _read(f"{PENDING} ORDER BY {ORDER.format('DESC', 'ASC')}")


def _pending(job_id: str) -> Any:
    """The same of this job. Raises WrongStatus if it is not pending, and Invalid if it does not exist."""
    sql = f"SELECT job_id, priority, {PLACE} FROM job WHERE job_id = ? AND {PENDING}"
    row = database.execute_sql(placed(sql), (job_id,)).fetchone()
    if row is not None:
        return row
    job = Job.get_or_none(Job.job_id == job_id)
    raise Invalid(f"there is no job {job_id} to go before", "before") if job is None else not_waiting(job)


def _before(priority: int, place: str) -> Any:
    """(job_id, place) of the last job of this priority with a lower place, or None."""
    row = _read(f"{PENDING} AND priority = ? AND {PLACE} < ? ORDER BY {ORDER.format('ASC', 'DESC')}", priority, place)
    return row and (row[0], row[2])


def _read(condition: str, *values: Any) -> Any:
    hint = "" if is_postgresql() else " INDEXED BY job_claim"
    sql = f"SELECT job_id, priority, {PLACE} FROM job{hint} WHERE {condition}"
    return database.execute_sql(placed(sql), values).fetchone()
