"""The archive: jobs leave the ledger and come back with equal values."""

import json
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from database import bind, database, init_database, schema_state
from errors import Busy, DatabaseUnusable, Invalid, NotFound
from files.storage import Storage
from maintenance.archive import ledger as ledger_part
from maintenance.archive import notes, regular
from maintenance.archive.files import ArchiveFiles, files_folder
from maintenance.archive.ledger import Rule
from maintenance.archive.making import archive_settings
from maintenance.archive.moves import archive, unarchive
from maintenance.check import check
from models import Delivery, Event
from records.commits import newest
from records.tally import tally
from repos import JobRepository, LoopRepository, TrackRepository
from settings import Settings
from tests.archives import age, events, everyone, execute, ids, make_job, storage_with, stored, values
from tests.conftest import matching_ids, on_sqlite, thorough, wait_for
from tests.service import clean_environment
from tests.test_commands import flask

jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()
NAMES = {"a", "b", "c"}


@pytest.fixture
def storage(ledger: Settings) -> Storage:
    """The storage folder, with three finished jobs in it and their files."""
    return storage_with(ledger, {"a": "completed", "b": "failed", "c": "cancelled"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of an archive that does not exist yet."""
    return tmp_path / "archive.db"


def test_jobs_leave_and_come_back_with_equal_values(storage: Storage, path: Path) -> None:
    before, history, files = values(), events(), stored(storage.root)
    result = {"archive": str(path), "moved": 3, "refused": {}, "missing": []}
    assert archive(path, everyone(), files=True).as_dict() == result
    assert ids() == set() and ids(path) == NAMES and stored(storage.root) == {}
    assert stored(files_folder(path)) == files
    assert unarchive(path).moved == 3 and ids(path) == set()
    assert values() == before and stored(storage.root) == files
    assert {number: event for number, event in events().items() if number in history} == history
    assert stored(files_folder(path)) == {} and notes.archives(storage) == []


@pytest.mark.timeout(1800)
def test_many_jobs_leave_and_come_back_in_batches(storage: Storage, path: Path) -> None:
    number = thorough(10_000, 60)
    for start in range(0, number, 50):
        with database.atomic():
            for name in range(start, min(start + 50, number)):
                make_job(storage, f"n{name}")
    before, files = values(), stored(storage.root)
    assert archive(path, everyone(), files=True).moved == number + 3 and not ids()
    assert unarchive(path).moved == number + 3 and not ids(path)
    assert values() == before and stored(storage.root) == files


def test_the_models_read_an_archive(storage: Storage, ledger: Settings, path: Path) -> None:
    before, history = values(), events()
    archive(path, everyone())
    init_database(archive_settings(ledger, path))
    assert values() == before and events() == history and schema_state() == ([], [])
    assert tally("job") == {**tally("job"), "completed": 1, "failed": 1, "cancelled": 1}
    assert newest()[1] == 0 and matching_ids("雨") == ["a", "b", "c"] and not Delivery.select().exists()
    bind(ledger)
    assert stored(storage.root) and matching_ids("雨") == [] and set(tally("job").values()) <= {0}


def test_events_say_that_a_job_went_into_an_archive_and_came_back(storage: Storage, path: Path) -> None:
    archive(path, everyone())
    assert {(event.change, event.data["archived"]) for event in Event.select()} == {("deleted", True)}
    Delivery.delete().execute()
    unarchive(path, ["a"])
    last = Event.select().where(Event.job_id == "a").order_by(Event.event_id.desc()).first()
    assert (last.change, last.data["archived"]) == ("created", False)
    assert not Delivery.select().exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda: jobs.retry("b"),
        lambda: tracks.update("b-t", metadata={"liked": True}),
        lambda: loops.create(loop_id="more", track_id="b-t", duration=9),
        lambda: tracks.create(track_id="more", job_id="b"),
        lambda: execute("UPDATE job SET lease_token = 'held' WHERE job_id = 'b'"),
    ],
)
def test_a_job_that_changes_while_it_is_moved_stays(
    storage: Storage, path: Path, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    read, files = ledger_part.read, stored(storage.root)

    def read_and_change(*arguments: Any) -> Any:
        rows = read(*arguments)
        if "b" in arguments[0]:
            change()
        return rows

    monkeypatch.setattr(ledger_part, "read", read_and_change)
    assert archive(path, everyone(), files=True).moved == 2
    assert ids() == {"b"} and ids(path) == {"a", "c"}
    assert stored(storage.root) == {name: text for name, text in files.items() if "/b/" in name or "/b-" in name}
    assert {*stored(storage.root), *stored(files_folder(path))} == set(files)
    assert not {*stored(storage.root)} & {*stored(files_folder(path))}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE job SET status = 'pending' WHERE job_id = 'b'",
        "UPDATE loop SET status = 'PENDING' WHERE loop_id = 'b-l'",
        "UPDATE job SET lease_token = 'x', lease_expires_at = 5 WHERE job_id = 'b'",
    ],
)
def test_unfinished_and_leased_work_stays(storage: Storage, path: Path, statement: str) -> None:
    execute(statement)
    assert archive(path, everyone()).moved == 2 and ids() == {"b"}


def test_only_jobs_that_have_not_changed_for_so_long_leave(storage: Storage) -> None:
    age(1000)
    assert (ledger_part.count_leaving(Rule(1000)), ledger_part.count_leaving(Rule(1001))) == (0, 3)
    assert list(ledger_part.leaving(Rule(1001, ("failed",)))) == ["b"]
    execute("UPDATE track SET updated_at = 1001 WHERE track_id = 'c-t'")
    execute("UPDATE loop SET updated_at = 1001 WHERE loop_id = 'b-l'")
    assert list(ledger_part.leaving(Rule(1001))) == ["a"]


def test_a_job_that_came_back_stays_as_long_as_a_new_one(storage: Storage, path: Path) -> None:
    age(1000)
    assert archive(path, Rule(1001)).moved == 3 and unarchive(path).moved == 3
    assert archive(path, Rule(1001)).moved == 0


def test_ids_that_are_taken_are_listed_and_not_overwritten(storage: Storage, path: Path) -> None:
    archive(path, everyone())
    jobs.create(job_id="a", prompt="another")
    jobs.create(job_id="n", prompt="n")
    tracks.create(track_id="b-t", job_id="n")
    result = unarchive(path, ["a", "b", "c", "nobody"])
    assert result.moved == 1 and set(result.refused) == {"a", "b", "nobody"}
    assert jobs.get_by_id("a").prompt == "another" and ids(path) == {"a", "b"}
    jobs.update("a", status="completed")
    assert set(archive(path, everyone()).refused) == {"a"} and jobs.get_by_id("a").prompt == "another"


def test_a_file_that_another_job_names_stays(storage: Storage, path: Path) -> None:
    (storage.root / "song.wav").write_bytes(b"shared")
    tracks.create(track_id="a-2", job_id="a", file_path_wav="song.wav")
    tracks.create(track_id="b-2", job_id="b", file_path_wav=str(storage.root / "song.wav"))
    execute("UPDATE job SET status = 'pending' WHERE job_id = 'b'")
    archive(path, everyone(), files=True)
    folder = files_folder(path)
    assert stored(storage.root)["song.wav"] == stored(folder)["song.wav"] == b"shared"
    unarchive(path)
    assert stored(storage.root)["song.wav"] == b"shared" and stored(folder) == {}


@on_sqlite
def test_a_file_that_two_archived_jobs_name_stays_until_both_are_back(storage: Storage, path: Path) -> None:
    (storage.root / "song.wav").write_bytes(b"shared")
    for name in ("a", "b"):
        tracks.create(track_id=f"{name}-2", job_id=name, file_path_wav="song.wav")
    archive(path, everyone(), files=True)
    for name, files_left in (("a", {"song.wav"}), ("b", set())):
        unarchive(path, [name])
        assert {file for file in stored(files_folder(path)) if file == "song.wav"} == files_left
        assert stored(storage.root)["song.wav"] == b"shared"


def test_a_file_is_never_overwritten(storage: Storage, path: Path) -> None:
    other = files_folder(path) / "jobs" / "a" / "generator.log"
    other.parent.mkdir(parents=True)
    other.write_text("another")
    assert set(archive(path, everyone(), files=True).refused) == {"a"} and ids() == {"a"}
    assert other.read_text() == "another" and stored(storage.root)["jobs/a/generator.log"] == b"generator.log of a"


@on_sqlite
def test_a_file_that_is_removed_meanwhile_is_left_out(
    storage: Storage, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove_first(self: ArchiveFiles, paths: set[Path]) -> None:
        (storage.root / "jobs/a/generator.log").unlink()
        copy_out(self, paths)

    copy_out = ArchiveFiles.copy_out
    monkeypatch.setattr(ArchiveFiles, "copy_out", remove_first)
    assert archive(path, everyone(), files=True).moved == 3
    assert len(stored(files_folder(path))) == 8


@on_sqlite
def test_odd_text_moves_as_it_is(storage: Storage, path: Path) -> None:
    execute("UPDATE job SET prompt = CAST(x'ff0041' AS TEXT) WHERE job_id = 'a'")
    archive(path, everyone())
    unarchive(path)
    assert jobs.get_by_id("a").prompt == "\ufffd\0A" and len(values()["Job"]) == 3


@on_sqlite
def test_an_archive_in_the_wrong_place_is_refused(storage: Storage, ledger: Settings, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    execute(f"ATTACH '{other}' AS other")
    execute("CREATE TABLE other.songs (name TEXT)")
    execute("DETACH other")
    for wrong, error in (
        (storage.root / "archive.db", Invalid),
        (ledger.sqlite_path, Invalid),
        (other, DatabaseUnusable),
    ):
        with pytest.raises(error):
            archive(wrong, everyone())
    with pytest.raises(NotFound):
        unarchive(tmp_path / "nothing.db")
    assert ids() == NAMES and not (tmp_path / "nothing.db").exists()


@on_sqlite
def test_an_archive_is_not_taken_for_the_ledger_of_its_storage_folder(
    storage: Storage, ledger: Settings, path: Path
) -> None:
    archive(path, everyone())
    bind(archive_settings(ledger, path))
    with pytest.raises(Invalid, match="is an archive"):
        archive(ledger.sqlite_path, everyone())
    with pytest.raises(Invalid, match="is an archive"):
        check()
    bind(ledger)
    assert check() == [] and ids(path) == NAMES


@on_sqlite
def test_an_archive_that_is_removed_meanwhile_gets_nothing(
    storage: Storage, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_part, "leaving", lambda rule: [path.unlink(), *sorted(NAMES)][1:])
    with pytest.raises(DatabaseUnusable, match="removed"):
        archive(path, everyone())
    assert ids() == NAMES


@on_sqlite
def test_a_note_that_is_right_is_not_written_again(
    storage: Storage, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(path, everyone())
    with notes.only_mover(storage):
        notes.begin(storage, path)
        monkeypatch.setattr(Path, "write_bytes", lambda *_: pytest.fail("the note is written again"))
        notes.begin(storage, path)
    assert notes.archives(storage) == notes.unfinished(storage) == [path]


@on_sqlite
def test_only_one_process_moves_jobs(storage: Storage, path: Path) -> None:
    with notes.only_mover(storage), pytest.raises(Busy):
        archive(path, everyone())
    assert ids() == NAMES


@on_sqlite
def test_a_client_that_follows_the_events_learns_that_a_job_left(
    client: FlaskClient, storage: Storage, path: Path
) -> None:
    archive(path, everyone())
    assert client.get("/api/jobs/a").status_code == 404
    assert client.get("/api/stats").json["jobs"]["completed"] == 0


@on_sqlite
def test_the_commands_move_jobs(storage: Storage, ledger: Settings, tmp_path: Path) -> None:
    age(1000)
    env = {"DATABASE_URL": ledger.database_url, "STORAGE_DIR": str(ledger.storage_dir)}
    order = ["archive", "--older-than", "30d", "--status", "failed", "--to", "archive.db", "--json"]
    done = flask(tmp_path, *order, **env)
    assert done.returncode == 0 and json.loads(done.stdout)["moved"] == 1, done.stderr
    assert "jobs: 1 of 1" in done.stderr and ids(tmp_path / "archive.db") == {"b"}
    done = flask(tmp_path, "unarchive", "archive.db", "b", "nobody", **env)
    assert done.returncode == 1 and "nobody\tthe archive does not have it" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("1 jobs were not moved") and ids() == NAMES


@on_sqlite
def test_a_dry_run_only_counts(storage: Storage, app: Flask, path: Path) -> None:
    age(1000)
    run = app.test_cli_runner()
    order = ["archive", "--older-than", "30d", "--to", str(path)]
    assert run.invoke(args=[*order, "--dry-run"]).stdout == "would move 3 jobs\n"
    assert ids() == NAMES and not path.exists()
    assert "Example" in run.invoke(args=["archive", "--help"]).output
    assert run.invoke(args=["archive", "--older-than", "soon", "--to", "x"]).exit_code == 2


@on_sqlite
def test_the_regular_archive_writes_its_log_as_the_service_does(storage: Storage, ledger: Settings, path: Path) -> None:
    age(1000)
    archive(path, Rule(1001))
    jobs.create(job_id="a", prompt="another", status="completed")
    age(1000)
    env = clean_environment(
        DATABASE_URL=ledger.database_url, STORAGE_DIR=str(storage.root), ARCHIVE_AFTER="1s", LOG_FORMAT="json"
    )
    done = subprocess.run(regular.COMMAND, env=env, cwd=regular.ROOT, capture_output=True, text=True)
    assert "job a stays in the ledger" in json.loads(done.stderr)["message"] and done.returncode == 0


@on_sqlite
def test_housekeeping_archives_regularly_in_a_process_of_its_own(
    storage: Storage, ledger: Settings, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = clean_environment(DATABASE_URL=ledger.database_url, STORAGE_DIR=str(storage.root), ARCHIVE_AFTER="1s")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("maintenance.archive.regular.SECONDS", 0.01)
    monkeypatch.setattr("maintenance.clock.STEADY_SECONDS", 0)
    stopping = threading.Event()
    thread = regular.start(stopping)
    wait_for(lambda: ids(path) == NAMES, 60)
    stopping.set()
    thread.join(30)
    assert not ids() and stored(storage.root)
