"""Forms: jobs and loops are made, cancelled, retried and deleted without JavaScript; sign-in."""

import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from app import create_app
from models import Job, Loop, Track
from repos import JobRepository
from settings import Settings
from tests.conftest import on_sqlite

TOKEN = "s3cret-token"


@pytest.fixture
def guarded(settings: Settings) -> Iterator[FlaskClient]:
    """A client of an app that has a token."""
    app = create_app(settings.model_copy(update={"api_token": TOKEN}))
    yield app.test_client()
    app.extensions["ledger"].close()


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
    message_shown = re.search(rf'id="new-{field}-error" data-error="{field}">([^<]*)<', answer.text)
    assert message_shown and message in message_shown[1]
    assert 'value="Folk"' in answer.text and "aria-invalid" in answer.text


@on_sqlite
@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"{}", "application/json", 415),
        (b"prompt=%ff&job_type=synth", "application/x-www-form-urlencoded", 303),
        (b"prompt=\xff", "application/x-www-form-urlencoded", 400),
        (b"a=1&" * 400, "application/x-www-form-urlencoded", 400),
        (b"prompt=%00&job_type=synth", "application/x-www-form-urlencoded", 422),
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


def test_a_loop_is_made_by_the_form(client: FlaskClient, track: Track) -> None:
    Track.update(file_path_wav="a.wav").execute()
    refused = client.post("/tracks/track-1/loops", data={"duration": "0.5", "format": "WAV"})
    assert refused.status_code == 422 and "greater than or equal to 1" in refused.text
    made = client.post("/tracks/track-1/loops", data={"duration": "30.5", "format": "WAV", "fade_in_out": "true"})
    assert made.headers["Location"] == "/jobs/job-1#track-track-1"
    loop = Loop.get()
    assert (loop.duration, loop.format, loop.fade_in_out) == (30.5, "WAV", True)


@pytest.mark.parametrize(("kind", "record"), [("sqlite", record) for record in ("job", "track", "loop")])
def test_deleting_needs_a_confirmation_and_may_delete_the_files(
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
def test_with_a_token_the_pages_need_a_sign_in(guarded: FlaskClient) -> None:
    for path in ("/", "/jobs/x", "/new", "/?q=a&show=failed"):
        answer = guarded.get(path)
        assert answer.status_code == 303 and answer.headers["Location"].startswith("/sign-in?next=")
    assert guarded.post("/jobs", data={"prompt": "p", "job_type": "synth"}).status_code == 303
    assert Job.select().count() == 0
    assert guarded.get("/sign-in").status_code == guarded.get("/static/app.css", buffered=True).status_code == 200


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
@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", "ключ"])
def test_a_wrong_token_is_refused(guarded: FlaskClient, token: str) -> None:
    answer = guarded.post("/sign-in", data={"token": token})
    assert answer.status_code == 401 and "That is not a token of this service." in answer.text
    assert "Set-Cookie" not in answer.headers
    guarded.set_cookie("ledger", token)
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


def test_a_nul_in_a_form_is_left_out(client: FlaskClient, job: Job) -> None:
    made = client.post("/jobs", data={"prompt": "dawn\0 chorus", "job_type": "synth\0"}).headers["Location"]
    assert JobRepository().get_by_id(made.removeprefix("/jobs/")).prompt == "dawn chorus"
    assert client.post("/jobs/job-1/next", data={"before": "x\0y"}).status_code == 422
    assert client.post(f"{made}/next", data={"before": "job\0-1"}).status_code == 303
    assert client.post("/jobs/actions", data={"action": "cancel", "id": "job-1\0"}).status_code == 303
    assert JobRepository().get_by_id("job-1").status == "cancelled"
