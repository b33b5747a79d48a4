"""The document and the service say the same: requests made up by Schemathesis and Hypothesis show it."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from database import database, is_postgresql

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import Case, GenerationMode

from app import create_app
from models import ID_LENGTH, ID_PATTERN, Job
from repos import JobRepository, LoopRepository, TrackRepository
from settings import Settings
from web import api, health, openapi

# What a good request may be answered with. 404: the record of a made-up id. 409: an id that is taken, or a status that
# only goes forward. 412: a made-up If-Match. 422 in a walk alone: a made-up parent. Never a 5xx, as by default.
CONFIG = """
suppress-health-check = ["all"]

[generation]
deterministic = true
max-examples = 50
database = "none"
allow-x00 = false  # schemas cannot say that a text has no U+0000; test_input.py shows that it is refused

[checks]
max_response_time = 5
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx"]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "404", "409"]
negative_data_rejection.expected-statuses = ["400", "404", "405", "409", "412", "415", "422"]

[[operations]]
include-method = ["PATCH", "DELETE"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", "404", "409", "412"]

[[operations]]
include-operation-id = ["create_track", "create_loop", "update_track", "update_loop"]
phases.stateful.checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", "404", "409", "412", "422"]
"""
DOCUMENT = openapi.build([*api.api.all, *health.health.all])
OPERATIONS = {(verb, path): told for path, item in DOCUMENT["paths"].items() for verb, told in item.items()}
CONTRACT = schemathesis.openapi.from_dict(DOCUMENT, config=schemathesis.Config.from_str(CONFIG))
CASES = st.deferred(lambda: st.one_of([CONTRACT.as_strategy(generation_mode=mode) for mode in GenerationMode]))
ON_POSTGRESQL = 300
WALKS = {"sqlite": 60, "postgresql": 25}
STEPS = 5
KNOWN = {"job_id": "job-1", "track_id": "track-1", "loop_id": "loop-1"}
PARENTS = {"create_track": "job_id", "update_track": "job_id", "create_loop": "track_id", "update_loop": "track_id"}

WILD = st.text(st.characters())  # lone surrogates and U+0000 too
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)
)
EXTREMES = {"": [1e300, 5e-324, -0.0, 2**63 - 1, 1 - 2**63, -(2**63)], "\U0001f3b5\x01": {"\U0010ffff": {}}}
CURSORS = st.tuples(st.sampled_from(["-created_at", "priority"]) | WILD, JSON, JSON).map(
    lambda position: base64.urlsafe_b64encode(json.dumps(position).encode()).decode()
)
PLAUSIBLE = st.integers().map(str) | st.datetimes().map(lambda moment: f"{moment.isoformat()}Z") | CURSORS
LIST_PARAMETERS = [told["name"] for told in OPERATIONS["get", "/api/jobs"]["parameters"] if told["name"] != "metadata"]

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"])
on_postgresql = pytest.mark.parametrize("kind", ["postgresql"])


def repeatable(examples: int, **more: Any) -> settings:
    """So many examples, the same in every run."""
    how = {"derandomize": True, "deadline": None, "suppress_health_check": list(HealthCheck), **more}
    return settings(max_examples=examples, **how)


@pytest.mark.parametrize("token", [False, True])
def test_the_document_is_openapi_3_1(token: bool) -> None:
    document = openapi.build([*api.api.all, *health.health.all], token)
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
        if rule.rule not in ("/", "/openapi.json") and not rule.rule.startswith("/docs")
    }
    assert routes == set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda told: told["operationId"])
def test_an_operation_documents_its_problems_as_problem_json(operation: dict[str, Any]) -> None:
    refusals = {status: told for status, told in operation["responses"].items() if status.startswith("4")}
    assert {"400", "403"} <= refusals.keys() and "503" in operation["responses"]
    assert all(list(told["content"]) == ["application/problem+json"] for told in refusals.values())


@on_sqlite
def test_a_token_is_wanted_and_documented_by_every_operation_under_api(settings: Settings) -> None:
    client = create_app(settings.model_copy(update={"api_token": "secret"})).test_client()
    document: Any = client.get("/openapi.json").json
    for verb, path in OPERATIONS:
        told = document["paths"][path][verb]
        secured = client.open(path, method=verb).status_code == 401
        assert secured == path.startswith("/api/") == ("401" in told["responses"]) == ("security" in told)


def fill() -> None:
    """One job with one track with one loop."""
    Job.delete().execute()
    JobRepository().create(job_id=KNOWN["job_id"], prompt="ambient rain", metadata={"genre": "ambient"})
    TrackRepository().create(track_id=KNOWN["track_id"], job_id=KNOWN["job_id"])
    LoopRepository().create(loop_id=KNOWN["loop_id"], track_id=KNOWN["track_id"], duration=120)


def aim(case: Case[Any]) -> None:
    """Let ids that could be hit what fill() made, and let nothing stale be in the way of a patch."""
    parent = PARENTS.get(case.operation.definition.raw["operationId"], "")
    body = case.body if isinstance(case.body, dict) else {}
    for place, names in ((case.path_parameters, KNOWN), (body, [parent])):
        for name in names:
            value = place.get(name)
            if isinstance(value, str) and len(value) <= ID_LENGTH and re.fullmatch(ID_PATTERN, value):
                place[name] = KNOWN[name]
    if case.method == "PATCH":
        case.headers.pop("If-Match", None)
    drop_cursor(case)


def drop_cursor(case: Case[Any]) -> None:
    """A cursor is opaque: one that is made up is refused, though the schema calls it a string."""
    cursor = case.query.get("cursor")
    if isinstance(cursor, str) and len(cursor) <= 512:
        del case.query["cursor"]


def fewest(operation: dict[str, Any]) -> int:
    """How many cases an operation must get at least: the more, the more there is to vary."""
    names = {parameter["name"] for parameter in operation["parameters"]}
    if "requestBody" in operation:
        return 150
    return 190 if "limit" in names else 50 if names else 8


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
    alone = sum(fewest(operation) for operation in OPERATIONS.values())
    assert alone + ON_POSTGRESQL + STEPS * sum(WALKS.values()) >= 3000


@on_sqlite
@CONTRACT.parametrize()
def test_every_answer_is_as_documented(case: Case[Any], app: Flask, calls: list[dict[str, Any]]) -> None:
    calls.append(case.operation.definition.raw)
    aim(case)
    answer = case.call_and_validate(app=app)
    if case.method != "GET" and answer.status_code < 300:
        fill()


@on_postgresql
@repeatable(ON_POSTGRESQL)
@given(case=CASES)
def test_every_answer_is_as_documented_on_postgresql(case: Case[Any], app: Flask, calls: list[dict[str, Any]]) -> None:
    calls.append(case.operation.definition.raw)
    if case.method != "GET":
        fill()
    aim(case)
    case.call_and_validate(app=app)


def walk(app: Flask, how: settings) -> int:
    """Follow links from answer to answer, each walk from an empty store; the number of calls."""
    calls = 0

    class Walk(CONTRACT.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            Job.delete().execute()

        def before_call(self, case: Case[Any]) -> None:
            drop_cursor(case)

        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:
            nonlocal calls
            calls += 1
            return {"app": app}

    Walk.run(settings=how)
    return calls


@pytest.mark.parametrize(("kind", "walks"), WALKS.items())
def test_every_walk_along_the_links_is_as_documented(app: Flask, walks: int) -> None:
    how = repeatable(walks, phases=[Phase.generate], stateful_step_count=STEPS + 1)
    assert walk(app, how) >= STEPS * walks


def same(sent: Any, got: Any) -> bool:
    """Equal and of the same type, but that jsonb, with one kind of number, may give a float back as an integer."""
    if isinstance(sent, dict):
        return isinstance(got, dict) and sent.keys() == got.keys() and all(same(sent[key], got[key]) for key in sent)
    if isinstance(sent, list):
        return isinstance(got, list) and len(sent) == len(got) and all(map(same, sent, got))
    if isinstance(sent, float):
        return type(got) in (int, float) and float(got) == sent
    return type(got) is type(sent) and bool(got == sent)


@repeatable(200)
@given(metadata=st.dictionaries(TEXT, JSON))
@example(metadata=EXTREMES)
def test_any_json_object_comes_back_as_it_was_sent(client: FlaskClient, metadata: dict[str, Any]) -> None:
    made = client.post("/api/jobs", json={"prompt": "rain", "metadata": metadata})
    assert made.status_code == 201, made.text
    read = client.get(made.headers["Location"])
    assert same(metadata, made.json["metadata"]) and same(metadata, read.json["metadata"])


@pytest.mark.parametrize("name", ["q", "metadata.genre"])
@repeatable(200)
@given(text=TEXT)
def test_any_text_can_be_looked_for(client: FlaskClient, job: Job, name: str, text: str) -> None:
    answer = client.get("/api/jobs", query_string={name: text, "count": "true"})
    assert answer.status_code == 200, answer.text
    assert answer.json["total"] == len(answer.json["items"])


@repeatable(400)
@given(name=st.sampled_from(LIST_PARAMETERS) | WILD.map("metadata.{}".format), value=WILD | PLAUSIBLE)
def test_anything_in_the_query_of_a_list_is_answered_or_refused(
    client: FlaskClient, job: Job, name: str, value: str
) -> None:
    answer = client.get("/api/jobs?" + urlencode({name: value}, errors="surrogatepass"))
    assert answer.status_code in (200, 400), answer.text


@repeatable(400)
@given(place=st.sampled_from([place for place in OPERATIONS if "{" in place[1]]), segment=WILD, body=JSON)
def test_anything_in_a_path_and_any_json_is_refused(
    client: FlaskClient, place: tuple[str, str], segment: str, body: Any
) -> None:
    verb, path = place
    assume(not re.fullmatch(ID_PATTERN, segment))
    answer = client.open(re.sub(r"{\w+}", quote(segment, "", errors="surrogatepass"), path), method=verb, json=body)
    assert 300 < answer.status_code < 500, answer.text
