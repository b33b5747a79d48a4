"""POST /api/jobs/batch: many jobs in one transaction, all or none, in four forms."""

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from database import database
from models import Event, Job
from repos import JobRepository, Page
from settings import Settings
from tests.answers import problem
from tests.conftest import on_sqlite
from web import limits
from web.reading import BATCH_BYTES, BODY_BYTES

CSV = "prompt,job_type,takes,metadata.duration,metadata.genre\n"
BODIES = {
    "application/json": b'{"jobs": [{"prompt": "rain"}, {"prompt": "snow", "takes": 2}]}',
    "application/x-ndjson": b'{"prompt": "rain"}\n\n{"prompt": "snow", "takes": 2}\n',
    "text/csv; charset=utf-8": b"prompt,takes\nrain,\nsnow,2\n",
    "text/plain": b"rain\n\nsnow\n",
}


def send(client: FlaskClient, body: bytes | str, media_type: str = "text/csv", query: str = "") -> Any:
    """Send a batch."""
    return client.post(f"/api/jobs/batch{query}", data=body, content_type=media_type)


def listed() -> list[Job]:
    """All jobs, oldest first."""
    return JobRepository().page(Page(limit=1000, descending=False))


def song(number: int) -> str:
    """A line of a CSV file."""
    return f"song {number},synth,{number % 3 + 1},{20 + number % 5},Folk\n"


@pytest.mark.parametrize("media_type", BODIES)
def test_each_form_of_a_batch_is_queued_in_its_order(client: FlaskClient, media_type: str) -> None:
    answer = send(client, BODIES[media_type], media_type, "?job_type=synth&takes=2&metadata.voice.name=Ada")
    assert answer.status_code == 201 and answer.json["created"] == 2
    rain, snow = listed()
    assert [item["job_id"] for item in answer.json["items"]] == [rain.job_id, snow.job_id]
    assert (rain.prompt, rain.job_type, rain.takes) == ("rain", "synth", 2)
    assert (snow.prompt, snow.takes, snow.metadata) == ("snow", 2, {"voice": {"name": "Ada"}})


def test_of_500_lines_with_three_wrong_ones_none_is_queued(client: FlaskClient) -> None:
    lines = [song(number) for number in range(500)]
    wrong = {7: "song,synth,many,20,\n", 250: ",synth,1,20,\n", 499: "song,synth,1,-5,\n"}
    refused = send(client, CSV + "".join(wrong.get(number, line) for number, line in enumerate(lines)))
    body = problem(refused, 422, "invalid")
    assert [error["field"] for error in body["errors"]] == ["line 9", "line 252", "line 501"]
    reasons = [error["message"] for error in body["errors"]]
    assert reasons[0].startswith("takes ") and reasons[1] == "prompt field required" and "duration" in reasons[2]
    assert body["detail"].startswith("3 lines are wrong, so nothing was queued") and Job.select().count() == 0
    assert send(client, CSV + "".join(lines)).json["created"] == 500
    assert [job.prompt for job in listed()] == [f"song {number}" for number in range(500)]
    assert Event.select().count() == 500


