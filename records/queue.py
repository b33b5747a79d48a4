"""The queue of pending work, as SQL: highest priority first, then oldest, but moved jobs where they were put."""

from functools import cache
from typing import Any

from database import database, is_postgresql
from database.queue import PLACE
from models import Job
from records.pages import merged
from records.pause import IS_PAUSED
from records.writes import placed

NEAR = 100  # records to choose from: more than there are transactions that claim at the same moment


def has_head(model: Any, types: tuple[str, ...]) -> bool:
    """True if a record of these types may be claimed; (): of any type. Takes no lock."""
    sql = f"SELECT 1 WHERE {goes_on(model)} AND EXISTS ({head(model, len(types), locks=False)})"
    return database.execute_sql(placed(sql), types).fetchone() is not None


def goes_on(model: Any) -> str:
    """The condition that records may be claimed: the queue of jobs can be paused, that of loops cannot."""
    return f"NOT {IS_PAUSED}" if model is Job else "TRUE"


@cache
def head(model: Any, types: int, locks: bool) -> str:
    """A SELECT for the key of the best pending record. types: the number of types, each with a ?; 0 for any type.

    It reads few index entries of each type, even if the queue is long. locks: PostgreSQL skips the records that other
    transactions have locked, and locks this one. SQLite needs no such lock: only one transaction writes at a time.
    """
    key = model._meta.primary_key.column_name
    lock = "FOR UPDATE SKIP LOCKED" if locks else ""
    if types > 1:
        return _locked_of_types(model, types) if locks else f"SELECT {key} FROM ({_merged(model, types, 1)}) AS queue"
    source = pending(model, "queue") + " AND job_type = ?" if types else pending(model, "claim")
    return f"SELECT {key} FROM {source} ORDER BY priority DESC, {waits_at(model)}, {key} LIMIT 1 {lock}"


@cache
def is_head(model: Any, types: int, locks: bool) -> str:
    """The condition that a record is the best pending record. The arguments are those of head()."""
    return f"{model._meta.primary_key.column_name} = ({head(model, types, locks)})"


def waits_at(model: Any) -> str:
    """The expression by which records of one priority are sorted."""
    return PLACE if model is Job else "created_at"


def next_waiting_type(model: Any, last: str) -> str | None:
    """The first type after this one, in alphabetical order, that has pending records; or None."""
    sql = f"SELECT min(job_type) FROM {pending(model, 'queue')} AND job_type > ?"
    (following,) = database.execute_sql(placed(sql), (last,)).fetchone()
    return following  # type: ignore[no-any-return]


def count_waiting(model: Any, job_type: str, most: int) -> int:
    """The number of pending records of a type. most: the count stops there."""
    waiting = f"SELECT 1 FROM {pending(model, 'queue')} AND job_type = ? LIMIT ?"
    (number,) = database.execute_sql(
        placed(f"SELECT count(*) FROM ({waiting}) AS waiting"), (job_type, most)
    ).fetchone()
    return int(number)


def _merged(model: Any, types: int, limit: int) -> str:
    """The best pending records of several types. No index sorts several types together, so this merges their lists."""
    key = model._meta.primary_key.column_name
    order = f"ORDER BY priority DESC, waits_at, {key} LIMIT {limit}"
    one = f"SELECT {key}, priority, {waits_at(model)} AS waits_at FROM {pending(model, 'queue')} AND job_type = ?"
    return merged([one] * types, order)


def _locked_of_types(model: Any, types: int) -> str:
    """The same with locks, for PostgreSQL. A row of a UNION cannot be locked, so this joins it with its table again."""
    table, key = model._meta.table_name, model._meta.primary_key.column_name
    still = f"{table}.{key} = queue.{key} AND {table}.status = '{model.statuses.pending}'"
    queue = f"({_merged(model, types, NEAR)}) AS queue JOIN {table} ON {still}"
    order = f"queue.priority DESC, queue.waits_at, queue.{key}"
    return f"SELECT {table}.{key} FROM {queue} ORDER BY {order} LIMIT 1 FOR UPDATE OF {table} SKIP LOCKED"


def pending(model: Any, index: str) -> str:
    """The pending records, as SQL: the table and the condition. index: "queue" for one type, "claim" for any type.

    SQLite can use an index of pending records only if the status is in the text of the statement. Even then it may
    choose another index: INDEXED BY prevents this.
    """
    table = model._meta.table_name
    hint = "" if is_postgresql() else f" INDEXED BY {table}_{index}"
    return f"{table}{hint} WHERE status = '{model.statuses.pending}'"
