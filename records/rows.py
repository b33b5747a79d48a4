"""Rows: the columns of a record in a fixed order, as the frequent statements return them. Makes records of rows.

Peewee builds the SQL of a query again for each call, and its models set each field by a function call. Here the list of
columns is built once, and one call fills a record. This needs a tenth of the time.
"""

from functools import cache, lru_cache
from typing import Any

from peewee import BooleanField, CharField, FloatField, IntegerField, JSONField, TextField

from database import is_postgresql
from database.damage import Damaged
from database.json_text import from_json, to_json
from models import UtcField

HIDDEN = (
    "lease_token",
    "lease_seconds",
    "fingerprint",
    "discarded_takes",
    "place",
)  # columns that no response shows; they come last

KINDS = 4096  # combinations of the types in a row of which the check is cached

Row = tuple[Any, ...]


def columns(model: Any) -> str:
    """The columns for SELECT or RETURNING. JSON columns are read as text, on PostgreSQL, too."""
    return _columns(model, is_postgresql())


def returned(model: Any) -> str:
    """The columns for RETURNING. decoded() makes a row of each result.

    On SQLite, text is returned as bytes. For text that is not valid UTF-8, the driver would raise an error, and a
    statement that has changed something cannot run again.
    """
    return columns(model) if is_postgresql() else _columns_as_bytes(model)


def decoded(result: Row) -> Row:
    """The row of a result of RETURNING: invalid UTF-8 is read as U+FFFD."""
    return tuple([value.decode("utf-8", "replace") if type(value) is bytes else value for value in result])


@cache
def fields(model: Any) -> list[Any]:
    """The fields in the order of the columns of a row: first those that a response shows, then the hidden ones."""
    every = model._meta.fields
    shown = [field for name, field in every.items() if name not in HIDDEN]
    return shown + [every[name] for name in HIDDEN if name in every]


@cache
def place(model: Any, name: str) -> int:
    """The place of a field in a row."""
    return [field.name for field in fields(model)].index(name)


def key(model: Any) -> int:
    """The place of the id in a row."""
    return place(model, model._meta.primary_key.name)


def version(model: Any, row: Row) -> int:
    """The version of the record in a row: its updated_at in microseconds, as Record.version. Raises Damaged."""
    require_types(model, row)
    return int(row[place(model, "updated_at")])


def require_types(model: Any, row: Row) -> None:
    """Raise Damaged if a value is not of the type of its column.

    The database refuses such a value. But if the file is damaged, SQLite may read text from a column of numbers.
    """
    _require_types(model, tuple(map(type, row)))


@lru_cache(KINDS)
def _require_types(model: Any, kinds: tuple[type, ...]) -> None:
    for field, kind in zip(fields(model), kinds, strict=True):
        if not issubclass(kind, _types(field)):
            raise Damaged(f"the column {field.column_name} of a {model._meta.table_name} has a value of another type")


def _types(field: Any) -> tuple[type, ...]:
    """The types of the values of a column in a row."""
    types: tuple[type, ...] = (str,)
    if isinstance(field, FloatField):
        types = (float, int)
    elif isinstance(field, (BooleanField, IntegerField)):
        types = (int,)
    return (*types, type(None)) if field.null else types


def record(model: Any, row: Row) -> Any:
    """The record of a row. Raises Damaged."""
    require_types(model, row)
    names, conversions = _conversions(model)
    data = dict(zip(names, row, strict=True))
    for name, convert in conversions:
        if data[name] is not None:
            data[name] = convert(data[name])
    made = model.__new__(model)  # does the same as Model.__init__(), without a call for each field
    made.__data__, made.__rel__, made._dirty = data, {}, set()
    return made


def row(record: Any) -> Row:
    """The row of a record that was read from the database."""
    model: Any = type(record)
    return tuple(_stored(field, record.__data__[field.name]) for field in fields(model))


@cache
def _columns(model: Any, on_postgresql: bool) -> str:
    names = [
        f'"{field.column_name}"{"::text" if on_postgresql and isinstance(field, JSONField) else ""}'
        for field in fields(model)
    ]
    return ", ".join(names)


@cache
def _columns_as_bytes(model: Any) -> str:
    return ", ".join(
        f'CAST("{field.column_name}" AS BLOB)'
        if isinstance(field, (CharField, TextField, JSONField))
        else f'"{field.column_name}"'
        for field in fields(model)
    )


@cache
def _conversions(model: Any) -> tuple[list[str], list[tuple[str, Any]]]:
    """(the names of all fields, (name, function) for each field whose value the function must convert)."""
    converted = [(field.name, _conversion(field)) for field in fields(model)]
    return [name for name, _ in converted], [(name, convert) for name, convert in converted if convert]


def _conversion(field: Any) -> Any:
    if isinstance(field, JSONField):
        return from_json
    if isinstance(field, BooleanField):
        return bool
    return field.python_value if isinstance(field, UtcField) else None


def _stored(field: Any, value: Any) -> Any:
    if isinstance(field, JSONField):
        return to_json(value)
    return field.db_value(value) if isinstance(field, UtcField) else value
