"""Forecasts: when jobs are done, with one worker, several, GPUs, and jobs about which nobody knows."""

from datetime import timedelta
from typing import Any

import pytest

from database import database
from models import Job, utc_now
from records import workers
from records.forecast import MOST_PLANNED, Forecast, forecast
from repos import JobRepository, set_paused
from tests.test_queue import plans

jobs = JobRepository()
pytestmark = pytest.mark.usefixtures("ledger")
LENGTH = {"min": 10, "max": 200, "usual": 50, "kind": "exact"}
HOUR = timedelta(hours=1)


def finished(job_type: str = "song", number: int = 4, speed: float = 0.1, **fields: Any) -> None:
    """Jobs that took 0.1 s for each second of each take, an hour ago."""
    begun = utc_now() - HOUR
    for length in range(50, 50 + 10 * number, 10):
        end = begun + timedelta(seconds=speed * length)
        Job.create(
            job_type=job_type,
            status="completed",
            attempts=1,
            started_at=begun,
            finished_at=end,
            file_manifest={"seconds": length},
            **fields,
        )


def worker(name: str = "box:1", host: str = "box", gpu: str | None = None, *types: str, **more: Any) -> None:
    """A worker that has announced that it makes songs, or these types."""
    offer = {"can_start": True, "problems": [], "seconds": LENGTH, "gpu": gpu, **more}
    workers.announce(name, host, utc_now(), dict.fromkeys(types or ("song",), offer))


def waits(job_id: str, duration: Any = 100, takes: int = 1, job_type: str = "song", **fields: Any) -> None:
    """A pending job."""
    jobs.create(job_id=job_id, prompt="p", job_type=job_type, takes=takes, metadata={"duration": duration}, **fields)


def ends(result: Forecast) -> dict[str, float | None]:
    """The seconds until each job is done."""
    return {job_id: estimate and round(estimate.seconds, 1) for job_id, estimate in result.done_in.items()}


def test_jobs_are_done_one_after_another() -> None:
    finished()
    worker()
    waits("a")
    waits("b", takes=3)
    waits("c", duration="50")
    jobs.make_next("c")
    result = forecast()
    assert ends(result) == {"c": 5, "a": 15, "b": 45} and result.positions == {"c": 1, "a": 2, "b": 3}
    assert result.waiting == 3 and result.all_done_in is not None and round(result.all_done_in.seconds) == 45


def test_the_length_is_the_one_that_the_generator_makes() -> None:
    finished()
    worker()
    waits("long", duration=10_000)
    waits("usual", duration=None)
    waits("wrong", duration="soon")
    assert ends(forecast()) == {"long": 20, "usual": 25, "wrong": 30}


def test_what_runs_is_counted_from_its_start() -> None:
    finished()
    worker()
    waits("a", duration=200)
    waits("b")
    assert jobs.claim("box:1")
    Job.update(started_at=utc_now() - timedelta(seconds=15)).where(Job.job_id == "a").execute()
    result = forecast()
    assert [job.job_id for job in result.running] == ["a"]
    assert ends(result) == pytest.approx({"a": 5, "b": 15}, abs=0.5)
    Job.update(started_at=utc_now() - HOUR).where(Job.job_id == "a").execute()
    assert ends(forecast()) == pytest.approx({"a": 0, "b": 10}, abs=0.5)


def test_two_workers_halve_the_time_but_not_on_one_gpu() -> None:
    finished()
    for name in ("box:1", "box:2"):
        worker(name)
    for job_id in "abcd":
        waits(job_id)
    assert ends(forecast()) == {"a": 10, "b": 10, "c": 20, "d": 20}
    for name in ("box:1", "box:2"):
        worker(name, gpu="0")
    assert ends(forecast()) == {"a": 10, "b": 20, "c": 30, "d": 40}
    worker("other:1", host="other", gpu="0")
    assert ends(forecast()) == {"a": 10, "b": 10, "c": 20, "d": 20}


def test_a_worker_makes_only_what_it_has_announced() -> None:
    finished()
    finished("opera", speed=1)
    worker("box:1", "box", None, "song")
    worker("box:2", "box", None, "song", "opera")
    waits("o", job_type="opera")
    for job_id in "abc":
        waits(job_id)
    assert ends(forecast()) == {"o": 100, "a": 10, "b": 20, "c": 30}


def test_a_worker_that_cannot_start_it_does_not_count() -> None:
    finished()
    worker("box:1")
    worker("box:2", can_start=False)
    for job_id in "ab":
        waits(job_id)
    assert ends(forecast()) == {"a": 10, "b": 20}


def test_claimers_over_rest_count_as_they_run() -> None:
    finished()
    for job_id in "abcd":
        waits(job_id)
    assert ends(forecast()) == {"a": 10, "b": 20, "c": 30, "d": 40}
    assert jobs.claim("somebody") and jobs.claim("somebody")
    assert ends(forecast()) == pytest.approx({"a": 10, "b": 10, "c": 20, "d": 20}, abs=0.5)


def test_there_is_an_estimate_from_the_third_finished_job_on() -> None:
    finished(number=2)
    worker()
    waits("a")
    result = forecast()
    assert ends(result) == {"a": None} and result.all_done_in is None and result.positions == {"a": 1}
    finished(number=1)
    assert ends(forecast()) == {"a": 10}


def test_what_follows_an_unknown_job_is_unknown_too() -> None:
    finished()
    worker("box:1", "box", None, "song", "new")
    waits("a")
    waits("n", job_type="new")
    waits("b")
    assert ends(forecast()) == {"a": 10, "n": None, "b": None}


def test_only_the_first_attempt_of_a_job_counts_and_only_its_end() -> None:
    finished()
    finished(speed=9)
    Job.update(attempts=2).where(Job.finished_at - Job.started_at > 100_000_000).execute()
    finished(speed=9, number=50)
    Job.update(status="failed").where(Job.finished_at - Job.started_at > 400_000_000).execute()
    worker()
    waits("a")
    assert ends(forecast()) == {"a": 10}


def test_an_empty_and_a_paused_queue() -> None:
    assert forecast() == Forecast([], 0)
    finished()
    worker()
    waits("a")
    set_paused(True)
    assert ends(forecast()) == {"a": 10}


def test_a_long_queue_is_planned_in_part_and_its_end_in_proportion(statements: list[str]) -> None:
    finished()
    worker()
    rows = [{"job_id": f"{n:05}", "job_type": "song", "metadata": {"duration": 100}} for n in range(3 * MOST_PLANNED)]
    with database.atomic():
        for start in range(0, len(rows), 100):
            Job.insert_many(rows[start : start + 100]).execute()
    statements.clear()
    result = forecast()
    assert len(result.positions) == MOST_PLANNED and len(statements) <= 6
    assert result.all_done_in is not None and round(result.all_done_in.seconds) == 10 * len(rows)


def test_a_forecast_reads_few_index_entries_of_many_jobs() -> None:
    times = {"status": "completed", "started_at": 1, "finished_at": 9}
    with database.atomic():
        for _ in range(10):
            Job.insert_many([{"job_type": f"t{n % 3}", **times} for n in range(300)]).execute()
    database.execute_sql("ANALYZE")
    waits("a", job_type="t1")
    [plan] = [plan for plan in plans(forecast) if "t1" in plan or "job_finished" in plan]
    assert "job_finished" in plan and "TEMP B-TREE" not in plan and "Sort" not in plan, plan
