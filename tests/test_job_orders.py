"""Jobs are checked against the recipe of their generator, wherever they come from; notes say what will be changed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from app import create_app
from errors import Invalid, SettingsError
from models import Job, Track
from repos import JobRepository
from settings import Settings
from tests.answers import problem
from tests.conftest import on_sqlite, thorough
from tests.contract import repeatable
from tests.models_of_music import TABLES, with_recipes
from tests.test_any_input import JSON, TEXT
from web import orders

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"duration": "long"}, "metadata.duration"),
    ({"duration": 0}, "metadata.duration"),
    ({"lyrics": ["la"]}, "metadata.lyrics"),
    ({"lyrics": "la" * 100_001}, "metadata.lyrics"),
    ({"parameters": 5}, "metadata.parameters"),
    ({"parameters": {"steps": 9}}, "metadata.parameters.steps"),
    ({"parameters": {"steps": "32"}}, "metadata.parameters.steps"),
    ({"parameters": {"voice": "shrill"}}, "metadata.parameters.voice"),
    ({"parameters": {"speed": 1}}, "metadata.parameters.speed"),
]
REFERENCE = {"reference_track": "none"}
PARAMETERS = st.dictionaries(
    st.sampled_from(["steps", "strength", "chunked", "voice", "negative", "tempo"]) | TEXT, JSON
)
METADATA = st.fixed_dictionaries(
    {}, optional={"duration": JSON, "lyrics": TEXT | JSON, "lyrics_file": JSON, "parameters": PARAMETERS | JSON}
)


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with recipes for opera and noise."""
    return with_recipes(settings, tmp_path)


@pytest.fixture
def other_app(settings: Settings) -> Iterator[Flask]:
    """An app that has no recipe for opera."""
    made = create_app(settings.model_copy(update={"generators": None}))
    yield made
    made.extensions["ledger"].close()


@pytest.fixture
def stricter(settings: Settings, tmp_path: Path) -> Iterator[FlaskClient]:
    """A client of an app whose recipe for opera has a smaller limit."""
    (tmp_path / "stricter.toml").write_text(TABLES.replace("max = 100", "max = 50"))
    made = create_app(settings.model_copy(update={"generators": tmp_path / "stricter.toml"}))
    yield made.test_client()
    made.extensions["ledger"].close()


def opera(**fields: Any) -> dict[str, Any]:
    """The body of a job for the generator with all kinds of parameters."""
    return {"job_type": "opera", "prompt": "a duet", **fields}


@pytest.mark.parametrize(("metadata", "field"), WRONG, ids=lambda value: str(value)[:40])
@on_sqlite
def test_what_a_generator_cannot_use_is_refused_by_its_field(
    client: FlaskClient, metadata: dict[str, Any], field: str
) -> None:
    refusal = problem(client.post("/api/jobs", json=opera(metadata=metadata)), 422, "invalid")
    assert [error["field"] for error in refusal["errors"]] == [field]
    assert JobRepository().count() == 0


def test_all_wrong_fields_are_named_at_once(client: FlaskClient) -> None:
    metadata = {"duration": "long", "parameters": {"steps": 9, "speed": 1}}
    refusal = problem(client.post("/api/jobs", json=opera(metadata=metadata)), 422, "invalid")
    fields = sorted(error["field"] for error in refusal["errors"])
    assert fields == ["metadata.duration", "metadata.parameters.speed", "metadata.parameters.steps"]
    assert "expected an integer from 10 to 100" in refusal["detail"]


@on_sqlite
def test_a_job_of_another_type_is_recorded_as_it_was_sent(client: FlaskClient, other_app: Flask) -> None:
    for metadata, _ in WRONG:
        made = other_app.test_client().post("/api/jobs", json=opera(metadata=metadata))
        assert (made.status_code, made.json["notes"], made.json["metadata"]) == (201, [], metadata)
    assert client.post("/api/jobs", json=opera(status="completed", metadata={"duration": "?"})).status_code == 201


