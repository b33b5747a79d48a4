"""The document and the service say the same: requests made up by Schemathesis and Hypothesis show it."""

import base64
import json
import re
import wave
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import Case, GenerationMode

from app import create_app
from database import database, is_postgresql
from models import ID_PATTERN, Job, Loop
from records.words import words as split_words
from repos import JobRepository, LoopRepository, TrackRepository
from settings import Settings
from web import api, openapi

# What a good request may be answered with. 404: the record of a made-up id. 409: an id that is taken, or a status that
# only goes forward. 412: a made-up If-Match. 422, in a walk alone: a made-up parent. Never a 5xx, as by default.
CONFIG = """
suppress-health-check = ["all"]

[generation]
deterministic = true
max-examples = 40
database = "none"
allow-x00 = false  # schemas cannot say that a text has no U+0000; test_input.py shows that it is refused

[phases.stateful.inference]
algorithms = []  # the links of the document alone: those that are guessed lead to records that are not there

[checks]
max_response_time = 5
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx"]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "404", "409"]
negative_data_rejection.expected-statuses = ["400", "404", "405", "409", "412", "415", "422"]

[[operations]]
include-operation-id = ["update_track", "update_loop"]
phases.stateful.checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", "404", "409", "412", "422"]

[[operations]]
include-method = ["PATCH", "DELETE"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", "404", "409", "412"]

[[operations]]
include-operation-id = ["put_track_audio"]  # what is made up is no sound, and each takes a process to find that out
generation.max-examples = 8
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "412"]

[[operations]]
include-operation-id = ["claim_job", "claim_loop"]
checks.allow_header_conformance.enabled = false  # a job may be called claim: what else it takes is at that address too
"""
DOCUMENT = openapi.build(api.operations())
OPERATIONS = {(verb, path): told for path, item in DOCUMENT["paths"].items() for verb, told in item.items()}
STREAMS = ["stream_events", "stream_job_events"]  # their answers have no end; test_live.py has them
ENDING = {place: told for place, told in OPERATIONS.items() if told["operationId"] not in STREAMS}
CONTRACT = schemathesis.openapi.from_dict(DOCUMENT, config=schemathesis.Config.from_str(CONFIG)).exclude(
    operation_id=STREAMS
)
CASES = st.deferred(lambda: st.one_of([CONTRACT.as_strategy(generation_mode=mode) for mode in GenerationMode]))
WALKS = {"sqlite": 12, "postgresql": 6}
STEPS = 25
KNOWN = {"job_id": "job-1", "track_id": "track-1", "loop_id": "loop-1"}
PARENTS = {"create_track": "job_id", "update_track": "job_id", "create_loop": "track_id", "update_loop": "track_id"}

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
    for (verb, path), told in ENDING.items()
    for parameter in told["parameters"]
    if parameter["in"] == "header"
]
LIST_PARAMETERS = [told["name"] for told in OPERATIONS["get", "/api/jobs"]["parameters"] if told["name"] != "metadata"]

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"])
on_postgresql = pytest.mark.parametrize("kind", ["postgresql"])


def repeatable(examples: int, **more: Any) -> settings:
    """So many examples, the same in every run."""
    how = {"derandomize": True, "deadline": None, "suppress_health_check": list(HealthCheck), **more}
    return settings(max_examples=examples, **how)


@pytest.mark.parametrize("token", [False, True])
def test_the_document_is_openapi_3_1(token: bool) -> None:
    document = openapi.build(api.operations(), token)
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


@on_sqlite
def test_the_document_that_is_served_is_the_one_tested_here(client: FlaskClient) -> None:
    assert client.get("/openapi.json").json == DOCUMENT


@on_sqlite
def test_every_route_is_in_the_document_and_nothing_else_is(app: Flask) -> None:
    routes = {
        (verb.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for verb in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule != "/openapi.json" and not rule.endpoint.startswith("pages.") and not rule.rule.startswith("/docs")
    }
    assert routes == set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda told: told["operationId"])
def test_an_operation_documents_its_problems_as_problem_json(operation: dict[str, Any]) -> None:
    refusals = {status: told for status, told in operation["responses"].items() if status.startswith("4")}
    assert {"400", "403"} <= refusals.keys() and "503" in operation["responses"]
    assert all(list(told["content"]) == ["application/problem+json"] for told in refusals.values())


