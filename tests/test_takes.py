"""Seeds and takes of jobs; the seed, the take and the provenance of tracks; in the database and its repositories."""

from typing import Any

import pytest
from peewee import IntegrityError

from database import database, init_database
from errors import Invalid, LeaseLost, WrongStatus
from models import JOB_STATUSES, LARGEST_SEED, Event, Job, Loop, Track
from repos import JobRepository, LoopRepository, TrackRepository
from settings import Settings
from tests.migrations import drop_take_columns, read

jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()
pytestmark = pytest.mark.usefixtures("ledger")
RUNNING = [status for status in JOB_STATUSES.all if status not in JOB_STATUSES.changeable]
MADE = {"seed": LARGEST_SEED, "take": 32, "provenance": {"generator": "ace-step", "sha256": {"wav": "ab"}}}


@pytest.mark.parametrize("order", [{}, {"seed": 0}, {"seed": LARGEST_SEED, "takes": 32}, {"seed": None, "takes": 1}])
def test_a_job_stores_its_seed_and_takes(order: dict[str, Any]) -> None:
    made = jobs.create(job_id="job-1", prompt="rain", **order)
    read_again = jobs.get_by_id("job-1")
    assert read_again is not None
    expected = {"seed": None, "takes": 1, **order}
    assert {name: getattr(read_again, name) for name in expected} == expected
    assert {name: getattr(made, name) for name in expected} == expected


@pytest.mark.parametrize("fields", [{}, MADE, {"seed": None, "take": 1}])
def test_a_track_stores_how_it_was_made(job: Job, fields: dict[str, Any]) -> None:
    tracks.create(track_id="track-1", job_id="job-1", **fields)
    read_again = tracks.get_by_id("track-1")
    assert read_again is not None
    expected = {"seed": None, "take": None, "provenance": {}, **fields}
    assert {name: getattr(read_again, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"seed": -1}, "seed must be an integer from 0 to 4294967295"),
        ({"seed": LARGEST_SEED + 1}, "seed must be an integer from 0 to 4294967295"),
        ({"takes": 0}, "takes must be an integer from 1 to 32"),
        ({"takes": 33}, "takes must be an integer from 1 to 32"),
        ({"takes": None}, "takes is required"),
    ],
    ids=str,
)
def test_a_job_with_a_wrong_seed_or_number_of_takes_is_refused(job: Job, change: dict[str, Any], expected: str) -> None:
    with pytest.raises(Invalid, match=expected) as refused:
        jobs.create(prompt="rain", **change)
    assert refused.value.errors[0]["field"] == next(iter(change))
    with pytest.raises(Invalid, match=expected):
        jobs.update("job-1", **change)
    assert read("SELECT seed, takes FROM job") == [[None, 1]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"seed": -1}, "seed must be an integer from 0 to 4294967295"),
        ({"seed": LARGEST_SEED + 1}, "seed must be an integer from 0 to 4294967295"),
        ({"take": 0}, "take must be an integer from 1 to 32"),
        ({"take": 33}, "take must be an integer from 1 to 32"),
        ({"provenance": [1]}, "provenance must be a JSON object"),
        ({"provenance": None}, "provenance is required"),
    ],
    ids=str,
)
def test_a_track_with_a_wrong_seed_take_or_provenance_is_refused(
    track: Track, change: dict[str, Any], expected: str
) -> None:
    with pytest.raises(Invalid, match=expected):
        tracks.create(job_id="job-1", **change)
    with pytest.raises(Invalid, match=expected):
        tracks.update("track-1", **change)
    assert Track.select().count() == 1


@pytest.mark.parametrize(
    "rule", ["job SET takes = 0", "job SET seed = -1", "track SET take = 33", "track SET seed = -1"]
)
def test_other_programs_obey_the_same_rules(rule: str, track: Track) -> None:
    with pytest.raises(IntegrityError):
        database.execute_sql(f"UPDATE {rule}")


@pytest.mark.parametrize(
    ("table", "change"),
    [("job", "seed = 7"), ("job", "takes = 2"), ("track", "seed = 7"), ("track", "take = 2")]
    + [("track", """provenance = '{"version": "1.5"}'""")],
)
def test_a_change_by_any_program_is_an_event(table: str, change: str, track: Track) -> None:
    repo: Any = {"job": jobs, "track": tracks}[table]
    before, events = repo.get_by_id(f"{table}-1"), Event.select().count()
    database.execute_sql(f"UPDATE {table} SET {change}")
    newest = Event.select().order_by(Event.event_id.desc()).get()
    assert (newest.entity, newest.change, Event.select().count()) == (table, "updated", events + 1)
    assert repo.get_by_id(f"{table}-1").version > before.version


