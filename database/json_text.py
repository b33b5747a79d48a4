"""Writes and reads JSON text for database columns and responses: strict when writing, lenient when reading."""

import json
import math
import re
from typing import Any

ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
SURROGATE = re.compile("[\ud800-\udfff]")


class NotJson(ValueError):
    """A value cannot be written as JSON text."""


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
    """The value of JSON text from any writer. A number too large for a float becomes None, a lone surrogate U+FFFD."""
    text = text.decode() if isinstance(text, bytes) else text
    value = _read(text)
    if ESCAPED_SURROGATE.search(text):  # a pair of surrogates is one character now, so only lone ones are left
        value = _read(SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False)))
    return value


def _read(text: str) -> Any:
    return json.loads(text, parse_float=_finite, parse_int=_integer)


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _integer(digits: str) -> float | int | None:
    """The number of these digits. jsonb writes 1e300 as 301 digits, so more than 64 bits are read as a float."""
    fits = len(digits) < 20 or (len(digits) == 20 and abs(int(digits)) <= 2**63)
    return int(digits) if fits else _finite(digits)