@on_sqlite
def test_a_token_is_wanted_and_documented_by_every_operation_under_api(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"api_token": "secret"}))
    app.extensions["ledger"].close()
    client = app.test_client()
    document: Any = client.get("/openapi.json").json
    for verb, path in OPERATIONS:
        told = document["paths"][path][verb]
        secured = client.open(path, method=verb).status_code == 401
        assert secured == path.startswith("/api/") == ("401" in told["responses"]) == ("security" in told)


@pytest.fixture
def app(app: Flask) -> Flask:
    """The app with a sound in its storage folder."""
    samples = b"".join(number.to_bytes(2, "little") for number in range(8000))
    with wave.open(str(app.extensions["ledger"].settings.storage_dir / "song.wav"), "wb") as song:
        song.setparams((1, 2, 8000, 0, "NONE", ""))
        song.writeframes(samples)
    return app


def fill() -> None:
    """One job with one track with one loop."""
    Job.delete().execute()
    JobRepository().create(job_id=KNOWN["job_id"], prompt="ambient rain", metadata={"genre": "ambient"})
    TrackRepository().create(track_id=KNOWN["track_id"], job_id=KNOWN["job_id"], file_path_wav="song.wav")
    LoopRepository().create(loop_id=KNOWN["loop_id"], track_id=KNOWN["track_id"], duration=120)


def is_good(case: Case[Any]) -> bool:
    """True when the case keeps to the document."""
    return case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE


def aim(case: Case[Any]) -> None:
    """Let a good request reach what fill() made."""
    if is_good(case):
        tame(case)
        parent = PARENTS.get(case.operation.definition.raw["operationId"])
        if parent in body_of(case):
            case.body[parent] = KNOWN[parent]
        case.path_parameters = {name: KNOWN[name] for name in case.path_parameters}


def tame(case: Case[Any]) -> None:
    """Let a good request wait for nothing, and leave out what cannot be made up: a cursor, a version, a lease."""
    if "wait" in body_of(case):
        case.body["wait"] = 0
    case.query.pop("cursor", None)
    if case.method == "PATCH":
        case.headers.pop("If-Match", None)
        case.headers.pop("Lease-Token", None)


def body_of(case: Case[Any]) -> dict[str, Any]:
    """The JSON object that is sent, or an empty one."""
    return case.body if isinstance(case.body, dict) else {}


def fewest(operation: dict[str, Any]) -> int:
    """How many cases an operation must get at least: the more, the more there is to vary."""
    names = {parameter["name"] for parameter in operation["parameters"]}
    if operation["operationId"] == "put_track_audio":
        return 10
    if "requestBody" in operation:
        return 80
    return 180 if "limit" in names else 45 if names else 8


@pytest.fixture
def calls(app: Flask) -> Iterator[list[dict[str, Any]]]:
    """Where a test notes the operation of each case; afterwards there must be enough of them."""
    if not is_postgresql():
        database.pragma("synchronous", 0)  # what a power cut would cost is not the question here
    fill()
    made: list[dict[str, Any]] = []
    yield made
    assert len(made) >= fewest(made[0]), f"only {len(made)} cases"


def test_schemathesis_makes_at_least_3000_cases() -> None:
    alone = sum(fewest(operation) for operation in ENDING.values())
    assert alone + STEPS * sum(WALKS.values()) >= 3000


@on_sqlite
@CONTRACT.parametrize()
def test_every_answer_is_as_documented(case: Case[Any], app: Flask, calls: list[dict[str, Any]]) -> None:
    if (
        case.method != "GET" and len(calls) % 2
    ):  # so that the other half meets ids that are taken, and records that are gone
        fill()
    calls.append(case.operation.definition.raw)
    aim(case)
    case.call_and_validate(app=app)


@on_postgresql
@repeatable(300)
@given(case=CASES)
def test_every_answer_is_as_documented_on_postgresql(case: Case[Any], app: Flask) -> None:
    if case.method != "GET":
        fill()
    aim(case)
    case.call_and_validate(app=app)


@pytest.mark.soak
@repeatable(3000, derandomize=False, database=None)
@given(case=CASES)
def test_every_answer_is_as_documented_whatever_the_seed(case: Case[Any], app: Flask) -> None:
    if case.method != "GET":
        fill()
    aim(case)
    case.call_and_validate(app=app)


