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
    first = fragments.of_rows(read())["job-1"]
    assert fragments.of_rows(read())["job-1"] is first
    jobs.update("job-1", message="new")
    new = fragments.of_rows(read())["job-1"]
    assert b'"message":"new"' in new and fragments.of_rows(read())["job-1"] is new


def test_only_rows_whose_fragments_are_not_kept_are_read(ledger: object, job: Job) -> None:
    fragments = Kept(Job)
    for name in ("a", "b", "c"):
        jobs.create(job_id=name, prompt="p")
    fragments.of_rows(jobs.get_rows(["a", "c"]))
    keys, _ = jobs.page_keys(Page())
    missing: list[str] = []
    texts = fragments.of_keys(keys, lambda ids: missing.extend(ids) or jobs.get_rows(ids))
    assert missing == ["b", "job-1"] and texts is not None and list(texts) == ["c", "b", "a", "job-1"]


@pytest.mark.parametrize("change", ["end", "delete"])
def test_a_list_has_only_records_that_meet_its_filter(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    for name in ("a", "b", "c"):
        jobs.create(job_id=name, prompt="p")
    read = JobRepository.get_rows

    def change_first(self: Any, ids: Any) -> Any:
        jobs.delete("b") if change == "delete" else jobs.update("b", status="completed")
        return read(self, ids)

    monkeypatch.setattr(JobRepository, "get_rows", change_first)
    page = client.get("/api/jobs?status=pending&limit=2").json
    assert [(job["job_id"], job["status"]) for job in page["items"]] == [("c", "pending"), ("a", "pending")]
    assert page["next"] is None


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
        fragments.of_rows([row])
    assert len(fragments) <= 2 * 4
    assert fragments.of_rows(read()[-1:])["job-11"] is fragments.of_rows(read()[-1:])["job-11"]


def test_a_large_fragment_is_not_kept(ledger: object) -> None:
    jobs.create(job_id="large", prompt="p", metadata={"lyrics": "la " * 10_000})
    fragments = Kept(Job)
    assert b"la la" in fragments.of_rows(read())["large"] and len(fragments) == 0
