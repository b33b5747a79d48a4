"""Reads one state of the whole database, while others write, without keeping many rows in memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from database.connection import database, is_postgresql

FETCHED = 1000  # rows that PostgreSQL sends at a time


@contextmanager
def snapshot() -> Iterator[None]:
    """A block in which this thread reads the database as it is at its first statement. No writer waits for it.

    The thread must not write in it, and must not be in a transaction. It may read slowly: PostgreSQL's limit for idle
    transactions is lifted.
    """
    database.execute_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if is_postgresql() else "BEGIN DEFERRED")
    try:
        allow_pauses()
        yield
    finally:
        database.execute_sql("ROLLBACK")


def allow_pauses() -> None:
    """Let the transaction of this thread be idle for any time: it may wait for a pipe."""
    if is_postgresql():
        database.execute_sql("SET LOCAL idle_in_transaction_session_timeout = 0")


def stream(sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
    """The rows of a query, read as they are needed. Only in a transaction, and one at a time."""
    if not is_postgresql():
        yield from database.execute_sql(sql, values)
        return
    database.execute_sql(f"DECLARE streamed NO SCROLL CURSOR FOR {sql}", values)
    while batch := database.execute_sql(f"FETCH {FETCHED} FROM streamed").fetchall():
        yield from batch
    database.execute_sql("CLOSE streamed")
