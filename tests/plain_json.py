"""The JSON of a record, written in the plainest way: tests compare the fast one with it."""

from datetime import datetime
from typing import Any

from database import to_json
from models import Record, iso
from records.rows import HIDDEN
from web.fragments import NEED_SOUND, PARENTS, SOUNDS, URLS


def plain_json(record: Record) -> bytes:
    """The record as a response has it."""
    model, data = type(record), record.__data__
    shown = {field.column_name: data[name] for name, field in model._meta.fields.items() if name not in HIDDEN}
    body: dict[str, Any] = {name: iso(value) if isinstance(value, datetime) else value for name, value in shown.items()}
    places = {"id": record.record_id, "parent": data[PARENTS[model]]}
    has_sound = any(data[name] for name in SOUNDS[model])
    names = [name for name in URLS[model] if has_sound or name not in NEED_SOUND]
    body["urls"] = {name: URLS[model][name].format(**places) for name in names}
    return to_json(body).encode()
