"""The takes on the page of a job: numbers, takes to come, what they have in common, and deletion with undo."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from files.storage import Storage
from models import Job, Track
from repos import JobRepository, LoopRepository, TrackRepository
from settings import Settings
from tests.conftest import on_sqlite
from tests.models_of_music import with_recipes
from web.pages import takes

jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()
MADE = {"generator": "opera", "version": "28ad63c", "seconds": 50, "peak_gpu_mb": 9000, "parameters": {"steps": 32}}


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with recipes, of which one makes batches."""
    return with_recipes(settings, tmp_path)


@pytest.fixture
def song(client: FlaskClient) -> Job:
    """A running job of four takes, of which one is made."""
    job = jobs.create(job_id="aria", job_type="opera", prompt="a duet", takes=4, seed=41)
    tracks.create(track_id="first", job_id="aria", take=1, seed=41, duration=61, provenance=MADE, file_path_wav="a.wav")
    message = "take 2 of 4: 66%|███ | 21/32 [00:38<00:20, 1.81s/it]"
    jobs.update("aria", status="generating_audio", progress=41, message=message)
    return job


def words(text: str) -> list[str]:
    """The texts of a piece of a page, without tags."""
    return [line.strip() for line in re.sub(r"<[^>]+>", "\n", unescape(text)).splitlines() if line.strip()]


def listed(client: FlaskClient, job_id: str = "aria") -> list[list[str]]:
    """The texts of each row of the takes."""
    page = client.get(f"/jobs/{job_id}").text
    rows = page.partition('id="takes"')[2].partition('<div id="no-tracks"')[0].split('<li class="take-row')[1:]
    return [words(row.partition(">")[2]) for row in rows]


def actions(client: FlaskClient, job_id: str = "aria") -> list[str]:
    """The texts of the buttons under the title."""
    return words(client.get(f"/jobs/{job_id}").text.partition('id="job-actions"')[2].partition('id="undo"')[0])


def test_takes_that_are_made_and_to_come_are_listed_by_number(client: FlaskClient, song: Job) -> None:
    made, second, third, fourth = listed(client)
    assert made[:3] == ["1", "seed 41", "1:01"] and "WAV" in made and "Make a loop" in made
    assert second == ["2", "Generating", ", step 21 of 32", "64%"]
    assert (third, fourth) == (["3", "waiting"], ["4", "waiting"])
    page = client.get("/jobs/aria").text
    assert "Generating take 2 of 4" in page and 'data-done="1" data-together="1" data-takes="4"' in page
    assert "1.81s/it" not in page.replace("hidden>take 2 of 4: 66%|███ | 21/32 [00:38&lt;00:20, 1.81s/it]", "")


def test_no_take_is_to_come_when_a_job_has_ended(client: FlaskClient, song: Job) -> None:
    jobs.update("aria", status="failed", error="no memory")
    assert [row[0] for row in listed(client)] == ["1"]
    jobs.retry("aria")
    assert [row[:2] for row in listed(client)[1:]] == [[number, "waiting"] for number in "234"]


@on_sqlite
def test_a_discarded_take_is_not_to_come(client: FlaskClient, song: Job) -> None:
    Job.update(discarded_takes=0b0100).where(Job.job_id == "aria").execute()
    assert [row[0] for row in listed(client)] == ["1", "2", "4"]
    assert listed(client)[1][-1] == "0%" and 'data-done="2"' in client.get("/jobs/aria").text


