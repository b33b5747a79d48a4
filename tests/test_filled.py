"""The form for a new job, filled in with a job or a track, and the templates: the last jobs with different settings."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from models import Job, Track
from records.batches import create_jobs
from records.recent import recent_jobs
from repos import JobRepository, TrackRepository
from settings import Settings
from tests.conftest import on_sqlite
from tests.models_of_music import with_recipes
from tests.test_new_page import shown

jobs, tracks = JobRepository(), TrackRepository()
PARAMETERS = {"steps": 50, "strength": 0.5, "chunked": False, "voice": "high", "negative": None}
METADATA = {"genre": "Opera", "mood": "Dark", "lyrics": "[verse]\nla <b>", "duration": 90, "parameters": PARAMETERS}


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with recipes for opera and noise."""
    return with_recipes(settings, tmp_path)


@pytest.fixture
def aria(client: FlaskClient) -> Job:
    """A finished job of opera."""
    job = jobs.create(job_id="aria", job_type="opera", prompt="a duet", metadata=METADATA, seed=5, takes=4)
    jobs.update("aria", status="completed")
    return job


@pytest.fixture
def take(aria: Job) -> Track:
    """The third take of the job, made before the prompt of the job was changed."""
    made = {"generator": "opera", "prompt": "a trio", "metadata": {"genre": "Opera"}, "parameters": {"steps": 20}}
    return tracks.create(track_id="take-3", job_id="aria", seed=7, take=3, provenance=made)


def value(page: str, name: str) -> str:
    """The value of a field of the form."""
    if found := re.search(rf'<textarea[^>]* name="{name}"[^>]*>(.*?)</textarea>', page, re.S):
        return unescape(found[1]).removeprefix("\n")
    found = re.search(r' value="([^"]*)"', shown(page, name))
    return unescape(found[1]) if found else ""


def left_out(page: str) -> str:
    """What the page says is not taken over."""
    found = re.search(r"Not copied.*?<span[^>]*>(.*?)</span>", page)
    return unescape(found[1]) if found else ""


def templates(client: FlaskClient) -> dict[str, str]:
    """The addresses of the templates in the form, by their words."""
    found = re.findall(r'<a class="chip" data-like href="([^"]*)"[^>]*>([^<]*)</a>', client.get("/new").text)
    return {unescape(words): address for address, words in found}


def test_the_form_has_the_fields_of_a_job_and_the_seed_of_the_address(client: FlaskClient, aria: Job) -> None:
    assert 'href="/new?like=aria&amp;seed=5"' in client.get("/jobs/aria").text
    page = client.get("/new?like=aria&seed=5").text
    filled = {"prompt": "a duet", "genre": "Opera", "mood": "Dark", "lyrics": METADATA["lyrics"], "duration": "90"}
    counts = {"takes": "4", "seed": "5", "parameters.steps": "50", "parameters.strength": "0.5"}
    for name, text in {**filled, **counts}.items():
        assert value(page, name) == text, name
    assert "<option selected>opera</option>" in page and "<option selected>high</option>" in page
    assert " checked" not in shown(page, "parameters.chunked") and left_out(page) == ""


def test_what_is_sent_unchanged_makes_the_same_job(client: FlaskClient, aria: Job) -> None:
    page = client.get("/new?like=aria&seed=5").text
    names = (
        "prompt",
        "genre",
        "mood",
        "lyrics",
        "duration",
        "takes",
        "seed",
        "parameters.steps",
        "parameters.strength",
    )
    form = {name: value(page, name) for name in names}
    form |= {"job_type": "opera", "parameters.chunked": "false", "parameters.voice": "high"}
    assert client.post("/jobs", data=form).status_code == 303
    made, _ = jobs.get_all()
    known = {name: text for name, text in PARAMETERS.items() if text is not None}
    assert (made.prompt, made.seed, made.takes) == ("a duet", 5, 4)
    assert made.metadata == {**METADATA, "parameters": known}


