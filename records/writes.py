"""The statements that create, change and delete a record. One statement makes the change and returns the new row.

Peewee builds the SQL of a query again for each call, which takes longer than running it. Here the SQL is joined from a
few clauses. Its text is often the same, so the driver has the prepared statement in its cache.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from peewee import JSONField

from database import database, is_postgresql, to_column
from database.groups import ONE_STATEMENT
from models import microseconds
from records import rows
from records.rows import Row

KEPT_STATEMENTS = 256  # sets of clauses whose SQL is cached, at most
Clause = tuple[str, tuple[Any, ...]]  # SQL with a ? for each value, and the values


def transaction() -> AbstractContextManager[Any]:
    """A transaction for one statement that writes. Statements that read may follow it.

    SQLite itself undoes a statement that fails, so it needs no savepoint. PostgreSQL needs a savepoint in an open
    transaction; outside of one, each statement is a transaction already.
    """
    if is_postgresql():
        return database.atomic() if database.in_transaction() else nullcontext()
    return nullcontext() if database.in_transaction() else database.transaction(ONE_STATEMENT)


def insert(model: Any, values: dict[str, Any]) -> Row | None:
    """Create a record from the values of its fields. Returns its row, or None if its id is taken."""
    stored = [_stored(model, name, value) for name, value in values.items()]
    return _returned(_insert(model, tuple(values), is_postgresql()), stored)


def update(model: Any, changes: Sequence[Clause], guards: Sequence[Clause]) -> Row | None:
    """Change the one record that meets every guard. Returns its new row, or None if no record meets them.

    The changes must set updated_at to a later time, as touched() does. Otherwise a trigger sets it, but SQLite returns
    the row before its triggers run.
    """
    texts = tuple([sql for sql, _ in changes]), tuple([sql for sql, _ in guards])
    return _returned(_update(model, *texts, is_postgresql()), _values(*changes, *guards))


def check(model: Any, key: Clause, guards: Sequence[Clause]) -> tuple[Row | None, bool]:
    """(the row of the record with this key, True if it meets every guard); (None, False) if there is no such record."""
    conditions = " AND ".join([f"({sql})" for sql, _ in guards]) or "1 = 1"
    sql = f"SELECT {rows.columns(model)}, {conditions} FROM {model._meta.table_name} WHERE {key[0]}"
    row = database.execute_sql(placed(sql), _values(*guards, key)).fetchone()
    return (None, False) if row is None else (row[:-1], bool(row[-1]))


def delete(model: Any, guards: Sequence[Clause]) -> bool:
    """Delete the one record that meets every guard. Returns False if no record meets them."""
    sql = placed(f"DELETE FROM {model._meta.table_name} WHERE {' AND '.join([sql for sql, _ in guards])}")
    return bool(database.execute_sql(sql, _values(*guards)).rowcount)


def assign(model: Any, name: str, value: Any) -> Clause:
    """The assignment of a value to a field."""
    null, sql, stored = _assignment(model, name, is_postgresql())
    return null if value is None else (sql, (stored(value),))


def is_other(model: Any, name: str, value: Any) -> Clause:
    """The condition that a field does not have this value."""
    return f"{_column(model._meta.fields[name])} IS DISTINCT FROM {_place(model, name)}", (_stored(model, name, value),)


def touched(now: datetime) -> Clause:
    """The assignment to updated_at: this time, or one microsecond after the last change if that is later."""
    return _touched(is_postgresql()), (microseconds(now),)


def marks(values: Sequence[object]) -> str:
    """A ? for each value."""
    return ", ".join("?" * len(values))


def is_one_of(column: str, values: Sequence[Any]) -> Clause:
    """The condition that the column has one of these values."""
    return (f"{column} IN ({marks(values)})" if values else "1 = 0"), tuple(values)


@cache
def has_status(statuses: tuple[str, ...], negation: str = "") -> Clause:
    """The condition that the status is one of these constants; negation: "NOT " for the opposite."""
    return f"{negation}status IN ({', '.join(map(repr, statuses))})", ()


def _values(*clauses: Clause) -> list[Any]:
    """The values of all clauses, in the order of their placeholders."""
    return [value for _, values in clauses for value in values]


@lru_cache(KEPT_STATEMENTS)
def _insert(model: Any, names: tuple[str, ...], on_postgresql: bool) -> str:
    columns = ", ".join([_column(model._meta.fields[name]) for name in names])
    places = ", ".join([_place(model, name) for name in names])
    table, key = model._meta.table_name, model._meta.primary_key.column_name
    return _returning(model, f"INSERT INTO {table} ({columns}) VALUES ({places}) ON CONFLICT ({key}) DO NOTHING")


@lru_cache(KEPT_STATEMENTS)
def _update(model: Any, changes: tuple[str, ...], guards: tuple[str, ...], on_postgresql: bool) -> str:
    return _returning(model, f"UPDATE {model._meta.table_name} SET {', '.join(changes)} WHERE {' AND '.join(guards)}")


def _returning(model: Any, sql: str) -> str:
    return placed(f"{sql} RETURNING {rows.returned(model)}")


@cache
def _assignment(model: Any, name: str, on_postgresql: bool) -> tuple[Clause, str, Callable[[Any], Any]]:
    """(the assignment of NULL, the SQL of another assignment, the function that makes the value for the database)."""
    field = model._meta.fields[name]
    stored = to_column if isinstance(field, JSONField) else field.db_value
    return (f"{_column(field)} = NULL", ()), f"{_column(field)} = {_place(model, name)}", stored


@cache
def _touched(on_postgresql: bool) -> str:
    return f"updated_at = {'greatest' if on_postgresql else 'max'}(?, updated_at + 1)"


def _column(field: Any) -> str:
    """The name of a column in quotes, because `end` is also a word of SQL."""
    return f'"{field.column_name}"'


def _place(model: Any, name: str) -> str:
    """The placeholder for a value of a field."""
    return "?::jsonb" if is_postgresql() and isinstance(model._meta.fields[name], JSONField) else "?"


def _stored(model: Any, name: str, value: Any) -> Any:
    """The value of a field as the database stores it."""
    return None if value is None else _assignment(model, name, is_postgresql())[2](value)


def _returned(sql: str, values: Sequence[Any]) -> Row | None:
    """Run a statement that changes at most one record. Returns the new row of that record, or None."""
    returned = database.execute_sql(sql, values).fetchall()
    return rows.decoded(returned[0]) if returned else None


def placed(sql: str) -> str:
    """The statement with the placeholders of the database instead of ?."""
    return sql.replace("?", "%s") if is_postgresql() else sql
