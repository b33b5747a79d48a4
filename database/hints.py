"""Expressions and queries that tell the planner or the locks of a database what to do."""

from typing import Any, cast

from peewee import Expression, Value, fn

from database.connection import is_postgresql


def unindexed(condition: Expression) -> Expression:
    """The same condition, written so that no planner takes an index for it or expects it to be rarely true."""
    return cast(Expression, fn.COALESCE(condition, Value(False, converter=False)))


def wait_for_lock(query: Any) -> Any:
    """The rows of a query as they are once no other transaction changes them, locked for this transaction.

    Rows that refer to them can still be added. On SQLite a write transaction is alone anyway.
    """
    return query.for_update("FOR NO KEY UPDATE") if is_postgresql() else query


def skip_locked(query: Any) -> Any:
    """The rows of a query that nobody is changing, locked for this transaction; on SQLite a writer is alone anyway."""
    return query.for_update("FOR UPDATE SKIP LOCKED") if is_postgresql() else query
