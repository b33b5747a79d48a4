"""Taking over the old service: every row arrives, arrives changed, or is listed with its reason."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from errors import Invalid, StorageFull
from files.storage import Storage
from maintenance.legacy.takeover import Result, take_over
from models import Delivery, Event, Job, Loop, Track
from records.tally import tally
from repos import JobRepository, TrackRepository
from settings import Settings
from tests.conftest import on_sqlite, thorough
from tests.killing import kill_at_work, seconds_of_work, start
from tests.ledgers import counts
from tests.old_rows import LEFT_OUT, ODD
from tests.old_service import at, fill_old, micros, old_job, old_loop, old_track, run_sql
from tests.test_commands import flask

MEANS = {"queued": "pending", "processing": "pending", "generating": "pending"}
KILLS = thorough(20, 3)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The old database, with three jobs, tracks and loops."""
    fill_old(tmp_path / "old.db", 3)
    return tmp_path / "old.db"


@pytest.fixture
def store(ledger: Settings) -> Storage:
    """The storage folder of the test."""
    ledger.storage_dir.mkdir()
    return Storage(ledger)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """The folder with the audio of the old service: three tracks."""
    (tmp_path / "old" / "output").mkdir(parents=True)
    for number in range(3):
        (tmp_path / "old" / "output" / f"track-{number}.wav").write_bytes(b"sound %d" % number)
    return tmp_path / "old" / "output"


def check_values(number: int) -> None:
    """The job, the track and the loop with this number have the old values."""
    job, track, loop = (model.get_by_id(f"{model._meta.table_name}-{number}") for model in (Job, Track, Loop))
    before = old_job(number)
    word = before["status"].lower()
    assert (job.prompt, job.file_manifest, job.error) == (before["prompt"], before["file_manifest"], before["error"])
    assert job.status == MEANS.get(word, word)
    assert {k: v for k, v in job.metadata.items() if k != "legacy"} == (before["job_metadata"] or {})
    assert job.version == micros(before["updated_at"] or at(number))
    assert (track.duration, track.metadata) == (
        old_track(number)["duration"],
        old_track(number)["track_metadata"] or {},
    )
    assert (track.file_path_wav, loop.duration, loop.fade_in_out) == (
        f"output/track-{number}.wav",
        30.5,
        number % 2 == 0,
    )
    assert (loop.status, loop.format, loop.result_url) == ("COMPLETED", "MP3", old_loop(number)["result_url"])


def test_every_row_arrives_with_its_values(store: Storage, tmp_path: Path) -> None:
    number = thorough(10_000, 1_000)
    fill_old(tmp_path / "old.db", number)
    run_sql(tmp_path / "old.db", "UPDATE loops SET duration = 0 WHERE loop_id = 'loop-500'")
    result = take_over(tmp_path / "old.db", store)
    assert [table["added"] for table in result.tables.values()] == [number, number, number - 1]
    assert [row["id"] for row in result.odd] == ["loop-500"]
    for one in range(0, number, 7):
        check_values(one) if one != 500 else None
    assert tally("loop")["COMPLETED"] == number - 1 and sum(tally("job").values()) == number


def test_running_it_again_adds_and_changes_nothing(store: Storage, old: Path) -> None:
    take_over(old, store)
    JobRepository().update("job-1", prompt="changed here")
    before = counts()
    result = take_over(old, store)
    assert counts() == before and result.odd == []
    assert [(table["present"], table["added"]) for table in result.tables.values()] == [(3, 0)] * 3
    assert Job.get_by_id("job-1").prompt == "changed here"


def test_a_row_that_changed_after_it_arrived_is_listed(store: Storage, old: Path) -> None:
    take_over(old, store)
    run_sql(old, "UPDATE jobs SET prompt = 'changed there' WHERE job_id = 'job-1'")
    [row] = take_over(old, store).odd
    assert (row["table"], row["id"], row["outcome"]) == ("jobs", "job-1", "left_out")
    assert (
        "was not made from this row as it is now" in row["reason"] and Job.get_by_id("job-1").prompt != "changed there"
    )


