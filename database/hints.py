"""Expressions and queries that tell the planner or the locks of a database what to do."""

from collections.abc import Iterable
from typing import Any

from peewee import Expression, Value, fn

from database.connection import is_postgresql


class FewRows(Expression):
    """A condition that few rows meet. A list sorts these rows: a planner with old statistics would walk an index."""


def unindexed(expression: Any, null: Any = False) -> Any:
    """The same expression, written so that no planner uses an index for it or expects it to be rarely true.

    null: the value in place of NULL. Its type is that of the expression: False for a condition, 0 for a number.
    """
    return fn.COALESCE(expression, Value(null, converter=False))


def few_rows(condition: Expression) -> FewRows:
    """The same condition, marked as one that few rows meet."""
    return FewRows(condition.lhs, condition.op, condition.rhs, condition.flat)


def leave_few_rows(conditions: Iterable[Expression]) -> bool:
    """True if one of the conditions is marked by few_rows()."""
    return any(isinstance(condition, FewRows) for condition in conditions)


def wait_for_lock(query: Any) -> Any:
    """The rows of a query as they are once no other transaction changes them, locked for this transaction.

    Rows that refer to them can still be added. On SQLite a write transaction is alone anyway.
    """
    return query.for_update("FOR NO KEY UPDATE") if is_postgresql() else query


def lock_for_deletion(query: Any) -> None:
    """Lock the rows of a query for this transaction: nobody changes them, or adds rows that refer to them.

    On SQLite a write transaction is alone anyway.
    """
    if is_postgresql():
        list(query.for_update().tuples())


def skip_locked(query: Any) -> Any:
    """The rows of a query that nobody is changing, locked for this transaction; on SQLite a writer is alone anyway."""
    return query.for_update("FOR UPDATE SKIP LOCKED") if is_postgresql() else query
