"""The pages as they are without JavaScript: read, followed, filled in; and what may not happen on them."""

import itertools
import re
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from database import database
from files.storage import Storage
from models import Job, Loop, Track, utc_now
from repos import COUNTED, JobRepository
from settings import Settings
from tests.conftest import ROOT

TOKEN = "s3cret-token"
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</textarea></title><script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    "x" * 10_000,
]
on_sqlite = pytest.mark.parametrize("kind", ["sqlite"])


@pytest.fixture
def guarded(settings: Settings) -> Iterator[FlaskClient]:
    """A client of an app that has a token."""
    app = create_app(settings.model_copy(update={"api_token": TOKEN}))
    yield app.test_client()
    app.extensions["ledger"].close()


def rows(page: str) -> list[str]:
    """The ids of the jobs in a list, in order."""
    return re.findall(r'<li class="row" id="job-([^"]+)"', page)


def link(page: str, words: str) -> str | None:
    """Where the link with these words leads."""
    found = re.search(rf'<a [^>]*href="([^"]*)"[^>]*>{words}', page)
    return unescape(found[1]) if found else None


def counts(page: str) -> dict[str, str]:
    """The tabs and their numbers."""
    return dict(re.findall(r'<a href="/[^>]*>(\w+) <span class="count">([^<]*)</span>', page))


def fill(number: int, **fields: Any) -> None:
    """So many jobs, job-000 the oldest."""
    for each in range(number):
        JobRepository().create(job_id=f"job-{each:03}", **{"prompt": f"song {each}", **fields})


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
    found = {"All": "3", "Waiting": "2", "Running": "0", "Completed": "0", "Failed": "1", "Cancelled": "0"}
    assert counts(client.get("/").text) == found
    assert counts(client.get("/?q=song").text) == {}


def test_a_count_ends_where_it_would_become_slow(app: Flask) -> None:
    fill(4)
    assert JobRepository().tally(most=2)["pending"] == 3
    assert COUNTED == 10_000


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
    assert "step 1\nstep &lt;2&gt; \ufffd" in page and "Ambient" in page


@pytest.mark.parametrize(
    ("changes", "offered"),
    [
        ({}, {"cancel"}),
        ({"status": "generating_audio"}, {"cancel"}),
        ({"status": "failed", "error": "no memory"}, {"retry"}),
        ({"status": "cancelled"}, {"retry"}),
        ({"status": "completed"}, set()),
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
    types = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    for name in files:
        answer = client.get(f"/static/{name}")
        assert (answer.status_code, answer.mimetype) == (200, types[Path(name).suffix])
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert not re.search(r"(?<!xmlns=\")https?://(?!www\.w3\.org/)|innerHTML|insertAdjacentHTML", answer.text)
        answer.close()


def test_a_job_is_made_by_the_form(client: FlaskClient) -> None:
    form = {"prompt": "dawn chorus", "job_type": "synth", "genre": "Folk", "mood": " ", "duration": "5"}
    answer = client.post("/jobs", data={**form, "lyrics": "[00:01.00]la"})
    assert answer.status_code == 303
    made = JobRepository().get_by_id(answer.headers["Location"].removeprefix("/jobs/"))
    assert made is not None and (made.prompt, made.job_type) == ("dawn chorus", "synth")
    assert made.metadata == {"genre": "Folk", "lyrics": "[00:01.00]la", "duration": 5}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("prompt", "  ", "must not be blank"),
        ("prompt", "x" * 20_001, "should have at most 20000 characters"),
        ("duration", "long", "expected a number of seconds above 0"),
        ("duration", "nan", "expected a number of seconds above 0"),
        ("job_type", "", "pattern"),
    ],
)
@on_sqlite
def test_a_form_that_is_refused_says_it_at_the_field(client: FlaskClient, field: str, value: str, message: str) -> None:
    answer = client.post("/jobs", data={"prompt": "kept", "job_type": "synth", "genre": "Folk", field: value})
    assert answer.status_code == 422 and JobRepository().count() == 0
    told = re.search(rf'id="new-{field}-error" data-error="{field}">([^<]*)<', answer.text)
    assert told and message in told[1]
    assert 'value="Folk"' in answer.text and "aria-invalid" in answer.text