def test_another_record_with_the_same_id_stays(store: Storage, old: Path) -> None:
    JobRepository().create(job_id="job-1", prompt="ours")
    result = take_over(old, store)
    assert [row["id"] for row in result.odd] == ["job-1"] and Job.get_by_id("job-1").prompt == "ours"
    assert result.tables["jobs"]["added"] == 2


def test_running_work_is_pending_again_and_keeps_its_old_status(store: Storage, tmp_path: Path) -> None:
    fill_old(tmp_path / "old.db", 7)
    take_over(tmp_path / "old.db", store)
    job = Job.get_by_id("job-4")
    assert (job.status, job.progress, job.metadata["legacy"]) == ("pending", 0, {"status": "GENERATING", "progress": 4})
    assert {JobRepository().claim("w").job_id for _ in range(3)} == {"job-2", "job-3", "job-4"}
    assert Job.get_by_id("job-0").finished_at == Job.get_by_id("job-0").updated_at


def test_old_jobs_send_no_webhooks(store: Storage, old: Path) -> None:
    JobRepository().create(job_id="mine", prompt="p")
    JobRepository().cancel("mine")
    take_over(old, store)
    assert [delivery.entity_id for delivery in Delivery.select()] == ["mine"]
    assert Event.select().where(Event.change == "created").count() == 1 + 9


def test_odd_rows_arrive_changed(store: Storage, tmp_path: Path) -> None:
    fill_old(tmp_path / "old.db", len(ODD))
    changes = [f"UPDATE {row[0]}s SET {row[1]} WHERE {row[0]}_id = '{row[0]}-{one}'" for one, row in enumerate(ODD)]
    run_sql(tmp_path / "old.db", "UPDATE jobs SET status = 'completed'", *changes)
    result = take_over(tmp_path / "old.db", store)
    assert [table["added"] for table in result.tables.values()] == [len(ODD)] * 3
    reasons = {(row["table"], row["id"]): row["reason"] for row in result.odd}
    for number, (name, change, (field, value), reason) in enumerate(ODD):
        record = {"job": Job, "track": Track, "loop": Loop}[name].get_by_id(f"{name}-{number}")
        assert getattr(record, field) == value, change
        listed = reasons.pop((f"{name}s", f"{name}-{number}"), "")
        assert reason in listed and bool(reason) == bool(listed), change
    assert reasons == {}


@pytest.mark.parametrize(("table", "statement", "reason"), LEFT_OUT)
def test_a_row_that_cannot_arrive_is_listed(store: Storage, old: Path, table: str, statement: str, reason: str) -> None:
    run_sql(old, statement)
    result = take_over(old, store)
    first = result.odd[0]
    assert (first["table"], first["outcome"]) == (table, "left_out") and reason in first["reason"]
    for numbers in result.tables.values():
        assert numbers["rows"] == numbers["added"] + numbers["left_out"]


@pytest.mark.parametrize("name", ["a b", "..", "ё", "x" * 65])
def test_children_follow_a_parent_whose_id_had_to_change(store: Storage, old: Path, name: str) -> None:
    run_sql(old, f"UPDATE jobs SET job_id = '{name}' WHERE job_id = 'job-0'", f"UPDATE tracks SET job_id = '{name}'")
    assert take_over(old, store).tables["tracks"]["added"] == 3
    job = Job.get(Job.job_id.not_in(["job-1", "job-2"]))
    assert job.tracks.count() == 3 and job.metadata["legacy"]["job_id"] == name
    assert take_over(old, store).tables["jobs"]["present"] == 3


@pytest.mark.parametrize("mode", ["delete", "wal"])
@on_sqlite
def test_the_old_file_and_its_folder_stay_as_they_are(store: Storage, tmp_path: Path, mode: str) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    fill_old(folder / "old.db", 3)
    run_sql(folder / "old.db", f"PRAGMA journal_mode = {mode}")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert take_over(folder / "old.db", store).tables["jobs"]["added"] == 3
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before and list(before) == ["old.db"]


