"""Leases over REST: claim, heartbeat, release, cancel and retry."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient

from models import Event, Job, Loop
from repos import JobRepository, LoopRepository
from tests.conftest import Server, wait_for
from tests.service import lines_with

jobs, loops = JobRepository(), LoopRepository()
LOOK = "SELECT job_id FROM job INDEXED BY job_claim"  # the query of a claim, in the log of SQL_ECHO


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


def test_a_waiting_claim_gets_the_job_that_comes_later(server: Callable[..., Server]) -> None:
    running = server(SQL_ECHO="true").start()
    with ThreadPoolExecutor(1) as pool:
        for number in range(5):
            waiting = claim_and_wait(pool, running)
            assert not waiting.done()  # nothing to do yet, and no answer
            running.call("POST", "/api/jobs", {"prompt": "p", "job_id": f"late-{number}"})
            status, job = waiting.result(30)
            assert (status, job["job_id"]) == (200, f"late-{number}")
    assert running.call("POST", "/api/jobs/claim", {"worker": "w", "wait": 0.2}) == (204, b"")


def test_a_waiting_claim_is_answered_before_the_service_stops(server: Callable[..., Server]) -> None:
    running = server(SQL_ECHO="true").start()
    with ThreadPoolExecutor(1) as pool:
        waiting = claim_and_wait(pool, running)
        assert running.process is not None
        running.process.terminate()
        assert waiting.result(20) == (204, b"")
    assert running.process.wait(20) == 0


def claim_and_wait(pool: ThreadPoolExecutor, running: Server) -> Future[tuple[int, Any]]:
    """A claim that may wait for 30 seconds, as soon as the service has looked for a job for it."""
    looks = len(lines_with(running, LOOK))
    waiting = pool.submit(running.call, "POST", "/api/jobs/claim", {"worker": "w", "wait": 30})
    wait_for(lambda: len(lines_with(running, LOOK)) > looks, 20)
    return waiting
