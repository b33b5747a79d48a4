"""Attacks by the browser of somebody who uses this service, on every route that it has, and hostile texts.

A page of another site can make a browser send requests here. It cannot choose Host, Origin and Sec-Fetch-Site.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from database import database
from files.storage import Storage
from models import Loop
from repos import TrackRepository
from settings import Settings
from tests.own_generator import Maker
from tests.players import PASSWORD
from tests.sounds import wav_bytes

OPEN_STREAMS = {"api.stream_events", "api.stream_job_events"}  # they do not end
PLAYERS = "/rest/"  # a page of another site may be a player, but it cannot sign in: tests/test_subsonic_sign_in.py
IDS = {"number": "1", "filename": "app.css", "path": "index.html", "method": "star"}
RECORDS = {"jobs": "job-1", "tracks": "track-1", "loops": "loop-1", "discards": "discard-1"}
FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "https://localhost.evil.example"},
    {"Origin": "http://localhost:1"},  # another program on this machine
    {"Origin": "file://"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]
FIELDS = b"prompt=p&job_type=synth&paused=1&files=true&ids=job-1&action=delete&title=x&starred=1"
BODIES = {
    "application/json": b'{"prompt": "p", "paused": true, "ids": ["job-1"], "action": "delete"}',
    "application/x-www-form-urlencoded": FIELDS,
    "text/plain": b'{"prompt": "p", "x": "="}',
    "text/csv": b"prompt\r\np\r\n",
    "multipart/form-data; boundary=x": b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\np\r\n--x--\r\n',
    "": b"",
}
HEADERS = {
    "Accept-Ranges",
    "Cache-Control",
    "Content-Disposition",
    "Content-Length",
    "Content-Security-Policy",
    "Content-Type",
    "Date",
    "ETag",
    "Last-Modified",
    "Referrer-Policy",
    "Vary",
    "X-Content-Type-Options",
    "X-Request-Id",
}
# Texts that would be a command, an option, a path, a placeholder, a format or a header if they were not data.
HOSTILE = [
    "$(touch x)",
    "; touch x #",
    "--help",
    "-o/etc/x",
    "../../x",
    "{output_dir}",
    "{{take}}",
    "%s%n",
    "a\r\nX: 1",
]


@pytest.fixture
def kind() -> str:
    """The checks come before the database, so one is enough."""
    return "sqlite"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings of the test, with music players, so that their routes are there, too."""
    return settings.model_copy(update={"subsonic_password": PASSWORD})


@pytest.fixture
def filled(client: FlaskClient, storage: Storage, loop: Loop) -> FlaskClient:
    """A client of an app with a record of each kind."""
    (storage.root / "song.wav").write_bytes(wav_bytes())
    TrackRepository().update("track-1", file_path_wav="song.wav")
    return client


def routes(app: Flask, are_safe: bool) -> Iterator[tuple[str, str]]:
    """(method, path) of the routes that only read, or of those that change something, with ids of records."""
    for rule in app.url_map.iter_rules():
        record = RECORDS.get(rule.rule.removeprefix("/api").split("/")[1], "")
        built = rule.build({name: IDS.get(name, record) for name in rule.arguments})
        if rule.endpoint in OPEN_STREAMS or built is None:
            continue
        for method in sorted(rule.methods or ()):
            if (method in ("GET", "HEAD", "OPTIONS")) == are_safe:
                yield method, built[1]


def records() -> dict[str, list[Any]]:
    """All rows of all tables."""
    return {table: database.execute_sql(f"SELECT * FROM {table}").fetchall() for table in database.get_tables()}


def test_a_name_that_points_here_reaches_nothing(app: Flask, filled: FlaskClient) -> None:
    """DNS rebinding: the name of another site leads to this machine, so for a browser both are one site."""
    for are_safe in (True, False):
        reached = list(routes(app, are_safe))
        assert len(reached) > 40
        for method, path in reached:
            with filled.open(path, method=method, headers={"Host": "evil.example"}) as answer:
                if not path.startswith(PLAYERS):
                    assert answer.status_code == 403, (method, path)
                elif method != "HEAD":  # its answer, a failure with status 200, has no body
                    assert b"failed" in answer.data, (method, path)


@pytest.mark.parametrize("content_type", BODIES)
def test_a_page_of_another_site_changes_nothing(content_type: str, app: Flask, filled: FlaskClient) -> None:
    before = records()
    for method, path in routes(app, are_safe=False):
        for headers in FOREIGN:
            if path.startswith(PLAYERS):
                continue
            answer = filled.open(
                path, method=method, headers=headers, data=BODIES[content_type], content_type=content_type or None
            )
            assert answer.status_code == 403, (method, path, headers)
    assert records() == before


def test_what_only_reads_changes_nothing(app: Flask, filled: FlaskClient) -> None:
    """A picture or a link on another page makes a browser send GET, so no GET may change a record."""
    before = records()
    for method, path in routes(app, are_safe=True):
        with filled.open(path + "?count=true&paused=1&action=delete&_method=DELETE", method=method) as answer:
            assert answer.status_code < 500, (method, path)
    assert records() == before


def test_no_text_becomes_a_header(filled: FlaskClient) -> None:
    for text in ["../../x", "a\r\nX: 1", "a\nSet-Cookie: x=1", "\u2028x", '"; filename=x.exe; "']:
        assert filled.patch("/api/tracks/track-1", json={"title": text}).status_code == 200
        sent = {"X-Request-Id": " ".join(text.split()).encode().decode("latin-1")}
        for path in ("/api/tracks/track-1/download", "/api/tracks.zip?track_id=track-1", "/tracks/track-1"):
            with filled.get(path, headers=sent) as answer:
                assert answer.status_code == 200, (path, answer.text)
                assert set(answer.headers.keys()) <= HEADERS
                name = answer.headers.get("Content-Disposition", "")
                assert name.count('"') in (0, 2) and not any(mark in name for mark in "\r\n"), name


def test_no_text_becomes_a_command_an_option_or_a_path(ledger: Settings, tmp_path: Path) -> None:
    parameters = {name: {"type": "text", "default": ""} for name in ("style", "voice")}
    command = [
        sys.executable,
        "make.py",
        "{output_dir}",
        "1",
        "1",
        "{style}",
        "--voice={voice}",
        "{metadata.genre|none}",
    ]
    code = f"pathlib.Path({str(tmp_path)!r}, 'words').open('a').write(repr(sys.argv[4:]) + chr(10)); write('song.wav')"
    (tmp_path / "own").mkdir()
    made = Maker(ledger, tmp_path / "own")
    expected = []
    for style, voice, genre in zip(HOSTILE[::3], HOSTILE[1::3], HOSTILE[2::3], strict=True):
        metadata = {"genre": genre, "parameters": {"style": style, "voice": voice}}
        job = made(code, metadata=metadata, parameters=parameters, command=command)
        assert job.status == "completed", job.error
        expected.append(repr([style, f"--voice={voice}", genre]))
    assert (tmp_path / "words").read_text().splitlines() == expected
    assert not list(tmp_path.rglob("x"))