@pytest.mark.parametrize("name", ["old.db", "link.db"])
@on_sqlite
def test_rows_that_are_only_in_the_log_of_a_killed_service_arrive(store: Storage, old: Path, name: str) -> None:
    script = f"""
import os, sqlite3
connection = sqlite3.connect({str(old)!r})
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("UPDATE jobs SET prompt = 'the last words' WHERE job_id = 'job-0'")
connection.commit()
os._exit(0)"""
    subprocess.run([sys.executable, "-c", script], check=True)
    (store.root / "link.db").symlink_to(old)
    files = [old, old.with_name("old.db-wal")]
    before = [path.read_bytes() for path in files]
    take_over(old if name == "old.db" else store.root / "link.db", store)
    assert Job.get_by_id("job-0").prompt == "the last words" and before[1]
    assert [path.read_bytes() for path in files] == before


@pytest.mark.parametrize(
    ("text", "sentence"),
    [(None, "cannot be opened"), (b"", "no SQLite database"), (b"SQLite format 3\0" + b"x" * 99, "cannot be read")],
)
@on_sqlite
def test_a_file_that_is_no_database_is_refused(
    store: Storage, tmp_path: Path, text: bytes | None, sentence: str
) -> None:
    if text is not None:
        (tmp_path / "x.db").write_bytes(text)
    with pytest.raises(Invalid, match=sentence):
        take_over(tmp_path / "x.db", store)
    with pytest.raises(Invalid, match="is no folder"):
        take_over(tmp_path / "x.db", store, tmp_path / "nowhere")


def test_the_old_file_is_not_changed_if_it_is_at_db_path(old: Path) -> None:
    before = old.read_bytes()
    answer = flask(old.parent, "import-legacy", "old.db", DB_PATH=str(old))
    assert answer.returncode == 1 and "set DB_PATH to another file" in answer.stderr
    assert old.read_bytes() == before


@on_sqlite
def test_a_database_of_another_program_is_refused(store: Storage, template: Path, old: Path) -> None:
    with pytest.raises(Invalid, match="it has no table jobs with job_id"):
        take_over(template, store)
    run_sql(old, "ALTER TABLE jobs DROP COLUMN error")  # an older version of the old service
    assert take_over(old, store).tables["jobs"]["added"] == 3


def test_the_audio_is_copied_once_and_each_track_has_its_own(store: Storage, old: Path, output: Path) -> None:
    run_sql(old, "UPDATE tracks SET file_path_wav = '/srv/elsewhere/output/track-0.wav' WHERE track_id = 'track-1'")
    result = take_over(old, store, output)
    assert result.files == {"copied": 3, "missing": 0} and result.odd == []
    names = [Track.get_by_id(f"track-{number}").file_path_wav for number in range(3)]
    assert names == ["tracks/track-0/track-0.wav", "tracks/track-1/track-0.wav", "tracks/track-2/track-2.wav"]
    assert [(store.root / name).read_bytes() for name in names] == [b"sound 0", b"sound 0", b"sound 2"]
    assert take_over(old, store, output).files == {"copied": 0, "missing": 0}


def test_the_audio_can_be_copied_after_the_records_have_arrived(store: Storage, old: Path, output: Path) -> None:
    run_sql(old, "UPDATE tracks SET file_path_wav = '/srv/output/track-0.wav' WHERE track_id = 'track-0'")
    take_over(old, store)
    before = Track.get_by_id("track-0")
    (output / "track-2.wav").rename(output / "later.wav")
    assert take_over(old, store, output).files == {"copied": 2, "missing": 1}
    (output / "later.wav").rename(output / "track-2.wav")
    assert take_over(old, store, output).files == {"copied": 1, "missing": 0}
    tracks = [Track.get_by_id(f"track-{number}") for number in range(3)]
    assert [store.find(track.file_path_wav).read_bytes() for track in tracks] == [b"sound 0", b"sound 1", b"sound 2"]
    assert before.file_path_wav is None and tracks[0].version > before.version
    assert take_over(old, store, output).files == {"copied": 0, "missing": 0}
    assert [Track.get_by_id(track.track_id).version for track in tracks] == [track.version for track in tracks]


