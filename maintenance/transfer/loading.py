"""Writes many rows with few statements, and names the row that breaks a rule of the database."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import peewee

from database import database, is_postgresql
from database.refusals import rules_named
from database.snapshot import allow_pauses
from errors import Busy, Invalid
from records import rows
from records.writes import marks, placed

LOCK = "LOCK TABLE job, track, loop, event, delivery IN SHARE ROW EXCLUSIVE MODE"
LOCK_MILLISECONDS = 900  # less than deadlock_timeout, so this process gives up first and no writer fails
Values = tuple[Any, ...]


def keep_writers_out() -> None:
    """Let no other process write until the end of this transaction. On SQLite this is so already. Raises Busy."""
    if not is_postgresql():
        return
    allow_pauses()
    database.execute_sql(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}")
    try:
        database.execute_sql(LOCK)
    except peewee.OperationalError:
        raise Busy("Another program writes to the database: stop the service, then repeat the command.") from None


def insert(model: Any, batch: Sequence[Values]) -> Iterator[tuple[Values, Invalid]]:
    """Insert rows, each with the values of rows.fields(). Only in a transaction.

    Yields each row that the database refuses, with the error; the others are inserted.
    """
    refusal = _try(model, batch) if batch else None
    if refusal is None:
        return
    for values in batch:
        one = _try(model, [values]) if len(batch) > 1 else refusal
        if one is not None:
            yield values, one


def replace(model: Any, values: Values) -> None:
    """Give a row other values. Only in a transaction. Raises Invalid."""
    assignments = ", ".join(f'"{field.column_name}" = ?' for field in rows.fields(model))
    key = model._meta.primary_key.column_name
    sql = f"UPDATE {model._meta.table_name} SET {assignments} WHERE {key} = ?"
    with rules_named(model), database.atomic():
        database.execute_sql(placed(sql), [*values, values[rows.key(model)]])


def existing(model: Any, keys: Sequence[Any]) -> Iterator[rows.Row]:
    """The rows with these ids."""
    table, key = model._meta.table_name, model._meta.primary_key.column_name
    sql = f"SELECT {rows.returned(model)} FROM {table} WHERE {key} IN ({marks(keys)})"
    for row in database.execute_sql(placed(sql), list(keys)).fetchall():
        yield rows.decoded(row)


def _try(model: Any, batch: Sequence[Values]) -> Invalid | None:
    """Insert rows, all or none. Returns the error if the database refuses one of them."""
    try:
        with rules_named(model), database.atomic():
            database.execute_sql(_insert(model, len(batch)), [value for values in batch for value in values])
    except Invalid as error:
        return error
    return None


@lru_cache(64)
def _sql(table: str, columns: tuple[str, ...], number: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    names = ", ".join(f'"{column}"' for column in columns)
    return f"INSERT INTO {table} ({names}) VALUES {', '.join([row] * number)}"


def _insert(model: Any, number: int) -> str:
    return placed(_sql(model._meta.table_name, tuple(field.column_name for field in rows.fields(model)), number))
