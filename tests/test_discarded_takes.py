"""A take that was discarded is not made again by a later attempt at its job."""

from pathlib import Path
from typing import Any

import pytest

from files.discards import discard_job
from files.storage import Storage
from models import Job, Track
from records import discards
from repos import JobRepository, TrackRepository
from settings import Settings
from studio.worker import JobWorker
from tests.own_generator import GENERATOR, takes_of

jobs, tracks = JobRepository(), TrackRepository()


@pytest.fixture
def failed(made: Any) -> Job:
    """A job that has made two takes of four. The second has a star."""
    job: Job = made("write('song.wav') if take < 3 else sys.exit('no memory')", takes=4)
    assert (job.status, takes_of(job)) == ("failed", [(1, 7), (2, 8)])
    Track.update(starred=True).where(Track.take == 2).execute()
    return job


def go_on(job: Job, ledger: Settings, folder: Path) -> None:
    """Retry the job with a generator that works."""
    (folder / "generator" / "make.py").write_text(GENERATOR + "write('song.wav')")
    jobs.retry(job.job_id)
    (file,) = folder.glob("*.toml")
    assert JobWorker(ledger.model_copy(update={"generators": file})).tick(0)


@pytest.mark.parametrize("has_expired", [False, True])
def test_a_retry_makes_only_the_takes_that_were_never_there(
    failed: Job, ledger: Settings, tmp_path: Path, has_expired: bool
) -> None:
    discard = discard_job(Storage(ledger), failed.job_id)
    assert discard is not None and discard.tracks == 1
    if has_expired:
        discards.expire(discard.discard_id)
        discards.forget(discard.discard_id)
    go_on(failed, ledger, tmp_path)
    job: Any = jobs.get_by_id(failed.job_id)
    assert (job.status, takes_of(job)) == ("completed", [(2, 8), (3, 9), (4, 10)])
    assert [entry["take"] for entry in job.file_manifest["tracks"]] == [2, 3, 4]


def test_undo_during_a_later_attempt_brings_the_take_back_with_its_file(
    failed: Job, ledger: Settings, tmp_path: Path
) -> None:
    storage = Storage(ledger)
    discard = discard_job(storage, failed.job_id)
    go_on(failed, ledger, tmp_path)
    assert discard is not None and discards.undo(discard.discard_id)
    assert sorted(takes_of(failed)) == [(1, 7), (2, 8), (3, 9), (4, 10)]
    assert all(storage.find(track.file_path_wav) for track in Track.select())


def test_a_take_that_came_back_and_was_deleted_is_made_again(failed: Job, ledger: Settings, tmp_path: Path) -> None:
    discard = discard_job(Storage(ledger), failed.job_id)
    assert discard is not None and discards.undo(discard.discard_id)
    Track.delete().where(Track.take == 1).execute()
    go_on(failed, ledger, tmp_path)
    assert sorted(takes_of(failed)) == [(1, 7), (2, 8), (3, 9), (4, 10)]


def test_tracks_that_a_running_job_makes_later_stay(ledger: Settings) -> None:
    jobs.create(job_id="job", prompt="x", takes=4)
    token = jobs.claim("w").lease_token  # type: ignore[union-attr]
    jobs.add_tracks("job", token, [{"track_id": f"t{take}", "take": take, "starred": take == 2} for take in (1, 2)])
    discard = discards.discard_job("job")
    jobs.add_tracks("job", token, [{"track_id": "t3", "take": 3}])
    assert discard is not None and discard.tracks == 1
    assert jobs.complete("job", token, [{"track_id": "t4", "take": 4}])
    assert [track.take for track in tracks.get_by_job_id("job")] == [2, 3, 4]
    assert discards.undo(discard.discard_id) and Track.select().count() == 4


def bits_after(**changes: Any) -> int:
    """The discarded takes of a job after a change."""
    Job.update(discarded_takes=0b0110).execute()
    jobs.update("job-1", **changes)
    return int(Job.get_by_id("job-1").discarded_takes)


def test_another_order_makes_all_takes(kind: str, job: Job) -> None:
    jobs.update("job-1", takes=4, seed=7, metadata={"genre": "Dub"})
    others: list[dict[str, Any]] = [
        {"prompt": "snow"}, {"prompt": None}, {"metadata": {}}, {"seed": 8}, {"takes": 3}, {"job_type": "other"},
    ]  # fmt: skip
    assert [bits_after(**change) for change in others] == [0] * len(others)


def test_the_same_order_leaves_discarded_takes_out(kind: str, job: Job) -> None:
    same = {"prompt": "snow", "takes": 4, "seed": 7, "metadata": {"genre": "Dub"}, "job_type": "other"}
    jobs.update("job-1", **same)
    assert [bits_after(**change) for change in (same, {"priority": 3}, {"message": "x"})] == [0b0110] * 3


@pytest.mark.parametrize(("takes", "bits", "after"), [(2, 0b11, 0), (2, 0b01, 0b01), (32, 2**32 - 1, 0), (1, 0b11, 0)])
def test_a_retry_after_all_takes_were_discarded_makes_them_again(
    ledger: Settings, takes: int, bits: int, after: int
) -> None:
    jobs.create(job_id="job", prompt="x", takes=takes, status="failed")
    Job.update(discarded_takes=bits).execute()
    jobs.retry("job")
    assert Job.get_by_id("job").discarded_takes == after


def test_a_failed_job_without_takes_makes_them_when_it_is_retried(
    failed: Job, ledger: Settings, tmp_path: Path
) -> None:
    jobs.update(failed.job_id, takes=2)
    discards.discard_tracks([track.track_id for track in Track.select()])
    go_on(failed, ledger, tmp_path)
    assert takes_of(jobs.get_by_id(failed.job_id)) == [(1, 7), (2, 8)]  # type: ignore[arg-type]
