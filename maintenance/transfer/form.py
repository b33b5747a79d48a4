"""The form of an export: JSON Lines, and one way to write each value, whatever the database.

The first line is a header, then come deletions, jobs, tracks, loops, events and deliveries, and the last line is a
trailer with their numbers. A line has all columns of its row:

- Times are ISO 8601 with microseconds and Z. The keys of JSON objects are sorted.
- A whole number from 10^16 up is written with all its digits, and as a float if it does not fit 64 bits. PostgreSQL
  stores numbers as decimals, so it does not remember another way to write them.
- Text that no JSON or not every database can hold is written with U+FFFD, as REST does: lone surrogates, invalid UTF-8,
  and U+0000. JSON that is nested too deeply is what from_json() makes of it.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any

from peewee import BooleanField, Field, FloatField, IntegerField, JSONField

from database import from_json, to_column, to_json
from database.ledger.tables import LAST_MOMENT
from errors import Invalid
from models import EPOCH, MICROSECOND, Delivery, Event, Job, Loop, Track, UtcField, iso, microseconds
from records import rows

FORMAT = 1
PROGRAM = "diffrhythm-ledger"
RECORDS: dict[str, Any] = {"job": Job, "track": Track, "loop": Loop}
MODELS: dict[str, Any] = {**RECORDS, "event": Event, "delivery": Delivery}
KINDS = ("deleted", *MODELS)  # the kinds of lines between the header and the trailer, in their order
SMALLEST, LARGEST = -(2**63), 2**63 - 1
EXACT = 1e16  # from here, Python writes a float with an exponent

Fields = dict[str, Any]


def line(kind: str, fields: Fields) -> bytes:
    """One line of an export."""
    return to_json({"kind": kind, **fields}).encode() + b"\n"


def shown(model: Any, row: rows.Row) -> Fields:
    """The fields of a row as a line has them. The row has the columns of rows.returned(), decoded."""
    return {
        name: None if value is None else show(value) for (name, show), value in zip(_shown(model), row, strict=True)
    }


def stored(model: Any, fields: Fields, is_older: bool = False) -> tuple[Any, ...]:
    """The values of these fields as the database stores them, in the order of rows.fields().

    is_older: they come from an older schema, and a field that is missing has its default. Raises Invalid if a field is
    missing, unknown or of another type.
    """
    columns = _stored(model)
    if is_older:
        fields = {**defaults(model), **fields}
    if fields.keys() != columns.keys():
        missing, unknown = sorted(columns.keys() - fields.keys()), sorted(fields.keys() - columns.keys())
        wrong = f"it has no {missing[0]}" if missing else f"{unknown[0]} is no field of this version"
        raise Invalid(wrong)
    return tuple([store(fields[name]) for name, store in columns.items()])


@cache
def defaults(model: Any) -> Fields:
    """The default of each column in the order of rows.fields(); None for one that is computed, such as an id."""
    return {
        field.column_name: {} if field.default is dict else None if callable(field.default) else field.default
        for field in rows.fields(model)
    }


def canonical(value: Any) -> Any:
    """A JSON value in the one form of an export. Equal values of both databases have the same form."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        pairs = {_text(key): item for key, item in value.items()}
        return {key: canonical(pairs[key]) for key in sorted(pairs)}
    if isinstance(value, list):
        return [canonical(item) for item in value]
    return value if isinstance(value, bool) or value is None else _number(value)


def moment(text: Any) -> int:
    """The microseconds since 1970 of an ISO 8601 time; without a zone it is UTC. Raises ValueError."""
    return microseconds(datetime.fromisoformat(text))


def _text(text: str) -> str:
    return text.replace("\0", "\ufffd")


def _number(number: float) -> float | int | None:
    if not isinstance(number, float):
        return number if SMALLEST <= number <= LARGEST else float(number)
    if not math.isfinite(number):
        return None
    is_long = abs(number) >= EXACT and SMALLEST <= number < 2.0**63
    return int(number) if is_long else number + 0.0  # -0.0 is 0.0


@cache
def _shown(model: Any) -> list[tuple[str, Callable[[Any], Any]]]:
    return [(field.column_name, _show(field)) for field in rows.fields(model)]


def _show(field: "Field[Any]") -> Callable[[Any], Any]:
    """The function that turns a value of a column into a value of a line."""
    if isinstance(field, JSONField):
        return _object
    if isinstance(field, UtcField):
        return lambda value: iso(EPOCH + min(max(value, 0), LAST_MOMENT) * MICROSECOND)
    if isinstance(field, BooleanField):
        return bool
    return _number if isinstance(field, FloatField | IntegerField) else _text


def _object(text: str) -> Any:
    if text == "{}":
        return {}
    with suppress(ValueError):
        value = from_json(text)
        if isinstance(value, dict):
            return canonical(value)
    return {"unreadable": _text(text)}  # only a script can write such a delivery


@cache
def _stored(model: Any) -> dict[str, Callable[[Any], Any]]:
    return {field.column_name: _store(field) for field in rows.fields(model)}


def _store(field: "Field[Any]") -> Callable[[Any], Any]:
    """The function that turns a value of a line into a value of a column. It raises Invalid."""
    is_right, convert, expected = _rule(field)

    def store(value: Any) -> Any:
        if value is None and field.null:
            return None
        try:
            if is_right(value):
                return convert(value)
        except (ValueError, OverflowError):
            pass
        raise Invalid(f"{field.column_name} must be {expected}", field.column_name)

    return store


def _rule(field: "Field[Any]") -> tuple[Callable[[Any], bool], Callable[[Any], Any], str]:
    """(true for a value of the right type, the conversion of such a value, what is expected)."""
    if isinstance(field, JSONField):
        return (lambda value: type(value) is dict), (lambda value: to_column(canonical(value))), "a JSON object"
    if isinstance(field, UtcField):
        return (lambda value: type(value) is str), moment, "a time such as 2026-11-26T20:00:00.000000Z"
    if isinstance(field, BooleanField):
        return (lambda value: type(value) is bool), bool, "true or false"
    if isinstance(field, FloatField):
        return (lambda value: type(value) in (int, float) and math.isfinite(value)), float, "a number"
    if isinstance(field, IntegerField):
        return (lambda value: type(value) is int and SMALLEST <= value <= LARGEST), int, "a whole number of 64 bits"
    return (lambda value: type(value) is str and "\0" not in value), str, "a text without U+0000"
