"""GET /readyz: names each part that is not ready, and says what to do."""

import shutil
from collections import namedtuple
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from database import database
from web.api import health

Usage = namedtuple("Usage", "total used free")


class Thread:
    """Stands in for a background thread."""

    def __init__(self, name: str, late: bool) -> None:
        self.name, self.late = name, late

    def is_late(self) -> bool:
        return self.late


def detail_when_unavailable(client: FlaskClient, part: str) -> str:
    """The sentence of /readyz, when this part alone is not ready."""
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (503, "unavailable")
    parts = [name for name, check in answer.json.items() if isinstance(check, dict) and not check["ok"]]
    assert [name for name in parts if name != "generators"] == [part]
    return str(answer.json["detail"])


def test_every_part_is_ready(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["detail"]) == (200, "every part can do its work")


def test_a_schema_of_another_version_is_named(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "schema_state", lambda: (["0002_next"], []))
    assert detail_when_unavailable(client, "schema").startswith("schema: the schema is not the one of this version:")


def test_a_missing_storage_folder_is_named(client: FlaskClient, app: Flask) -> None:
    shutil.rmtree(app.extensions["ledger"].settings.storage_dir)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "storage: The storage folder was removed or replaced" in answer.json["detail"]
    assert "disk: the free space cannot be read (No such file" in answer.json["detail"]


def test_a_disk_that_is_nearly_full_is_named(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health.shutil, "disk_usage", lambda folder: Usage(10**12, 10**12 - 10**7, 10**7))
    assert detail_when_unavailable(client, "disk") == (
        "disk: the disk is nearly full, 10 MB are free: delete jobs or other files"
    )


def test_a_database_that_does_not_answer_is_named(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise health.peewee.OperationalError("gone")

    monkeypatch.setitem(vars(database), "execute_sql", fail)
    answer = client.get("/readyz")
    assert answer.status_code == 503 and answer.json["detail"].startswith(
        "database: the database does not answer: check that it runs"
    )


@pytest.mark.parametrize("name", ["housekeeping", "webhooks", "backups"])
def test_a_background_thread_that_is_late_is_named(name: str, client: FlaskClient, app: Flask) -> None:
    threads = app.extensions["ledger"].background
    threads.append(Thread(name, late=False))
    assert client.get("/readyz").json[name] == {"ok": True, "detail": "runs"}
    threads.append(Thread(name, late=True))
    assert detail_when_unavailable(client, name).startswith(f"{name}: has not run for three periods: read the log")


def test_several_parts_are_named_in_one_sentence(client: FlaskClient, app: Flask) -> None:
    app.extensions["ledger"].background.extend([Thread("housekeeping", late=True), Thread("webhooks", late=True)])
    answer = client.get("/readyz")
    assert answer.status_code == 503 and answer.json["detail"].count("has not run for three periods") == 2
