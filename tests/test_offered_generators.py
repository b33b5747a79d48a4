"""GET /api/generators: what can be made, and by which workers. /readyz and the pages say the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import create_app
from generators.catalogue import catalogue
from generators.description import describe
from models import utc_now
from records import workers
from repos import JobRepository
from settings import Settings
from web import schemas

RECIPES = """
[opera]
command = ["no-such-program", "{prompt}", "{duration}"]
seconds = { min = 5, max = 9.5, kind = "ceiling", whole = false }
lyrics = "tags"
gpu = "0"
licence = "non-commercial"
parameters.steps = { type = "int", min = 10, max = 100, default = 32, help = "more is slower" }
parameters.mood = { type = "choice", choices = ["calm", "wild"], default = "calm" }
"""
UNREADABLE: list[dict[str, Any]] = [
    {"x": {}}, {"x": 5}, {"x": None}, {"x": []}, {"x": {"can_start": "?"}},
    {"x": {"can_start": False, "problems": "?"}}, {"x": {"can_start": False, "problems": [5]}},
]  # fmt: skip


@pytest.fixture
def client(ledger: Settings, tmp_path: Path) -> Iterator[FlaskClient]:
    """A client of an app that has a recipe whose program is missing."""
    (tmp_path / "generators.toml").write_text(RECIPES)
    app = create_app(ledger.model_copy(update={"generators": tmp_path / "generators.toml"}))
    yield app.test_client()
    app.extensions["ledger"].close()


def announce(name: str, **generators: Any) -> None:
    """Write the row of a worker that runs."""
    workers.announce(name, "box", utc_now(), generators)


def items(client: FlaskClient) -> dict[str, Any]:
    """The items by job_type; each is as the document says."""
    body = client.get("/api/generators").get_json()
    schemas.Generators.model_validate(body)
    return {item["job_type"]: item for item in body["items"]}


def test_a_generator_is_listed_with_what_a_job_may_ask_for(client: FlaskClient) -> None:
    opera = items(client)["opera"]
    assert opera["seconds"] == {"min": 5, "max": 9.5, "usual": 5, "kind": "ceiling"}
    assert (opera["lyrics"], opera["gpu"], opera["licence"], opera["is_seeded"]) == (
        "tags",
        "0",
        "non-commercial",
        False,
    )
    assert opera["parameters"]["steps"]["max"] == 100 and opera["parameters"]["mood"]["choices"] == ["calm", "wild"]
    assert not opera["can_start"] and "no-such-program on PATH" in opera["problems"][0] and opera["workers"] == []


def test_a_worker_elsewhere_can_start_what_this_machine_cannot(client: FlaskClient, ledger: Settings) -> None:
    synth = describe(catalogue(ledger)["synth"])
    announce("far:1", opera=synth, ballad=synth)
    assert items(client)["opera"]["can_start"] and items(client)["opera"]["problems"] == []
    assert items(client)["opera"]["parameters"].keys() == {"steps", "mood"}
    assert items(client)["ballad"]["workers"] == ["far:1"] and items(client)["synth"]["workers"] == []


def test_readyz_names_the_generators_of_all_workers(client: FlaskClient) -> None:
    check = client.get("/readyz").get_json()["generators"]
    assert check["detail"].startswith("opera, synth; cannot start: opera; GET /api/generators") and not check["ok"]
    announce("far:1", opera={"can_start": True}, ballad={"can_start": True})
    assert client.get("/readyz").get_json()["generators"] == {"ok": True, "detail": "ballad, opera, synth"}


def test_the_page_of_a_job_says_why_no_worker_can_start_its_generator(client: FlaskClient) -> None:
    JobRepository().create(job_id="j", prompt="p", job_type="opera")
    assert "This job waits" not in client.get("/jobs/j").text
    announce("far:1", opera={"can_start": False, "problems": ["there is no program x"]})
    assert "cannot start: far:1: there is no program x" in client.get("/jobs/j").text
    announce("near:2", opera={"can_start": True})
    assert "This job waits" not in client.get("/jobs/j").text


@pytest.mark.parametrize("generators", UNREADABLE, ids=str)
def test_what_a_worker_of_another_version_announces_breaks_nothing(
    client: FlaskClient, generators: dict[str, Any]
) -> None:
    JobRepository().create(job_id="j", prompt="p", job_type="x")
    announce("old:1", **generators)
    announce("new:2", ballad=describe(catalogue(Settings())["synth"]))
    assert items(client).keys() == {"ballad", "opera", "synth"}
    assert [client.get(path).status_code for path in ("/readyz", "/", "/jobs/j", "/new")] == [200] * 4
    assert "no worker here has a generator for x" in client.get("/jobs/j").text


def test_a_worker_of_another_version_may_describe_more_or_less(client: FlaskClient) -> None:
    more = {**describe(catalogue(Settings())["synth"]), "speed": "fast"}
    announce("new:1", ballad=more, opera={"can_start": False}, waltz={"can_start": True})
    assert items(client).keys() == {"ballad", "opera", "synth"} and items(client)["ballad"]["can_start"]
    JobRepository().create(job_id="j", prompt="p", job_type="waltz")
    assert "This job waits" not in client.get("/jobs/j").text


def test_a_list_of_jobs_reads_the_workers_once(client: FlaskClient, statements: list[str]) -> None:
    for number in range(3):
        JobRepository().create(job_id=f"j-{number}", prompt="p", job_type="ballad")
    statements.clear()
    assert client.get("/").text.count("no worker here has a generator for ballad") == 3
    assert sum('FROM "worker"' in statement for statement in statements) == 1
