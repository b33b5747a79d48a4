"""A damaged SQLite file under a running service: a named 503 for what cannot be read, and the rest is served."""

import logging
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from database import database, release
from database.damage import ADVICE, Damaged, is_damaged
from repos import JobRepository, TrackRepository
from settings import Settings
from tests.conftest import on_sqlite, thorough

PAGE = 4096
JOBS = 120
SEEDS = range(thorough(40, 4))
Damage = Callable[[bytes, random.Random], bytes]
READS = (
    *("/api/jobs", "/api/jobs?q=song", "/api/jobs/j5", "/api/jobs/j7?expand=tracks.loops", "/api/tracks", "/api/queue"),
    *("/api/jobs?metadata.genre=Folk", "/api/stats", "/metrics", "/", "/tracks", "/tracks?q=t5", "/jobs/j9", "/readyz"),
)
PAGES_OF_ALL = [
    pytest.param(lambda page, _: bytes(len(page)), id="zeros"),
    pytest.param(lambda page, chance: chance.randbytes(len(page)), id="random bytes"),
    pytest.param(
        lambda page, chance: bytes(
            byte ^ (1 << chance.randrange(8)) if chance.random() < 0.01 else byte for byte in page
        ),
        id="flipped bits",
    ),
    pytest.param(None, id="a shorter file"),
]


def fill(settings: Settings) -> None:
    """Make jobs with a track, all in the file and none in its log."""
    with database.atomic():
        for number in range(JOBS):
            JobRepository().create(job_id=f"j{number}", prompt=f"song {number} é中 " * 20, metadata={"genre": "Folk"})
            TrackRepository().create(track_id=f"t{number}", job_id=f"j{number}", duration=3, title=f"T{number}")
    database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    release()