@on_sqlite
def test_takes_of_a_batch_are_made_together(
    client: FlaskClient, song: Job, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    recipe = takes.catalogue(settings)["opera"]
    monkeypatch.setattr(takes, "catalogue", lambda _: {"opera": recipe.model_copy(update={"batch": True})})
    assert [[row[0], row[-1]] for row in listed(client)[1:]] == [["2", "21%"], ["3", "21%"], ["4", "21%"]]


@pytest.mark.parametrize(
    ("numbers", "expected"), [([None, None], [1, 2]), ([3, 1], [3, 1]), ([2, None, 2], [1, 2, 3]), ([], [])]
)
def test_tracks_have_the_number_of_their_take_or_their_place(numbers: list[int | None], expected: list[int]) -> None:
    made = [Track(take=number) for number in numbers]
    assert [number for number, _ in takes.numbered(made)] == expected


@on_sqlite
def test_tracks_of_a_script_count_as_the_next_takes(client: FlaskClient, song: Job) -> None:
    tracks.create(track_id="script", job_id="aria")
    assert [row[0] for row in listed(client)] == ["1", "2", "3", "4"] and listed(client)[3] == ["4", "waiting"]


@pytest.mark.parametrize(
    ("message", "step"),
    [
        (" 21/32 [00:38", "step 21 of 32"), ("3 / 7", "step 3 of 7"), ("Step 4 of 9 done", "step 4 of 9"),
        ("take 2 of 4: loading", ""), ("1.5/2 [", ""), (None, ""), ("and/or", ""),
    ],
)  # fmt: skip
def test_the_step_is_read_from_the_message(message: str | None, step: str) -> None:
    assert takes.step(Job(message=message)) == step


def test_the_takes_say_what_they_have_in_common(client: FlaskClient, song: Job) -> None:
    tracks.create(job_id="aria", take=2, seed=42, provenance={**MADE, "seconds": 66.4, "peak_gpu_mb": 9300})
    page = client.get("/jobs/aria").text
    facts = dict(re.findall(r'<dt>([\w ]+)</dt><dd dir="auto">([^<]+)</dd>', page))
    assert facts["Made by"] == "opera 28ad63c, 32 steps" and facts["Seeds"] == "41 – 42"
    assert facts["Each take"] == "58 s, 9.2 GB of GPU memory"


@on_sqlite
@pytest.mark.parametrize(
    "provenance", [{}, {"generator": 5, "seconds": "x", "peak_gpu_mb": True}, {"seconds": 1e300, "parameters": [1]}]
)
def test_odd_provenance_has_nothing_in_common(client: FlaskClient, song: Job, provenance: dict[str, Any]) -> None:
    tracks.update("first", provenance=provenance)
    made = tracks.get_by_job_id("aria")
    assert (takes.makers(made), takes.effort(made)) == ("", "") and client.get("/jobs/aria").status_code == 200


@pytest.mark.parametrize(
    ("values", "text"), [([5, 9], "5, 9"), ([7], "7"), ([1, 2, 3], "1 – 3"), ([9, 1, 5, 3], "1, 3, 5, …"), ([None], "")]
)
def test_seeds_are_a_range_or_a_list(values: list[int | None], text: str) -> None:
    assert takes.seeds([Track(seed=value) for value in values]) == text


def test_only_a_job_with_and_without_stars_offers_to_delete_all_but_starred(
    client: FlaskClient, song: Job, storage: Storage
) -> None:
    (storage.root / "a.wav").write_bytes(bytes(1_200_000))
    tracks.create(track_id="second", job_id="aria", take=2)
    assert not any("Delete all but" in words for words in actions(client))
    tracks.update("second", starred=True)
    assert "Delete all but ★ (1 take, 1.2 MB)" in actions(client) and "Download ★ as ZIP" in actions(client)
    tracks.update("first", starred=True)
    assert not any("Delete all but" in words for words in actions(client))


def test_takes_without_a_star_are_deleted_and_come_back_without_javascript(client: FlaskClient, song: Job) -> None:
    tracks.create(track_id="second", job_id="aria", take=2, starred=True)
    loops.create(loop_id="cut", track_id="first", duration=8)
    answer = client.post("/jobs/aria/discard")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/jobs/aria")
    assert [track.track_id for track in tracks.get_by_job_id("aria")] == ["second"]
    page = client.get("/jobs/aria").text
    [undo] = re.findall(r'action="(/discards/[^/]+/undo)"', page)
    assert "1 track deleted." in page and 0 < float(re.findall(r'data-seconds="([\d.]+)"', page)[0]) <= 10
    assert client.post(undo).headers["Location"] == "/jobs/aria"
    assert [track.track_id for track in tracks.get_by_job_id("aria")] == ["first", "second"]
    assert loops.get_by_id("cut") and "track deleted." not in client.get("/jobs/aria").text


@on_sqlite
def test_what_cannot_be_discarded_or_undone_says_why(client: FlaskClient, song: Job) -> None:
    refused = client.post("/jobs/aria/discard")
    assert refused.status_code == 409 and "no track of job aria has a star" in refused.text
    assert [client.post(path).status_code for path in ("/jobs/none/discard", "/discards/none/undo")] == [404, 404]


@on_sqlite
def test_a_job_of_a_script_shows_its_first_fifty_tracks(client: FlaskClient, statements: list[str]) -> None:
    jobs.create(job_id="many", job_type="other")
    for number in range(52):
        tracks.create(track_id=f"t{number:02}", job_id="many", file_path_wav=f"{number}.wav")
    before = len(statements)
    rows = listed(client, "many")
    assert [row[0] for row in rows] == [str(number) for number in range(1, 51)]
    assert len(statements) - before < 14 and "the list of tracks has them all" in client.get("/jobs/many").text
