"""Errors of the service itself: the answer names the kind, and shows nothing of the inside."""

import peewee
import pytest
from flask import Flask
from flask.testing import FlaskClient
from playhouse.pool import MaxConnectionsExceeded

from database import release
from settings import Settings
from tests.answers import problem
from tests.conftest import on_sqlite


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (peewee.OperationalError("database or disk is full"), 507, "storage_full"),
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
