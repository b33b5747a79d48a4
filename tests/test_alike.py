"""One fixed sequence of requests, answered the same on SQLite and on PostgreSQL."""

import json
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app import create_app
from database import release
from settings import Settings

Call = tuple[str, str, Any]
PROMPTS = ("folk guitar ёлка", "€20 rock・ballad", "民谣 口琴", "Café № 8 мой", "rain 20°C", "ΟΔΟΣ techno")
VALUES: tuple[Any, ...] = (20, 20.0, "20", 1e16, -0.0, True, None, ["x"], {"0": "x"}, "ёлка")
TEXTS = ("20", "20.0", "1e16", "0", "true", "x", "ёлка", "null")
QUERIES = ("елка", "20", "rock", "ballad", "吉", "口琴", "мои", "€", "оδος", "cafe", "rain 20")
STATUSES = ("pending", "loading_model", "exporting", "completed", "failed", "cancelled", "unheard")
MASKED = re.compile(r'"(?:\d{4}-\d\d-\d\dT[\d:.]+Z|(?:[\d.]+-)?[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f-]{27})"')

CURSOR = re.compile('cursor=[^&"]+')


def requests() -> Iterator[Call]:
    """Some 400 requests in a fixed order: what people send, and what is refused."""
    rng = random.Random(11)
    for number in range(60):
        metadata = {"a": rng.choice(VALUES), "n": number}
        body = {"job_id": f"j{number:02}", "prompt": rng.choice(PROMPTS), "metadata": metadata, "priority": number % 4}
        yield "POST", "/api/jobs", {**body, "seed": number * 2**26, "takes": number % 32 + 1}  # a claim would draw one
        made = {"seed": number, "take": number % 3 + 1, "provenance": {"parameters": metadata}} if number % 2 else {}
        track = {"track_id": f"t{number:02}", "duration": number % 5 or None, **made}
        yield "POST", f"/api/jobs/j{number:02}/tracks", track
        if number % 3 == 0:
            yield "POST", f"/api/tracks/t{number:02}/loops", {"loop_id": f"l{number:02}", "duration": number}
    yield from changes(rng)
    yield from lists()
    yield from refusals()
    for number in range(0, 60, 4):
        yield "DELETE", f"/api/jobs/j{number:02}", None
        yield "GET", f"/api/tracks/t{number:02}", None
    yield "GET", "/api/stats", None


def changes(rng: random.Random) -> Iterator[Call]:
    """Patches, claims, cancels and retries."""
    for _ in range(85):
        job = f"/api/jobs/j{rng.randrange(62):02}"
        yield "PATCH", job, {"status": rng.choice(STATUSES), "progress": rng.choice((0, 50, 100, 101))}
        yield "POST", f"{job}/{rng.choice(('cancel', 'retry'))}", None
    for _ in range(8):
        yield "POST", "/api/jobs/claim", {"worker": "w", "job_types": ["diffrhythm"]}
        yield "POST", "/api/loops/claim", {"worker": "w"}


def lists() -> Iterator[Call]:
    """Lists with filters, words, sorts and counts."""
    for text in TEXTS:
        yield "GET", f"/api/jobs?metadata.a={text}&count=true&sort=priority", None
        yield "GET", f"/api/jobs?metadata.a.0={text}&count=true", None
    for words in QUERIES:
        yield "GET", f"/api/jobs?q={words}&count=true&limit=7", None
    for sort in ("created_at", "-created_at", "priority", "-priority"):
        yield "GET", f"/api/jobs?sort={sort}&limit=9", None
        yield "GET", f"/api/jobs?status=failed&status=pending&sort={sort}&limit=9&expand=tracks.loops", None
    for path in ("/api/tracks", "/api/loops", "/api/loops?status=PENDING&count=true", "/api/jobs/j03/loops"):
        yield "GET", path, None


def refusals() -> Iterator[Call]:
    """What is refused."""
    for body in (
        {},
        {"prompt": ""},
        {"prompt": "p", "job_id": ".."},
        {"prompt": "p", "colour": 1},
        [],
        {"prompt": None},
    ):
        yield "POST", "/api/jobs", body
    yield "POST", "/api/jobs", {"job_id": "j01", "prompt": "another"}
    yield "POST", "/api/tracks", {"job_id": "nobody"}
    yield "POST", "/api/loops", {"track_id": "nobody", "duration": 10}
    yield "PATCH", "/api/tracks/t01", {"job_id": "nobody"}
    for order in ({"seed": -1}, {"seed": 2**32}, {"seed": 0.5}, {"takes": 0}, {"takes": 33}, {"takes": None}):
        yield "POST", "/api/jobs", {"prompt": "p", **order}
    for number in range(0, 60, 6):
        yield "PATCH", f"/api/jobs/j{number:02}", {"seed": None, "takes": 3.0}
    for made in ({"seed": 2**32}, {"take": 0}, {"take": 33}, {"take": 2.0}, {"provenance": []}, {"provenance": None}):
        yield "PATCH", "/api/tracks/t01", made
    order = {"loop_id": "seam", "track_id": "t01", "duration": 10}
    for seam in ({"start": 1}, {"end": 1}, {"start": 3, "end": 2}, {"start": 0, "end": 10.5}, {"exact": 1}):
        yield "POST", "/api/loops", {**order, **seam}
    for seam in ({"candidate": 1, "start": 1, "end": 2}, {"start": 1, "end": 2.5, "exact": 1}, {"candidate": 3}):
        yield "POST", "/api/loops", {**order, **seam}
    for path in ("/api/jobs/nobody", "/api/jobs?limit=0", "/api/jobs?cursor=x", "/api/jobs?status=x", "/api/nothing"):
        yield "GET", path, None


def answers(settings: Settings) -> list[tuple[int, Any]]:
    """Status and JSON of the answer to every request, with times, tokens and cursors masked."""
    app = create_app(settings)
    client = app.test_client()
    try:
        return [answer(client.open(path, method=method, json=body)) for method, path, body in requests()]
    finally:
        app.extensions["ledger"].close()
        release()


def answer(response: Any) -> tuple[int, Any]:
    """Status and JSON with its times, tokens and cursors masked."""
    text = CURSOR.sub("cursor=?", MASKED.sub('"?"', response.get_data(as_text=True)))
    return response.status_code, json.loads(text) if text else None


def test_both_databases_answer_400_requests_alike(
    template: Path, postgresql: str, postgresql_template: str, tmp_path: Path
) -> None:
    shutil.copy(template, tmp_path / "app.db")
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE alike TEMPLATE {postgresql_template}")
    urls = (f"sqlite:///{tmp_path / 'app.db'}", postgresql.replace("/postgres?", "/alike?"))
    folder = tmp_path / "output"
    lite, server = (answers(Settings(_env_file=None, database_url=url, storage_dir=folder)) for url in urls)
    assert len(lite) >= 400
    for request, one, other in zip(requests(), lite, server, strict=True):
        assert one == other, json.dumps(request, ensure_ascii=False)


@pytest.fixture(autouse=True)
def no_database_is_left(postgresql: str) -> Iterator[None]:
    """Drop the database that the test made."""
    yield
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS alike WITH (FORCE)")
