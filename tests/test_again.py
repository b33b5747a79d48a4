"""A track is made again: with its seed and parameters by default, or with others."""

import wave
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from models import Job, Track
from records.again import again_job
from repos import JobRepository, TrackRepository
from settings import Settings
from studio.worker import JobWorker
from tests.answers import problem
from tests.conftest import on_sqlite
from tests.models_of_music import with_recipes

jobs, tracks = JobRepository(), TrackRepository()
MADE_WITH = {"steps": 50, "strength": None, "chunked": False, "voice": "high", "negative": None}
METADATA = {"genre": "Opera", "duration": 90, "parameters": {"steps": 20}}


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with recipes for opera and noise."""
    return with_recipes(settings, tmp_path)


@pytest.fixture
def take(client: FlaskClient) -> Track:
    """The third take of a job."""
    job = jobs.create(job_id="aria", job_type="opera", prompt="a duet", metadata=METADATA, seed=5, takes=4, priority=3)
    provenance = {"generator": "opera", "parameters": MADE_WITH}
    return tracks.create(track_id="take-3", job_id=job.job_id, seed=7, take=3, provenance=provenance)


def test_a_track_is_made_again_with_its_seed_and_its_parameters(client: FlaskClient, take: Track) -> None:
    answer = client.post("/api/tracks/take-3/again")
    assert answer.status_code == 201 and answer.json["notes"] == []
    made = client.get(answer.headers["Location"]).json
    assert (made["job_type"], made["prompt"], made["seed"], made["takes"]) == ("opera", "a duet", 7, 1)
    parameters = {"steps": 50, "chunked": False, "voice": "high"}
    assert made["metadata"] == {"genre": "Opera", "duration": 90, "parameters": parameters}
    assert (made["status"], made["priority"]) == ("pending", 0)


def test_what_is_sent_differs(client: FlaskClient, take: Track) -> None:
    changes = {"seed": None, "takes": 3, "prompt": "a trio", "parameters": {"steps": 60, "voice": None}}
    made = client.post("/api/tracks/take-3/again", json=changes).json
    assert (made["prompt"], made["seed"], made["takes"]) == ("a trio", None, 3)
    assert made["metadata"]["parameters"] == {"steps": 60, "chunked": False}
    assert jobs.get_by_id("aria").metadata == METADATA


def test_the_same_request_with_an_id_makes_one_job(client: FlaskClient, take: Track) -> None:
    first, again = (client.post("/api/tracks/take-3/again", json={"job_id": "encore"}) for _ in range(2))
    assert (first.status_code, again.status_code, jobs.count()) == (201, 200, 2)
    other = client.post("/api/tracks/take-3/again", json={"job_id": "encore", "seed": 8})
    assert problem(other, 409, "conflict") and jobs.count() == 2


@on_sqlite
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"seed": -1}, "seed"),
        ({"takes": 33}, "takes"),
        ({"metadata": {}}, "metadata"),
        ({"prompt": " "}, "prompt"),
        ({"parameters": None}, "parameters"),
        ({"parameters": {"steps": 1}}, "metadata.parameters.steps"),
        ({"parameters": {"speed": 1}}, "metadata.parameters.speed"),
    ],
)
def test_what_cannot_be_made_is_refused_by_its_field(
    client: FlaskClient, take: Track, body: dict[str, Any], field: str
) -> None:
    refusal = problem(client.post("/api/tracks/take-3/again", json=body), 422, "invalid")
    assert [error["field"] for error in refusal["errors"]] == [field] and jobs.count() == 1


@on_sqlite
def test_a_track_that_does_not_exist_is_not_found(client: FlaskClient, take: Track) -> None:
    problem(client.post("/api/tracks/none/again"), 404, "not_found")
    problem(
        client.post("/api/tracks/take-3/again", data=b"{}", content_type="text/plain"), 415, "unsupported_media_type"
    )


@on_sqlite
@pytest.mark.parametrize("provenance", [{}, {"parameters": "many"}, {"parameters": None}])
def test_a_track_without_parameters_has_those_of_its_job(
    client: FlaskClient, take: Track, provenance: dict[str, Any]
) -> None:
    tracks.update("take-3", provenance=provenance, seed=None)
    made = client.post("/api/tracks/take-3/again", json={}).json
    assert made["seed"] is None and made["metadata"] == METADATA


@on_sqlite
def test_a_job_is_made_again_with_its_seed_or_with_a_new_one(client: FlaskClient, take: Track) -> None:
    job: Job = jobs.get_by_id("aria")
    assert again_job(job, same_seed=True) == {
        "job_type": "opera", "prompt": "a duet", "metadata": METADATA, "seed": 5, "takes": 4
    }  # fmt: skip
    assert again_job(job, same_seed=False)["seed"] is None


@on_sqlite
def test_again_makes_the_same_sound(client: FlaskClient, settings: Settings) -> None:
    body = {"job_type": "synth", "prompt": "upbeat pop", "takes": 2, "metadata": {"duration": 3}}
    job_id = client.post("/api/jobs", json=body).json["job_id"]
    assert JobWorker(settings).tick(0)
    second = tracks.get_by_job_id(job_id)[1]
    client.patch(f"/api/jobs/{job_id}", json={"prompt": "death metal", "metadata": {"duration": 9}})
    again = client.post(f"/api/tracks/{second.track_id}/again").json["job_id"]
    assert JobWorker(settings).tick(0)
    [same] = tracks.get_by_job_id(again)
    assert (same.seed, same.take) == (second.seed, 1)
    first, other = (sound_in(settings.storage_dir / track.file_path_wav) for track in (second, same))
    assert first == other  # the tags have other numbers of takes


def sound_in(path: Path) -> bytes:
    """The samples of a WAV file."""
    with wave.open(str(path)) as file:
        return file.readframes(file.getnframes())
