"""The document and the service say the same: requests made up by Schemathesis show it."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode

from database import database, is_postgresql
from models import Job
from tests.conftest import on_postgresql, on_sqlite, thorough
from tests.contract import DOCUMENT, ENDING, RECORDS, STREAMS, fill, repeatable, save_song

# What a good request may be answered with. 404: the record of a made-up id. 409: an id that is taken, or a status that
# only goes forward. 412: a made-up If-Match. 422, in a walk alone: a made-up parent. Never a 5xx, as by default.
CONFIG = f"""
suppress-health-check = ["all"]

[generation]
deterministic = true
max-examples = {thorough(40, 8)}
database = "none"
allow-x00 = false  # schemas cannot say that a text has no U+0000; test_input.py shows that it is refused

[phases.stateful.inference]
algorithms = []  # the links of the document alone: those that are guessed lead to records that are not there

[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx"]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "404", "409"]
negative_data_rejection.expected-statuses = ["400", "404", "405", "409", "412", "415", "422"]

[[operations]]
include-operation-id = ["update_track", "update_loop", "make_job_next"]
phases.stateful.checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", "404", "409", "412", "422"]

[[operations]]
include-method = ["PATCH", "DELETE"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", "404", "409", "412"]

[[operations]]
# Lines of text need not be CSV, JSON or prompts, any text is a text, and a job that is wrong is one of many.
include-operation-id = ["create_jobs"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", "400", "422"]
checks.negative_data_rejection.expected-statuses = ["200", "201", "400", "404", "405", "415", "422"]

[[operations]]
include-operation-id = ["put_track_audio", "put_job_reference", "put_track_cover"]  # most bodies are no such file
generation.max-examples = 8
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409", "412"]

[[operations]]
# A made-up request without a body counts as a bad one, and needs none.
include-operation-id = ["make_track_again", "make_job_next"]
checks.negative_data_rejection.expected-statuses = ["201", "400", "404", "405", "409", "412", "415", "422"]

[[operations]]
# Their body is optional, but the check takes a missing body for a wrong one.
include-operation-id = ["make_track_again", "make_job_next"]
checks.negative_data_rejection.enabled = false

[[operations]]
include-operation-id = ["claim_job", "claim_loop", "change_jobs", "change_tracks", "create_jobs"]
checks.allow_header_conformance.enabled = false  # a job may be called claim: what else it takes is at that address too
"""
schemathesis.serializer.alias("application/x-ndjson", "text/plain")
CONTRACT = schemathesis.openapi.from_dict(DOCUMENT, config=schemathesis.Config.from_str(CONFIG)).exclude(
    operation_id=STREAMS
)
pytestmark = pytest.mark.no_cover  # tests that say what they call reach the same code, and this takes less time
CASES = st.deferred(lambda: st.one_of([CONTRACT.as_strategy(generation_mode=mode) for mode in GenerationMode]))
WALKS = {"sqlite": 6, "postgresql": thorough(6, 3)}
REQUESTS, ROUND = {"sqlite": 100_000, "postgresql": 10_000}, 2_000  # of `make fuzz`
SECONDS = {"sqlite": 3600, "postgresql": 600}  # of walks in `make fuzz`
SHARE = thorough(1.0, 0.35)  # of the cases that an operation must get
STEPS = 25
UPLOADS = ("put_track_audio", "put_job_reference", "put_track_cover")
NEVER_THERE = ("get_job_reference", "delete_job_reference", "delete_track_cover")
PARENTS = {"create_track": "job_id", "update_track": "job_id", "create_loop": "track_id", "update_loop": "track_id"}


@pytest.fixture
def app(app: Flask) -> Flask:
    """The app with a sound in its storage folder."""
    save_song(app.extensions["ledger"].settings.storage_dir)
    return app


ORDERS = ("create_loop", "create_loop_of_track", "update_loop")


def is_good(case: Case[Any]) -> bool:
    """True when the case keeps to the document."""
    return case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE


def aim(case: Case[Any]) -> None:
    """Let a good request reach what fill() made."""
    if is_good(case):
        tame(case)
        parent = PARENTS.get(case.operation.definition.raw["operationId"])
        if parent in body_of(case):
            case.body[parent] = RECORDS[parent]
        if "before" in body_of(case):
            case.body["before"] = RECORDS["job_id"]
        case.path_parameters = {name: RECORDS[name] for name in case.path_parameters}


def tame(case: Case[Any]) -> None:
    """Let a good request wait for nothing, and leave out what cannot be made up: a cursor, a version, a lease."""
    if "wait" in body_of(case):
        case.body["wait"] = 0
    case.body = with_one_seam(case.body)
    if isinstance(case.body, dict) and case.operation.definition.raw["operationId"] in ORDERS:
        case.body = with_one_length(case.body, is_new=case.method == "POST")
    if body_of(case).get("duration") is not None:
        case.body["duration"] = max(1, case.body["duration"])  # a track with room for that seam
    case.query.pop("cursor", None)
    if case.method == "PATCH":
        case.headers.pop("If-Match", None)
        case.headers.pop("Lease-Token", None)


def with_one_length(body: dict[str, Any], is_new: bool) -> dict[str, Any]:
    """The body of a loop with seconds or bars, not both, and without fades if it has no intro."""
    body = {name: value for name, value in body.items() if name not in ("duration", "bars", "intro") or value}
    if "bars" in body:
        return {**body, "duration": None}
    return {"duration": 1, **body} if is_new else body


def with_one_seam(body: Any) -> Any:
    """The body with a candidate, or with an end after its start. A JSON schema cannot ask for that."""
    if not isinstance(body, dict) or not {"candidate", "start", "end", "exact"} & body.keys():
        return body
    if body.get("candidate") is None and body.get("start") is not None:
        return {**body, "candidate": None, "start": 0.25, "end": 1.0}
    return {**body, "start": None, "end": None, "exact": False}


def body_of(case: Case[Any]) -> dict[str, Any]:
    """The JSON object that is sent, or an empty one."""
    return case.body if isinstance(case.body, dict) else {}


def fewest(operation: dict[str, Any]) -> int:
    """How many cases an operation must get at least: the more, the more there is to vary."""
    names = {parameter["name"] for parameter in operation["parameters"]}
    if operation["operationId"] in UPLOADS:
        return 10
    if operation["operationId"] in ("change_queue", "make_job_next"):  # one field
        return 40
    if "requestBody" in operation:
        return 80
    return 180 if "offset" in names else 45 if names else 8


@pytest.fixture
def calls(app: Flask) -> Iterator[list[dict[str, Any]]]:
    """Where a test notes the operation of each case; afterwards there must be enough of them."""
    if not is_postgresql():
        database.pragma("synchronous", 0)  # what a power cut would cost is not the question here
    fill()
    made: list[dict[str, Any]] = []
    yield made
    assert len(made) >= SHARE * fewest(made[0]), f"only {len(made)} cases"


def test_schemathesis_makes_at_least_1100_cases_and_3000_in_a_long_run() -> None:
    alone = SHARE * sum(fewest(operation) for operation in ENDING.values())
    assert alone + STEPS * sum(WALKS.values()) >= thorough(3000, 1100)


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
@repeatable(thorough(300, 60))
@given(case=CASES)
def test_every_answer_is_as_documented_on_postgresql(case: Case[Any], app: Flask) -> None:
    if case.method != "GET":
        fill()
    aim(case)
    case.call_and_validate(app=app)


@pytest.mark.soak
@pytest.mark.parametrize(("kind", "requests"), REQUESTS.items())
def test_every_answer_is_as_documented_whatever_the_seed(app: Flask, requests: int) -> None:
    sent = 0

    @repeatable(ROUND, derandomize=False, database=None)
    @given(case=CASES)
    def send(case: Case[Any]) -> None:
        nonlocal sent
        sent += 1
        if case.method != "GET":
            fill()
        aim(case)
        case.call_and_validate(app=app)

    while sent < requests:  # Hypothesis remembers all requests of a round
        send()


def walk(app: Flask, how: settings) -> int:
    """Follow links from answer to answer, each walk from an empty store; the number of calls."""
    calls = 0

    # No link fills in a parent in the body, and no body that is made up is a sound or a picture. So no job has a
    # recording, and no track a cover.
    linked = CONTRACT.exclude(operation_id=["create_track", "create_loop", *UPLOADS, *NEVER_THERE])

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
@pytest.mark.parametrize(("kind", "seconds"), SECONDS.items())
def test_every_walk_is_as_documented_whatever_the_seed(app: Flask, seconds: float) -> None:
    how = repeatable(100, derandomize=False, database=None, phases=[Phase.generate], stateful_step_count=30)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert walk(app, how) >= 1500  # Hypothesis ends a walk that needs much data, and loops have many fields
