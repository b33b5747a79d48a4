"""The queue of pending work, as SQL: highest priority first, then oldest."""

from functools import cache
from typing import Any

from database import database, is_postgresql
from records.pages import merged
from records.writes import placed

ORDER = "priority DESC, created_at, {0}"
NEAR = 100  # the best records of several types: more than the transactions that claim at the same moment


def has_head(model: Any, types: tuple[str, ...]) -> bool:
    """True if a record of these types is pending, or of any type for (). Takes no lock."""
    return database.execute_sql(placed(head(model, len(types), locks=False)), types).fetchone() is not None


@cache
def head(model: Any, types: int, locks: bool) -> str:
    """A SELECT of the key of the best pending record. types: how many types to choose from, each a ?; 0 for any.

    It reads few index entries of each type, however long the queue is. locks: PostgreSQL skips the records that other
    transactions have locked, and locks this one. SQLite is alone in a transaction that writes.
    """
    key = model._meta.primary_key.column_name
    order, lock = ORDER.format(key), "FOR UPDATE SKIP LOCKED" if locks else ""
    if types > 1:
        return _locked_of_types(model, types) if locks else f"SELECT {key} FROM ({_merged(model, types, 1)}) AS queue"
    pending = _pending(model, "queue") + " AND job_type = ?" if types else _pending(model, "claim")
    return f"SELECT {key} FROM {pending} ORDER BY {order} LIMIT 1 {lock}"


def next_waiting_type(model: Any, last: str) -> str | None:
    """The next type after this one in the alphabet that has pending records, or None."""
    sql = f"SELECT min(job_type) FROM {_pending(model, 'queue')} AND job_type > ?"
    (following,) = database.execute_sql(placed(sql), (last,)).fetchone()
    return following  # type: ignore[no-any-return]


def count_waiting(model: Any, job_type: str, most: int) -> int:
    """The number of pending records of a type; counts at most so many."""
    waiting = f"SELECT 1 FROM {_pending(model, 'queue')} AND job_type = ? LIMIT ?"
    (number,) = database.execute_sql(
        placed(f"SELECT count(*) FROM ({waiting}) AS waiting"), (job_type, most)
    ).fetchone()
    return int(number)


def _merged(model: Any, types: int, limit: int) -> str:
    """The best pending records of several types. No index has them in the order of the queue, so lists are merged."""
    key = model._meta.primary_key.column_name
    order = f"ORDER BY {ORDER.format(key)} LIMIT {limit}"
    one = f"SELECT {key}, priority, created_at FROM {_pending(model, 'queue')} AND job_type = ?"
    return merged([one] * types, order)


def _locked_of_types(model: Any, types: int) -> str:
    """PostgreSQL cannot lock a row of a UNION: this joins it with its table, and checks the status after the lock."""
    table, key = model._meta.table_name, model._meta.primary_key.column_name
    still = f"{table}.{key} = queue.{key} AND {table}.status = '{model.statuses.pending}'"
    queue = f"({_merged(model, types, NEAR)}) AS queue JOIN {table} ON {still}"
    order = f"queue.priority DESC, queue.created_at, queue.{key}"
    return f"SELECT {table}.{key} FROM {queue} ORDER BY {order} LIMIT 1 FOR UPDATE OF {table} SKIP LOCKED"


def _pending(model: Any, index: str) -> str:
    """The pending records: a table and its condition. index: queue for one type at a time, claim for any type.

    SQLite uses an index of pending records only if the statement has the status itself. It may still prefer another.
    """
    table = model._meta.table_name
    hint = "" if is_postgresql() else f" INDEXED BY {table}_{index}"
    return f"{table}{hint} WHERE status = '{model.statuses.pending}'"