def test_later_audio_leaves_other_files_and_work_alone(store: Storage, old: Path, output: Path) -> None:
    run_sql(old, "UPDATE loops SET status = 'queued', result_path = 'output/track-0.wav' WHERE loop_id = 'loop-0'")
    run_sql(old, "UPDATE loops SET result_path = 'output/track-1.wav' WHERE loop_id = 'loop-1'")
    take_over(old, store)
    (store.root / "new.wav").write_bytes(b"new")
    for number in range(3):
        TrackRepository().update(f"track-{number}", file_path_wav="new.wav")
    assert take_over(old, store, output).files["copied"] == 1
    assert {track.file_path_wav for track in Track.select()} == {"new.wav"}
    assert Loop.get_by_id("loop-0").result_path == "output/track-0.wav"
    assert Loop.get_by_id("loop-1").result_path == "loops/loop-1/track-1.mp3"


def test_a_file_that_is_in_the_storage_folder_already_is_used(store: Storage, old: Path) -> None:
    (store.root / "song.wav").write_bytes(b"sound")
    run_sql(old, f"UPDATE tracks SET file_path_wav = '{store.root / 'song.wav'}' WHERE track_id = 'track-0'")
    assert take_over(old, store).odd == []
    assert Track.get_by_id("track-0").file_path_wav == "song.wav"


@pytest.mark.parametrize(
    "path",
    [
        "output/missing.wav",
        "output/link.wav",
        "output/folder/secret.wav",
        "output/../secret.wav",
        "output",
        "/etc/hosts",
    ],
)
def test_nothing_outside_the_folder_is_copied(store: Storage, old: Path, output: Path, path: str) -> None:
    (output.parent / "secret.wav").write_bytes(b"secret")
    (output / "link.wav").symlink_to(output.parent / "secret.wav")
    (output / "folder").symlink_to(output.parent)
    run_sql(old, f"UPDATE tracks SET file_path_wav = '{path}' WHERE track_id = 'track-0'")
    result = take_over(old, store, output)
    assert result.files == {"copied": 2, "missing": 1}
    assert path in result.odd[0]["reason"] and Track.get_by_id("track-0").file_path_wav is None
    assert Track.get_by_id("track-0").metadata["legacy"] == {"file_path_wav": path}


def test_the_audio_of_a_track_without_a_job_is_not_copied(store: Storage, old: Path, output: Path) -> None:
    run_sql(old, "DELETE FROM jobs WHERE job_id = 'job-0'")
    assert take_over(old, store, output).files["copied"] == 2
    assert not (store.root / "tracks" / "track-0").exists()


def test_a_full_disk_is_named_and_no_record_is_added(
    store: Storage, old: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*paths: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(StorageFull, match="disk of the storage folder is full"):
        patch.setattr("maintenance.legacy.audio.publish_file", full)
        take_over(old, store, output)
    assert sum(counts().values()) == 0 and list((store.root / ".parts").iterdir()) == []
    assert take_over(old, store, output).files["copied"] == 3


def test_the_command_counts_and_lists_odd_rows(ledger: Settings, old: Path) -> None:
    run_sql(old, "UPDATE jobs SET progress = 500 WHERE job_id = 'job-1'")
    out, errors = start(ledger, old.parent, "import-legacy", str(old), "--json").communicate(timeout=60)
    result = Result(**json.loads(out))
    assert result.tables["jobs"] == {"rows": 3, "added": 3, "changed": 1, "present": 0, "left_out": 0}, errors
    out, errors = start(ledger, old.parent, "import-legacy", str(old)).communicate(timeout=60)
    assert "jobs\t3\t0\t0\t3\t0" in out.splitlines() and "taking over loops: 3 of 3" in errors


def test_a_killed_takeover_has_added_all_or_nothing(ledger: Settings, tmp_path: Path, output: Path) -> None:
    number, arguments = thorough(600, 200), ("import-legacy", "old.db", "--files", str(output))
    fill_old(tmp_path / "old.db", number)
    duration, rng = seconds_of_work(ledger, tmp_path, *arguments), random.Random(7)
    for _ in range(KILLS):
        Job.delete().execute()
        kill_at_work(ledger, tmp_path, *arguments, seconds=duration * rng.uniform(0, 1.2))
        assert Job.select().count() == Track.select().count() == Loop.select().count() in (0, number)
