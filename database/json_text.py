"""Writes and reads JSON text for database columns and responses: strict when writing, lenient when reading."""

import json
import math
import re
from typing import Any

import pydantic_core

from database.damage import Damaged

ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
SURROGATE = re.compile("[\ud800-\udfff]")


MAX_DEPTH = 100  # levels of nesting, in columns and in request bodies
TOO_DEEP = {"unreadable": f"this JSON is nested more than {MAX_DEPTH} levels deep"}
_LONG_NUMBER = re.compile("[0-9](?:[0-9]{18}|[eE][+-]?[0-9]{3})")  # also matches such digits in a string
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}]')


class NotJson(ValueError):
    """A value cannot be written as JSON text."""


def to_column(value: object) -> str:
    """Compact JSON text for a column. Raises NotJson as to_json() does, and for nesting deeper than MAX_DEPTH."""
    text = to_json(value)
    if is_too_deep(text):
        raise NotJson(f"it is nested more than {MAX_DEPTH} levels deep")
    return text


def to_json(value: object) -> str:
    """The value as compact JSON text.

    Raises NotJson for NaN, Infinity, types that JSON does not have, and values that contain themselves or are too deep.
    """
    return dump(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def dump(value: object, **options: Any) -> str:
    """Call json.dumps(). Raises NotJson instead of its errors."""
    try:
        return json.dumps(value, **options)
    except (ValueError, TypeError, RecursionError) as error:
        raise NotJson(str(error)) from None


def from_json(text: str | bytes) -> Any:
    """The value of JSON text of any writer, read so that it can be written again.

    A number too large for a float is None, a lone surrogate is U+FFFD, and text that is nested too deeply is TOO_DEEP.
    Raises Damaged for text that is not JSON: the database takes no such text, so its file was damaged later.
    """
    text = text.decode() if isinstance(text, bytes) else text
    try:
        if _is_plain(text):
            return _read_plain(text)
        if is_too_deep(text):
            return TOO_DEEP
        value = _read(text)
    except ValueError as error:
        raise _damaged(error) from None
    if ESCAPED_SURROGATE.search(text):  # a pair of surrogates is one character now, so only lone ones are left
        value = _read(SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False)))
    return value


def stored_json(text: str) -> str:
    """The JSON text that a response has for this text of a column. Both have the same value: from_json(text).

    Text that to_column() has written is returned as it is. Not writing it again saves most of the time. Raises Damaged.
    """
    if '": ' in text or not _is_plain(text):
        return to_json(from_json(text))
    try:
        _read_plain(text)
    except ValueError as error:
        raise _damaged(error) from None
    return text


def _is_plain(text: str) -> bool:
    """True if text has no escaped surrogate and no number that may be too large, and is not nested too deeply."""
    return "\\u" not in text and not _LONG_NUMBER.search(text) and not is_too_deep(text)


def is_too_deep(text: str) -> bool:
    """True for JSON text that is nested more than MAX_DEPTH levels deep."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth > MAX_DEPTH:
            return True
    return False


def _read_plain(text: str) -> Any:
    return pydantic_core.from_json(text)  # needs a quarter of the time of json.loads()


def _damaged(error: ValueError) -> Damaged:
    return Damaged(f"malformed JSON: {error}")


def _read(text: str) -> Any:
    return json.loads(text, parse_float=_finite, parse_int=_integer)


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _integer(digits: str) -> float | int | None:
    """The number of these digits. jsonb writes 1e300 as 301 digits, so more than 64 bits are read as a float."""
    fits = len(digits) < 20 or (len(digits) == 20 and abs(int(digits)) <= 2**63)
    return int(digits) if fits else _finite(digits)
