"""Bad input: every request is refused with its problem, and no row is written."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from models import Event, Job, Track
from settings import Settings
from tests.answers import problem
from tests.conftest import on_sqlite


@pytest.fixture(autouse=True)
def nothing_is_written(app: Flask) -> Iterator[None]:
    """No test of this file changes a row, except those of the fixtures job and track."""
    yield
    assert Event.select().where(Event.entity_id.not_in(["job-1", "track-1"])).count() == 0


def post(client: FlaskClient, raw: bytes | str, content_type: str = "application/json") -> Any:
    """POST raw bytes as a job."""
    return client.post("/api/jobs", data=raw, content_type=content_type)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"prompt": "p", "metadata": {"x": NaN}}',
        b'{"prompt": "p", "metadata": {"x": Infinity}}',
        b'{"prompt": "p", "metadata": {"x": -Infinity}}',
        b'{"prompt": "p", "metadata": {"x": 1e400}}',
        b'{"prompt": "\\ud800"}',
        b'{"prompt": "p", "metadata": {"\\udfff": 1}}',
        b'{"prompt": "a\\u0000b"}',
        b'{"prompt": "p", "metadata": {"a\\u0000": 1}}',
        b'{"prompt": "p", "metadata": {"a": [{"b": "\\u0000"}]}}',
        b'{"prompt": "p", "priority": 9223372036854775808}',
        b'{"prompt": "p", "metadata": {"x": 9223372036854775808}}',
        b'{"prompt": "p", "metadata": {"x": ' + b"9" * 5000 + b"}}",
        b'{"prompt": "p", "metadata": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001,
        b'{"prompt": "p", "metadata": {"a": ' + b"[" * 150 + b"]" * 150 + b"}}",
        b'{"prompt": "p", "prompt": "q"}',
        b'{"prompt": "p", "metadata": {"a": 1, "a": 2}}',
        b'{"prompt": "\xff\xfe"}',
        b'\xef\xbb\xbf{"prompt": "p"}',
        b'{"prompt": "p"',
        b'{"prompt": "p"} x',
        b"{'prompt': 'p'}",
        b"",
    ],
    ids=lambda raw: repr(raw[:48]),
)
@on_sqlite
def test_what_is_not_json_is_malformed(client: FlaskClient, raw: bytes) -> None:
    body = problem(post(client, raw), 400, "invalid")
    assert body["detail"].startswith("The body")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (None, ""),
        ([], ""),
        ([{"prompt": "p"}], ""),
        ("prompt", ""),
        (3, ""),
        ({}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \n"}, "prompt"),
        ({"prompt": ["p"]}, "prompt"),
        ({"prompt": "p" * 20_001}, "prompt"),
        ({"prompt": "p", "colour": "red"}, "colour"),
        ({"prompt": "p", "lease_token": "x"}, "lease_token"),
        ({"prompt": "p", "status": "unheard"}, "status"),
        ({"prompt": "p", "status": None}, "status"),
        ({"prompt": "p", "progress": 1.5}, "progress"),
        ({"prompt": "p", "progress": "50"}, "progress"),
        ({"prompt": "p", "progress": True}, "progress"),
        ({"prompt": "p", "progress": 101}, "progress"),
        ({"prompt": "p", "progress": -1}, "progress"),
        ({"prompt": "p", "metadata": []}, "metadata"),
        ({"prompt": "p", "metadata": "{}"}, "metadata"),
        ({"prompt": "p", "metadata": None}, "metadata"),
        ({"prompt": "p", "job_id": ""}, "job_id"),
        ({"prompt": "p", "job_id": ".."}, "job_id"),
        ({"prompt": "p", "job_id": "a/b"}, "job_id"),
        ({"prompt": "p", "job_id": "x\n"}, "job_id"),
        ({"prompt": "p", "job_id": "x" * 65}, "job_id"),
        ({"prompt": "p", "job_type": "two words"}, "job_type"),
        ({"prompt": "p", "max_attempts": 0}, "max_attempts"),
        ({"prompt": "p", "seed": "random"}, "seed"),
        ({"prompt": "p", "takes": 33}, "takes"),
        ({"prompt": "p", "error": 3}, "error"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_a_body_that_breaks_a_rule_names_the_field(client: FlaskClient, body: Any, field: str) -> None:
    refusal = problem(post(client, json.dumps(body)), 422, "invalid")
    assert [error["field"].partition(".")[0] for error in refusal["errors"]] == [field]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/jobs/job-1/tracks", {"duration": 0}, "duration"),
        ("/api/jobs/job-1/tracks", {"duration": "3"}, "duration"),
        ("/api/jobs/job-1/tracks", {"job_id": "job-1"}, "job_id"),
        ("/api/jobs/job-1/tracks", {"take": 0}, "take"),
        ("/api/jobs/job-1/tracks", {"provenance": []}, "provenance"),
        ("/api/tracks/track-1/loops", {}, "duration"),
        ("/api/tracks/track-1/loops", {"duration": 0}, "duration"),
        ("/api/tracks/track-1/loops", {"duration": 21_601}, "duration"),
        ("/api/tracks/track-1/loops", {"duration": 9, "format": "OGG"}, "format"),
        ("/api/tracks/track-1/loops", {"duration": 9, "fade_in_out": 2}, "fade_in_out"),
        ("/api/tracks/track-1/loops", {"duration": 9, "fade_in_out": "yes"}, "fade_in_out"),
        ("/api/tracks/track-1/loops", {"duration": 9, "status": "pending"}, "status"),
        ("/api/tracks/track-1/loops", {"duration": 9, "candidate": 0}, "candidate"),
        ("/api/tracks/track-1/loops", {"duration": 9, "candidate": 6}, "candidate"),
        ("/api/tracks/track-1/loops", {"duration": 9, "candidate": "best"}, "candidate"),
        ("/api/tracks/track-1/loops", {"duration": 9, "candidate": 1, "start": 1, "end": 2}, "candidate"),
        ("/api/tracks/track-1/loops", {"duration": 9, "start": 1}, "end"),
        ("/api/tracks/track-1/loops", {"duration": 9, "end": 1}, "start"),
        ("/api/tracks/track-1/loops", {"duration": 9, "start": -1, "end": 1}, "start"),
        ("/api/tracks/track-1/loops", {"duration": 9, "start": 2, "end": 2.4}, "end"),
        ("/api/tracks/track-1/loops", {"duration": 9, "start": 2, "end": 11.5}, "end"),
        ("/api/tracks/track-1/loops", {"duration": 9, "start": 25, "end": 31}, "end"),
        ("/api/tracks/track-1/loops", {"duration": 9, "start": 1e300, "end": 1}, "start"),
        ("/api/tracks/track-1/loops", {"duration": 9, "exact": True}, "exact"),
        ("/api/tracks/track-1/loops", {"duration": 9, "start": 1, "end": 2, "exact": "yes"}, "exact"),
    ],
    ids=str,
)
def test_bad_children_name_the_field(client: FlaskClient, track: Track, path: str, body: Any, field: str) -> None:
    refusal = problem(client.post(path, json=body), 422, "invalid")
    assert [error["field"] for error in refusal["errors"]] == [field]


def test_a_refusal_is_a_sentence_for_people(client: FlaskClient, track: Track) -> None:
    none = client.post("/api/tracks/actions", json={"action": "star", "ids": []})
    many = client.post("/api/tracks/actions", json={"action": "star", "ids": ["a"] * 201})
    untitled = client.patch("/api/tracks/track-1", json={"title": ""})
    unclear = client.patch("/api/tracks/track-1", json={"starred": "yes"})
    assert [answer.json["errors"] for answer in (none, many, untitled, unclear)] == [
        [{"field": "ids", "message": "must have 1 or more items"}],
        [{"field": "ids", "message": "must have 200 items at most"}],
        [{"field": "title", "message": "must have 1 to 200 characters; null removes it"}],
        [{"field": "starred", "message": "expected true or false"}],
    ]


def test_all_bad_fields_are_named_at_once(client: FlaskClient) -> None:
    refusal = problem(client.post("/api/jobs", json={"progress": 3.5, "colour": 1}), 422, "invalid")
    assert {error["field"] for error in refusal["errors"]} == {"prompt", "progress", "colour"}


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/json5"])
@on_sqlite
def test_a_body_of_another_type_is_refused(client: FlaskClient, content_type: str) -> None:
    problem(post(client, b'{"prompt": "p"}', content_type), 415, "unsupported_media_type")


def test_json_with_a_charset_is_json(client: FlaskClient) -> None:
    problem(post(client, b"{}", "application/json; charset=utf-8"), 422, "invalid")


@on_sqlite
def test_a_body_of_two_megabytes_is_too_large(client: FlaskClient) -> None:
    problem(post(client, b'{"prompt": "' + b"p" * 2_000_000 + b'"}'), 413, "too_large")


@on_sqlite
def test_a_body_without_its_length_is_refused(client: FlaskClient) -> None:
    answer = client.post(
        "/api/jobs",
        input_stream=io.BytesIO(b'{"prompt": "p"}'),
        content_type="application/json",
        headers={"Transfer-Encoding": "chunked"},
    )
    problem(answer, 411, "invalid")


@on_sqlite
def test_a_body_that_ends_early_is_refused(client: FlaskClient) -> None:
    problem(client.post("/api/jobs", data=b"{", content_type="application/json", content_length=99), 400, "invalid")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=-1", "limit"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=%D9%A3", "limit"),
        ("limit=1_0", "limit"),
        ("limit=+5", "limit"),
        ("limit=5.0", "limit"),
        ("limit=", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("limit=9223372036854775808", "limit"),
        ("limit=5&limit=6", "limit"),
        ("offset=9223372036854775808", "offset"),
        ("offset=-1", "offset"),
        ("cursor=", "cursor"),
        ("cursor=nonsense", "cursor"),
        ("cursor=WzFd", "cursor"),
        ("cursor=WyItY3JlYXRlZF9hdCIsOTIyMzM3MjAzNjg1NDc3NTgwOCwieCJd", "cursor"),
        ("cursor=%00", "cursor"),
        ("created_after=yesterday", "created_after"),
        ("created_after=2026-01-01", "created_after"),
        ("created_after=2026-01-01T00:00:00", "created_after"),
        ("created_after=2026-13-01T00:00:00Z", "created_after"),
        ("created_before=1", "created_before"),
        ("created_before=2026-01-01T00:00:00+01:00", "created_before"),
        ("sort=prompt", "sort"),
        ("status=unheard", "status"),
        ("status=pending&status=unheard", "status"),
        ("job_type=a%20b", "job_type"),
        ("count=1", "count"),
        ("expand=jobs", "expand"),
        ("colour=red", "colour"),
        ("metadata=x", "metadata"),
        ("metadata.=x", "metadata"),
        ('metadata.a"b=x', "metadata"),
        ("metadata.a..b=x", "metadata"),
        ("metadata.a%5Cb=x", "metadata"),
        ("metadata.a%00b=x", "metadata"),
        ("metadata.genre=a&metadata.genre=b", "metadata"),
        ("q=" + "x" * 1001, "q"),
        ("q=%00", "q"),
        ("job_type=%00", "job_type"),
        ("metadata.genre=%00", "metadata"),
        ("metadata.%00=1", "metadata"),
    ],
)
def test_a_bad_parameter_is_named(client: FlaskClient, query: str, field: str) -> None:
    refusal = problem(client.get(f"/api/jobs?{query}"), 400, "invalid")
    assert {error["field"].partition(".")[0] for error in refusal["errors"]} == {field}


@pytest.mark.parametrize(
    "query", ["q=%FF", "q='", "q=%25", "metadata.genre=%F0%9F", "metadata.%25s=1", "metadata.$=1", "metadata.'=1"]
)
def test_odd_text_finds_nothing(client: FlaskClient, job: Job, query: str) -> None:
    answer = client.get(f"/api/jobs?{query}")
    assert (answer.status_code, answer.json["items"]) == (200, [])


@on_sqlite
def test_a_parameter_of_a_request_that_takes_none_is_named(client: FlaskClient, job: Job) -> None:
    for answer in (
        client.get("/api/stats?x=1"),
        client.get("/api/jobs/job-1?q=1"),
        client.delete("/api/jobs/job-1?x=1"),
    ):
        problem(answer, 400, "invalid")


@pytest.mark.parametrize("path", ["/api/jobs/nobody", "/api/tracks/nobody", "/api/loops/nobody"])
def test_an_unknown_id_is_not_found(client: FlaskClient, path: str) -> None:
    for answer in (client.get(path), client.patch(path, json={}), client.delete(path)):
        problem(answer, 404, "not_found")


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/api", "/api/songs", "/api/jobs/", "/api/jobs/a%20b", "/api/jobs/%00", "/api/jobs/..%2f", "/%ff"],
)
@on_sqlite
def test_an_unknown_path_is_not_found(client: FlaskClient, path: str) -> None:
    problem(client.get(path), 404, "not_found")


@on_sqlite
def test_an_unknown_method_is_answered_with_those_allowed(client: FlaskClient) -> None:
    answer = client.put("/api/jobs", json={})
    problem(answer, 405, "method_not_allowed")
    assert {"GET", "HEAD", "POST"} <= set(answer.headers["Allow"].replace(" ", "").split(","))
    problem(client.open("/api/jobs/x", method="BREW"), 405, "method_not_allowed")


# --- hosts, origins and the token


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("192.168.1.20", 200),
        ("studio.lan", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("localhost, evil.example", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
@on_sqlite
def test_only_known_hosts_are_served(settings: Settings, host: str, status: int) -> None:
    client = create_app(settings.model_copy(update={"allowed_hosts": "Studio.LAN, other"})).test_client()
    answer = client.get("/healthz", headers={"Host": host})
    assert answer.status_code == status
    if status == 403:
        assert answer.json["code"] == "forbidden_origin" and "ALLOWED_HOSTS" in answer.json["detail"]


@pytest.mark.parametrize(
    ("origin", "status"), [("http://localhost", 422), ("http://evil.example", 403), ("null", 403), ("", 403)]
)
@on_sqlite
def test_pages_of_other_sites_change_nothing(client: FlaskClient, origin: str, status: int) -> None:
    assert client.post("/api/jobs", json={}, headers={"Origin": origin}).status_code == status
    assert client.get("/api/jobs", headers={"Origin": origin}).status_code == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [(None, 401), ("Bearer wrong", 401), ("Basic s3cret", 401), ("Bearer é", 401), ("bearer s3cret", 200)],
)
def test_a_request_needs_the_token(settings: Settings, header: str | None, status: int) -> None:
    client = create_app(settings.model_copy(update={"api_token": "s3cret"})).test_client()
    answer = client.get("/api/jobs", headers={"Authorization": header} if header else {})
    assert answer.status_code == status
    if status == 401:
        assert problem(answer, 401, "unauthorized") and answer.headers["WWW-Authenticate"] == "Bearer"
    assert client.get("/healthz").status_code == 200


def test_the_names_of_wrong_fields_are_those_of_the_request(client: FlaskClient) -> None:
    query = "created_after=yesterday&status=PENDING&metadata.a..b=x"
    errors = problem(client.get(f"/api/jobs?{query}"), 400, "invalid")["errors"]
    assert [error["field"] for error in errors] == ["created_after", "status.0", "metadata.a..b"]
