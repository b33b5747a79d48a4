"""The pages that show: the list and the page of a job, as they are without JavaScript."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from files.storage import Storage
from models import Job, Loop, Track
from repos import JobRepository
from settings import Settings
from tests.conftest import ROOT, on_sqlite

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</textarea></title><script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    "x" * 10_000,
]


def rows(page: str) -> list[str]:
    """The ids of the jobs in a list, in order."""
    return re.findall(r'<li class="row" id="job-([^"]+)"', page)


def link(page: str, words: str) -> str | None:
    """Where the link with these words leads."""
    match = re.search(rf'<a [^>]*href="([^"]*)"[^>]*>{words}', page)
    return unescape(match[1]) if match else None


def counts(page: str) -> dict[str, str]:
    """The tabs and their numbers."""
    return dict(re.findall(r'<a href="/[^>]*>(\w+) <span class="count">([^<]*)</span>', page))


def fill(number: int, **fields: Any) -> None:
    """So many jobs, job-000 the oldest."""
    for place in range(number):
        JobRepository().create(job_id=f"job-{place:03}", **{"prompt": f"song {place}", **fields})


def test_the_list_shows_jobs_newest_first_with_their_status(client: FlaskClient) -> None:
    fill(3)
    JobRepository().update("job-001", status="generating_audio", progress=42, message="step 3")
    page = client.get("/").text
    assert rows(page) == ["job-002", "job-001", "job-000"]
    assert 'value="42"' in page and "Generating" in page and "step 3" in page
    assert 'href="/jobs/job-001"' in page


def test_every_page_of_the_list_is_reached_by_its_links(client: FlaskClient) -> None:
    fill(120)
    page, seen = client.get("/").text, []
    while True:
        seen += rows(page)
        older = link(page, "Older jobs")
        if older is None:
            break
        page = client.get(older).text
    assert seen == [f"job-{number:03}" for number in reversed(range(120))]
    assert link(page, "Newest jobs") == "/"


def test_the_list_is_narrowed_by_status_type_and_words(client: FlaskClient) -> None:
    JobRepository().create(job_id="folk", prompt="folk guitar", job_type="synth", status="exporting")
    JobRepository().create(job_id="rain", prompt="rain and guitar")
    assert rows(client.get("/?show=running").text) == ["folk"]
    assert rows(client.get("/?show=waiting").text) == ["rain"]
    assert rows(client.get("/?job_type=synth&q=").text) == ["folk"]
    assert rows(client.get("/?q=guit").text) == ["rain", "folk"]
    assert rows(client.get("/?q=rain&show=running").text) == []


def test_links_keep_what_the_list_is_narrowed_by(client: FlaskClient) -> None:
    fill(60, job_type="synth", prompt="guitar & rain")
    page = client.get("/?q=guitar+%26&job_type=synth&show=waiting").text
    older = link(page, "Older jobs")
    assert older and "q=guitar+%26" in older and "job_type=synth" in older and "show=waiting" in older
    assert rows(client.get(older).text) == [f"job-{number:03}" for number in reversed(range(10))]


def test_the_tabs_count_jobs_by_status(client: FlaskClient) -> None:
    fill(3)
    JobRepository().update("job-001", status="failed")
    expected = {"All": "3", "Waiting": "2", "Running": "0", "Completed": "0", "Failed": "1", "Cancelled": "0"}
    assert counts(client.get("/").text) == expected
    assert counts(client.get("/?q=song").text) == {}


def test_the_types_are_those_there_are(app: Flask) -> None:
    assert JobRepository().types() == []
    for kind in ("synth", "diffrhythm", "synth", "a-z"):
        JobRepository().create(prompt="p", job_type=kind)
    assert JobRepository().types() == ["a-z", "diffrhythm", "synth"]
    assert JobRepository().types(limit=2) == ["a-z", "diffrhythm"]


@on_sqlite
@pytest.mark.parametrize(
    ("path", "words"),
    [("/", "No jobs yet"), ("/?q=zither", "No job matches"), ("/?show=failed", "No failed jobs")],
)
def test_an_empty_list_says_why(client: FlaskClient, path: str, words: str) -> None:
    assert words in client.get(path).text


@on_sqlite
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/jobs/none", 404),
        ("/?show=nothing", 404),
        ("/?cursor=x", 400),
        ("/?q=" + "x" * 1001, 400),
        ("/?job_type=ü", 400),
    ],
)
def test_a_page_that_cannot_be_shown_is_a_page_that_says_so(client: FlaskClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    assert "All jobs" in answer.text and "Content-Security-Policy" in answer.headers


def test_the_page_of_a_job_shows_its_tracks_loops_and_log(
    client: FlaskClient, settings: Settings, job: Job, track: Track, loop: Loop
) -> None:
    Track.update(file_path_wav="jobs/a.wav", metadata={"track_name": "Night Train"}).execute()
    analysis = {"quality": "good", "tempo": 96.0, "beats": 32}
    Loop.update(status="COMPLETED", progress=100, result_path="loops/b.mp3", analysis=analysis).execute()
    log = Storage(settings).log("job-1")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"step 1\nstep <2> \xff\n")
    page = client.get("/jobs/job-1").text
    assert "Night Train" in page and 'src="/api/tracks/track-1/audio"' in page and "waveform.svg" in page
    assert "good seam" in page and "96 bpm" in page and 'href="/api/loops/loop-1/audio" download' in page
    assert "<p>step 1</p>\n<p>step &lt;2&gt; \ufffd</p>" in page and "Ambient" in page


@pytest.mark.parametrize(
    ("changes", "offered"),
    [
        ({}, {"cancel"}),
        ({"status": "generating_audio"}, {"cancel"}),
        ({"status": "failed", "error": "no memory"}, {"retry", "again"}),
        ({"status": "cancelled"}, {"retry", "again"}),
        ({"status": "completed"}, {"again"}),
    ],
)
@on_sqlite
def test_a_job_offers_what_its_status_allows(
    client: FlaskClient, job: Job, changes: dict[str, Any], offered: set[str]
) -> None:
    JobRepository().update("job-1", **changes)
    page = client.get("/jobs/job-1").text
    assert set(re.findall(r'action="/jobs/job-1/(\w+)"', page)) == offered
    assert changes.get("error", "") in page and "/jobs/job-1/delete" in page


@pytest.mark.parametrize("text", HOSTILE)
@on_sqlite
def test_whatever_a_record_says_is_text(client: FlaskClient, text: str) -> None:
    metadata = {"genre": text, "lyrics": text, text[:60]: {"deep": text}}
    JobRepository().create(job_id="h", prompt=text, metadata=metadata)
    JobRepository().update("h", message=text[:9000], status="failed", error=text[:9000])
    for path in ("/", "/jobs/h", "/jobs/h/delete", f"/?q={text[:900]}"):
        page = client.get(path).text
        shown = re.sub(r"&\w+;|&#\d+;", "", page)
        assert "<img src=x" not in shown and "<script>" not in shown and "<svg onload" not in shown
        assert 'href="javascript:' not in page and " 49 " not in page
        assert unescape(page).count(text[:150])


@on_sqlite
def test_a_long_prompt_does_not_make_the_list_long(client: FlaskClient) -> None:
    fill(50, prompt="word " * 4000)
    assert len(client.get("/").data) < 100_000


@on_sqlite
@pytest.mark.parametrize("path", ["/", "/new", "/jobs/job-1", "/jobs/none", "/jobs/job-1/delete", "/sign-in"])
def test_a_page_allows_nothing_inline_and_no_other_host(client: FlaskClient, track: Track, path: str) -> None:
    answer = client.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)|https?://", answer.text)


@on_sqlite
def test_static_files_are_ours_and_typed(client: FlaskClient) -> None:
    files = sorted(path.name for path in (ROOT / "web" / "pages" / "static").iterdir())
    assert {"app.css", "app.js"} <= set(files)
    types = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    for name in files:
        answer = client.get(f"/static/{name}")
        assert (answer.status_code, answer.mimetype) == (200, types[Path(name).suffix])
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert not re.search(r"(?<!xmlns=\")https?://(?!www\.w3\.org/)|innerHTML|insertAdjacentHTML", answer.text)
        answer.close()
