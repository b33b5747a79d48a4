"""Turns errors of database constraints into sentences that name the broken rule."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import peewee

from database.connection import is_postgresql
from database.json_text import NotJson
from errors import Invalid, MissingParent

EXPECTED = {
    "progress": "an integer from 0 to 100",
    "duration": "a number of seconds above 0, a million at most",
    "format": "MP3 or WAV",
    "metadata": "a JSON object",
    "file_manifest": "a JSON object",
    "analysis": "a JSON object",
    "candidate": "an integer from 1 to 5",
    "seed": "an integer from 0 to 4294967295",
    "title": "a text of 1 to 200 characters that is not blank",
    "starred": "true or false",
    "takes": "an integer from 1 to 32",
    "take": "an integer from 1 to 32",
    "provenance": "a JSON object",
    "start": "a number of seconds from 0 to a million",
    "end": "a number of seconds from 0 to a million",
    "exact": "true or false",
    "bars": "an integer from 1 to 512",
    "intro": "true or false",
    "job_type": "1 to 64 of A-Z a-z 0-9 . _ -",
    "max_attempts": "an integer of at least 1",
    "attempts": "an integer of at least 0",
}
# Rules about several fields: the field that is wrong, and what to do.
TOGETHER = {
    "loop_length": ("duration", "send duration (seconds) or bars"),
    "loop_bars_alone": (
        "bars",
        "send duration or bars, not both; to replace one with the other, also send null for the old one",
    ),
    "loop_intro_or_fades": (
        "intro",
        'fade_in_out and "intro": false cannot be combined: set fade_in_out to false or intro to true',
    ),
    "loop_end": ("end", "end - start must be between 0.5 seconds and duration: correct them, or make duration longer"),
    "loop_start_of_end": ("start", "start is required with end"),
    "loop_end_of_start": ("end", "end is required with start"),
    "loop_exact_seam": ("exact", "exact needs start and end"),
    "loop_candidate_alone": ("candidate", "candidate cannot be combined with start and end"),
}
_ID = "1 to 64 of A-Z a-z 0-9 . _ -, and not . or .."
# SQLite's extended result codes, and PostgreSQL's sqlstates.
FOREIGN_KEY = (787, "23503")
NOT_NULL = (1299, "23502")
DISK_FULL = (13, 4874, "53100")  # 4874: the -shm file has no room to grow
DISK_FAILS = (8, 10, "25006", "58030")  # it is read-only, or reading or writing fails; of SQLite, without extension
RAISED = 1811  # the code of our triggers; they raise it only for a missing parent
_SQLITE_END = re.compile(r"(?:(?::| column) (?:\w+\.)?(\w+))? \(code=\d+, ext=(\d+)\)$")


@contextmanager
def rules_named(model: Any) -> Iterator[None]:
    """Turn an error of a constraint or of the driver into Invalid. Use it around atomic(), never inside."""
    table = model._meta.table_name
    try:
        yield
    except peewee.IntegrityError as error:
        raise _broken_rule(model, cast(Any, error).orig) from None
    except (peewee.DataError, OverflowError):
        raise Invalid(f"{table} cannot hold this: a value does not fit its field") from None
    except (NotJson, UnicodeEncodeError) as error:
        raise Invalid(f"{table} cannot hold this: {error}") from None


def is_disk_full(error: Exception) -> bool:
    """True if the database reports that its disk has no room."""
    return _code_of(error) in DISK_FULL


def does_disk_fail(error: Exception) -> bool:
    """True if the database reports that its disk is read-only, or that reading or writing fails."""
    code = _code_of(error)
    return (code & 0xFF if isinstance(code, int) else code) in DISK_FAILS


def _code_of(error: Exception) -> int | str | None:
    """SQLite's extended result code, or PostgreSQL's sqlstate; None if the error has none."""
    cause = getattr(error, "orig", None) or error.__cause__ or error
    if is_postgresql():
        return getattr(cause, "sqlstate", None)
    end = _SQLITE_END.search(str(cause))
    return int(end[2]) if end else None


def _broken_rule(model: Any, error: Any) -> Invalid:
    """The broken rule as an Invalid; error is the error of the driver."""
    table = model._meta.table_name
    code, name = _postgresql_rule(error) if is_postgresql() else _sqlite_rule(error)
    if code in (*FOREIGN_KEY, RAISED) and model._meta.refs:
        parent = next(iter(model._meta.refs))
        column = parent.column_name
        return MissingParent(f"{column} must name an existing {parent.name}: create the {parent.name} first", column)
    if name in TOGETHER:
        field, sentence = TOGETHER[name]
        return Invalid(sentence, field)
    field = name if name in model._meta.columns else name.removeprefix(f"{table}_")
    if field not in model._meta.columns:
        return Invalid(f"{table} breaks a rule of the database")
    if code in NOT_NULL:
        return Invalid(f"{field} is required", field)
    expected = _ID if field == f"{table}_id" else EXPECTED.get(field, "of its type")
    return Invalid(f"{field} must be {expected}", field)


def _postgresql_rule(error: Any) -> tuple[str, str]:
    """(the sqlstate, the name of the constraint or column)."""
    return error.sqlstate, error.diag.constraint_name or error.diag.column_name or ""


def _sqlite_rule(error: Any) -> tuple[int, str]:
    """(the extended result code, the name of the constraint or column), read from the end of the driver's message."""
    end = _SQLITE_END.search(str(error))
    return (int(end[2]), end[1] or "") if end else (0, "")
