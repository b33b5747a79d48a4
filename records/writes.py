"""The statements that create, change and delete a record. One statement makes the change and returns the new row.

Peewee builds the SQL of a query again for each call, which takes longer than running it. Here the SQL is joined from a
few clauses. Its text is often the same, so the driver has the prepared statement in its cache.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import lru_cache
from typing import Any

from peewee import JSONField

from database import database, is_postgresql, to_column
from database.groups import ONE_STATEMENT
from models import microseconds
from records import rows
from records.rows import Row

KEPT_INSERTS = 256  # sets of fields whose SQL is cached, at most
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
    return _returned(model, _insert(model, tuple(values), is_postgresql()), stored)


def update(model: Any, changes: Sequence[Clause], guards: Sequence[Clause]) -> Row | None:
    """Change the one record that meets every guard. Returns its new row, or None if no record meets them.

    The changes must set updated_at to a later time, as touched() does. Otherwise a trigger sets it, but SQLite returns
    the row before its triggers run.
    """
    sql = f"UPDATE {model._meta.table_name} SET {_joined(', ', changes)} WHERE {_joined(' AND ', guards)}"
    return _returned(model, sql, _values(*changes, *guards))


def check(model: Any, key: Clause, guards: Sequence[Clause]) -> tuple[Row | None, bool]:
    """(the row of the record with this key, True if it meets every guard); (None, False) if there is no such record."""
    conditions = " AND ".join([f"({sql})" for sql, _ in guards]) or "1 = 1"
    sql = f"SELECT {rows.columns(model)}, {conditions} FROM {model._meta.table_name} WHERE {key[0]}"
    row = database.execute_sql(placed(sql), _values(*guards, key)).fetchone()
    return (None, False) if row is None else (row[:-1], bool(row[-1]))


def delete(model: Any, guards: Sequence[Clause]) -> bool:
    """Delete the one record that meets every guard. Returns False if no record meets them."""
    sql = placed(f"DELETE FROM {model._meta.table_name} WHERE {_joined(' AND ', guards)}")
    return bool(database.execute_sql(sql, _values(*guards)).rowcount)


def assign(model: Any, name: str, value: Any) -> Clause:
    """The assignment of a value to a field."""
    return f"{model._meta.fields[name].column_name} = {_place(model, name)}", (_stored(model, name, value),)


def touched(now: datetime) -> Clause:
    """The assignment to updated_at: this time, or one microsecond after the last change if that is later."""
    greatest = "greatest" if is_postgresql() else "max"
    return f"updated_at = {greatest}(?, updated_at + 1)", (microseconds(now),)


def is_one_of(column: str, values: Sequence[Any]) -> Clause:
    """The condition that the column has one of these values."""
    return (f"{column} IN ({', '.join('?' * len(values))})" if values else "1 = 0"), tuple(values)


def _joined(separator: str, clauses: Sequence[Clause]) -> str:
    return separator.join([sql for sql, _ in clauses])


def _values(*clauses: Clause) -> list[Any]:
    """The values of all clauses, in the order of their placeholders."""
    return [value for _, values in clauses for value in values]


@lru_cache(KEPT_INSERTS)
def _insert(model: Any, names: tuple[str, ...], on_postgresql: bool) -> str:
    columns = ", ".join([model._meta.fields[name].column_name for name in names])
    places = ", ".join([_place(model, name) for name in names])
    table, key = model._meta.table_name, model._meta.primary_key.column_name
    return f"INSERT INTO {table} ({columns}) VALUES ({places}) ON CONFLICT ({key}) DO NOTHING"


def _place(model: Any, name: str) -> str:
    """The placeholder for a value of a field."""
    return "?::jsonb" if is_postgresql() and isinstance(model._meta.fields[name], JSONField) else "?"


def _stored(model: Any, name: str, value: Any) -> Any:
    """The value of a field as the database stores it."""
    field = model._meta.fields[name]
    if isinstance(field, JSONField):
        return None if value is None else to_column(value)
    return field.db_value(value)


def _returned(model: Any, sql: str, values: Sequence[Any]) -> Row | None:
    """Run a statement that changes at most one record. Returns the new row of that record, or None."""
    returned = list(database.execute_sql(placed(f"{sql} RETURNING {rows.returned(model)}"), values))
    return rows.decoded(returned[0]) if returned else None


def placed(sql: str) -> str:
    """The statement with the placeholders of the database instead of ?."""
    return sql.replace("?", "%s") if is_postgresql() else sql
