"""Tokens and sessions over HTTP: what each opens, and that it opens nothing any more once it has ended."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from access.access import LOOK_SECONDS, Access
from access.contents import now
from app import create_app
from database import release
from errors import TokensUnusable
from models import Job
from repos import JobRepository
from settings import Settings
from tests.access import OWNER, READER, SECRET, access_of, add_token, bearer, read, remove_token, sign_in
from tests.conftest import wait_for
from tests.fronts import rest, serving_flask
from web.guard import COOKIE

BODY = {"prompt": "rain", "job_type": "synth"}


@pytest.fixture
def kind() -> str:
    """Access needs no database, so one of them is enough."""
    return "sqlite"


@pytest.fixture
def owner(app: Flask) -> str:
    """A token with all rights."""
    return add_token(app, OWNER)


@pytest.fixture
def reader(app: Flask) -> str:
    """A token that may only read."""
    return add_token(app, READER, read_only=True)


def test_a_service_without_tokens_asks_for_none(client: FlaskClient, app: Flask) -> None:
    assert client.get("/api/jobs").status_code == client.get("/").status_code == 200
    assert sign_in(client, "") == 303 and client.get_cookie(COOKIE) is None
    assert not access_of(app).file.path.exists()


def test_the_first_token_closes_a_running_service(
    client: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/openapi.json").json["components"].get("securitySchemes") is None  # type: ignore[index]
    monkeypatch.setattr("access.access.LOOK_SECONDS", 0.0)
    access_of(app).look()
    with access_of(app).file.changing() as contents:
        token = contents.add_token(OWNER, False)
    assert client.get("/api/jobs").status_code == 401 and client.get("/").status_code == 303
    assert read(client, token) == 200
    assert client.get("/openapi.json").json["components"]["securitySchemes"]  # type: ignore[index]
    assert client.get("/healthz").status_code == client.get("/sign-in").status_code == 200


def test_a_wrong_token_is_refused(client: FlaskClient, owner: str) -> None:
    prefix, last = owner[:-1], owner[7:]
    for wrong in (prefix, last, owner + "x", owner.upper(), "ledger_", "x" * 10_000, "\xe9" * 50, "\0", OWNER):
        answer = client.get("/api/jobs", environ_overrides={"HTTP_AUTHORIZATION": f"Bearer {wrong}"})
        assert answer.status_code == 401 and answer.json["code"] == "unauthorized", wrong  # type: ignore[index]
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert sign_in(client, wrong, "127.0.0.1") == 401 and client.get_cookie(COOKIE) is None
        cookie = {"HTTP_COOKIE": f"{COOKIE}={wrong}"}
        assert client.get("/api/jobs", environ_overrides=cookie).status_code == 401
        assert client.get("/", environ_overrides=cookie).status_code == 303


def test_a_token_must_come_as_bearer(client: FlaskClient, owner: str) -> None:
    for header in ("", "Bearer", "Bearer ", "Basic b3duZXI6eA==", owner, f"Bearer x {owner}", f"Basic {owner}"):
        assert client.get("/api/jobs", headers={"Authorization": header}).status_code == 401, header
    assert client.get("/api/jobs", headers={"Authorization": f"bearer  {owner} "}).status_code == 200


def test_a_token_that_is_removed_opens_nothing(client: FlaskClient, app: Flask, owner: str) -> None:
    other = add_token(app, "other")
    assert read(client, owner) == 200 and sign_in(client, owner) == 303
    assert client.get("/").status_code == 200
    remove_token(app, OWNER)
    assert read(client, owner) == 401 and sign_in(app.test_client(), owner) == 401
    assert client.get("/").status_code == 303 and client.get("/api/jobs").status_code == 401
    assert read(client, other) == 200
    assert add_token(app, OWNER) != owner and client.get("/").status_code == 303


def test_the_last_token_that_is_removed_does_not_open_the_service(client: FlaskClient, app: Flask, owner: str) -> None:
    remove_token(app, OWNER)
    assert client.get("/api/jobs").status_code == 401 and client.get("/").status_code == 303


def test_a_token_that_may_only_read_reads(client: FlaskClient, reader: str) -> None:
    for method in ("GET", "HEAD", "OPTIONS"):
        assert client.open("/api/jobs", method=method, headers=bearer(reader)).status_code == 200
    assert client.get("/metrics", headers=bearer(reader)).status_code == 200


def test_a_token_that_may_only_read_changes_nothing(client: FlaskClient, job: Job, reader: str) -> None:
    paths = {"POST": "/api/jobs", "PUT": "/api/queue", "PATCH": "/api/jobs/job-1", "DELETE": "/api/jobs/job-1"}
    for method, path in [*paths.items(), ("POST", "/api/jobs/claim"), ("POST", "/api/none"), ("TRACE", "/api/jobs")]:
        answer = client.open(path, method=method, headers=bearer(reader), json=BODY)
        assert answer.status_code == 403 and answer.json["code"] == "forbidden", path  # type: ignore[index]
        assert "may only read" in answer.json["detail"]  # type: ignore[index]
    assert [one.status for one in Job.select()] == ["pending"]


def test_a_browser_that_may_only_read_sees_pages_and_gets_403_as_a_page_for_forms(
    client: FlaskClient, job: Job, reader: str
) -> None:
    assert sign_in(client, reader) == 303
    assert client.get("/jobs/job-1").status_code == client.get("/api/jobs/job-1").status_code == 200
    for path in ("/jobs", "/jobs/job-1/cancel", "/jobs/job-1/delete", "/new"):
        answer = client.post(path, data=BODY)
        assert (answer.status_code, answer.mimetype) == (403, "text/html") and "may only read" in answer.text, path
    assert client.post("/api/jobs", json=BODY).status_code == 403
    assert JobRepository().count() == 1
    assert client.post("/sign-out").status_code == 303 and client.get("/").status_code == 303


def test_a_session_helps_nobody_to_guess_a_token(client: FlaskClient, app: Flask, reader: str) -> None:
    assert sign_in(client, reader) == 303
    assert client.get("/api/jobs", headers=bearer("wrong")).status_code == 401
    assert client.get("/api/jobs", headers={"Authorization": "Basic b3duZXI6eA=="}).status_code == 200


def test_signing_out_ends_the_session_also_for_a_copy_of_the_cookie(
    client: FlaskClient, app: Flask, owner: str
) -> None:
    assert sign_in(client, owner) == 303
    cookie = client.get_cookie(COOKIE)
    assert cookie is not None and cookie.http_only and cookie.same_site == "Strict" and owner not in cookie.value
    thief = app.test_client()
    thief.set_cookie(COOKIE, cookie.value)
    assert thief.get("/").status_code == 200
    assert cookie.value not in access_of(app).file.path.read_text()
    client.post("/sign-out")
    assert client.get_cookie(COOKIE) is None
    assert thief.get("/").status_code == 303 and thief.get("/api/jobs").status_code == 401
    assert thief.post("/sign-out").status_code == 303


def test_signing_in_again_replaces_the_session_of_the_browser(client: FlaskClient, app: Flask, owner: str) -> None:
    for _ in range(3):
        assert sign_in(client, owner) == 303
    assert sign_in(app.test_client(), owner) == 303
    contents = access_of(app).file.read()
    assert contents is not None and contents.sessions_of(OWNER) == 2


def test_a_session_that_was_not_used_for_30_days_is_over(client: FlaskClient, app: Flask, owner: str) -> None:
    assert sign_in(client, owner) == 303
    with access_of(app).file.changing() as contents:
        contents.sessions[0].used_at -= now() - now().replace(year=now().year - 1)
    access_of(app).look()
    assert client.get("/").status_code == 303
    access_of(app)._uses["x"] = 1.0
    access_of(app).save_uses()
    assert '"sessions": []' in access_of(app).file.path.read_text()


def test_sessions_of_another_process_and_of_an_earlier_one_are_known(
    client: FlaskClient, app: Flask, settings: Settings, owner: str
) -> None:
    other = create_app(settings)
    assert sign_in(other.test_client(), owner) == 303
    assert sign_in(client, owner) == 303
    cookie = client.get_cookie(COOKIE)
    assert cookie is not None
    there = other.test_client()
    there.set_cookie(COOKIE, cookie.value)
    assert there.get("/").status_code == 200  # at once, although it looks only once a second
    assert read(there, add_token(app, "new")) == 200
    other.extensions["ledger"].close()


@pytest.fixture
def with_own(settings: Settings) -> Iterator[Flask]:
    """The app with an API_TOKEN."""
    made = create_app(settings.model_copy(update={"api_token": SECRET}))
    yield made
    made.extensions["ledger"].close()
    release()


def test_a_session_ends_when_api_token_changes(with_own: Flask, settings: Settings) -> None:
    client = with_own.test_client()
    assert sign_in(client, SECRET) == 303 and client.get("/").status_code == 200
    cookie = client.get_cookie(COOKIE)
    assert cookie is not None
    for token, status in ((SECRET, 200), ("another", 303)):
        renewed = create_app(settings.model_copy(update={"api_token": token}))
        browser = renewed.test_client()
        browser.set_cookie(COOKIE, cookie.value)
        assert browser.get("/").status_code == status
        renewed.extensions["ledger"].close()


@pytest.mark.parametrize("damage", ["gone", "malformed", "a folder", "all gone"])
def test_a_file_that_cannot_be_used_lets_nobody_in_but_api_token(
    with_own: Flask, damage: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, client, access = add_token(with_own, OWNER), with_own.test_client(), access_of(with_own)
    sign_in(client, owner)
    monkeypatch.setattr("access.access.LOOK_SECONDS", 0.0)
    access.look()
    kept, path = access.file.path.with_name("kept.json"), access.file.path
    path.rename(kept)
    lock = access.file.lock
    if damage == "malformed":
        path.write_text(kept.read_text()[:-1])
    elif damage == "a folder":
        path.mkdir()
    elif damage == "all gone":
        lock.rename(lock.with_name("lock"))
    for _ in range(2):
        refused = client.get("/api/jobs", headers=bearer(owner))
        assert refused.status_code == 503 and "its log says why" in refused.json["detail"]  # type: ignore[index]
        assert refused.headers["Retry-After"] and str(path) not in refused.text
    page = client.get("/")
    assert (page.status_code, page.mimetype) == (503, "text/html") and client.get("/api/jobs").status_code == 503
    assert client.post("/sign-out").status_code == 503 and client.get_cookie(COOKIE) is not None
    assert with_own.test_client().get("/").status_code == 303
    assert with_own.test_client().get("/api/jobs").status_code == 401
    assert read(client, SECRET) == 200
    assert len([record for record in caplog.records if record.name == "ledger.access"]) == 1
    if path.is_dir():
        path.rmdir()
    kept.replace(path)
    assert read(client, owner) == 200 and client.get("/").status_code == 200


def test_a_failure_to_read_the_file_is_tried_again_although_it_has_not_changed(
    client: FlaskClient, app: Flask, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = access_of(app)
    monkeypatch.setattr("access.access.LOOK_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(access.file, "read", lambda: (_ for _ in ()).throw(TokensUnusable("too many open files")))
        access._stamp = None
        access.look()
        assert read(client, owner) == 503
    assert read(client, owner) == 200


def test_many_unknown_tokens_do_not_put_off_the_next_try_to_read_the_file(
    app: Flask, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    access, passed = access_of(app), [1000.0]
    monkeypatch.setattr("access.access.time.monotonic", lambda: passed[-1])
    with monkeypatch.context() as patch:
        patch.setattr(access.file, "read", lambda: (_ for _ in ()).throw(TokensUnusable("too many open files")))
        access._stamp = None
        access.look()
    for _ in range(2):
        with pytest.raises(TokensUnusable):
            access.by_token("unknown", None)
        passed.append(passed[-1] + LOOK_SECONDS / 2)
    assert access.by_token(owner, None).name == OWNER


def test_a_file_that_a_setting_names_is_expected_from_the_start(settings: Settings, tmp_path: Path) -> None:
    assert not Access(settings).is_protected()
    access = Access(settings.model_copy(update={"api_tokens": tmp_path / "not-mounted" / "tokens.json"}))
    assert access.is_protected()
    assert not access.still_allows(None) and access.by_session("any") is None


def test_a_sign_in_that_cannot_be_stored_says_so(
    client: FlaskClient, app: Flask, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*paths: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("access.file.publish_file", full)
    answer = client.post("/sign-in", data={"token": owner})
    assert answer.status_code == 503 and "No space left on device" in answer.text
    assert client.get_cookie(COOKIE) is None and read(client, owner) == 200


def test_the_last_use_is_stored_later_and_a_failure_of_this_fails_no_request(
    client: FlaskClient, app: Flask, owner: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    access, before = access_of(app), access_of(app).file.stamp()
    assert sign_in(client, owner) == 303 and client.get("/").status_code == 200
    assert read(client, owner) == 200
    access.save_uses()
    contents = access.file.read()
    assert contents is not None and contents.tokens[0].used_at is not None and access.file.stamp() != before
    saved = access.file.stamp()
    assert read(client, owner) == 200
    access.save_uses()  # within the same minute
    assert access.file.stamp() == saved
    with access.file.changing() as contents:
        contents.tokens[0].used_at = None
    monkeypatch.setattr("access.file.publish_file", lambda *paths: (_ for _ in ()).throw(OSError(28, "full")))
    for _ in range(2):
        assert read(client, owner) == 200
        access.save_uses()
    assert [record.message.split(":")[0] for record in caplog.records] == ["the last use of tokens is not stored"]


def test_an_open_stream_ends_when_its_token_is_removed(app: Flask, owner: str) -> None:
    with serving_flask(app) as front:
        head = f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {owner}\r\n\r\n"
        client = front.open(head.encode())
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        remove_token(app, OWNER)
        wait_for(lambda: front.call(len, front.front._streams) == 0, 30)
        assert rest(client).endswith(b"retry: 1000\n\n")


def test_a_wrong_token_with_a_body_is_counted_once_and_gets_no_body_read(app: Flask, owner: str) -> None:
    access = access_of(app)
    with serving_flask(app) as front:
        body = b'{"prompt": "rain"}'
        head = b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 1.1.1.1\r\n"
        head += b"Content-Type: application/json\r\n"
        for _ in range(2):
            sent = head + b"Authorization: Bearer wrong\r\nContent-Length: %d\r\n\r\n" % len(body)
            assert front.open(sent + body).recv(65536).startswith(b"HTTP/1.1 401 ")
        assert [failures for _, failures in access.guesses._failures.values()] == [2]
        sent = head + f"Authorization: Bearer {owner}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        assert front.open(sent + body).recv(65536).startswith(b"HTTP/1.1 201 ")