# --- the seed that a claim draws


def test_a_claim_draws_a_seed_for_a_job_that_has_none() -> None:
    for number in range(20):
        jobs.create(job_id=f"job-{number}", prompt="rain")
    seeds = {job.seed for job in (jobs.claim("w") for _ in range(20)) if job is not None}
    assert len(seeds) == 20 and all(0 <= seed <= LARGEST_SEED for seed in seeds)
    assert max(seeds) > 2**24  # all 32 bits are used
    assert seeds == {seed for (seed,) in read("SELECT seed FROM job")}


@pytest.mark.parametrize("seed", [0, 7, LARGEST_SEED])
def test_a_claim_keeps_the_seed_of_the_order(seed: int) -> None:
    jobs.create(job_id="job-1", prompt="rain", job_type="synth", seed=seed)
    claimed = jobs.claim_of(["synth", "x"], "w")
    assert claimed is not None and claimed.seed == seed


def test_a_job_keeps_the_drawn_seed_when_it_is_released_expires_or_is_retried(job: Job) -> None:
    seeds = [claimed().seed]
    jobs.release_token(str(jobs.get_by_id("job-1").lease_token))
    seeds.append(claimed(lease_seconds=0.1).seed)
    database.execute_sql("UPDATE job SET lease_expires_at = 1")
    assert [job.job_id for job in jobs.requeue_expired()] == ["job-1"]
    seeds.append(claimed().seed)
    jobs.update("job-1", status="failed", lease_token=jobs.get_by_id("job-1").lease_token)
    jobs.retry("job-1")
    seeds.append(claimed().seed)
    assert len(seeds) == 4 and len(set(seeds)) == 1 and seeds[0] is not None


def claimed(lease_seconds: float = 60) -> Any:
    """The job that a worker has claimed now."""
    job = jobs.claim("w", lease_seconds)
    assert job is not None
    return job


def test_loops_are_claimed_without_a_seed(loop: Loop) -> None:
    claimed_loop = loops.claim("w")
    assert claimed_loop is not None and "seed" not in claimed_loop.__data__


# --- when the order may change


@pytest.mark.parametrize("status", RUNNING)
@pytest.mark.parametrize("change", [{"seed": 7}, {"seed": None}, {"takes": 2}], ids=str)
def test_the_seed_and_takes_of_a_running_or_completed_job_cannot_be_changed(
    job: Job, status: str, change: dict[str, Any]
) -> None:
    jobs.update("job-1", status=status)
    name = next(iter(change))
    expected = f"job-1 is {status}: {name} can only be changed while it is pending, failed or cancelled"
    with pytest.raises(WrongStatus, match=expected):
        jobs.update("job-1", **change)
    assert read("SELECT seed, takes FROM job") == [[None, 1]]
    assert jobs.update("job-1", priority=3) is not None


@pytest.mark.parametrize("status", JOB_STATUSES.changeable)
def test_the_seed_and_takes_of_a_job_that_waits_or_has_failed_can_be_changed(job: Job, status: str) -> None:
    jobs.update("job-1", status=status)
    changed = jobs.update("job-1", seed=7, takes=3)
    assert changed is not None and (changed.seed, changed.takes) == (7, 3)
    cleared = jobs.update("job-1", seed=None)
    assert cleared is not None and cleared.seed is None


def test_a_leased_job_keeps_its_seed_and_its_worker_may_not_change_it(job: Job) -> None:
    lease = claimed()
    for token in (None, lease.lease_token):
        with pytest.raises(WrongStatus, match="seed, takes can only be changed"):
            jobs.update("job-1", seed=7, takes=2, lease_token=token)
    with pytest.raises(LeaseLost):
        jobs.update("job-1", seed=7, progress=5)
    assert read("SELECT seed, takes FROM job") == [[lease.seed, 1]]


# --- the migration


def test_old_jobs_have_one_take_and_old_tracks_no_provenance(ledger: Settings, loop: Loop) -> None:
    before, events = read("SELECT updated_at FROM job"), Event.select().count()
    drop_take_columns()
    assert init_database(ledger) == ["0004_takes", "0009_library_index"]
    assert read("SELECT updated_at FROM job") == before and Event.select().count() == events
    assert read("SELECT seed, takes FROM job") == [[None, 1]]
    changed = tracks.get_by_id("track-1")
    assert changed is not None and (changed.seed, changed.take, changed.provenance) == (None, None, {})
    with pytest.raises(Invalid, match="takes"):
        jobs.update("job-1", takes=33)
    assert claimed().seed is not None and loops.get_by_id("loop-1") is not None
