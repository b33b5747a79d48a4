"""Filters for lists: each function returns a condition for Repository.page() and count()."""

import math
import re
from datetime import datetime
from typing import Any, cast

from peewee import Case, Cast, Expression, Value, fn

from database import is_postgresql
from models import Loop, Track

JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def created(model: Any, after: datetime | None = None, before: datetime | None = None) -> list[Expression]:
    """Created at or after one moment, and before another."""
    conditions = []
    if after is not None:
        conditions.append(model.created_at >= after)
    if before is not None:
        conditions.append(model.created_at < before)
    return conditions


def metadata(model: Any, path: str, text: str) -> Expression:
    """The value at a dotted path of the metadata reads as text: genre=ambient, tempo=82, live=true.

    The rule, on both databases. The parts of a path are keys of objects, digits too; elements of arrays have no path.
    A string matches the same text, a boolean true or false. A number matches every JSON number that is equal to it:
    20, 20.0 and 2e1 find one another, as do 0 and -0.0. Objects, arrays and null match nothing.
    """
    keys = path.split(".")
    kind, value, number = _on_postgresql(model, keys) if is_postgresql() else _on_sqlite(model, keys)
    is_equal = number.in_(_numbers(text))
    cases = [(name, value == text) for name in ("string", "text", "boolean")]
    cases += [(name, Value(text == name)) for name in ("true", "false")]
    cases += [(name, is_equal) for name in ("number", "integer", "real")]
    return cast(Expression, Case(kind, cases, Value(value=False)))


def _on_postgresql(model: Any, keys: list[str]) -> tuple[Any, Any, Any]:
    """(the type of the value at the keys, its text, its number)."""
    place = model.metadata
    for key in keys[:-1]:
        place = fn.jsonb_object_field(place, key)
    text = fn.jsonb_object_field_text(place, keys[-1])
    return fn.jsonb_typeof(fn.jsonb_object_field(place, keys[-1])), text, Cast(text, "numeric")


def _on_sqlite(model: Any, keys: list[str]) -> tuple[Any, Any, Any]:
    """The same; the value of a string is its text already, and that of a number is a number."""
    place = Value("$" + "".join(f'."{key}"' for key in keys), converter=False)
    value = fn.json_extract(model.metadata, place)
    return fn.json_type(model.metadata, place), value, value


def _numbers(text: str) -> list[Any]:
    """The number that a text reads as in JSON, as the database compares it; [] if it is none, or none of a float."""
    if not JSON_NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        return []
    is_integer = text.lstrip("-").isdigit()
    if is_integer and -(2**63) <= int(text) < 2**63:
        exact: list[int | float] = [int(text)]
    else:
        exact = [float(text)]
    return [Cast(Value(repr(number)), "numeric") if is_postgresql() else Value(number) for number in exact]


def loops_of_job(job_id: str) -> Expression:
    """Loops whose track belongs to the job."""
    tracks = Track.select(Track.track_id).where(Track.job == job_id)
    return Loop.track.in_(tracks)


def metadata_is(model: Any, texts: dict[str, str]) -> list[Expression]:
    """A condition for each dotted path and its text."""
    return [metadata(model, path, text) for path, text in texts.items()]
