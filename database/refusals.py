"""What the database refuses, in words: its constraints keep the rules, this module names the broken one."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import peewee
from playhouse.pool import MaxConnectionsExceeded

from errors import Invalid, MissingParent

EXPECTED = {
    "progress": "an integer from 0 to 100",
    "duration": "a number of seconds above 0, a million at most",
    "format": "MP3 or WAV",
    "metadata": "a JSON object",
    "file_manifest": "a JSON object",
    "analysis": "a JSON object",
    "job_type": "1 to 64 of A-Z a-z 0-9 . _ -",
    "max_attempts": "an integer of at least 1",
    "attempts": "an integer of at least 0",
}
_ID = "1 to 64 of A-Z a-z 0-9 . _ -, and not . or .."
_NAMED = re.compile(r'(?:constraint failed: |check constraint "|column "|column |constraint ")(?:\w+\.)?(\w+)')

_MISSING = re.compile("NOT NULL constraint|not-null constraint")


@contextmanager
def rules_named(model: Any) -> Iterator[None]:
    """Turn what the database or its driver refuses into Invalid; around atomic(), never inside it."""
    table = model._meta.table_name
    try:
        yield
    except peewee.IntegrityError as error:
        raise _broken_rule(model, str(error)) from None
    except (peewee.DataError, OverflowError):
        raise Invalid(f"{table} cannot hold this: a value does not fit its field") from None
    except MaxConnectionsExceeded:  # a ValueError by descent
        raise
    except (ValueError, TypeError) as error:
        if "JSON" not in str(error) and "encode" not in str(error):
            raise
        raise Invalid(f"{table} cannot hold this: {error}") from None


def _broken_rule(model: Any, said: str) -> Invalid:
    """The rule behind a database's message, by the name of its constraint or column."""
    table = model._meta.table_name
    if "foreign key" in said.lower() and model._meta.refs:
        parent = next(iter(model._meta.refs))
        name = parent.column_name
        return MissingParent(f"{name} must name an existing {parent.name}: create the {parent.name} first", name)
    found = _NAMED.search(said)
    name = found[1] if found else ""
    field = name if name in model._meta.columns else name.removeprefix(f"{table}_")
    if field not in model._meta.columns:
        return Invalid(f"{table} breaks a rule of the database")
    if _MISSING.search(said):
        return Invalid(f"{field} is required", field)
    expected = _ID if field == f"{table}_id" else EXPECTED.get(field, "of its type")
    return Invalid(f"{field} must be {expected}", field)
