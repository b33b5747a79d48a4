"""Leases over REST: claim, heartbeat, release, cancel and retry."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from models import Event, Job, Loop
from repos import JobRepository, LoopRepository
from tests.conftest import Server

jobs, loops = JobRepository(), LoopRepository()


def test_a_claim_over_rest_gives_the_token_to_the_claimer_alone(client: FlaskClient, job: Job) -> None:
    claimed = client.post("/api/jobs/claim", json={"worker": "w", "lease_seconds": 20})
    token = claimed.json["lease_token"]
    assert (claimed.status_code, claimed.json["worker"], claimed.json["attempts"]) == (200, "w", 1)
    assert token not in client.get("/api/jobs/job-1").text + client.get("/api/jobs").text
    assert client.post("/api/jobs/claim", json={"worker": "v"}).status_code == 204
    refused = client.patch("/api/jobs/job-1", json={"progress": 3})
    assert (refused.status_code, refused.json["code"]) == (409, "lease_lost")
    held = {"Lease-Token": token}
    assert client.patch("/api/jobs/job-1", json={"progress": 3}, headers=held).json["progress"] == 3
    assert client.post("/api/jobs/job-1/heartbeat", headers=held).json["cancel_requested"] is False
    assert client.post("/api/jobs/job-1/release", headers=held).json["status"] == "pending"
    assert client.post("/api/jobs/job-1/heartbeat", headers=held).json["code"] == "lease_lost"


def test_loops_have_the_same_verbs_over_rest(client: FlaskClient, loop: Loop) -> None:
    token = client.post("/api/loops/claim", json={"worker": "w"}).json["lease_token"]
    held = {"Lease-Token": token}
    assert client.post("/api/loops/loop-1/heartbeat", headers=held).status_code == 200
    assert client.post("/api/loops/loop-1/cancel").json["cancel_requested"] is True
    assert client.post("/api/loops/loop-1/release", headers=held).json["status"] == "CANCELLED"
    assert client.post("/api/loops/loop-1/retry").json["status"] == "PENDING"
    assert client.post("/api/loops/nobody/retry").status_code == 404


def test_cancel_and_retry_over_rest_are_idempotent(client: FlaskClient, job: Job) -> None:
    for verb, status in (("cancel", "cancelled"), ("cancel", "cancelled"), ("retry", "pending"), ("retry", "pending")):
        answer = client.post(f"/api/jobs/job-1/{verb}")
        assert (answer.status_code, answer.json["status"]) == (200, status)
    assert [event.change for event in Event.select()] == ["created", "updated", "updated"]


def test_a_claim_by_type_over_rest(client: FlaskClient, job: Job) -> None:
    assert client.post("/api/jobs/claim", json={"worker": "w", "job_types": ["synth"]}).status_code == 204
    assert client.post("/api/jobs/claim", json={"worker": "w", "job_types": ["synth", "diffrhythm"]}).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "worker"),
        ({"worker": " "}, "worker"),
        ({"worker": "w", "lease_seconds": 0}, "lease_seconds"),
        ({"worker": "w", "wait": 31}, "wait"),
        ({"worker": "w", "job_types": []}, "job_types"),
        ({"worker": "w", "job_types": "synth"}, "job_types"),
    ],
    ids=str,
)
def test_a_bad_claim_names_the_field(client: FlaskClient, job: Job, body: Any, field: str) -> None:
    answer = client.post("/api/jobs/claim", json=body)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)
    assert jobs.get_by_id("job-1").status == "pending"


def test_a_heartbeat_without_its_token_says_so(client: FlaskClient, job: Job) -> None:
    answer = client.post("/api/jobs/job-1/heartbeat")
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (400, "Lease-Token")
    assert client.post("/api/jobs/nobody/heartbeat", headers={"Lease-Token": "x"}).status_code == 404


def test_a_waiting_claim_is_answered_within_200_ms(server: Callable[..., Server]) -> None:
    running = server().start()
    found: list[Any] = []
    took: list[float] = []

    def wait() -> None:
        found.append((running.call("POST", "/api/jobs/claim", {"worker": "w", "wait": 20}), time.monotonic()))

    for number in range(5):
        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()  # nothing to do yet, and no answer
        running.call("POST", "/api/jobs", {"prompt": "p", "job_id": f"late-{number}"})
        came = time.monotonic()
        waiting.join(30)
        (status, job), answered = found[-1]
        assert (status, job["job_id"]) == (200, f"late-{number}")
        took.append(answered - came)
    assert sorted(took)[3] < 0.2, took  # one of five may meet a busy machine
    assert running.call("POST", "/api/jobs/claim", {"worker": "w", "wait": 0.2}) == (204, b"")


def test_a_waiting_claim_does_not_hold_up_a_shutdown(server: Callable[..., Server]) -> None:
    running = server().start()
    waiting = threading.Thread(
        target=lambda: running.call("POST", "/api/jobs/claim", {"worker": "w", "wait": 30}), daemon=True
    )
    waiting.start()
    waiting.join(0.3)
    assert running.process is not None
    began = time.monotonic()
    running.process.terminate()
    assert running.process.wait(10) == 0 and time.monotonic() - began < 4
    waiting.join(5)
    assert not waiting.is_alive()
