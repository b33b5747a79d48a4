"""Statements written as SQL. It is built once, because Peewee needs ten times longer to build it than SQLite to run it.

[job] = records_of(Job, update_where(Job, (("progress", ":progress"),), ("job_id = :id",)).write(id="a", progress=5))
"""

import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, wraps
from typing import Any, TypeVar

from peewee import BooleanField, CharField, ForeignKeyField, JSONField, TextField

from database.clock import database_now
from database.connection import database, is_postgresql
from database.json_text import to_column

R = TypeVar("R")
NAME = re.compile(r"(?<!:):(\w+)")  # not ::bigint
KEPT = 500  # statements: clients choose which fields they change together


class Statement:
    """SQL with :names in place of the values that differ from call to call."""

    def __init__(self, text: str) -> None:
        self._names = NAME.findall(text)
        self._sql = NAME.sub(database.param, text)

    def read(self, **values: Any) -> list[tuple[Any, ...]]:
        """Run a statement that changes nothing. Returns its rows."""
        params = [values[name] for name in self._names]
        rows: list[tuple[Any, ...]] = database.execute_sql(self._sql, params).fetchall()
        return rows

    def write(self, **values: Any) -> list[tuple[Any, ...]]:
        """Run a statement that changes rows, in a transaction. Returns the rows of its RETURNING, all of them."""
        with writing():
            return self.read(**values)


def built_once(build: Callable[..., str]) -> Callable[..., Statement]:
    """Make build(), which returns SQL, return a Statement that is kept for each kind of database and its arguments."""

    @lru_cache(KEPT)
    def statement(is_for_postgresql: bool, *parts: Any) -> Statement:
        return Statement(build(*parts))

    @wraps(build)
    def kept(*parts: Any) -> Statement:
        return statement(is_postgresql(), *parts)

    return kept


def writing() -> AbstractContextManager[Any]:
    """A transaction for one statement that writes. It is the open one if there is one.

    A single statement is a transaction by itself on PostgreSQL. On SQLite, it must wait in the queue of the writers.
    """
    return nullcontext() if is_postgresql() or database.in_transaction() else database.atomic()


@built_once
def update_where(model: Any, changes: tuple[tuple[str, str], ...], guards: tuple[str, ...]) -> str:
    """Change the rows that meet every guard, and return them. changes: pairs of a column and its new value as SQL.

    It sets updated_at itself: RETURNING on SQLite shows rows as they are before the triggers run.
    """
    table, now = model._meta.table_name, database_now().sql
    assignments = ", ".join(f"{column} = {value}" for column, value in changes)
    newer = f"updated_at = {greatest()}({now}, {table}.updated_at + 1)"
    return f"UPDATE {table} SET {assignments}, {newer} WHERE {' AND '.join(guards)} RETURNING {columns_of(model)}"


def greatest() -> str:
    """The name of the SQL function that returns the greatest of its arguments."""
    return "greatest" if is_postgresql() else "max"


def columns_of(model: Any) -> str:
    """The columns of a model as SQL, for records_of().

    SQLite returns text as bytes, because its driver raises an error for text that is not valid UTF-8.
    """
    fields = model._meta.sorted_fields
    as_bytes = not is_postgresql()
    return ", ".join(
        f"CAST({field.column_name} AS BLOB)" if as_bytes and _is_text(field) else field.column_name for field in fields
    )


def records_of(model: type[R], rows: Iterable[tuple[Any, ...]]) -> list[R]:
    """The rows as records of the model. Invalid UTF-8 is read as U+FFFD."""
    return [_record(model, row) for row in rows]


def values_of(model: Any, row: dict[str, Any]) -> dict[str, Any]:
    """The values of fields as the database stores them. Raises NotJson."""
    fields = model._meta.fields
    return {name: _stored(fields[name], value) for name, value in row.items()}


def _stored(field: Any, value: Any) -> Any:
    return to_column(value) if isinstance(field, JSONField) and value is not None else field.db_value(value)


def _record(model: Any, row: tuple[Any, ...]) -> Any:
    record = model(__no_default__=True)
    record.__data__ = {
        name: value if read is None or value is None else read(value)
        for (name, read), value in zip(_readers(model, is_postgresql()), row, strict=True)
    }
    return record


@lru_cache
def _readers(model: Any, is_for_postgresql: bool) -> list[tuple[str, Callable[[Any], Any] | None]]:
    """The fields in the order of columns_of(): their names, and the functions that read their values, if needed."""
    return [(field.name, _reader(field, is_for_postgresql)) for field in model._meta.sorted_fields]


def _reader(field: Any, is_for_postgresql: bool) -> Callable[[Any], Any] | None:
    decode = _decoded if _is_text(field) and not is_for_postgresql else None
    if isinstance(field, JSONField):
        return field.python_value if decode is None else lambda value: field.python_value(_decoded(value))
    if decode is None and (isinstance(field, BooleanField) or "python_value" in vars(type(field))):
        return field.python_value  # type: ignore[no-any-return]
    return decode


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _is_text(field: Any) -> bool:
    return isinstance(field, (CharField, TextField, JSONField, ForeignKeyField))
