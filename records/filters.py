"""Filters for lists: each function returns a condition for Repository.page() and count()."""

import json
import math
import re
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any, cast

from peewee import SQL, Case, Cast, Expression, Value, fn

from database import is_postgresql
from models import Job, Loop, Track
from records.pages import Plain

JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def created(model: Any, after: datetime | None = None, before: datetime | None = None) -> list[Expression]:
    """Records created at or after `after`, and before `before`."""
    conditions: list[Expression] = []
    if after is not None:
        conditions.append(Plain(model.created_at, ">=", after))
    if before is not None:
        conditions.append(Plain(model.created_at, "<", before))
    return conditions


def metadata(model: Any, path: str, text: str) -> Expression:
    """Records with this value at a dotted path of the metadata: genre=ambient, tempo=82, live=true.

    The rule is the same on both databases. The parts of a path are keys of objects, also if they are digits. Elements
    of arrays have no path. A string matches the same text. A boolean matches true or false. A number matches every text
    that reads as an equal JSON number: 20, 20.0 and 2e1 are equal, and so are 0 and -0.0. Objects, arrays and null
    match nothing.
    """
    keys = path.split(".")
    kind, value, number = _on_postgresql(model, keys) if is_postgresql() else _on_sqlite(model, keys)
    is_equal = number.in_(_numbers(text))
    cases = [(name, value == text) for name in ("string", "text", "boolean")]
    cases += [(name, Value(text == name)) for name in ("true", "false")]
    cases += [(name, is_equal) for name in ("number", "integer", "real")]
    return cast(Expression, Case(kind, cases, Value(value=False)))


def _on_postgresql(model: Any, keys: list[str]) -> tuple[Any, Any, Any]:
    """Three expressions: the type of the value at the keys, the value as text, the value as a number."""
    place = model.metadata
    for key in keys[:-1]:
        place = fn.jsonb_object_field(place, key)
    text = fn.jsonb_object_field_text(place, keys[-1])
    return fn.jsonb_typeof(fn.jsonb_object_field(place, keys[-1])), text, Cast(text, "numeric")


def _on_sqlite(model: Any, keys: list[str]) -> tuple[Any, Any, Any]:
    """The same for SQLite, where a value has the right type already."""
    place = Value("$" + "".join(f'."{key}"' for key in keys), converter=False)
    value = fn.json_extract(model.metadata, place)
    return fn.json_type(model.metadata, place), value, value


def may_have(path: str, text: str) -> Expression:
    """The condition that a job may have this value at a dotted path. PostgreSQL has an index for this condition."""
    values = [json.dumps(text), *map(repr, equal_numbers(text)), *({text} & {"true", "false"})]
    keys = [f"{json.dumps(key)}: " for key in path.split(".")]
    objects = [f"{'{'.join(('', *keys))}{value}{'}' * len(keys)}" for value in values]
    return reduce(or_, [Expression(Job.metadata, "@>", SQL("%s::jsonb", [text])) for text in objects])


def equal_numbers(text: str) -> list[int | float]:
    """[the text as a JSON number], or [] if it is not a finite number."""
    if not JSON_NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        return []
    is_integer = text.lstrip("-").isdigit()
    return [int(text) if is_integer and -(2**63) <= int(text) < 2**63 else float(text)]


def _numbers(text: str) -> list[Any]:
    """The same numbers, in the form that the database compares."""
    return [
        Cast(Value(repr(number)), "numeric") if is_postgresql() else Value(number) for number in equal_numbers(text)
    ]


def equals(field: Any, value: Any) -> Expression:
    """The condition that a column has this value."""
    return Plain(field, "=", value)


def loops_of_job(job_id: str) -> Expression:
    """Loops whose track belongs to the job."""
    tracks = Track.select(Track.track_id).where(Track.job == job_id)
    return Loop.track.in_(tracks)


def metadata_is(model: Any, texts: dict[str, str]) -> list[Expression]:
    """One condition for each dotted path and its text."""
    return [metadata(model, path, text) for path, text in texts.items()]
