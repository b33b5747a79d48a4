"""Reads JSON strictly: refuses values that Python's parser accepts but JSON or the databases do not."""

import json
import math
from typing import Any, NoReturn

from database.json_text import MAX_DEPTH
from errors import Malformed

MAX_INTEGER = 2**63 - 1


def read_json(raw: bytes) -> Any:
    """Parse a body. Raises Malformed with the reason."""
    try:
        value = json.loads(raw.decode(), **STRICT)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Malformed(f"The body is not JSON: {reason}.") from None
    # Without an escape, the text cannot contain U+0000 or a lone surrogate.
    if rb"\u" in raw or raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
        check_value(value)
    return value


def check_value(value: Any, depth: int = 0) -> None:
    """Raise Malformed for U+0000 or a lone surrogate in a text, and for too many levels of nesting."""
    if depth > MAX_DEPTH:
        raise Malformed(f"The body is nested more than {MAX_DEPTH} levels deep.")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            check_value(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            check_value(item, depth + 1)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise Malformed("The body has the character U+0000, which no text here can have.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Malformed("The body has a lone surrogate, which is no character.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("an object has the same key twice")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:40]} is too large for a number")
    return number


def _integer(text: str) -> int:
    if len(text) > 20 or not -MAX_INTEGER - 1 <= int(text) <= MAX_INTEGER:
        raise ValueError(f"{text[:40]} does not fit 64 bits")
    return int(text)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


STRICT: dict[str, Any] = {
    "object_pairs_hook": _unique,
    "parse_float": _finite,
    "parse_int": _integer,
    "parse_constant": _no_constant,
}
