"""Repositories: create, read, list, change and delete, each on SQLite and on PostgreSQL."""

import random
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from database import database
from errors import Conflict, Invalid, MissingParent, Stale, WrongStatus
from models import JOB_STATUSES, LOOP_STATUSES, Event, Job, Loop, Track
from records import writes
from repos import JobRepository, LoopRepository, Page, TrackRepository, get_session, stats
from tests.conftest import ROOT

jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()
pytestmark = pytest.mark.usefixtures("ledger")


def changes_of(entity_id: str) -> list[str]:
    """What the events say happened to a record."""
    return [event.change for event in Event.select().where(Event.entity_id == entity_id).order_by(Event.event_id)]


def sql(statement: str, *values: Any) -> Any:
    """Run a statement as another program would, with ? for values."""
    return database.execute_sql(statement.replace("?", database.param), values)


@pytest.mark.parametrize(
    "value", [1e300, 5e-324, -0.0, 2**63 - 1, -(2**63), "民谣 🎧", "a\\u0000b", [], {"a": [None, True]}]
)
def test_metadata_comes_back_equal(value: Any) -> None:
    job = jobs.create(prompt="p", metadata={"value": value, "ключ": 1})
    kept = Job.get_by_id(job.job_id).metadata
    assert kept == {"value": value, "ключ": 1}
    assert type(kept["value"]) is type(value)


def test_metadata_can_be_asked_for_in_python(job: Job) -> None:
    jobs.create(job_id="other", prompt="p", metadata={"genre": "Rock"})
    assert list(Job.select().where(Job.metadata["genre"] == "Ambient")) == [job]


# --- repositories


def test_the_id_of_a_new_record_is_a_uuid_that_begins_with_the_time() -> None:
    before = time.time_ns() // 1_000_000
    ids = [uuid.UUID(jobs.create(prompt="p").job_id) for _ in range(50)]
    after = time.time_ns() // 1_000_000
    assert {(number.version, number.variant) for number in ids} == {(7, uuid.RFC_4122)} and len(set(ids)) == 50
    times = [number.int >> 80 for number in ids]
    assert times == sorted(times) and before <= times[0] and times[-1] <= after
    assert len({number.int & (2**62 - 1) for number in ids}) == 50


def test_the_cascade_takes_tracks_and_loops_along(loop: Loop) -> None:
    assert jobs.delete("job-1") is True
    assert (Job.select().count(), Track.select().count(), Loop.select().count()) == (0, 0, 0)
    assert jobs.delete("job-1") is False


def test_the_same_request_twice_makes_one_record() -> None:
    first, made = jobs.create_once(job_id="x", prompt="p", metadata={"a": 1})
    jobs.update("x", status="exporting")
    again, made_again = jobs.create_once(metadata={"a": 1}, prompt="p", job_id="x")
    assert (made, made_again, again.status) == (True, False, "exporting")
    with pytest.raises(Conflict, match="from another request"):
        jobs.create(job_id="x", prompt="other")
    assert changes_of("x") == ["created", "updated"]
    assert first == again


def test_ids_differ_also_if_a_script_seeds_its_random_numbers() -> None:
    ids = set()
    for _ in range(2):
        random.seed(1)
        ids.add(jobs.create(prompt="p").job_id)
    assert len(ids) == 2


def test_ids_differ_in_forked_processes() -> None:
    fork = "import os; from models import new_id; new_id(); os.fork(); os.write(1, f'{new_id()} '.encode())"
    printed = subprocess.run([sys.executable, "-c", fork], cwd=ROOT, capture_output=True, text=True, timeout=60).stdout
    assert len(set(printed.split())) == 2


