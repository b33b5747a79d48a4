"""Text that is no valid Unicode, written by a script or a restored file: everything still answers, with U+FFFD."""

import json
from collections.abc import Iterator
from contextlib import closing

import cysqlite
import pytest
from flask.testing import FlaskClient

from database import database, from_json
from errors import Invalid
from models import Job
from repos import JobRepository
from server import webhooks
from settings import Settings

on_sqlite = pytest.mark.parametrize("kind", ["sqlite"])  # PostgreSQL refuses such text


@pytest.fixture
def odd_job(job: Job) -> Iterator[Job]:
    """The job with lone surrogates in every JSON column."""
    text = r'{"genre":"\ud800","\udfff key":["a\uDBFFb","\ud83c\udfb5","\\ud800"]}'
    for column in ("metadata", "file_manifest"):
        database.execute_sql(f"UPDATE job SET {column} = ?", (text,))
    data = r'{"status":"completed","progress":100,"message":"\ud800","error":null}'
    JobRepository().update("job-1", status="completed")
    for table in ("event", "delivery"):
        database.execute_sql(f"UPDATE {table} SET data = ?", (data,))
    yield job


@on_sqlite
@pytest.mark.parametrize("path", ["/api/jobs/job-1", "/api/jobs", "/api/jobs?metadata.genre=x", "/", "/jobs/job-1"])
def test_a_lone_surrogate_in_one_row_breaks_no_answer(path: str, client: FlaskClient, odd_job: Job) -> None:
    answer = client.get(path)
    assert answer.status_code == 200 and answer.data.decode()


@on_sqlite
def test_a_lone_surrogate_is_answered_as_u_fffd(client: FlaskClient, odd_job: Job) -> None:
    kept = json.loads(client.get("/api/jobs/job-1").data)
    assert kept["metadata"] == {"genre": "\ufffd", "\ufffd key": ["a\ufffdb", "🎵", r"\ud800"]}
    assert client.post("/api/jobs/job-1/cancel").status_code == 200


@on_sqlite
def test_a_lone_surrogate_in_an_event_breaks_no_stream(client: FlaskClient, odd_job: Job) -> None:
    database.execute_sql("UPDATE event SET event_id = event_id + 10")
    answer = client.get("/api/events?since=0")
    chunk = next(chunk for chunk in answer.iter_encoded() if b"data:" in chunk)
    assert '"message":"\ufffd"' in chunk.decode()
    answer.close()


@on_sqlite
def test_a_lone_surrogate_in_a_delivery_breaks_no_webhook(client: FlaskClient, odd_job: Job) -> None:
    delivery = webhooks.claim()
    assert delivery is not None
    assert json.loads(webhooks.message(delivery))["data"]["data"]["message"] == "\ufffd"


@pytest.mark.parametrize("text", [r'"\ud83c\udfb5"', r'"\\ud800"', r'{"a":"\u00e9"}', '"é🎵"'])
def test_valid_json_text_is_read_as_it_is(text: str) -> None:
    assert from_json(text) == from_json(text.encode()) == json.loads(text)


@on_sqlite
@pytest.mark.parametrize("path", ["/api/jobs/job-1", "/api/jobs", "/", "/jobs/job-1", "/api/jobs/job-1/events?since=0"])
def test_text_that_is_not_utf_8_breaks_no_answer(path: str, client: FlaskClient, job: Job) -> None:
    JobRepository().create(job_id="job-2", prompt="another")
    database.execute_sql("UPDATE job SET message = CAST(X'6869EDA080' AS TEXT) WHERE job_id = 'job-1'")
    answer = client.get(path, buffered=False)
    text = b"".join(chunk for chunk, _ in zip(answer.iter_encoded(), range(4), strict=False)).decode()
    answer.close()
    assert answer.status_code == 200 and "hi\ufffd" in text


@on_sqlite
def test_the_rows_after_text_that_is_not_utf_8_are_read_once(ledger: object, job: Job) -> None:
    for number in range(3):
        JobRepository().create(job_id=f"more-{number}", prompt="more", priority=number)
    database.execute_sql("UPDATE job SET prompt = CAST(X'ff' AS TEXT) WHERE job_id = 'more-1'")
    jobs = [(job.job_id, job.prompt, job.priority) for job in Job.select().order_by(Job.created_at)]
    assert [name for name, _, _ in jobs] == ["job-1", "more-0", "more-1", "more-2"]
    assert jobs[2] == ("more-1", "\ufffd", 1)


@on_sqlite
def test_a_delivery_that_is_not_utf_8_does_not_hold_up_the_others(ledger: object, job: Job) -> None:
    JobRepository().create(job_id="job-2", prompt="another")
    database.execute_sql("UPDATE job SET status = 'failed', error = CAST(X'ff41' AS TEXT) WHERE job_id = 'job-1'")
    JobRepository().update("job-2", status="completed")
    deliveries = [webhooks.claim(), webhooks.claim()]
    assert [delivery.entity_id for delivery in deliveries] == ["job-1", "job-2"]
    assert deliveries[0].data["error"] == "\ufffdA"


def test_metadata_that_is_nested_too_deeply_is_refused_and_breaks_no_list(client: FlaskClient, job: Job) -> None:
    deep: dict[str, object] = {}
    for _ in range(101):
        deep = {"deeper": deep}
    with pytest.raises(Invalid, match="nested more than 100 levels"):
        JobRepository().update("job-1", metadata=deep)
    text = '{"a":' * 900 + "1" + "}" * 900
    database.execute_sql(f"UPDATE job SET metadata = {database.param}", (text,))
    [shown] = client.get("/api/jobs").json["items"]
    assert "nested" in shown["metadata"]["unreadable"]
    assert JobRepository().claim("w").job_id == "job-1"


@on_sqlite
def test_json_with_text_after_an_end_of_text_is_refused(ledger: Settings) -> None:
    shell = cysqlite.Connection(str(ledger.sqlite_path))
    with closing(shell), pytest.raises(cysqlite.IntegrityError):
        shell.execute("""INSERT INTO job (job_id, metadata) VALUES ('a', '{"a":1}' || char(0) || 'junk')""")
