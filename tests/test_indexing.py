"""SQLite's search index: jobs are found before, while and after they are added to it, however they were written."""

import random
import sqlite3
import threading
from typing import Any

import pytest
from peewee import OperationalError

from database import database
from database.letters import has_words, phrases
from maintenance import housekeeping
from models import Job
from records import indexing, search
from records.indexing import index_batch, jobs_behind
from records.search import JobSearch
from repos import JobRepository, Page
from settings import Settings
from tests.conftest import matching_ids, on_sqlite

jobs = JobRepository()
pytestmark = [pytest.mark.usefixtures("ledger"), on_sqlite]


def ids(text: str | None = None, **metadata: str) -> list[str]:
    """The ids of the jobs with these words and values, sorted."""
    return sorted(job.job_id for job in JobSearch(text, metadata).page(Page()))


def in_index(token: str) -> int:
    """How many entries of the index have a word."""
    query = "SELECT count(*) FROM job_search WHERE job_search MATCH ?"
    return int(database.execute_sql(query, [f'"{token}"']).fetchone()[0])


def test_a_job_is_found_before_and_after_it_is_indexed(job: Job) -> None:
    assert (in_index("rain"), ids("rain"), ids(genre="Ambient")) == (0, ["job-1"], ["job-1"])
    index_batch()
    assert (in_index("rain"), ids("rain"), ids(genre="Ambient")) == (1, ["job-1"], ["job-1"])


def test_a_changed_job_is_found_by_its_new_words_alone(job: Job) -> None:
    index_batch()
    jobs.update("job-1", prompt="thunder", metadata={"genre": "Noise"})
    for _ in range(2):
        assert (ids("rain"), ids("thunder"), ids(genre="Ambient"), ids(genre="Noise")) == ([], ["job-1"], [], ["job-1"])
        index_batch()
    assert (in_index("rain"), in_index("thunder"), jobs_behind()) == (0, 1, 0)


def test_a_deleted_job_leaves_the_index(job: Job) -> None:
    index_batch()
    jobs.delete("job-1")
    assert (ids("rain"), in_index("rain"), jobs_behind()) == ([], 1, 1)
    index_batch()
    assert (in_index("rain"), jobs_behind()) == (0, 0)


def test_a_row_with_an_old_rowid_is_found(job: Job) -> None:
    database.execute_sql("UPDATE search_mark SET job_rowid = 100")
    database.execute_sql("INSERT INTO job (rowid, job_id, prompt) VALUES (50, 'old', 'thunder')")
    assert ids("thunder") == ["old"]
    index_batch()
    assert (ids("thunder"), in_index("thunder")) == (["old"], 1)


def test_a_batch_that_fails_changes_nothing(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "words", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        index_batch()
    monkeypatch.undo()
    assert (jobs_behind(), ids("rain")) == (1, ["job-1"])


def test_any_sequence_of_changes_and_batches_finds_what_a_scan_finds() -> None:
    rng = random.Random(5)
    for step in range(300):
        name, word = f"j{rng.randrange(12)}", rng.choice(("rain", "café", "民谣", "eight 8"))
        act = rng.choice((jobs.delete, jobs.update, Job.replace, index_batch))
        if act is index_batch:
            index_batch(rng.randrange(1, 4))
        elif act is jobs.delete:
            jobs.delete(name)
        elif act is jobs.update:
            jobs.update(name, prompt=word, metadata={"a": step % 3})
        else:
            Job.replace(job_id=name, prompt=word, metadata={"a": str(step % 3)}).execute()
        rows = list(Job.select())
        for text in ("rain", "cafe", "民", "8"):
            assert ids(text) == sorted(row.job_id for row in rows if has_words(row.prompt.encode(), text))
        assert ids(a="1") == sorted(row.job_id for row in rows if str(row.metadata["a"]) == "1")


def test_housekeeping_indexes_full_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "JOBS", 3)
    for number in range(5):
        jobs.create(job_id=f"j{number}", prompt="rain")
        housekeeping.index_jobs(threading.Event())
        assert in_index("rain") == (0 if number < 2 else 3)


def test_a_search_indexes_jobs_when_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "FAR_BEHIND", 3)
    for number in range(5):
        jobs.create(job_id=f"j{number}", prompt="rain")
        assert len(ids("rain")) == number + 1
    assert in_index("rain") >= 4


