"""Clients that hang up before their answer arrives: what was leased for them goes to another."""

import json
import socket
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from models import Job
from repos import JobRepository
from tests.conftest import Server, wait_for


def send_and_hang_up(port: int, path: str) -> None:
    """Send a claim that waits for 20 seconds, and close the connection before it is answered."""
    body = json.dumps({"worker": "gone", "wait": 20}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_claim_whose_client_has_hung_up_leases_nothing(server: Callable[..., Server], database_url: str) -> None:
    service = server(DATABASE_URL=database_url).start()
    send_and_hang_up(service.port, "/api/jobs/claim")
    service.call("POST", "/api/jobs", {"job_id": "job-1", "prompt": "rain"})
    wait_for(lambda: service.call("GET", "/api/jobs/job-1")[1]["attempts"] == 0, 30)
    status, leased = service.call("POST", "/api/jobs/claim", {"worker": "alive", "wait": 10})
    assert (status, leased["job_id"], leased["attempts"]) == (200, "job-1", 1)


def test_an_answer_that_is_read_to_its_end_keeps_its_lease(client: FlaskClient, job: Job) -> None:
    leased = client.post("/api/jobs/claim", json={"worker": "w"}).json
    assert JobRepository().get_by_id("job-1").lease_token == leased["lease_token"]


@pytest.mark.parametrize("blocks", [0, 1])
def test_an_answer_that_is_not_read_to_its_end_gives_the_lease_back(blocks: int, client: FlaskClient, job: Job) -> None:
    answer = client.post("/api/jobs/claim", json={"worker": "w"}, buffered=False)
    for _ in range(blocks):
        next(iter(answer.response))
    answer.close()
    kept = JobRepository().get_by_id("job-1")
    assert (kept.status, kept.attempts, kept.lease_token) == ("pending", 0, None)
