"""The page of a job: takes, seeds, what made each track, the notes of its order, and buttons that make it again."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from generators.orders import Order, order_of
from models import Job, Track
from repos import JobRepository, TrackRepository
from settings import Settings
from tests.conftest import on_sqlite
from tests.models_of_music import with_recipes
from web import orders
from web.pages.making import command, origin

jobs, tracks = JobRepository(), TrackRepository()
MADE = {
    "generator": "opera",
    "version": "a1b2c3d",
    "seconds": 12.345,
    "peak_gpu_mb": 7654,
    "licence": "non-commercial",
    "parameters": {"steps": 50, "chunked": True, "negative": None},
    "command": ["sing", "--prompt", "it's <b>loud</b>"],
}
HOSTILE: list[dict[str, Any]] = [
    {"seconds": float("1e300"), "peak_gpu_mb": True, "parameters": [1], "command": "rm", "version": 5},
    {"seconds": "long", "parameters": {"a" * 500: {"b": ["<script>"]}}, "command": [1], "licence": ["x"]},
    {"seconds": -1, "command": [], "parameters": {}, "generator": None},
]


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with recipes for opera and noise."""
    return with_recipes(settings, tmp_path)


@pytest.fixture
def song(client: FlaskClient) -> Job:
    """A completed job of four takes; its second take is recorded."""
    job = jobs.create(job_id="aria", job_type="opera", prompt="a duet", takes=4, seed=41, metadata={"duration": 60})
    tracks.create(track_id="second", job_id="aria", take=2, seed=42, provenance=MADE)
    jobs.update("aria", status="completed")
    return job


def test_the_page_says_what_made_a_track(client: FlaskClient, song: Job) -> None:
    page = unescape(client.get("/jobs/aria").text)
    assert 'data-version="2 Take 2">2</span>' in page and 'data-version="42">seed 42</span>' in page
    facts = dict(re.findall(r'<dt dir="auto">(\w[\w ]*)</dt><dd dir="auto">([^<]*)</dd>', page))
    expected = {"Generator": "opera", "Version": "a1b2c3d", "Took": "12.3 s", "GPU memory": "7,654 MB"}
    assert facts.items() >= {**expected, "Licence": "non-commercial", "steps": "50", "chunked": "true"}.items()
    assert "negative" not in facts and "<span>sing</span> <span>--prompt</span>" in page
    assert "<b>loud" not in client.get("/jobs/aria").text


@on_sqlite
@pytest.mark.parametrize("provenance", [{}, *HOSTILE])
def test_any_provenance_can_be_shown(client: FlaskClient, song: Job, provenance: dict[str, Any]) -> None:
    track: Track = tracks.update("second", provenance=provenance)
    assert client.get("/jobs/aria").status_code == 200
    assert command(track) == [] and not origin(track).keys() & {"Took", "GPU memory", "Generator", "Licence"}


@on_sqlite
def test_a_track_of_nobody_here_has_no_take(client: FlaskClient, track: Track) -> None:
    page = client.get("/jobs/job-1").text.partition("<main")[2].partition("</main>")[0]
    assert "Take 1" not in page and "seed " not in page and "was made" not in page


def test_a_job_is_made_again_by_its_buttons(client: FlaskClient, song: Job) -> None:
    page = client.get("/jobs/aria").text
    assert "Make another" in page and "Same again" in page
    seeds = []
    for form in ({}, {"seed": "same"}):
        answer = client.post("/jobs/aria/again", data=form)
        made = jobs.get_by_id(answer.headers["Location"].removeprefix("/jobs/"))
        assert (made.status, made.prompt, made.takes, made.metadata) == ("pending", "a duet", 4, {"duration": 60})
        seeds.append(made.seed)
    assert seeds == [None, 41]


def test_a_track_is_made_again_by_its_button(client: FlaskClient, song: Job) -> None:
    answer = client.post("/tracks/second/again")
    made = jobs.get_by_id(answer.headers["Location"].removeprefix("/jobs/"))
    assert (answer.status_code, made.seed, made.takes) == (303, 42, 1)
    assert made.metadata == {"duration": 60, "parameters": {"steps": 50, "chunked": True}}


@on_sqlite
def test_what_cannot_be_made_again_says_why(client: FlaskClient, song: Job) -> None:
    jobs.update("aria", metadata={"duration": "long"})
    refused = client.post("/jobs/aria/again")
    assert refused.status_code == 422 and "expected a number of seconds above 0" in refused.text
    assert [client.post(f"/{kind}/none/again").status_code for kind in ("jobs", "tracks")] == [404, 404]


@on_sqlite
def test_notes_are_shown_until_a_worker_has_the_job(client: FlaskClient) -> None:
    jobs.create(job_id="long", job_type="opera", prompt="p", metadata={"duration": 999})
    jobs.create(job_id="wrong", job_type="opera", prompt="p", metadata={"parameters": {"steps": 1}})
    assert "so it makes 240 seconds" in client.get("/jobs/long").text
    assert "expected an integer from 10 to 100" in client.get("/jobs/wrong").text
    jobs.update("long", status="loading_model")
    assert "so it makes" not in client.get("/jobs/long").text


@on_sqlite
def test_notes_are_made_once_for_each_version_of_a_job(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Order] = []

    def counted(*order: Any, **more: Any) -> Order:
        made.append(order_of(*order, **more))
        return made[-1]

    monkeypatch.setattr(orders, "order_of", counted)
    jobs.create(job_id="long", job_type="opera", prompt="p", metadata={"duration": 999})
    assert all("so it makes 240 seconds" in client.get("/jobs/long").text for _ in range(3))
    assert len(made) == 1
    jobs.update("long", metadata={"duration": 5})
    assert "so it makes 10 seconds" in client.get("/jobs/long").text and len(made) == 2
    jobs.claim("w")
    client.get("/jobs/long")
    assert len(made) == 2


@on_sqlite
def test_the_notes_of_its_manifest_are_shown_when_a_job_has_finished(client: FlaskClient) -> None:
    jobs.create(job_id="made", job_type="opera", prompt="p", file_manifest={"notes": ["<b> is not sung", 5, " "]})
    assert "is not sung" not in client.get("/jobs/made").text
    jobs.update("made", status="completed")
    page = client.get("/jobs/made").text
    assert page.count('<li dir="auto">') == 1 and '<li dir="auto">&lt;b&gt; is not sung</li>' in page
    jobs.update("made", file_manifest={"notes": "none"})
    assert 'class="notes"' not in client.get("/jobs/made").text


def test_a_long_command_is_cut_between_or_in_words() -> None:
    words = command(Track(provenance={"command": ["x" * 6_000, "a b"] * 4}))
    assert words[1] == "'a b'" and words[-1].endswith("…")
    assert 19_900 < len(" ".join(words)) <= 20_000