@on_sqlite
@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"{}", "application/json", 415),
        (b"prompt=%ff&job_type=synth", "application/x-www-form-urlencoded", 303),
        (b"prompt=\xff", "application/x-www-form-urlencoded", 400),
        (b"a=1&" * 60, "application/x-www-form-urlencoded", 400),
        (b"prompt=a%00b&job_type=synth", "application/x-www-form-urlencoded", 422),
        (b"prompt=" + b"x" * 1_100_000, "application/x-www-form-urlencoded", 413),
    ],
)
def test_strange_forms_are_refused(client: FlaskClient, body: bytes, media: str, status: int) -> None:
    assert client.post("/jobs", data=body, content_type=media).status_code == status


def test_jobs_and_loops_are_cancelled_and_retried_by_forms(client: FlaskClient, loop: Loop) -> None:
    for address in ("/jobs/job-1", "/loops/loop-1"):
        assert client.post(f"{address}/cancel").headers["Location"] == "/jobs/job-1"
        assert "Cancelled" in client.get("/jobs/job-1").text
        assert client.post(f"{address}/retry").status_code == 303
    assert client.post("/jobs/none/cancel").status_code == 404
    JobRepository().update("job-1", status="completed")
    assert client.post("/jobs/job-1/retry").status_code == 409


def test_a_loop_is_asked_for_by_the_form(client: FlaskClient, track: Track) -> None:
    Track.update(file_path_wav="a.wav").execute()
    refused = client.post("/tracks/track-1/loops", data={"duration": "0.5", "format": "WAV"})
    assert refused.status_code == 422 and "greater than or equal to 1" in refused.text
    made = client.post("/tracks/track-1/loops", data={"duration": "30.5", "format": "WAV", "fade_in_out": "true"})
    assert made.headers["Location"] == "/jobs/job-1#track-track-1"
    loop = Loop.get()
    assert (loop.duration, loop.format, loop.fade_in_out) == (30.5, "WAV", True)


@pytest.mark.parametrize(("kind", "record"), [("sqlite", each) for each in ("job", "track", "loop")])
def test_deleting_asks_first_and_may_take_the_files(
    client: FlaskClient, settings: Settings, loop: Loop, record: str
) -> None:
    folder = settings.storage_dir / "loops" / "loop-1"
    folder.mkdir(parents=True)
    (folder / "l.mp3").write_bytes(b"sound")
    Loop.update(result_path="loops/loop-1/l.mp3").execute()
    address = f"/{record}s/{record}-1/delete"
    assert "This cannot be undone" in client.get(address).text
    answer = client.post(address, data={"files": "true"})
    assert answer.headers["Location"] == ("/" if record == "job" else "/jobs/job-1")
    assert Loop.select().count() == 0 and not folder.exists()
    assert client.get(address).status_code == 404


@on_sqlite
def test_files_stay_unless_they_are_ticked(client: FlaskClient, settings: Settings, loop: Loop) -> None:
    file = settings.storage_dir / "l.mp3"
    file.write_bytes(b"sound")
    Loop.update(result_path="l.mp3").execute()
    client.post("/jobs/job-1/delete")
    assert file.exists() and Job.select().count() == 0


@on_sqlite
def test_a_page_of_another_site_changes_nothing(client: FlaskClient, job: Job) -> None:
    answer = client.post("/jobs/job-1/delete", headers={"Origin": "http://evil.example"})
    assert (answer.status_code, answer.mimetype) == (403, "text/html")
    assert Job.select().count() == 1


@on_sqlite
def test_with_a_token_the_pages_want_a_sign_in(guarded: FlaskClient) -> None:
    for path in ("/", "/jobs/x", "/new", "/?q=a&show=failed"):
        answer = guarded.get(path)
        assert answer.status_code == 303 and answer.headers["Location"].startswith("/sign-in?next=")
    assert guarded.post("/jobs", data={"prompt": "p", "job_type": "synth"}).status_code == 303
    assert Job.select().count() == 0
    assert guarded.get("/sign-in").status_code == guarded.get("/static/app.css").status_code == 200


@on_sqlite
def test_signing_in_opens_the_pages_and_the_api(guarded: FlaskClient) -> None:
    assert guarded.get("/api/jobs").status_code == 401
    answer = guarded.post("/sign-in", data={"token": TOKEN, "next": "/?q=a"})
    kept = answer.headers["Set-Cookie"]
    assert answer.headers["Location"] == "/?q=a"
    assert "HttpOnly" in kept and "SameSite=Strict" in kept and TOKEN not in kept
    assert guarded.get("/").status_code == guarded.get("/api/jobs").status_code == 200
    assert guarded.post("/api/jobs", json={"prompt": "p"}, headers={"Origin": "http://evil.example"}).status_code == 403
    guarded.post("/sign-out")
    assert guarded.get("/api/jobs").status_code == 401 and guarded.get("/").status_code == 303