def test_a_batch_is_one_transaction_with_few_statements(
    client: FlaskClient, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commits, kind = [], type(database.obj)
    commit = kind.commit
    monkeypatch.setattr(kind, "commit", lambda self: (commits.append(len(statements)), commit(self))[1])
    send(client, CSV + "".join(map(song, range(100))))
    inserts = sum(sql.startswith("INSERT") for sql in statements)
    assert inserts == 100 and len(commits) == 1
    assert len(statements) <= 3 * inserts + 10  # on PostgreSQL, each job has a savepoint


def test_a_batch_with_ids_can_be_sent_again(client: FlaskClient) -> None:
    body = b'{"prompt": "a", "job_id": "one"}\n{"prompt": "b", "job_id": "two"}\n'
    first, again = (send(client, body, "application/x-ndjson") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert (
        first.json["items"] == again.json["items"] == [{"job_id": "one", "notes": []}, {"job_id": "two", "notes": []}]
    )
    more = send(client, body + b'{"prompt": "c", "job_id": "three"}', "application/x-ndjson")
    assert (more.status_code, more.json["created"], Job.select().count()) == (201, 1, 3)
    alone = client.post("/api/jobs", json={"prompt": "a", "job_id": "one"})
    assert alone.status_code == 200


def test_a_taken_id_is_named_with_its_line(client: FlaskClient, job: Job) -> None:
    body = problem(send(client, "prompt,job_id\na,one\nb,job-1\n"), 422, "invalid")
    assert [error["field"] for error in body["errors"]] == ["line 3"] and "job-1" in body["errors"][0]["message"]
    jobs = {"jobs": [{"prompt": "b", "job_id": "job-1"}]}
    assert problem(client.post("/api/jobs/batch", json=jobs), 422, "invalid")["errors"][0]["field"] == "job 1"
    assert Job.select().count() == 1


@on_sqlite
def test_the_wrong_jobs_of_a_json_object_are_all_named(client: FlaskClient) -> None:
    jobs = [{"prompt": "a"}, {"prompt": " "}, [], {"prompt": "b", "speed": 1}, {"prompt": "c", "job_id": "x" * 65}]
    body = problem(client.post("/api/jobs/batch", json={"jobs": jobs}), 422, "invalid")
    assert [error["field"] for error in body["errors"]] == ["job 2", "job 3", "job 4", "job 5"]
    assert body["detail"].startswith("4 jobs are wrong")


@on_sqlite
@pytest.mark.parametrize(
    ("body", "media_type", "status", "words"),
    [
        (b"{", "application/json", 400, "not JSON"),
        (b"[]", "application/json", 422, "object"),
        (b'{"jobs": []}', "application/json", 422, "jobs must have 1 or more items"),
        (b'{"jobs": {}}', "application/json", 422, "jobs input should be a valid array"),
        (b"", "text/csv", 422, "One line is wrong"),
        (b"\n\n", "text/plain", 422, "One line is wrong"),
        (b"r\xe4in", "text/plain", 422, "One line is wrong"),
        (b"rain", "text/html", 415, "application/json, application/x-ndjson"),
        (b"rain", "", 415, "application/json, application/x-ndjson"),
    ],
)
def test_what_is_no_batch_is_refused(
    client: FlaskClient, body: bytes, media_type: str, status: int, words: str
) -> None:
    code = "unsupported_media_type" if status == 415 else "invalid"
    assert words in problem(send(client, body, media_type), status, code)["detail"]


@on_sqlite
@pytest.mark.parametrize(
    "query", ["?takes=33", "?takes=x", "?job_type=a%20b", "?prompt=x", "?metadata=x", "?metadata.=x"]
)
def test_a_wrong_query_is_refused(client: FlaskClient, query: str) -> None:
    problem(send(client, "rain", "text/plain", query), 400, "invalid")


@on_sqlite
def test_notes_are_with_their_jobs(client: FlaskClient) -> None:
    jobs = [{"prompt": "a", "job_type": "synth", "metadata": {"lyrics": "la"}}, {"prompt": "b", "job_type": "synth"}]
    first, second = client.post("/api/jobs/batch", json={"jobs": jobs}).json["items"]
    assert "lyrics" in first["notes"][0] and second["notes"] == []


@on_sqlite
def test_a_batch_may_have_a_larger_body(app: Flask, settings: Settings, client: FlaskClient) -> None:
    lines = [json.dumps({"prompt": "rain", "metadata": {"lyrics": "la " * 5000}}) for _ in range(100)]
    assert BODY_BYTES < len("\n".join(lines)) < BATCH_BYTES
    assert send(client, "\n".join(lines), "application/x-ndjson").json["created"] == 100
    problem(send(client, b" " * (BATCH_BYTES + 1), "text/plain"), 413, "too_large")
    head = {"HTTP_HOST": "localhost", "REQUEST_METHOD": "POST", "PATH_INFO": "/api/jobs/batch"}
    assert limits.body_limit(app, settings, app.extensions["ledger"].access)(head) == BATCH_BYTES
