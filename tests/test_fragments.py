"""Fragments: the JSON of a row is that of its record, byte for byte."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peewee import BooleanField, FloatField, ForeignKeyField, IntegerField, JSONField

from database import database, from_json, to_column, to_json
from database.json_text import stored_json
from models import Job, Loop, Track, UtcField
from records import rows
from repos import JobRepository, LoopRepository, TrackRepository
from tests.plain_json import plain_json
from tests.test_any_input import JSON, TEXT
from web.fragments import array, fragment, with_member

MODELS = [Job, Track, Loop]
OBJECTS = st.dictionaries(TEXT, JSON, max_size=4)
ODD = [
    r'{"genre":"\ud800","\udfff key":["a\uDBFFb","\ud83c\udfb5","\\ud800"]}',
    '{"tempo": 1e999, "number" : -1e400,\n"integer": 123456789012345678901234567890}',
    '{"small":1e-999,"exact":9223372036854775807,"hash":"1e999","text":"\\": "}',
    '{"a":' * 900 + "1" + "}" * 900,
    '{"plain":"\\u00e9\\/\\n\u007f"}',
]


def values(field: Any) -> st.SearchStrategy[Any]:
    """Values that the column of this field may have."""
    if isinstance(field, JSONField):
        return OBJECTS.map(to_column) | OBJECTS.map(json.dumps)
    if isinstance(field, BooleanField):
        return st.integers(0, 1)
    nullable = st.none() if field.null else st.nothing()
    if isinstance(field, UtcField):
        return nullable | st.integers(0, 253402300799999999)
    if isinstance(field, FloatField):
        return nullable | st.floats(1e-300, 1e6)
    if isinstance(field, IntegerField):
        return st.integers(-(2**63), 2**63 - 1)
    is_id = field.primary_key or isinstance(field, ForeignKeyField)
    return nullable | (st.from_regex("[A-Za-z0-9._-]{1,64}", fullmatch=True) if is_id else TEXT)


@pytest.mark.parametrize("model", MODELS)
@given(data=st.data())
def test_the_fragment_of_any_row_is_the_json_of_its_record(model: Any, data: st.DataObject) -> None:
    row = tuple(data.draw(values(field), label=field.name) for field in rows.fields(model))
    record = rows.record(model, row)
    assert fragment(model, row) == plain_json(record) == fragment(model, rows.row(record))
    assert rows.version(model, row) == record.version


@pytest.mark.parametrize("text", ODD)
def test_json_of_any_writer_is_answered_with_the_value_that_a_record_reads(text: str) -> None:
    assert json.loads(stored_json(text)) == json.loads(to_json(from_json(text)))


def test_json_of_this_service_is_answered_as_it_is_stored() -> None:
    text = to_column({"genre": "Ambient 🎵", "tempo": 82.5, "small": 1e-7, "tags": ["a", 1e30, True, None]})
    assert stored_json(text) is text


@pytest.mark.parametrize("model", MODELS)
def test_a_row_of_the_database_has_the_record_and_the_json_that_peewee_reads(
    model: Any, ledger: object, loop: Loop
) -> None:
    JobRepository().update("job-1", metadata={"é": [1.5, 1e300, 1e-7, None, {"🎵": '": \x01'}]}, progress=7)
    TrackRepository().update("track-1", file_path_wav="a.wav")
    LoopRepository().update("loop-1", fade_in_out=True, analysis={"tempo": 120})
    row = database.execute_sql(f"SELECT {rows.columns(model)} FROM {model._meta.table_name}").fetchone()
    record = model.get()
    assert repr(sorted(rows.record(model, row).__data__.items())) == repr(sorted(record.__data__.items()))
    assert json.loads(fragment(model, row)) == json.loads(plain_json(record))
    assert fragment(model, row) == plain_json(record)


def test_a_record_of_a_row_is_saved_like_any_other(ledger: object, job: Job) -> None:
    row = database.execute_sql(f"SELECT {rows.columns(Job)} FROM job").fetchone()
    record = rows.record(Job, row)
    assert not record.is_dirty() and list(record.tracks) == []
    record.message = "changed"
    record.save()
    assert JobRepository().get_by_id("job-1").message == "changed"


def test_members_and_arrays_are_added_to_fragments() -> None:
    assert with_member(b'{"a":1}', "tracks", array([b'{"b":2}', b"{}"])) == b'{"a":1,"tracks":[{"b":2},{}]}'
    assert array([]) == b"[]"
