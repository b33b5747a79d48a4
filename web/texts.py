"""Request bodies from texts by field name, as commands and CSV files have them: priority=5, metadata.genre=Ambient."""

import re
from functools import cache
from typing import Any

from errors import Invalid
from records.filters import equal_numbers
from web import schemas
from web.reading import BY_PATTERN, validate_body
from web.strict_json import check_value

FLAGS = {"true": True, "false": False, "1": True, "0": False}


def fields_of(schema: type[schemas.Body], body: dict[str, Any]) -> dict[str, Any]:
    """The fields of a body, validated as REST does. Raises Invalid, Malformed."""
    check_value(body)
    fields: dict[str, Any] = validate_body(schema, body).fields_set()
    return fields


def body_of(schema: type[schemas.Body], texts: dict[str, str]) -> dict[str, Any]:
    """The body with these texts. Numbers and flags are converted; what is none stays text, which the schema refuses.

    A name with dots is a path into an object, such as metadata.genre; its values stay text. Raises Invalid for a name
    that is no path.
    """
    body: dict[str, Any] = {}
    for name, text in texts.items():
        field, *path = name.split(".")
        kind = kinds(schema).get(field)
        if path and kind == "object":
            _put(body.setdefault(field, {}), name, path, text)
        else:
            body[name] = _converted(kind, text)
    return body


@cache
def kinds(schema: type[schemas.Body]) -> dict[str, str]:
    """The kind of each field: string, integer, number, boolean or object."""
    return {name: _kind(field) for name, field in schema.model_json_schema()["properties"].items()}


def _kind(field: dict[str, Any]) -> str:
    options = [option["type"] for option in field.get("anyOf", [field]) if option.get("type", "null") != "null"]
    return str(options[0]) if options else "boolean"


def _converted(kind: str | None, text: str) -> Any:
    if kind == "boolean":
        return FLAGS.get(text.lower(), text)
    numbers = equal_numbers(text) if kind in ("integer", "number") else []
    return numbers[0] if numbers else text


def _put(place: dict[str, Any], name: str, path: list[str], text: str) -> None:
    """Write the text at a path of an object."""
    if not re.fullmatch(schemas.METADATA_PATH, ".".join(path)):
        raise Invalid(f"{name} {BY_PATTERN[schemas.METADATA_PATH]}", name)
    for key in path[:-1]:
        place = place.setdefault(key, {})
        if not isinstance(place, dict):
            raise Invalid(f"{name} needs an object where another field has a text", name)
    if path[-1] in place:
        raise Invalid(f"{name} may be given once", name)
    place[path[-1]] = text
