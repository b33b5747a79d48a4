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
from models import Job
from records.queue import pending
from records.refusals import not_waiting
from records.waiting import Place, first, place_of
from records.writes import Clause, placed

STEP = 2_000_000  # microseconds: so far ahead of the first one there is room for many others


def changes_of_move(job_id: str, other_id: str | None) -> list[Clause]:
    """The changes that put a job before another pending one, or first if other_id is None. [] if it is there already.

    Call it in a transaction: on PostgreSQL, others that move jobs wait for its end. Raises WrongStatus if the other job
    is not pending, and Invalid if there is none.
    """
    if is_postgresql():  # on SQLite, a writer is alone
        database.execute_sql("SELECT one FROM queue_state FOR UPDATE")
    other = _first() if other_id is None else _of(other_id)
    if other is None:  # nothing is pending
        return []
    before, low = _before(other) or (None, f"{int(other.waits_at[:DIGITS]) - STEP:0{DIGITS}}")
    if job_id in (other.job_id, before):
        return []
    return [("priority = ?", (other.priority,)), ("place = ?", (between(low, other.waits_at),))]


def between(low: str, high: str) -> str:
    """A place between two places, with as few digits as possible."""
    lower, upper = Decimal(f"0.{low}"), Decimal(f"0.{high}")
    with localcontext(prec=max(len(low), len(high)) + 2):
        middle = (lower + upper) / 2
        rounded = (middle.quantize(Decimal(1).scaleb(-digits)) for digits in count(DIGITS))
        return next(f"{place:f}".removeprefix("0.") for place in rounded if lower < place < upper)


def _first() -> Place | None:
    """The place of the first job of the queue, or None."""
    return next((Place(priority, waits_at, key) for key, priority, waits_at in first("job_id, priority", 1)), None)


def _of(job_id: str) -> Place:
    """The place of this job. Raises WrongStatus if it is not pending, and Invalid if it does not exist."""
    if place := place_of(job_id):
        return place
    job = Job.get_or_none(Job.job_id == job_id)
    raise Invalid(f"there is no job {job_id} to go before", "before") if job is None else not_waiting(job)


def _before(place: Place) -> Any:
    """(job_id, where it waits) of the last job of the same priority that waits at an earlier place, or None."""
    sql = f"""SELECT job_id, {PLACE} FROM {pending(Job, "claim")} AND priority = ? AND {PLACE} < ?
        ORDER BY priority, {PLACE} DESC, job_id DESC LIMIT 1"""
    return database.execute_sql(placed(sql), (place.priority, place.waits_at)).fetchone()
