"""The conditions a list can be narrowed by; each returns an expression for Repository.page() and count()."""

from datetime import datetime
from typing import Any

from peewee import Case, Cast, Expression, Value, fn

from database import is_postgresql
from models import Loop, Track


def created(model: Any, after: datetime | None = None, before: datetime | None = None) -> list[Expression]:
    """Made at or after one moment, and before another."""
    conditions = []
    if after is not None:
        conditions.append(model.created_at >= after)
    if before is not None:
        conditions.append(model.created_at < before)
    return conditions


def metadata(model: Any, path: str, value: str) -> Expression:
    """The scalar at a dotted path of the metadata reads as value: genre=ambient, tempo=82, live=true."""
    keys = path.split(".")
    if is_postgresql():
        kind = fn.jsonb_typeof(fn.jsonb_extract_path(model.metadata, *keys))
        text = fn.jsonb_extract_path_text(model.metadata, *keys)
        return Case(kind, [("object", None), ("array", None)], text) == value
    place = Value("$" + "".join(f'."{key}"' for key in keys), converter=False)
    found = Cast(fn.json_extract(model.metadata, place), "TEXT")
    kind = fn.json_type(model.metadata, place)
    return Case(kind, [("true", "true"), ("false", "false"), ("object", None), ("array", None)], found) == value


def loops_of_job(job_id: str) -> Expression:
    """Loops whose track belongs to the job."""
    tracks = Track.select(Track.track_id).where(Track.job == job_id)
    return Loop.track.in_(tracks)


def metadata_is(model: Any, wanted: dict[str, str]) -> list[Expression]:
    """One condition for each dotted path and the value wanted there."""
    return [metadata(model, path, value) for path, value in wanted.items()]
