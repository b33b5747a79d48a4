"""Writes rows of the database as JSON, without models, which needs much less time.

A fragment is the JSON object of one record, as bytes. A response is a fragment, or has a list of fragments.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import cache, lru_cache
from json.encoder import encode_basestring
from typing import Any

from peewee import BooleanField, FloatField, ForeignKeyField, IntegerField, JSONField

from database.damage import Damaged
from database.json_text import stored_json
from models import EPOCH, Job, Loop, Track, UtcField
from records import rows
from records.rows import HIDDEN, Row

URLS = {
    Job: {
        "self": "/api/jobs/{id}",
        "tracks": "/api/jobs/{id}/tracks",
        "loops": "/api/jobs/{id}/loops",
        "log": "/api/jobs/{id}/log",
        "reference": "/api/jobs/{id}/reference",
        "cancel": "/api/jobs/{id}/cancel",
        "retry": "/api/jobs/{id}/retry",
        "next": "/api/jobs/{id}/next",
    },
    Track: {
        "self": "/api/tracks/{id}",
        "job": "/api/jobs/{parent}",
        "loops": "/api/tracks/{id}/loops",
        "again": "/api/tracks/{id}/again",
        "audio": "/api/tracks/{id}/audio",
        "waveform": "/api/tracks/{id}/waveform.svg",
        "cover": "/api/tracks/{id}/cover",
    },
    Loop: {
        "self": "/api/loops/{id}",
        "track": "/api/tracks/{parent}",
        "audio": "/api/loops/{id}/audio",
        "cancel": "/api/loops/{id}/cancel",
        "retry": "/api/loops/{id}/retry",
    },
}
SOUNDS = {Job: (), Track: ("file_path_wav", "file_path_mp3"), Loop: ("result_path",)}
NEED_SOUND = ("audio", "waveform", "cover")  # the URLs that only a record with a sound has
PARENTS = {Job: "job_id", Track: "job", Loop: "track"}
SECONDS = 4096  # seconds whose text is cached, at most: the records of a page often have times in the same seconds


class Shape:
    """How to write the rows of a model: a template for all columns, and functions for the columns that need one."""

    def __init__(self, model: Any) -> None:
        fields = [field for field in rows.fields(model) if field.name not in HIDDEN]
        members = [f'"{field.column_name}":{_form(field)}' for field in fields]
        self.template = "{" + ",".join(members) + ',"urls":{%s}}'
        self.columns = len(fields)
        self.writers = [(place, write) for place, field in enumerate(fields) if (write := _writer(field))]
        self.id, self.parent = rows.key(model), rows.place(model, PARENTS[model])
        self.sounds = [rows.place(model, name) for name in SOUNDS[model]]
        self.urls = _urls(URLS[model])
        self.urls_without_sound = _urls({name: url for name, url in URLS[model].items() if name not in NEED_SOUND})


def fragment(model: Any, row: Row) -> bytes:
    """The JSON object of the record in a row of rows.columns(model). Raises Damaged."""
    rows.require_types(model, row)
    shape = _shape(model)
    urls = shape.urls
    if shape.sounds and not any(row[place] for place in shape.sounds):
        urls = shape.urls_without_sound
    texts = list(row[: shape.columns])
    for place, write in shape.writers:
        texts[place] = write(texts[place])
    texts.append(urls.replace("{id}", row[shape.id]).replace("{parent}", row[shape.parent]))
    return (shape.template % tuple(texts)).encode()


def with_member(fragment: bytes, name: str, value: bytes) -> bytes:
    """The fragment with one more member at the end of the object. value: JSON text."""
    return b'%b,"%b":%b}' % (fragment[:-1], name.encode(), value)


def array(fragments: Iterable[bytes]) -> bytes:
    """The JSON array of these fragments."""
    return b"[" + b",".join(fragments) + b"]"


@cache
def _shape(model: Any) -> Shape:
    return Shape(model)


def _urls(urls: dict[str, str]) -> str:
    return ",".join(f'"{name}":"{url}"' for name, url in urls.items())


def _form(field: Any) -> str:
    """The placeholder of a column in the template. An id needs no escapes in JSON, only quotes."""
    return '"%s"' if _is_id(field) else "%s"


def _is_id(field: Any) -> bool:
    return field.primary_key or isinstance(field, ForeignKeyField)


def _writer(field: Any) -> Callable[[Any], str] | None:
    """The function that writes a value as JSON. None for ids and integers: for these the template is enough."""
    if isinstance(field, JSONField):
        return stored_json
    if isinstance(field, UtcField):
        return _moment
    if isinstance(field, BooleanField):
        return _flag
    if isinstance(field, FloatField | IntegerField):
        return _number if field.null else None
    return None if _is_id(field) else _text


def _text(value: str | None) -> str:
    return "null" if value is None else encode_basestring(value)


def _number(value: float | None) -> str:
    return "null" if value is None else repr(value)


def _flag(value: int) -> str:
    return "true" if value else "false"


def _moment(value: int | None) -> str:
    """Microseconds since 1970 as models.iso() writes them."""
    if value is None:
        return "null"
    seconds, microseconds = divmod(value, 1_000_000)
    return f'"{_second(seconds)}.{microseconds:06}Z"'


@lru_cache(SECONDS)
def _second(seconds: int) -> str:
    try:
        return (EPOCH + timedelta(seconds=seconds)).isoformat()[:-6]
    except OverflowError:
        raise Damaged(f"the time {seconds} s is out of range") from None