def test_a_search_that_cannot_write_finds_all(monkeypatch: pytest.MonkeyPatch, job: Job) -> None:
    def locked() -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(search, "FAR_BEHIND", 0)
    monkeypatch.setattr(search, "index_batch", locked)
    assert ids("rain") == ["job-1"] and in_index("rain") == 0


def test_a_batch_ends_when_it_has_enough_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "BATCH_CHARACTERS", 50)
    for number in range(4):
        jobs.create(job_id=f"j{number}", prompt="rain " * 6)
    index_batch()
    assert in_index("rain") == 2 and len(ids("rain")) == 4


@pytest.mark.parametrize("number", range(4))
def test_metadata_too_long_for_the_index_is_found(number: int) -> None:
    jobs.create(job_id="long", prompt="p", metadata={"a": "x" * 20_000, "b": number, "c": {"d": ["e"], "f": True}})
    index_batch()
    assert ids(b=str(number)) == ids(**{"c.f": "true"}) == ["long"] and ids(b="9") == ids(**{"c.d": "e"}) == []


def test_text_of_a_shell_that_is_not_utf_8_is_indexed(ledger: Settings) -> None:
    statement = (
        "INSERT INTO job (job_id, prompt, metadata) VALUES ('x', CAST(x'7261696EFF' AS TEXT), '{\"\\u0061\": 1.0}')"
    )
    database.execute_sql(statement)
    for _ in range(2):
        assert (ids("rain"), ids(a="1")) == (["x"], ["x"])
        index_batch()


@pytest.mark.parametrize(
    ("prompt", "text", "is_match"),
    [("民 谣", "民谣", True), ("民a谣", "民谣", False), ("Café", "cafe", True), ("rain", "", False), ("", "a", False)],
)
def test_a_prompt_is_checked_by_the_rule_of_the_index(prompt: str, text: str, is_match: bool) -> None:
    jobs.create(job_id="x", prompt=prompt)
    assert has_words(prompt.encode(), text) is is_match and (matching_ids(text) == ["x"]) is is_match
    index_batch()
    assert (matching_ids(text) == ["x"]) is is_match
    assert bool(phrases(text)) is bool(text)


def test_old_shells_can_change_indexed_jobs(ledger: Settings, job: Job) -> None:
    index_batch()
    database.close()
    with sqlite3.connect(ledger.sqlite_path) as shell:
        shell.execute("UPDATE job SET prompt = 'thunder'")
    shell.close()
    assert (ids("rain"), ids("thunder")) == ([], ["job-1"])


def test_a_job_that_is_indexed_during_a_search_is_found(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    find = JobSearch._is_between

    def index_first(*values: Any) -> Any:
        thread = threading.Thread(target=lambda: (index_batch(), database.close()))
        thread.start()
        thread.join()
        return find(*values)

    monkeypatch.setattr(JobSearch, "_is_between", index_first)
    assert ids("rain") == ["job-1"] and in_index("rain") == 1


@pytest.mark.parametrize("offset", [1, 2**62, 2**63 - 1])
def test_any_offset_is_answered(job: Job, offset: int) -> None:
    assert JobSearch("rain").page(Page(offset=offset)) == []


def test_a_word_is_found_among_many_with_the_same_beginning() -> None:
    for number in range(40):
        jobs.create(job_id=f"{number:02}", prompt="ambienter" if number in (3, 20) else "ambientest")
    index_batch()
    for text, wanted in (("ambienter", ["20", "03"]), ("ambient", ["39", "38", "37"]), ("ambiento", [])):
        assert [job.job_id for job in JobSearch(text).page(Page(limit=3))] == wanted
    assert JobSearch("ambienter").count() == 2 and JobSearch("ambiente").count() == 40


def test_a_search_takes_no_lock(job: Job) -> None:
    seen: list[Any] = []
    database.query_hooks.append(seen.append)
    assert ids("rain", genre="Ambient") == ["job-1"]
    database.query_hooks.remove(seen.append)
    assert {event.sql.split()[0] for event in seen} == {"SELECT", "BEGIN", "COMMIT"}


def test_an_error_that_ends_the_transaction_of_a_search_is_raised_as_it_is(job: Job) -> None:
    with pytest.raises(OperationalError, match="disk I/O error"), search.one_snapshot():
        database.execute_sql("ROLLBACK")  # as SQLite does after some errors
        raise OperationalError("disk I/O error")
    assert ids("rain") == ["job-1"]