def walk(app: Flask, how: settings) -> int:
    """Follow links from answer to answer, each walk from an empty store; the number of calls."""
    calls = 0

    # No link fills in a parent in the body, and no body that is made up is a sound.
    linked = CONTRACT.exclude(operation_id=["create_track", "create_loop", "put_track_audio"])

    class Walk(linked.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            Job.delete().execute()

        def before_call(self, case: Case[Any]) -> None:
            if is_good(case):
                tame(case)
                case.headers.pop("If-Match", None)
                body_of(case).pop("job_types", None)

        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:
            nonlocal calls
            calls += 1
            return {"app": app}

    Walk.run(settings=how)
    return calls


@pytest.mark.parametrize(("kind", "walks"), WALKS.items())
def test_every_walk_along_the_links_is_as_documented(app: Flask, walks: int) -> None:
    how = repeatable(walks, phases=[Phase.generate], stateful_step_count=STEPS)
    assert walk(app, how) >= STEPS * walks


@pytest.mark.soak
def test_every_walk_is_as_documented_whatever_the_seed(app: Flask) -> None:
    how = repeatable(100, derandomize=False, database=None, phases=[Phase.generate], stateful_step_count=30)
    assert walk(app, how) >= 2000


def same(sent: Any, got: Any) -> bool:
    """Equal and of the same type, but that jsonb, with one kind of number, may give a float back as an integer."""
    if isinstance(sent, dict):
        return isinstance(got, dict) and sent.keys() == got.keys() and all(same(sent[key], got[key]) for key in sent)
    if isinstance(sent, list):
        return isinstance(got, list) and len(sent) == len(got) and all(map(same, sent, got))
    if isinstance(sent, float):
        return type(got) in (int, float) and float(got) == sent
    return type(got) is type(sent) and bool(got == sent)


@repeatable(120)
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
@repeatable(200)
@given(text=TEXT)
def test_any_text_can_be_looked_for(client: FlaskClient, job: Job, name: str, text: str) -> None:
    answer = client.get("/api/jobs", query_string={name: text, "count": "true"})
    assert answer.status_code == 200, answer.text
    assert answer.json["total"] == len(answer.json["items"])


@repeatable(250)
@given(name=st.sampled_from(LIST_PARAMETERS) | WILD.map("metadata.{}".format), value=WILD | PLAUSIBLE)
def test_anything_in_the_query_of_a_list_is_answered_or_refused(
    client: FlaskClient, job: Job, name: str, value: str
) -> None:
    answer = client.get("/api/jobs?" + urlencode({name: value}, errors="surrogatepass"))
    assert answer.status_code in (200, 400), answer.text


@repeatable(250)
@given(place=st.sampled_from([place for place in OPERATIONS if "{" in place[1]]), segment=WILD, body=JSON)
def test_anything_in_a_path_and_any_json_is_refused(
    client: FlaskClient, place: tuple[str, str], segment: str, body: Any
) -> None:
    verb, path = place
    assume(not re.fullmatch(ID_PATTERN, segment))
    answer = client.open(re.sub(r"{\w+}", quote(segment, "", errors="surrogatepass"), path), method=verb, json=body)
    assert 300 < answer.status_code < 500, answer.text


@repeatable(150)
@given(header=st.sampled_from(HEADERS), value=WIRE | st.from_regex(r'"?[0-9.e+-]{1,5}"?', fullmatch=True))
def test_anything_in_a_header_is_answered_or_refused(
    client: FlaskClient, loop: Loop, header: tuple[str, str, str], value: str
) -> None:
    verb, path, name = header
    if verb != "get":
        fill()
    answer = client.open(path.format(**KNOWN), method=verb, headers={name: value}, json={})
    assert answer.status_code < 500, answer.text


@repeatable(200)
@given(prompt=PROMPTS, pick=st.integers(0, 99))
@example(prompt="waltz in C♯ minor", pick=3)
@example(prompt="ΧΟΡΟΣ ΤΟΥ ΖΟΡΜΠΑ", pick=0)
@example(prompt="rock・バラード", pick=0)
def test_a_job_is_found_by_its_prompt_and_by_each_word_of_it(client: FlaskClient, prompt: str, pick: int) -> None:
    words = split_words(prompt)
    assume(words)
    made = client.post("/api/jobs", json={"prompt": prompt}).json
    for text in (words[pick % len(words)], prompt):
        found = client.get("/api/jobs", query_string={"q": text}).json["items"]
        assert made["job_id"] in [job["job_id"] for job in found], text
