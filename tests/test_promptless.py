"""Jobs without a prompt, which scripts may create: shown, searched, made and served like any other."""

import subprocess
import sys

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models import Job, Track
from repos import JobRepository, JobStore, LoopRepository, TrackRepository
from tests.conftest import ROOT, clean_environment, matching_ids

jobs = JobRepository()


@pytest.fixture
def bare(app: Flask) -> Job:
    """A job without a prompt, with a track and a loop."""
    made = jobs.create(job_id="bare-1", job_type="x")
    TrackRepository().create(track_id="t", job_id="bare-1", duration=30)
    LoopRepository().create(loop_id="l", track_id="t", duration=10)
    return made


def test_a_script_creates_a_job_without_a_prompt(settings: object, database_url: str) -> None:
    script = "from repos import *; s = get_session(); print(JobRepository(s).create(job_type='x').prompt)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, cwd=ROOT, env=clean_environment(DATABASE_URL=database_url), capture_output=True, text=True, timeout=30
    )
    assert (done.stdout, done.stderr) == ("None\n", "")


def test_rest_answers_a_job_without_a_prompt(bare: Job, client: FlaskClient) -> None:
    assert client.get("/api/jobs/bare-1").json["prompt"] is None
    assert client.get("/api/jobs?expand=tracks.loops").json["items"][0]["job_id"] == "bare-1"
    claimed = client.post("/api/jobs/claim", json={"worker": "w"})
    assert (claimed.status_code, claimed.json["prompt"]) == (200, None)


@pytest.mark.parametrize("body", [{}, {"prompt": None}, {"job_type": "x"}])
def test_rest_and_the_form_still_ask_for_a_prompt(body: dict[str, object], client: FlaskClient) -> None:
    assert client.post("/api/jobs", json=body).status_code == 422
    assert client.patch("/api/jobs/nobody", json={"prompt": None}).status_code == 422


@pytest.mark.parametrize("path", ["/", "/jobs/bare-1", "/jobs/bare-1/delete", "/tracks/t/delete", "/loops/l/delete"])
def test_pages_show_a_job_without_a_prompt_by_its_id(path: str, bare: Job, client: FlaskClient) -> None:
    page = client.get(path)
    assert page.status_code == 200
    assert "bare-1" in page.text and "None" not in page.text


def test_the_search_takes_a_job_without_a_prompt_as_one_without_words(bare: Job) -> None:
    assert matching_ids("none") == [] and matching_ids("bare") == []
    jobs.update("bare-1", prompt="rain")
    assert matching_ids("rain") == ["bare-1"]
    jobs.update("bare-1", prompt=None)
    assert matching_ids("rain") == [] and jobs.delete("bare-1")


def test_a_store_keeps_a_job_without_a_prompt(bare: Job) -> None:
    store = JobStore()
    assert store.get("bare-1") is store.get("bare-1") and store.get("bare-1").prompt is None
    store.close()


def test_a_sound_of_a_job_without_a_prompt_is_named_after_its_id(bare: Job) -> None:
    from web.api.audio import _title

    assert _title(Track.get_by_id("t")) == "bare-1"