@on_sqlite
@pytest.mark.parametrize("given", ["", "wrong", TOKEN + "x", "ключ"])
def test_a_wrong_token_is_refused(guarded: FlaskClient, given: str) -> None:
    answer = guarded.post("/sign-in", data={"token": given})
    assert answer.status_code == 401 and "That is not the token." in answer.text
    assert "Set-Cookie" not in answer.headers
    guarded.set_cookie("ledger", given)
    assert guarded.get("/api/jobs").status_code == 401


@on_sqlite
@pytest.mark.parametrize("following", ["//evil.example", "https://evil.example", "/\\evil.example", "/\nx", ""])
def test_signing_in_leads_to_no_other_site(guarded: FlaskClient, following: str) -> None:
    answer = guarded.post("/sign-in", data={"token": TOKEN, "next": following})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


@on_sqlite
def test_without_a_token_there_is_nothing_to_sign_in_to(client: FlaskClient) -> None:
    assert client.post("/sign-in", data={"token": ""}).headers["Location"] == "/"
    assert "Set-Cookie" not in client.post("/sign-in", data={"token": ""}).headers
    assert "Sign out" not in client.get("/").text


def grow(first: int, last: int) -> None:
    """Jobs of these numbers: half of them completed, half failed, a second apart, the last of a million just now."""
    began = utc_now() - timedelta(seconds=1_000_000)
    with database.atomic():
        for start in range(first, last, 500):
            numbers = range(start, min(last, start + 500))
            Job.insert_many([old_job(number, began + timedelta(seconds=number)) for number in numbers]).execute()


def old_job(number: int, made: Any) -> dict[str, Any]:
    """A row as the ledger keeps it of a job long done."""
    status, kind = ("failed", "synth") if number % 2 else ("completed", "diffrhythm")
    about = {"prompt": f"slow melancholic song {number}", "metadata": {"genre": "Folk"}, "created_at": made}
    return {"job_id": f"old-{number}", "status": status, "job_type": kind, **about}


def effort(client: FlaskClient) -> dict[str, float]:
    """What each page and action takes, in times of what the form for a new job takes at the same moment."""
    marks, gone = itertools.count(), itertools.count()
    one = f"made-{time.monotonic_ns()}"
    paths = [
        *("/", "/?show=completed", "/?show=running", "/?show=failed", "/?job_type=synth", "/jobs/old-100"),
        *("/?q=song", "/?q=s", "/?q=slow+melancholic", "/?q=song&show=completed", "/?q=song&job_type=synth"),
    ]
    asked: dict[str, Callable[[], Any]] = {
        path: lambda path=path: client.get(path)  # type: ignore[misc]
        for path in paths
    }
    asked["make"] = lambda: client.post("/api/jobs", json={"job_id": f"{one}-{next(marks)}", "prompt": "p"})
    asked["cancel"] = lambda: client.post(f"/api/jobs/{one}-0/cancel")
    asked["retry"] = lambda: client.post(f"/api/jobs/{one}-0/retry")
    asked["delete"] = lambda: client.delete(f"/api/jobs/{one}-{next(gone)}")
    return {name: compared(act, lambda: client.get("/new")) for name, act in asked.items()}


def compared(act: Callable[[], Any], yardstick: Callable[[], Any]) -> float:
    """The median duration of one by the median duration of the other, taken in turns."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(60):
        for times, each in zip(taken, (act, yardstick), strict=True):
            began = time.perf_counter()
            assert each().status_code < 400
            times.append(time.perf_counter() - began)
    return statistics.median(taken[0]) / statistics.median(taken[1])


@pytest.mark.soak
def test_pages_and_actions_take_no_longer_with_200_000_jobs(client: FlaskClient, kind: str) -> None:
    grow(0, 200)
    few = effort(client)
    grow(200, 200_000)
    if kind == "postgresql":
        database.execute_sql("VACUUM ANALYZE job")  # as autovacuum does by and by
    many = effort(client)
    print({name: f"{few[name]:.1f} -> {many[name]:.1f}" for name in few})
    assert {name: many[name] / few[name] for name in few if many[name] > 2 * few[name]} == {}
