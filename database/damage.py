"""Tells a damaged database from one that is away for a moment."""

import re
from typing import Any

import peewee

SQLITE_CODES = (11, 26)  # SQLITE_CORRUPT, SQLITE_NOTADB; extended codes have them in their last byte
MALFORMED = ("malformed JSON", "malformed database schema")  # SQLite may say so without one of its codes
WRONG_TYPE = 3091  # SQLITE_CONSTRAINT_DATATYPE: of a value in the row, because wrong new values are refused before
SQLSTATES = ("XX001", "XX002")  # data_corrupted, index_corrupted
ADVICE = "run `flask check`, which says what is damaged, and restore a backup"
_CODE = re.compile(r"\(code=(\d+), ext=(\d+)\)$")


class Damaged(peewee.DatabaseError, ValueError):
    """A part of the database cannot be read."""


def is_damaged(error: BaseException) -> bool:
    """True if this error of the database says that a part of it is damaged."""
    cause: Any = getattr(error, "orig", None) or error
    if isinstance(error, Damaged) or getattr(cause, "sqlstate", None) in SQLSTATES:
        return True
    code = _CODE.search(str(cause))
    if code is not None and (int(code[1]) in SQLITE_CODES or int(code[2]) == WRONG_TYPE):
        return True
    return any(text in str(cause) for text in MALFORMED)
