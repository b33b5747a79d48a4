"""Rows as they are stored: reads and writes whole records, so that both databases have equal values.

Text of SQLite is read as bytes, because a script or a restored file may have written text that is no valid UTF-8.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from peewee import BooleanField, CharField, JSONField, TextField

from models import Event, Job, Loop, Track

Row = Sequence[Any]
Rows = dict[str, list[Row]]  # by table
TABLES: dict[str, Any] = {"job": Job, "track": Track, "loop": Loop, "event": Event}  # parents first
RECORDS = ("job", "track", "loop")
# The rows of some jobs, for the ids of the jobs in place of {}.
OF_JOBS = {
    "job": "job_id IN ({})",
    "track": "job_id IN ({})",
    "loop": "track_id IN (SELECT track_id FROM track WHERE job_id IN ({}))",
    "event": "job_id IN ({})",
}


def columns(table: str) -> str:
    """The columns of a table for INSERT or SELECT, in a fixed order."""
    return ", ".join(f'"{field.column_name}"' for field in _fields(table))


def place(table: str, column: str) -> int:
    """The place of a column in a row."""
    return [field.column_name for field in _fields(table)].index(column)


@cache
def read_columns(table: str, on_postgresql: bool) -> str:
    """The columns for SELECT."""
    return ", ".join(_read(field, on_postgresql) for field in _fields(table))


@cache
def insert(target: str, table: str, on_postgresql: bool) -> str:
    """The INSERT of one row of a table into a target with the same columns; with ? for each value."""
    values = ", ".join(_written(field, on_postgresql) for field in _fields(table))
    return f"INSERT INTO {target} ({columns(table)}) VALUES ({values})"


def decoded(row: Row) -> list[Any]:
    """A row of SQLite for PostgreSQL. Raises UnicodeDecodeError for text that PostgreSQL cannot store."""
    return [value.decode() if isinstance(value, bytes) else value for value in row]


def texts(rows: Rows, table: str, column: str) -> list[str]:
    """The texts of a column that are not NULL."""
    texts = [row[place(table, column)] for row in rows[table]]
    return [text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text for text in texts if text]


def size(rows: Rows) -> int:
    """The bytes of the texts in these rows, and eight for each other value."""
    values = (value for table in rows.values() for row in table for value in row)
    return sum(len(value) if isinstance(value, (bytes, str)) else 8 for value in values)


def _fields(table: str) -> list[Any]:
    return list(TABLES[table]._meta.sorted_fields)


def _is_text(field: Any) -> bool:
    key = getattr(field, "rel_field", field)
    return isinstance(key, (CharField, TextField, JSONField))


def _read(field: Any, on_postgresql: bool) -> str:
    name = f'"{field.column_name}"'
    if on_postgresql:
        return f"{name}::text" if isinstance(field, JSONField) else name
    return f"CAST({name} AS BLOB)" if _is_text(field) else name


def _written(field: Any, on_postgresql: bool) -> str:
    if not on_postgresql:
        return "CAST(? AS TEXT)" if _is_text(field) else "?"
    if isinstance(field, BooleanField):
        return "?::int::boolean"
    return "?::jsonb" if isinstance(field, JSONField) else "?"
