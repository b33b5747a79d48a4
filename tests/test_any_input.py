"""Any text, any JSON, any header: Hypothesis makes requests up, and each is answered or refused."""

import base64
import json
import re
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import assume, example, given
from hypothesis import strategies as st

from database.letters import words as split_words
from models import ID_PATTERN, Job, Loop
from tests.answers import is_problem, problem
from tests.conftest import on_sqlite, thorough
from tests.contract import ENDING, OPERATIONS, RECORDS, fill, repeatable, save_song

WILD = st.text(st.characters())  # lone surrogates and U+0000 too
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
NO_NUMBERS = st.recursive(
    st.sampled_from([float("nan"), float("inf"), float("-inf")]),
    lambda inner: st.lists(inner, min_size=1, max_size=2) | st.dictionaries(TEXT, inner, min_size=1, max_size=2),
)
EXTREMES = {"": [1e300, 5e-324, -0.0, 2**63 - 1, 1 - 2**63, -(2**63)], "\U0001f3b5\x01": {"\U0010ffff": {}}}
CURSORS = st.tuples(st.sampled_from(["-created_at", "priority"]) | WILD, JSON, JSON).map(
    lambda position: base64.urlsafe_b64encode(json.dumps(position).encode()).decode()
)
# Latin, Greek, Cyrillic, Armenian, Hebrew, Arabic, Devanagari, Thai, kana, Han, Hangul, emoji
RANGES = ["Aɏ", "ͰϿ", "Ѐӿ", "Աֆ", "את", "ءي", "अह", "กฮ", "ぁヺ", "一鿿", "가힣", "🌀🗿"]
SCRIPTS = [
    st.text(st.characters(min_codepoint=ord(first), max_codepoint=ord(last), categories=["L", "N", "So"]), max_size=9)
    for first, last in RANGES
]
BETWEEN = st.text(" ,.!?-'\"()/、。「」…0123456789", max_size=9)
PROMPTS = st.lists(st.one_of(*SCRIPTS, BETWEEN), min_size=1, max_size=6).map("".join)
PLAUSIBLE = st.integers().map(str) | st.datetimes().map(lambda moment: f"{moment.isoformat()}Z") | CURSORS
WIRE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"]))
HEADERS = [
    (verb, path, parameter["name"])
    for (verb, path), operation in ENDING.items()
    for parameter in operation["parameters"]
    if parameter["in"] == "header"
]
LIST_PARAMETERS = [
    operation["name"] for operation in OPERATIONS["get", "/api/jobs"]["parameters"] if operation["name"] != "metadata"
]


@pytest.fixture
def app(app: Flask) -> Flask:
    """The app with a sound in its storage folder."""
    save_song(app.extensions["ledger"].settings.storage_dir)
    return app


def same(sent: Any, got: Any) -> bool:
    """Equal and of the same type, but that jsonb, with one kind of number, may give a float back as an integer."""
    if isinstance(sent, dict):
        return isinstance(got, dict) and sent.keys() == got.keys() and all(same(sent[key], got[key]) for key in sent)
    if isinstance(sent, list):
        return isinstance(got, list) and len(sent) == len(got) and all(map(same, sent, got))
    if isinstance(sent, float):
        return type(got) in (int, float) and float(got) == sent
    return type(got) is type(sent) and bool(got == sent)


@repeatable(thorough(120, 60))
@given(metadata=st.dictionaries(TEXT, JSON, max_size=6))
@example(metadata=EXTREMES)
def test_any_json_object_comes_back_as_it_was_sent(client: FlaskClient, metadata: dict[str, Any]) -> None:
    made = client.post("/api/jobs", json={"prompt": "rain", "metadata": metadata})
    assert made.status_code == 201, made.text
    read = client.get(made.headers["Location"])
    assert same(metadata, made.json["metadata"]) and same(metadata, read.json["metadata"])


@on_sqlite
@repeatable(50)
@given(value=NO_NUMBERS)
def test_what_json_has_no_number_for_is_refused_wherever_it_is(client: FlaskClient, value: Any) -> None:
    answer = client.post("/api/jobs", json={"prompt": "rain", "metadata": {"tempo": value}})
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("name", ["q", "metadata.genre"])
@repeatable(thorough(200, 60))
@given(text=TEXT)
def test_any_text_can_be_looked_for(client: FlaskClient, job: Job, name: str, text: str) -> None:
    answer = client.get("/api/jobs", query_string={name: text, "count": "true"})
    assert answer.status_code == 200, answer.text
    assert answer.json["total"] == len(answer.json["items"])


@repeatable(thorough(250, 60))
@given(name=st.sampled_from(LIST_PARAMETERS) | WILD.map("metadata.{}".format), value=WILD | PLAUSIBLE)
def test_anything_in_the_query_of_a_list_is_answered_or_refused(
    client: FlaskClient, job: Job, name: str, value: str
) -> None:
    answer = client.get("/api/jobs?" + urlencode({name: value}, errors="surrogatepass"))
    assert answer.status_code == 200 or problem(answer, 400, "invalid")["errors"], answer.text


@repeatable(thorough(250, 60))
@given(place=st.sampled_from([place for place in OPERATIONS if "{" in place[1]]), segment=WILD, body=JSON)
def test_anything_in_a_path_and_any_json_is_refused(
    client: FlaskClient, place: tuple[str, str], segment: str, body: Any
) -> None:
    verb, path = place
    assume(not re.fullmatch(ID_PATTERN, segment))
    answer = client.open(re.sub(r"{\w+}", quote(segment, "", errors="surrogatepass"), path), method=verb, json=body)
    is_redirect = answer.status_code == 308  # to the same path without a double slash
    assert is_redirect or (is_problem(answer) and answer.status_code < 500), answer.text


@repeatable(thorough(150, 60))
@given(header=st.sampled_from(HEADERS), value=WIRE | st.from_regex(r'"?[0-9.e+-]{1,5}"?', fullmatch=True))
def test_anything_in_a_header_is_answered_or_refused(
    client: FlaskClient, loop: Loop, header: tuple[str, str, str], value: str
) -> None:
    verb, path, name = header
    if verb != "get":
        fill()
    answer = client.open(path.format(**RECORDS), method=verb, headers={name: value}, json={})
    assert answer.status_code < 400 or (is_problem(answer) and answer.status_code < 500), answer.text


@repeatable(thorough(200, 60))
@given(prompt=PROMPTS, pick=st.integers(0, 99))
@example(prompt="waltz in C♯ minor", pick=3)
@example(prompt="ΧΟΡΟΣ ΤΟΥ ΖΟΡΜΠΑ", pick=0)
@example(prompt="rock・バラード", pick=0)
def test_a_search_for_a_prompt_or_a_word_of_it_returns_the_job(client: FlaskClient, prompt: str, pick: int) -> None:
    words = split_words(prompt)
    assume(words)
    made = client.post("/api/jobs", json={"prompt": prompt}).json
    for text in (words[pick % len(words)], prompt):
        items = client.get("/api/jobs", query_string={"q": text}).json["items"]
        assert made["job_id"] in [item["job_id"] for item in items], text