def test_create_raises_for_an_id_that_is_taken(job: Job) -> None:
    with pytest.raises(Conflict):
        jobs.create(job_id="job-1", prompt="ambient rain, soft piano", metadata={"genre": "Ambient"})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"progress": 101}, "progress must be an integer from 0 to 100"),
        ({"metadata": [1]}, "metadata must be a JSON object"),
        ({"metadata": {"a": float("nan")}}, "not JSON compliant"),
        ({"metadata": {"a": object()}}, "not JSON serializable"),
        ({"prompt": "\ud800"}, "cannot hold this"),
        ({"job_id": ".."}, "job_id must be 1 to 64 of A-Z"),
        ({"job_type": "a b"}, "job_type must be 1 to 64"),
        ({"status": "unheard"}, "'unheard' is not one of pending, loading_model"),
        ({"max_attempts": 0}, "max_attempts must be an integer of at least 1"),
        ({"colour": "red"}, "job has no field colour"),
    ],
)
def test_a_bad_job_is_refused_in_words(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        jobs.create(**{"prompt": "p", **fields})
    assert Job.select().count() == 0


def test_a_child_without_its_parent_is_refused_in_words() -> None:
    with pytest.raises(MissingParent, match="job_id must name an existing job: create the job first"):
        tracks.create(job_id="nobody")
    with pytest.raises(MissingParent, match="track_id must name an existing track: create the track first"):
        loops.create(track_id="nobody", duration=10)


def test_unknown_ids_are_none_or_false() -> None:
    assert jobs.get_by_id("nobody") is None
    assert jobs.update("nobody", status="failed") is None
    assert jobs.delete("nobody") is False
    assert (tracks.get_by_job_id("nobody"), loops.get_by_track_id("nobody")) == ([], [])


@pytest.mark.parametrize("value", ['{"a": 1e999}', '{"a": -1e5000}'])
def test_numbers_no_float_holds_are_read_as_none(value: str) -> None:
    sql("INSERT INTO job (job_id, prompt, metadata) VALUES ('huge', 'p', ?)", value)
    assert Job.get_by_id("huge").metadata == {"a": None}


@pytest.mark.parametrize("duration", [float("inf"), -1.0, 0.0])
def test_a_track_lasts_a_number_of_seconds(job: Job, duration: float) -> None:
    with pytest.raises(Invalid, match="duration must be a number of seconds"):
        tracks.create(job_id="job-1", duration=duration)


def test_a_track_does_not_last_nan_seconds(job: Job, kind: str) -> None:
    if kind == "sqlite":  # it has no NaN: it is nothing
        assert tracks.create(job_id="job-1", duration=float("nan")).duration is None
        return
    with pytest.raises(Invalid, match="duration must be a number of seconds"):
        tracks.create(job_id="job-1", duration=float("nan"))


@pytest.mark.parametrize("status", JOB_STATUSES.all)
@pytest.mark.parametrize("then", JOB_STATUSES.all)
def test_a_status_goes_forward_or_ends(status: str, then: str) -> None:
    order = (*JOB_STATUSES.steps, "ended")
    jobs.create(job_id="x", prompt="p", status=status)
    is_final = status in JOB_STATUSES.final
    allowed = status == then or not is_final and (then not in order or order.index(then) > order.index(status))
    if allowed:
        assert jobs.update("x", status=then).status == then
        return
    with pytest.raises(WrongStatus, match=f"is {status}: it cannot become {then}"):
        jobs.update("x", status=then)
    assert jobs.get_by_id("x").status == status


def test_a_loop_walks_through_all_its_statuses(loop: Loop) -> None:
    for status in LOOP_STATUSES.steps:
        assert loops.update("loop-1", status=status).status == status
    done = loops.get_by_id("loop-1")
    assert done.progress == 100 and done.started_at <= done.finished_at
    assert loops.get_by_status("COMPLETED") == [done]


def test_the_first_step_starts_the_clock_and_the_end_stops_it(job: Job) -> None:
    assert (job.started_at, job.finished_at) == (None, None)
    begun = jobs.update("job-1", status="loading_model")
    later = jobs.update("job-1", status="exporting", progress=90)
    done = jobs.update("job-1", status="completed", progress=95)
    assert begun.started_at == later.started_at == done.started_at
    assert done.progress == 100 and done.finished_at >= done.started_at
    assert jobs.update("job-1", status="completed").finished_at == done.finished_at


def test_progress_of_a_finished_job_is_final(job: Job) -> None:
    jobs.update("job-1", status="completed")
    with pytest.raises(WrongStatus, match="its progress is final"):
        jobs.update("job-1", progress=3)
    failed = jobs.create(prompt="p", status="failed", progress=40)
    with pytest.raises(WrongStatus, match="its progress is final"):
        jobs.update(failed.job_id, status="failed", progress=3)
    assert jobs.update("job-1", metadata={"note": "kept"}).metadata == {"note": "kept"}


def test_a_stale_change_is_refused(job: Job) -> None:
    jobs.update("job-1", message="changed")
    with pytest.raises(Stale, match="read it again"):
        jobs.update("job-1", if_match=[job.version], message="mine")
    with pytest.raises(Stale):
        jobs.delete("job-1", if_match=[job.version])
    with pytest.raises(Stale):
        jobs.update("job-1", if_match=[job.version])
    assert jobs.get_by_id("job-1").message == "changed"


def test_a_change_that_becomes_allowed_before_it_is_refused_is_made(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    update, calls = writes.update, []

    def too_early(*arguments: Any) -> Any:
        calls.append(arguments)
        return None if len(calls) == 1 else update(*arguments)

    monkeypatch.setattr(writes, "update", too_early)
    assert jobs.update("job-1", if_match=[job.version], status="exporting").status == "exporting"
    with pytest.raises(WrongStatus, match="it cannot become pending"):
        jobs.update("job-1", status="pending")
    assert len(calls) == 3 and jobs.update("no-job", status="exporting") is None


def test_a_list_with_two_status_conditions_meets_both(job: Job) -> None:
    jobs.create(job_id="job-2", prompt="p", status="failed")
    for first, second, ids in (
        (("pending", "failed"), ("failed", "completed"), ["job-2"]),
        (("pending",), ("failed",), []),
        ((), ("failed",), []),
    ):
        both = jobs.in_status(*first), jobs.in_status(*second)
        for sort in ("created_at", "priority"):
            assert [job.job_id for job in jobs.page(Page(sort), *both)] == ids
        assert jobs.count(*both) == len(ids)


@pytest.mark.parametrize("sort", ["created_at", "updated_at", "priority"])
@pytest.mark.parametrize("descending", [True, False])
def test_pages_meet_without_gap_or_overlap(sort: str, descending: bool) -> None:
    moment = datetime.now(UTC)
    for number in range(25):
        jobs.create(job_id=f"{number:02}", prompt="p", priority=number % 3, created_at=moment, updated_at=moment)
    seen, after = [], None
    while part := jobs.page(Page(sort, descending, limit=4, after=after)):
        seen += [job.job_id for job in part]
        after = (getattr(part[-1], sort), part[-1].job_id)
    keys = {job.job_id: (getattr(job, sort), job.job_id) for job in Job.select()}
    assert seen == sorted(keys, key=keys.__getitem__, reverse=descending)


def test_lists_are_newest_first(job: Job) -> None:
    newer = jobs.create(prompt="p")
    assert jobs.get_all() == [newer, job]
    assert (jobs.get_all(limit=1), jobs.get_all(limit=1, offset=1)) == ([newer], [job])
    assert jobs.get_by_status("pending", limit=1) == [newer]
    assert jobs.count() == 2


def test_a_session_closes_what_it_opened() -> None:
    database.close()
    with get_session() as session:
        assert JobRepository(session).get_all() == []
        inner = get_session()
        session.close()
        session.close()
        assert not database.is_closed()
        inner.close()
    assert database.is_closed()


def test_statistics_count_and_average(loop: Loop) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for seconds in (10, 20):
        end = start + timedelta(seconds=seconds)
        jobs.create(prompt="p", status="completed", started_at=start, finished_at=end)
    totals = stats()
    assert (totals["jobs"]["completed"], totals["jobs"]["pending"], totals["loops"]["PENDING"]) == (2, 1, 1)
    assert (totals["tracks"], totals["queue_length"]) == (1, 2)
    assert totals["mean_job_seconds"] == pytest.approx(15)