def damage(path: Path, change: Damage | None, chance: random.Random) -> None:
    """Damage pages in the second half of the file, which has the records; or cut it off."""
    number = path.stat().st_size // PAGE
    with path.open("r+b") as file:
        if change is None:
            file.truncate(chance.randrange(number // 2, number) * PAGE)
            return
        for _ in range(max(1, number // 20)):
            place = chance.randrange(number // 2, number) * PAGE
            file.seek(place)
            page = file.read(PAGE)
            file.seek(place)
            file.write(change(page, chance))


@on_sqlite
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("change", PAGES_OF_ALL)
def test_nothing_is_a_500(client: FlaskClient, settings: Settings, change: Damage | None, seed: int) -> None:
    fill(settings)
    damage(settings.sqlite_path, change, random.Random(seed))
    answers = [client.get(address) for address in READS]
    answers += [client.post("/api/jobs", json={"prompt": "p"}), client.patch("/api/jobs/j3", json={"message": "m"})]
    answers.append(client.delete("/api/jobs/j4"))
    assert {answer.status_code for answer in answers} <= {200, 201, 204, 404, 503}
    for answer in answers:
        if answer.status_code == 503 and "problem+json" in answer.content_type:
            assert "damaged" in answer.json["detail"] and ADVICE in answer.json["detail"]


@on_sqlite
def test_what_is_not_damaged_is_served(
    client: FlaskClient, settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.problems._is_damage_logged", False)
    fill(settings)
    raw = settings.sqlite_path.read_bytes()
    page = raw.index(b"song 60 ") // PAGE
    with settings.sqlite_path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(bytes(PAGE))
    caplog.set_level(logging.CRITICAL, "ledger.web")
    statuses = {number: client.get(f"/api/jobs/j{number}").status_code for number in range(JOBS)}
    assert statuses[60] == 503 and list(statuses.values()).count(200) > JOBS / 2
    tracebacks = [record for record in caplog.records if record.exc_info]
    assert len(tracebacks) == 1 and ADVICE in caplog.records[0].message
    assert client.post("/api/jobs", json={"job_id": "new", "prompt": "p"}).status_code in (201, 503)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Damaged("malformed JSON"), True),
        (Exception("error executing query: [SELECT 1] database disk image is malformed (code=11, ext=267)"), True),
        (Exception("file is not a database (code=26, ext=26)"), True),
        (Exception("malformed JSON (code=1, ext=1)"), True),
        (Exception("malformed database schema"), True),
        (Exception("database is locked (code=5, ext=5)"), False),
        (type("DataCorrupted", (Exception,), {"sqlstate": "XX001"})("invalid page in block 0"), True),
        (type("Shutdown", (Exception,), {"sqlstate": "57P01"})("terminating connection"), False),
    ],
)
def test_damage_is_told_from_other_errors(error: Any, expected: bool) -> None:
    assert is_damaged(error) is expected


@pytest.fixture
def damaged_job(settings: Settings, client: FlaskClient) -> None:
    """Two jobs with a column that is no JSON any more, and another job."""
    JobRepository().create(job_id="whole", job_type="synth", prompt="p", metadata={"duration": 7})
    JobRepository().create(job_id="hurt", job_type="synth", prompt="p", metadata={"duration": 9})
    JobRepository().create(job_id="torn", job_type="synth", prompt="p", file_manifest={"mp3": 9}, takes=2)
    database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    release()
    raw = settings.sqlite_path.read_bytes()
    settings.sqlite_path.write_bytes(
        raw.replace(b'{"duration":9}', b'{"duration"9:}').replace(b'{"mp3":9}', b'{"mp3"9:}')
    )


@on_sqlite
@pytest.mark.usefixtures("damaged_job")
def test_a_damaged_job_does_not_close_the_form_for_new_jobs(client: FlaskClient) -> None:
    answer = client.get("/new")
    assert answer.status_code == 200
    assert re.findall("/new[?]like=([a-z]+)", answer.text) == ["whole"]


@on_sqlite
@pytest.mark.usefixtures("damaged_job")
@pytest.mark.parametrize("path", ["/api/jobs/hurt", "/api/jobs/torn", "/api/jobs"])
def test_damaged_json_is_not_sent_as_json(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 503 and ADVICE in answer.json["detail"]
    assert client.get("/api/jobs/whole").json["metadata"] == {"duration": 7}


@on_sqlite
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("created_at", "'then'"),
        ("created_at", str(2**62)),
        ("prompt", "x'00ff'"),
        ("priority", "'high'"),
    ],
)
@pytest.mark.parametrize(
    "request_",
    [
        *(("GET", path) for path in ("/api/jobs/hurt", "/jobs/hurt", "/api/jobs", "/")),
        *(("POST", f"/api/jobs/hurt/{action}") for action in ("cancel", "retry")),
    ],
)
def test_a_value_that_no_program_has_written_is_damage(
    client: FlaskClient, request_: tuple[str, str], column: str, value: str
) -> None:
    hurt(column, value)
    method, path = request_
    answer = client.open(path, method=method)
    assert answer.status_code == 503 and ADVICE in answer.text
    assert client.get("/api/jobs/whole").status_code == 200


@on_sqlite
@pytest.mark.parametrize("path", ["/jobs/hurt", "/"])
def test_a_damaged_status_is_shown_as_it_is(client: FlaskClient, path: str) -> None:
    hurt("status", "'pendiog'")
    answer = client.get(path)
    assert answer.status_code == 200 and "pendiog" in answer.text


@on_sqlite
@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(("column", "value"), [("priority", "'high'"), ("takes", "'two'")])
def test_a_claim_says_that_the_next_job_is_damaged(column: str, value: str) -> None:
    hurt(column, value)
    with pytest.raises(Damaged, match=f"the job that is next cannot be claimed: {column} must be"):
        JobRepository().claim("w")
    assert JobRepository().delete("hurt")
    claimed = JobRepository().claim("w")
    assert claimed is not None and claimed.job_id == "whole"


def hurt(column: str, value: str) -> None:
    """Make two jobs, hurt and whole. A column of hurt gets a value that the database would refuse."""
    for job_id in ("hurt", "whole"):
        JobRepository().create(job_id=job_id, prompt="p")
    for statement in (
        "PRAGMA ignore_check_constraints = 1",
        "PRAGMA writable_schema = 1",
        "UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '') WHERE name = 'job'",
        "PRAGMA writable_schema = RESET",
        f"UPDATE job SET {column} = {value} WHERE job_id = 'hurt'",
        "PRAGMA writable_schema = 1",
        "UPDATE sqlite_schema SET sql = sql || ' STRICT' WHERE name = 'job'",
        "PRAGMA writable_schema = RESET",
    ):
        database.execute_sql(statement)
