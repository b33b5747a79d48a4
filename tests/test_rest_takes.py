"""Seeds, takes and provenance over REST, and how an external worker records the takes of a job."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from models import LARGEST_SEED, Event, Job, Track
from repos import JobRepository

jobs = JobRepository()
MADE = {"seed": 8, "take": 2, "provenance": {"generator": "my-model", "parameters": {"steps": 60}}}


def test_a_job_can_ask_for_a_seed_and_takes(client: FlaskClient) -> None:
    body = {"job_id": "x", "prompt": "rain", "seed": LARGEST_SEED, "takes": 4.0}
    made = client.post("/api/jobs", json=body)
    assert (made.status_code, made.json["seed"], made.json["takes"]) == (201, LARGEST_SEED, 4)
    again = client.post("/api/jobs", json=body)
    assert (again.status_code, again.json) == (200, made.json)
    other = client.post("/api/jobs", json={**body, "takes": 5})
    assert (other.status_code, other.json["code"]) == (409, "conflict")


def test_a_job_without_a_seed_gets_one_from_its_claim(client: FlaskClient) -> None:
    body = {"job_id": "x", "prompt": "rain"}
    made = client.post("/api/jobs", json=body)
    assert (made.json["seed"], made.json["takes"]) == (None, 1)
    seed = client.post("/api/jobs/claim", json={"worker": "w"}).json["seed"]
    again = client.post("/api/jobs", json=body)
    assert (again.status_code, again.json["seed"]) == (200, seed) and 0 <= seed <= LARGEST_SEED


def test_the_seed_and_takes_of_a_leased_job_stay(client: FlaskClient, job: Job) -> None:
    changed = client.patch("/api/jobs/job-1", json={"seed": 7, "takes": 2})
    assert (changed.status_code, changed.json["seed"], changed.json["takes"]) == (200, 7, 2)
    claimed = client.post("/api/jobs/claim", json={"worker": "w"}).json
    for headers in ({}, {"Lease-Token": claimed["lease_token"]}):
        refused = client.patch("/api/jobs/job-1", json={"seed": None}, headers=headers)
        assert (refused.status_code, refused.json["code"]) == (409, "wrong_status")
        assert "job-1 is loading_model: seed can only be changed while it is pending" in refused.json["detail"]
    assert client.get("/api/jobs/job-1").json["seed"] == 7


def test_a_new_seed_for_a_job_that_has_failed_is_used_by_the_next_attempt(client: FlaskClient, job: Job) -> None:
    client.patch("/api/jobs/job-1", json={"status": "failed"})
    client.patch("/api/jobs/job-1", json={"seed": 99})
    client.post("/api/jobs/job-1/retry")
    assert client.post("/api/jobs/claim", json={"worker": "w"}).json["seed"] == 99


def test_an_external_worker_records_the_takes_of_a_job(client: FlaskClient, job: Job) -> None:
    body = {"track_id": "take-2", "duration": 9.5, **MADE}
    made = client.post("/api/jobs/job-1/tracks", json=body)
    assert made.status_code == 201 and {name: made.json[name] for name in MADE} == MADE
    assert client.post("/api/jobs/job-1/tracks", json=body).json == made.json
    assert client.get("/api/jobs/job-1?expand=tracks").json["tracks"] == [made.json]
    assert client.get("/api/tracks?job_id=job-1").json["items"] == [made.json]


def test_a_track_of_nobodys_generator_has_no_seed_and_no_take(client: FlaskClient, job: Job) -> None:
    made = client.post("/api/tracks", json={"job_id": "job-1"}).json
    assert (made["seed"], made["take"], made["provenance"]) == (None, None, {})


def test_the_seed_take_and_provenance_of_a_track_can_be_changed(client: FlaskClient, track: Track) -> None:
    before, events = client.get("/api/tracks/track-1"), Event.select().count()
    changed = client.patch("/api/tracks/track-1", json=MADE)
    assert {name: changed.json[name] for name in MADE} == MADE and changed.json["metadata"] == {"artist": "Ada"}
    assert changed.headers["ETag"] != before.headers["ETag"] and Event.select().count() == events + 1
    cleared = client.patch("/api/tracks/track-1", json={"seed": None, "take": None, "provenance": {}})
    assert (cleared.json["seed"], cleared.json["take"], cleared.json["provenance"]) == (None, None, {})


@pytest.mark.parametrize("value", [-1, LARGEST_SEED + 1, 1.5, "7", True, [7]], ids=repr)
@pytest.mark.parametrize("path", ["/api/jobs/job-1", "/api/tracks/track-1"])
def test_a_wrong_seed_is_refused_by_its_name(client: FlaskClient, track: Track, path: str, value: Any) -> None:
    refused = client.patch(path, json={"seed": value})
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "seed")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *[("/api/jobs/job-1", {"takes": value}) for value in (0, 33, 1.5, "2", True, None)],
        *[("/api/tracks/track-1", {"take": value}) for value in (0, 33, 1.5, "2", True)],
        *[("/api/tracks/track-1", {"provenance": value}) for value in (None, [], "{}", 3)],
    ],
    ids=str,
)
def test_other_wrong_values_are_refused_by_their_name(
    client: FlaskClient, track: Track, path: str, body: dict[str, Any]
) -> None:
    refused = client.patch(path, json=body)
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, next(iter(body)))
