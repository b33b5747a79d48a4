"""The conditions a list can be narrowed by; each returns an expression for Repository.page() and count()."""

from datetime import datetime
from typing import Any

from database import database, is_postgresql

from peewee import SQL, Case, Cast, Column, Expression, Value, fn

import search
from models import Job, Loop, Track

FEW = 1000


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


def words(text: str, few: bool = True) -> Expression:
    """Jobs whose prompt has every word of the text, each at least as a beginning; none when it has no word.

    Unless few, SQLite walks the jobs in the order that is asked for and looks each up, rather than sort all it finds.
    """
    if is_postgresql():
        query = SQL("%s::tsquery", [search.tsquery(text) or ""])
        return Expression(fn.job_words(Job.prompt), "@@", query)
    found = SQL("(SELECT rowid FROM job_search WHERE job_search MATCH ?)", [_match(text)])
    rowid = Column(Job._meta.table, "rowid")
    return (rowid if few else rowid + 0).in_(found)


def is_rare(text: str) -> bool:
    """True when few prompts have these words; costs the same however many do."""
    if is_postgresql():
        return Job.select(SQL("1")).where(words(text)).limit(FEW).count() < FEW
    found = "SELECT COUNT(*) FROM (SELECT 1 FROM job_search WHERE job_search MATCH ? LIMIT ?)"
    return bool(database.execute_sql(found, (_match(text), FEW)).fetchone()[0] < FEW)


def loops_of_job(job_id: str) -> Expression:
    """Loops whose track belongs to the job."""
    tracks = Track.select(Track.track_id).where(Track.job == job_id)
    return Loop.track.in_(tracks)


def _match(text: str) -> str:
    return search.fts5_query(text) or '""'
