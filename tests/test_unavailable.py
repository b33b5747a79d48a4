"""Errors of the service itself: the answer names the kind, and shows nothing of the inside."""

from typing import Any

import peewee
import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from playhouse.pool import MaxConnectionsExceeded

from database import database, release
from database.refusals import is_disk_full
from models import Job
from settings import Settings
from tests.answers import problem
from tests.conftest import on_postgresql, on_sqlite


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (peewee.OperationalError("cannot find the host full.lan"), 503, "unavailable"),
        (peewee.OperationalError("database is locked"), 503, "unavailable"),
        (peewee.InterfaceError("connection closed"), 503, "unavailable"),
        (MaxConnectionsExceeded("too many"), 503, "unavailable"),
        (RuntimeError("a bug, with a /secret/path"), 500, "internal"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_of_ours_is_answered_without_its_message(app: Flask, error: Exception, status: int, code: str) -> None:
    def fail() -> str:
        raise error

    app.add_url_rule("/trouble", view_func=fail)
    answer = app.test_client().get("/trouble")
    problem(answer, status, code)
    assert answer.headers.get("Retry-After", "").isdigit() == (status == 503)
    assert "secret" not in answer.text


@on_sqlite
def test_a_database_that_is_broken_is_unavailable(client: FlaskClient, settings: Settings) -> None:
    release()
    for path in settings.sqlite_path.parent.glob("app.db*"):
        path.write_bytes(b"this is no database, not at all" * 200)
    problem(client.get("/api/jobs"), 503, "unavailable")
    assert client.get("/readyz").json["database"]["ok"] is False


@on_sqlite
def test_a_full_disk_of_the_database_is_answered_507_and_nothing_is_kept(client: FlaskClient, job: Job) -> None:
    database.execute_sql("PRAGMA max_page_count = 1")  # not below what it has
    bodies = [{"job_id": f"big-{number}", "prompt": "word " * 4000} for number in range(200)]
    answers = (client.post("/api/jobs", json=body) for body in bodies)
    refused = next(answer for answer in answers if answer.status_code != 201)
    problem(refused, 507, "storage_full")
    kept = client.get("/api/jobs?job_type=diffrhythm&count=true").json["total"]
    database.execute_sql("PRAGMA max_page_count = 1073741823")
    assert client.post("/api/jobs", json={"prompt": "small"}).status_code == 201
    assert client.get("/api/jobs?count=true").json["total"] == kept + 1


@on_postgresql
def test_a_full_disk_of_postgresql_is_known_by_its_code(app: Flask) -> None:
    error: Any = peewee.OperationalError("could not extend file")
    error.orig = psycopg.errors.DiskFull("could not extend file")
    assert is_disk_full(error) and not is_disk_full(peewee.OperationalError("full"))


@on_postgresql
def test_a_server_that_has_become_read_only_is_unavailable(app: Flask) -> None:
    client = app.test_client()
    database.execute_sql("SET default_transaction_read_only = on")
    answer = client.post("/api/jobs", json={"prompt": "p"})
    problem(answer, 503, "unavailable")
    assert "read-only" in answer.json["detail"]
