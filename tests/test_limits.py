"""The table of long requests is checked at start, against the pool and the threads of the server."""

import sys
from pathlib import Path
from typing import Any

import pytest

from errors import SettingsError
from server import serving
from settings import Settings
from tests.conftest import ROOT
from tests.test_settings_errors import run
from web import limits

POSTGRESQL = "postgresql://u@127.0.0.1:1/n"
LEAST = limits.QUICK + limits.BACKGROUND


def settings(**values: Any) -> Settings:
    """Settings that no environment changes."""
    return Settings(_env_file=None, **values)


def test_a_pool_that_is_too_small_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=f"^DB_POOL_SIZE is {LEAST - 1}: .* at least {LEAST} connections"):
        limits.server_threads(settings(database_url=POSTGRESQL, db_pool_size=LEAST - 1))
    assert limits.server_threads(settings(database_url=POSTGRESQL, db_pool_size=LEAST)) > LEAST


def test_sqlite_has_no_pool_to_check() -> None:
    assert limits.server_threads(settings(db_pool_size=1)) > 1


def test_a_start_with_a_pool_that_is_too_small_ends_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run(sys.executable, str(ROOT / "app.py"), DATABASE_URL=POSTGRESQL, DB_POOL_SIZE="2")
    assert ended.returncode == 1 and ended.stderr.startswith("DB_POOL_SIZE is 2: ")


def test_the_server_has_a_thread_for_every_long_request_and_more_for_quick_ones() -> None:
    some = settings(sse_limit=7)
    places = [limits.WAITS, limits.BODIES, limits.UPLOADS, limits.TRANSFERS, limits.ENCODINGS, some.sse_limit]
    threads = limits.server_threads(some)
    assert threads == sum(places) + limits.QUICK
    assert serving.web_server("127.0.0.1", 8000, threads).blocking_threads == threads
