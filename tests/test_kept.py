"""Kept fragments: never stale, and bounded in number and in bytes."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from models import Job
from records.pages import Page
from repos import JobRepository
from web import kept
from web.kept import Kept

jobs = JobRepository()


def read() -> list[Any]:
    """The rows of all jobs."""
    return jobs.page_rows(Page(limit=100, sort="priority", descending=False))


def test_a_fragment_is_written_once_for_each_version(ledger: object, job: Job) -> None:
    fragments = Kept(Job)
    (first,), (second,) = fragments.fragments(read()), fragments.fragments(read())
    assert first is second
    jobs.update("job-1", message="new")
    (third,) = fragments.fragments(read())
    assert b'"message":"new"' in third and fragments.fragments(read())[0] is third


def test_lists_show_what_any_writer_has_committed(client: FlaskClient, job: Job) -> None:
    assert client.get("/api/jobs").json["items"][0]["message"] is None
    for text in ("one", "two"):
        Job.update(message=text).where(Job.job_id == "job-1").execute()
        assert client.get("/api/jobs").json["items"][0]["message"] == text
    jobs.delete("job-1")
    assert client.get("/api/jobs").json["items"] == []


@pytest.mark.parametrize(("most", "most_bytes"), [(3, 1_000_000), (1000, 1500)])
def test_fragments_are_dropped_when_they_are_too_many_or_too_large(
    ledger: object, monkeypatch: pytest.MonkeyPatch, most: int, most_bytes: int
) -> None:
    monkeypatch.setattr(kept, "MOST", most)
    monkeypatch.setattr(kept, "MOST_BYTES", most_bytes)
    for number in range(12):
        jobs.create(job_id=f"job-{number}", prompt="p", priority=number)
    fragments = Kept(Job)
    for row in read():
        fragments.fragments([row])
    assert len(fragments) <= 2 * 4
    assert fragments.fragments(read()[-1:])[0] is fragments.fragments(read()[-1:])[0]