def test_the_answer_to_a_post_says_what_will_be_changed(client: FlaskClient) -> None:
    body = opera(job_id="aria", metadata={"duration": 500, "lyrics": "[Wail]\nlove\n[00:10]death"})
    first, again = (client.post("/api/jobs", json=body) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json["notes"] == again.json["notes"]
    assert "so it makes 240 seconds" in first.json["notes"][0] and len(first.json["notes"]) >= 2
    assert "notes" not in client.get("/api/jobs/aria").json and first.json["metadata"] == body["metadata"]


def test_a_request_that_is_sent_again_gets_its_job_although_the_recipe_is_stricter(
    client: FlaskClient, stricter: FlaskClient
) -> None:
    body = opera(job_id="aria", metadata={"parameters": {"steps": 90}})
    client.post("/api/jobs", json=body)
    client.patch("/api/jobs/aria", json={"status": "completed"})
    again = stricter.post("/api/jobs", json=body)
    assert (again.status_code, again.json["status"], again.json["notes"]) == (200, "completed", [])
    for other in ({**body, "prompt": "a trio"}, {**body, "job_id": "other"}, opera(metadata=body["metadata"])):
        problem(stricter.post("/api/jobs", json=other), 422, "invalid")


@on_sqlite
@repeatable(thorough(400, 120))
@given(job_type=st.sampled_from(["opera", "noise", "synth"]), metadata=METADATA)
def test_any_metadata_is_recorded_or_refused_by_its_field(
    client: FlaskClient, job_type: str, metadata: dict[str, Any]
) -> None:
    answer = client.post("/api/jobs", json={"prompt": "p", "job_type": job_type, "metadata": metadata})
    if answer.status_code == 201:
        assert all(isinstance(note, str) and note for note in answer.json["notes"])
        assert client.get(f"/jobs/{answer.json['job_id']}").status_code == 200
    else:
        fields = [error["field"] for error in problem(answer, 422, "invalid")["errors"]]
        assert fields and all(field.startswith("metadata.") for field in fields)


@pytest.mark.parametrize("metadata", [{}, {"duration": 60, "parameters": {"steps": 10.0, "strength": 0}}])
@on_sqlite
def test_a_job_that_is_made_as_it_was_sent_has_no_notes(client: FlaskClient, metadata: dict[str, Any]) -> None:
    made = client.post("/api/jobs", json=opera(metadata=metadata), headers={"Prefer": "wait=0"})
    assert (made.status_code, made.json["notes"]) == (201, [])


@pytest.mark.parametrize("value", ["none", "x" * 5000, "", 5, True, ["track-1"], {"track_id": "track-1"}], ids=str)
def test_a_reference_track_must_exist(client: FlaskClient, track: Track, value: Any) -> None:
    body = {"job_id": "aria", "prompt": "p", "job_type": "echo", "metadata": {"reference_track": "track-1"}}
    wrong = {"metadata": {"reference_track": value}}
    assert client.post("/api/jobs", json=body).json["notes"] == []
    for refused in (client.post("/api/jobs", json={**body, **wrong}), client.patch("/api/jobs/aria", json=wrong)):
        refusal = problem(refused, 422, "invalid")
        assert [error["field"] for error in refusal["errors"]] == ["metadata.reference_track"]
        assert "expected the id of a track that exists" in refusal["detail"]


def test_a_reference_track_of_a_generator_that_takes_none_has_a_note(client: FlaskClient) -> None:
    made = client.post("/api/jobs", json=opera(metadata=REFERENCE))
    assert made.json["notes"] == ["opera takes no reference recording: metadata.reference_track is not used"]
    finished = client.post("/api/jobs", json={**opera(status="completed", metadata=REFERENCE), "job_type": "echo"})
    assert (made.status_code, finished.status_code) == (201, 201)


def test_a_change_of_a_pending_job_is_checked(client: FlaskClient) -> None:
    client.post("/api/jobs", json=opera(job_id="aria", metadata={"parameters": {"steps": 50}}))
    for change in ({"metadata": {"duration": "long"}}, {"job_type": "synth"}):
        problem(client.patch("/api/jobs/aria", json=change), 422, "invalid")
    assert client.patch("/api/jobs/aria", json={"job_type": "synth", "metadata": {}}).status_code == 200
    assert (
        client.patch("/api/jobs/aria", json={"status": "completed", "metadata": {"duration": "?"}}).status_code == 200
    )
    assert client.patch("/api/jobs/aria", json={"metadata": {"duration": "long"}}).status_code == 200
    assert client.patch("/api/jobs/none", json={"metadata": {"duration": "long"}}).status_code == 404


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_change_of_a_job_that_can_be_retried_is_checked(client: FlaskClient, status: str) -> None:
    client.post("/api/jobs", json=opera(job_id="aria", status=status))
    refusal = problem(client.patch("/api/jobs/aria", json={"metadata": {"duration": "long"}}), 422, "invalid")
    assert [error["field"] for error in refusal["errors"]] == ["metadata.duration"]
    assert client.patch("/api/jobs/aria", json={"metadata": {"duration": 60}}).status_code == 200
    assert client.post("/api/jobs/aria/retry").json["metadata"] == {"duration": 60}


def test_a_stale_change_is_refused_as_stale_whatever_it_asks_for(client: FlaskClient) -> None:
    stale = {"If-Match": client.post("/api/jobs", json=opera(job_id="aria")).headers["ETag"]}
    fresh = {"If-Match": client.patch("/api/jobs/aria", json={"priority": 1}).headers["ETag"]}
    wrong = {"metadata": {"duration": "long"}}
    problem(client.patch("/api/jobs/aria", json=wrong, headers=stale), 412, "stale")
    problem(client.patch("/api/jobs/aria", json=wrong, headers=fresh), 422, "invalid")


@on_sqlite
def test_a_change_of_the_work_alone_reads_nothing_more(client: FlaskClient, job: Job, statements: list[str]) -> None:
    client.patch("/api/jobs/job-1", json={"progress": 5, "status": "loading_model"})
    assert not [sql for sql in statements if sql.startswith("SELECT") and "job" in sql]


def test_a_script_can_ask_for_the_notes_of_a_job(settings: Settings) -> None:
    assert orders.check(settings, {"prompt": "p", "job_type": "noise", "metadata": {"duration": 5}}) == [
        "metadata.duration is 5 seconds: the generator itself chooses the length"
    ]
    with pytest.raises(Invalid, match="the job has no prompt"):
        orders.check(settings, {"job_type": "synth"})


def run(settings: Settings, *words: str) -> Result:
    """The result of `flask jobs add` with these words."""
    app = create_app(settings)
    result = app.test_cli_runner().invoke(args=["jobs", "add", *words])
    app.extensions["ledger"].close()
    return result


def test_the_command_prints_notes_and_refuses_what_cannot_be_made(settings: Settings) -> None:
    added = run(settings, "a duet", "--type", "opera", "--metadata", "duration=5")
    assert added.exit_code == 0 and "so it makes 10 seconds" in added.stderr
    assert added.stdout.strip() == JobRepository().get_all()[0].job_id
    wrong = ["--metadata", "duration=long", "--metadata", "parameters.steps=many"]
    refused = run(settings, "a duet", "--type", "opera", *wrong)
    assert refused.exit_code == 1 and "--metadata duration" in str(refused.exception)
    assert JobRepository().count() == 1


@on_sqlite
def test_the_lines_of_a_file_are_checked_and_have_notes(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "duets.csv"
    file.write_text("prompt,job_type,metadata.duration\nlove,opera,500\ndeath,opera,long\nrain,other,long\n")
    refused = run(settings, "--from", str(file))
    assert refused.exit_code == 1 and "duets.csv line 3: metadata.duration" in refused.stderr
    file.write_text(file.read_text().replace("opera,long", "opera,60"))
    added = run(settings, "--from", str(file))
    assert "duets.csv line 2: metadata.duration" in added.stderr and "line 3" not in added.stderr
    assert JobRepository().count() == 3


def test_texts_of_commands_and_files_become_parameters(settings: Settings, tmp_path: Path) -> None:
    words = [f"--metadata=parameters.{pair}" for pair in ("steps=50", "strength=0.5", "chunked=false", "negative=7")]
    assert run(settings, "a duet", "--type", "opera", *words).exit_code == 0
    file = tmp_path / "duets.csv"
    file.write_text("prompt,job_type,metadata.parameters.steps\nlove,opera,50\nrain,other,50\n")
    assert run(settings, "--from", str(file)).exit_code == 0
    parameters = [job.metadata["parameters"] for job in Job.select().order_by(Job.created_at)]
    assert parameters[0] == {"steps": 50, "strength": 0.5, "chunked": False, "negative": "7"}
    assert parameters[1:] == [{"steps": 50}, {"steps": "50"}]


@on_sqlite
def test_a_wrong_recipe_stops_the_start(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('[wrong]\ncommand = ["x", "{speed}"]')
    with pytest.raises(SettingsError, match=r"\[wrong\] command: {speed} is no placeholder"):
        create_app(settings.model_copy(update={"generators": tmp_path / "other.toml"}))