@on_sqlite
def test_without_a_seed_the_form_has_none(client: FlaskClient, aria: Job) -> None:
    page = client.get("/new?like=aria").text
    assert value(page, "prompt") == "a duet" and value(page, "seed") == ""


@on_sqlite
def test_the_form_has_what_made_a_track(client: FlaskClient, take: Track) -> None:
    for path in ("/jobs/aria", "/tracks/take-3"):
        assert 'href="/new?track=take-3"' in client.get(path).text
    page = client.get("/new?track=take-3").text
    assert [value(page, name) for name in ("prompt", "takes", "seed", "parameters.steps")] == ["a trio", "1", "7", "20"]


@on_sqlite
def test_the_form_says_what_it_does_not_take_over(client: FlaskClient, settings: Settings) -> None:
    metadata = {"artist": "<Ada>", "duration": 9, "lyrics": ["la"], "parameters": {"steps": 20, "speed": 2}}
    jobs.create(job_id="odd", job_type="opera", prompt="a duet", metadata={**metadata, "reference_track": "t"})
    recording = settings.storage_dir / "jobs" / "odd" / "reference.wav"
    page = client.get("/new?like=odd").text
    assert left_out(page) == "artist, lyrics, reference_track, parameters.speed" and not recording.exists()
    other = client.get("/new?like=odd&job_type=noise").text
    assert "duration" in left_out(other) and 'data-query="like=odd"' in other


@on_sqlite
@pytest.mark.parametrize("query", ["like=none", "track=none", "like=%00", "like=%ff", "track=" + "x" * 500])
def test_a_form_like_nothing_is_not_found(client: FlaskClient, query: str) -> None:
    assert client.get(f"/new?{query}").status_code == 404


def test_a_job_without_seed_and_prompt_fills_the_form(client: FlaskClient) -> None:
    jobs.create(job_id="bare", job_type="unheard", metadata={"parameters": "many"})
    jobs.update("bare", status="failed")
    assert "Same seed, changed words" not in client.get("/jobs/bare").text
    page = client.get("/new?like=bare").text
    assert "Jobs of type unheard have no form here" in page and value(page, "prompt") == ""


def test_the_last_different_settings_are_templates(client: FlaskClient, aria: Job) -> None:
    for number in range(3):
        jobs.create(job_type="synth", prompt=f"song {number}", metadata={"duration": 20, "genre": f"g{number}"})
    jobs.create(job_id="long", job_type="synth", prompt="<b>", takes=3, metadata={"duration": 60.5})
    jobs.create(job_type="unheard", prompt="p")
    jobs.create(job_id="twice", job_type="synth", prompt="song", takes=2, metadata={"duration": "20"})
    jobs.create(job_id="last", job_type="synth", prompt="song", metadata={"duration": "20"})
    opera = "opera, 90 s, 4 takes, chunked false, steps 50, strength 0.5, voice high"
    words = ["synth, 20 s", "synth, 20 s, 2 takes", "synth, 60.5 s, 3 takes", opera]
    assert list(templates(client)) == words
    assert [*templates(client).values()] == [f"/new?like={job}" for job in ("last", "twice", "long", "aria")]
    assert value(client.get(templates(client)[words[2]]).text, "duration") == "60.5"


def test_there_are_ten_templates_of_the_newest_jobs(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert templates(client) == {}
    lines: dict[int, Any] = {
        number: {"prompt": "p", "job_type": "synth", "metadata": {"duration": number}} for number in range(3, 53)
    }
    create_jobs(lines)
    assert list(templates(client)) == [f"synth, {number} s" for number in range(52, 42, -1)]
    monkeypatch.setattr("records.recent.NEWEST", 4)
    assert len(templates(client)) == 4


def test_the_templates_cost_two_statements_whatever_the_number_of_jobs(
    client: FlaskClient, statements: list[str]
) -> None:
    for number in range(1, 31):
        jobs.create(job_type="synth", prompt="p", metadata={"duration": number})
    statements.clear()
    assert len(recent_jobs(["synth", "opera"], 10)) == 10
    assert len(statements) == 2 and "LIMIT" in statements[0]
