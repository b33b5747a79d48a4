"""The queue of pending work, as SQL: highest priority first, then oldest."""

from functools import lru_cache
from typing import Any

from database import is_postgresql
from database.statements import built_once

ORDER = "priority DESC, created_at, {0}"
NEAR = 100  # the best records of several types: more than the transactions that claim at the same moment


@lru_cache
def head_of_queue(model: Any, types: int, locks: bool) -> str:
    """A SELECT of the key of the best pending record. types: how many :type_0, :type_1, … to choose from; 0 for any.

    It reads few index entries of each type, however long the queue is. locks: PostgreSQL skips the records that other
    transactions have locked, and locks this one. SQLite is alone in a transaction that writes.
    """
    key = model._meta.primary_key.name
    order, lock = ORDER.format(key), "FOR UPDATE SKIP LOCKED" if locks else ""
    if types > 1:
        return _locked_of_types(model, types) if locks else f"SELECT {key} FROM ({_merged(model, types, 1)}) AS queue"
    pending = _pending(model, "queue") + " AND job_type = :type_0" if types else _pending(model, "claim")
    return f"SELECT {key} FROM {pending} ORDER BY {order} LIMIT 1 {lock}"


def _merged(model: Any, types: int, limit: int) -> str:
    """The best pending records of several types. No index has them in the order of the queue, so lists are merged."""
    key = model._meta.primary_key.name
    order = f"ORDER BY {ORDER.format(key)} LIMIT {limit}"
    one = f"SELECT {key}, priority, created_at FROM {_pending(model, 'queue')} AND job_type = :type_"
    lists = (f"({one}{number} {order})" if is_postgresql() else f"{one}{number}" for number in range(types))
    return f"{' UNION ALL '.join(lists)} {order}"


def _locked_of_types(model: Any, types: int) -> str:
    """PostgreSQL cannot lock a row of a UNION: this joins it with its table, and checks the status after the lock."""
    table, key = model._meta.table_name, model._meta.primary_key.name
    still = f"{table}.{key} = queue.{key} AND {table}.status = '{model.statuses.pending}'"
    order = f"queue.priority DESC, queue.created_at, queue.{key} LIMIT 1 FOR UPDATE OF {table} SKIP LOCKED"
    return (
        f"SELECT {table}.{key} FROM ({_merged(model, types, NEAR)}) AS queue JOIN {table} ON {still} ORDER BY {order}"
    )


@built_once
def queue_head(model: Any, types: int) -> str:
    """A statement that returns the key of the best pending record, and locks nothing."""
    return head_of_queue(model, types, locks=False)


@built_once
def next_waiting_type(model: Any) -> str:
    """A statement that returns the next type after :last in the alphabet that has pending records, or NULL."""
    return f"SELECT min(job_type) FROM {_pending(model, 'queue')} AND job_type > :last"


@built_once
def waiting_of_type(model: Any) -> str:
    """A statement that counts the pending records of :job_type, :most at most."""
    waiting = f"SELECT 1 FROM {_pending(model, 'queue')} AND job_type = :job_type LIMIT :most"
    return f"SELECT count(*) FROM ({waiting}) AS waiting"


def _pending(model: Any, index: str) -> str:
    """The pending records: a table and its condition. index: queue for one type at a time, claim for any type.

    SQLite uses an index of pending records only if the statement has the status itself. It may still prefer another.
    """
    table = model._meta.table_name
    hint = "" if is_postgresql() else f" INDEXED BY {table}_{index}"
    return f"{table}{hint} WHERE status = '{model.statuses.pending}'"
