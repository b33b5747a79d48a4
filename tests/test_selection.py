"""The forms of what is selected in a list, for browsers without JavaScript."""

import re
from html import unescape

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from models import Job, Track
from repos import JobRepository, TrackRepository
from tests.conftest import on_sqlite

jobs, tracks = JobRepository(), TrackRepository()


@pytest.fixture
def three(client: FlaskClient) -> None:
    """Three jobs; the first has two tracks, the others have one."""
    for job_id, takes in (("a", 2), ("b", 1), ("c", 1)):
        jobs.create(job_id=job_id, prompt="p", takes=takes)
        for take in range(1, takes + 1):
            tracks.create(track_id=f"{job_id}-{take}", job_id=job_id, take=take)


def send(client: FlaskClient, kind: str, action: str, *ids: str, **fields: str) -> TestResponse:
    """Send the form of a list."""
    return client.post(f"/{kind}s/actions", data={"action": action, "id": list(ids), **fields})


def test_a_star_is_given_to_all_takes_of_the_selected_rows(client: FlaskClient, three: None) -> None:
    answer = send(client, "track", "star", "a-1 a-2", "c-1", back="/tracks?sort=title")
    assert (answer.status_code, answer.location) == (303, "/tracks?sort=title")
    starred = {track.track_id for track in Track.select().where(Track.starred)}
    assert starred == {"a-1", "a-2", "c-1"}
    send(client, "track", "unstar", "a-1 a-2")
    assert [track.track_id for track in Track.select().where(Track.starred)] == ["c-1"]


def test_deleting_tracks_asks_first_with_how_many_and_can_be_undone(client: FlaskClient, three: None) -> None:
    asked = send(client, "track", "delete", "a-1 a-2", "b-1", back="/tracks?q=p")
    assert asked.status_code == 200 and "Delete 3 tracks?" in asked.text and Track.select().count() == 4
    form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', asked.text))
    answer = client.post("/tracks/actions", data={name: unescape(value) for name, value in form.items()})
    assert answer.status_code == 303 and answer.location.startswith("/tracks?q=p&discard=")
    assert [track.track_id for track in Track.select()] == ["c-1"]
    undo = re.search(r'action="(/discards/[^"]+/undo)"', client.get(answer.location).text)
    assert undo and client.post(undo[1]).status_code == 303
    assert Track.select().count() == 4
    assert "/undo" not in client.get(answer.location).text


def test_deleting_jobs_asks_first_and_deletes_them(client: FlaskClient, three: None) -> None:
    asked = send(client, "job", "delete", "a", "b")
    assert "Delete 2 jobs?" in asked.text and "cannot be undone" in asked.text and Job.select().count() == 3
    answer = send(client, "job", "delete", "a b", sure="true", files="true")
    assert answer.location == "/" and [job.job_id for job in Job.select()] == ["c"]


def test_jobs_are_cancelled_and_retried_and_refusals_are_named(client: FlaskClient, three: None) -> None:
    jobs.update("b", status="completed")
    answer = send(client, "job", "cancel", "a", "b", "none")
    assert answer.status_code == 200 and "1 of 3 jobs was changed" in answer.text
    assert "<code>b</code>: job b is completed" in answer.text and "<code>none</code>" in answer.text
    assert send(client, "job", "retry", "a").status_code == 303
    assert [jobs.get_by_id(job_id).status for job_id in "ab"] == ["pending", "completed"]  # type: ignore[union-attr]


@on_sqlite
def test_a_download_leads_to_the_zip(client: FlaskClient, three: None) -> None:
    assert send(client, "job", "download", "a", "b").location == "/api/tracks.zip?job_id=a&job_id=b"
    assert send(client, "track", "download", "a-1 a-2").location == "/api/tracks.zip?track_id=a-1&track_id=a-2"


@on_sqlite
@pytest.mark.parametrize(
    ("action", "ids", "words"),
    [
        ("star", [], "No track is selected"),
        ("paint", ["a-1"], "action"),
        ("star", ["../x"], "ids"),
        ("delete", [" ".join(f"t{number}" for number in range(201))], "select at most 200"),
    ],
)
def test_a_form_that_cannot_be_used_says_why(
    client: FlaskClient, three: None, action: str, ids: list[str], words: str
) -> None:
    answer = send(client, "track", action, *ids)
    assert (answer.status_code, answer.mimetype) == (422, "text/html") and words in answer.text


@on_sqlite
@pytest.mark.parametrize("back", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:1"])
def test_a_form_leads_only_to_pages_of_this_service(client: FlaskClient, three: None, back: str) -> None:
    assert send(client, "track", "star", "a-1", back=back).location == "/"
