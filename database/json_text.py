"""JSON text as the database columns and the responses hold it: strict when written, lenient when read."""

import json
import math
import re
from typing import Any

ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
SURROGATE = re.compile("[\ud800-\udfff]")


class NotJson(ValueError):
    """A value that JSON text cannot hold."""


def to_json(value: object) -> str:
    """Compact JSON text. Raises NotJson for NaN, Infinity, other types, and what contains itself or is too deep."""
    return dump(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def dump(value: object, **options: Any) -> str:
    """json.dumps(), with NotJson for whatever it raises."""
    try:
        return json.dumps(value, **options)
    except (ValueError, TypeError, RecursionError) as error:
        raise NotJson(str(error)) from None


def from_json(text: str | bytes) -> Any:
    """The value of JSON text of any writer: a number that does not fit a float is None, a lone surrogate is U+FFFD."""
    text = text.decode() if isinstance(text, bytes) else text
    value = _read(text)
    if ESCAPED_SURROGATE.search(text):  # a pair of them is one character now
        value = _read(SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False)))
    return value


def _read(text: str) -> Any:
    return json.loads(text, parse_float=_finite, parse_int=_integer)


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _integer(digits: str) -> float | int | None:
    """jsonb writes 1e300 as 301 digits: what no 64-bit integer holds was a float."""
    fits = len(digits) < 20 or (len(digits) == 20 and abs(int(digits)) <= 2**63)
    return int(digits) if fits else _finite(digits)
