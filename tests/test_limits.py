"""The number of threads and connections is checked at the start; the length of a body is checked by its head."""

import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import create_app
from database import release
from errors import SettingsError
from settings import Settings
from tests.conftest import ROOT
from tests.test_settings_errors import run
from web import limits
from web.reading import BODY_BYTES, STRANGER_BYTES
from web.subsonic import stars

POSTGRESQL = "postgresql://u@127.0.0.1:1/n"
LEAST = 2 * limits.THREADS + limits.OTHERS
HEAD = {"HTTP_HOST": "localhost", "REQUEST_METHOD": "POST", "PATH_INFO": "/api/jobs", "wsgi.url_scheme": "http"}


def settings(**values: Any) -> Settings:
    """Settings that no environment changes."""
    return Settings(_env_file=None, **values)


def test_a_pool_that_is_too_small_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=f"^DB_POOL_SIZE is {LEAST - 1}: .* at least {LEAST} connections"):
        limits.check_pool(settings(database_url=POSTGRESQL, db_pool_size=LEAST - 1))
    limits.check_pool(settings(database_url=POSTGRESQL, db_pool_size=LEAST))


def test_sqlite_has_no_pool_to_check() -> None:
    limits.check_pool(settings(db_pool_size=1))


def test_a_start_with_a_pool_that_is_too_small_ends_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run(sys.executable, str(ROOT / "app.py"), DATABASE_URL=POSTGRESQL, DB_POOL_SIZE="2")
    assert ended.returncode == 1 and ended.stderr.startswith("DB_POOL_SIZE is 2: ")


def limit(app: Flask, settings: Settings, **head: str) -> int:
    """The number of bytes that the body of a request with this head may have."""
    names = {"SERVER_NAME": "localhost", "SERVER_PORT": "8000"}
    return limits.body_limit(app, settings, app.extensions["ledger"].access)({**HEAD, **names, **head})


@pytest.mark.parametrize("kind", ["sqlite"])
def test_only_an_upload_may_have_a_large_body(app: Flask, settings: Settings) -> None:
    large = {"CONTENT_LENGTH": str(BODY_BYTES + 1)}
    upload = {"REQUEST_METHOD": "PUT", "PATH_INFO": "/api/tracks/t/audio"}
    assert limit(app, settings) == limit(app, settings, **large) == BODY_BYTES
    assert limit(app, settings, **large, **upload) == settings.max_upload_mb * limits.MEGABYTE
    assert limit(app, settings, **large, REQUEST_METHOD="PUT", PATH_INFO="/nowhere") == BODY_BYTES


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_request_that_its_head_condemns_may_have_no_body(app: Flask, settings: Settings) -> None:
    assert limit(app, settings, HTTP_HOST="evil.example") == 0
    assert limit(app, settings, HTTP_ORIGIN="http://evil.example") == 0


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_stranger_may_send_little(settings: Settings) -> None:
    guarded = settings.model_copy(update={"api_token": "secret"})
    app = create_app(guarded)
    assert limit(app, guarded) == 0
    assert limit(app, guarded, PATH_INFO="/sign-in") == STRANGER_BYTES
    assert limit(app, guarded, HTTP_AUTHORIZATION="Bearer secret") == BODY_BYTES
    release()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_stars_of_players_are_writes_whatever_their_method(method: str) -> None:
    for path in (f"/rest/{name}{end}" for name in stars.METHODS for end in ("", ".view")):
        assert not limits.is_read({"REQUEST_METHOD": method, "PATH_INFO": path}), path
    for path in ("/rest/getStarred", "/rest/getSong.view", "/api/jobs"):
        assert limits.is_read({"REQUEST_METHOD": method, "PATH_INFO": path}) == (method == "GET")
