"""The archive in trouble: jobs that change meanwhile, full disks, files that are no archives, and kills."""

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import cysqlite
import pytest

from database import bind, init_database
from errors import DatabaseUnusable, Invalid, LedgerError, StorageFull
from files.leftovers import remove_leftovers
from files.removals import announce_removal
from files.storage import Storage
from maintenance import housekeeping
from maintenance.archive import files as files_part
from maintenance.archive import ledger as ledger_part
from maintenance.archive import moves, notes
from maintenance.archive.database import Archive, open_archive
from maintenance.archive.files import files_folder, of_archives
from maintenance.archive.ledger import Rule
from maintenance.archive.making import archive_settings
from maintenance.archive.moves import archive, finish_unfinished, unarchive
from repos import JobRepository, LoopRepository, TrackRepository
from settings import Settings
from tests.archives import age, everyone, execute, ids, make_job, storage_with, stored, values
from tests.conftest import on_sqlite
from tests.migrations import drop_seam_columns, drop_take_columns
from tests.test_archive_killed import kill_a_move
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


@pytest.mark.parametrize(
    "change",
    [
        lambda: jobs.retry("b"),
        lambda: [jobs.retry("b"), jobs.claim("worker")],
        lambda: loops.create(loop_id="more", track_id="b-t", duration=9),
        lambda: tracks.update("b-t", metadata={"liked": True}),
    ],
)
def test_a_job_that_changes_before_its_batch_stays(
    storage: Storage, path: Path, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    age(1000)
    monkeypatch.setattr(ledger_part, "leaving", lambda rule: [change(), *sorted(NAMES)][1:])
    assert archive(path, Rule(1001)).moved == 2 and ids() == {"b"}


def test_a_loop_that_is_ordered_after_the_rule_was_asked_keeps_its_job(
    storage: Storage, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, change = ledger_part.still_leaving, [lambda: loops.create(loop_id="more", track_id="b-t", duration=9)]

    def ask_and_change(*arguments: Any) -> list[str]:
        matching = ask(*arguments)
        if change:
            change.pop()()
        return matching

    monkeypatch.setattr(ledger_part, "still_leaving", ask_and_change)
    assert archive(path, everyone()).moved == 2 and ids() == {"b"}


@on_sqlite
def test_a_reader_cannot_end_a_move(storage: Storage, path: Path) -> None:
    kill_a_move(path, ledger_part, "take_out", is_after=True)
    with open_archive(path) as reader:
        assert reader.begun() and reader.job_ids("", 9) == []
        for change in (reader.drop_tables, reader.has_removed):
            with pytest.raises(DatabaseUnusable, match="readonly"):
                change()
    assert finish_unfinished(storage) == [path] and ids(path) == NAMES


@on_sqlite
def test_a_reader_sees_one_state_of_a_move(storage: Storage, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kill_a_move(path, ledger_part, "take_out", is_after=True)
    has_tables = Archive._has_tables

    def finish_between(self: Archive) -> bool:
        monkeypatch.undo()
        answer = has_tables(self)
        finish_unfinished(storage)
        return answer

    monkeypatch.setattr(Archive, "_has_tables", finish_between)
    with open_archive(path) as reader:
        assert len(reader.begun().job_ids) == 3 and reader.begun() is None


def hourly(storage: Storage) -> None:
    """Let an hour pass, and let housekeeping remove leftovers."""
    for note in storage.root.glob(".removals/*"):
        os.utime(note, (0, 0))
    remove_leftovers(storage, of_archives)


@on_sqlite
def test_the_files_of_a_killed_move_stay_if_the_jobs_go_elsewhere(storage: Storage, path: Path) -> None:
    files = stored(storage.root)
    kill_a_move(path, ledger_part, "take_out", is_after=False, files=True)
    assert archive(path.with_name("other.db"), everyone()).moved == 3
    hourly(storage)
    assert stored(storage.root) == files and stored(files_folder(path)) == {}


@on_sqlite
def test_a_killed_move_removes_the_files_later_but_not_those_of_jobs_that_came_back(
    storage: Storage, path: Path
) -> None:
    files = stored(storage.root)
    kill_a_move(path, files_part, "remove_unnamed", is_after=False, files=True)
    assert stored(storage.root) == files and ids(path) == NAMES
    assert unarchive(path, ["b"]).moved == 1
    hourly(storage)
    own = {name for name in files if "/b/" in name or "/b-" in name}
    assert set(stored(storage.root)) == own and set(stored(files_folder(path))) == set(files) - own


@on_sqlite
def test_a_killed_move_is_finished_by_a_version_with_a_newer_schema(
    storage: Storage, ledger: Settings, path: Path
) -> None:
    execute("UPDATE loop SET candidate = NULL")
    execute("UPDATE job SET seed = NULL, takes = 1")
    execute("UPDATE track SET seed = NULL, take = NULL, provenance = '{}'")
    before = values()
    kill_a_move(path, ledger_part, "take_out", is_after=True)
    bind(archive_settings(ledger, path))
    drop_seam_columns()
    drop_take_columns()
    bind(ledger)
    assert not ids() and unarchive(path).moved == 3
    assert values() == before


@on_sqlite
def test_a_new_job_with_the_id_of_an_archived_one_keeps_its_log(storage: Storage, path: Path) -> None:
    kill_a_move(path, files_part, "remove_unnamed", is_after=False, files=True)
    jobs.create(job_id="a", prompt="another")
    assert finish_unfinished(storage) == [path]
    assert {name for name in stored(storage.root) if name.startswith("jobs")} >= {"jobs/a/generator.log"}
    assert not [name for name in stored(storage.root) if name.startswith("jobs/b")]


@on_sqlite
@pytest.mark.parametrize("is_away", [False, True])
def test_a_late_deletion_spares_the_files_of_archived_jobs(storage: Storage, path: Path, is_away: bool) -> None:
    files = stored(storage.root)
    announce_removal(storage, ("job", "a"), {storage.root / name for name in files})  # and killed before its commit
    archive(path, everyone())
    if is_away:
        path.rename(path.with_name("away.db"))
    hourly(storage)
    assert stored(storage.root) == files and bool(list(storage.root.glob(".removals/*"))) == is_away


def test_a_move_waits_for_its_archive_while_others_go_on(storage: Storage, path: Path) -> None:
    disk, away = path.parent / "disk", path.parent / "away"
    disk.mkdir()
    kill_a_move(disk / "first.db", ledger_part, "take_out", is_after=True)
    disk.rename(away)
    make_job(storage, "d")
    assert archive(path, everyone()).moved == 1
    with pytest.raises(LedgerError, match="bring it back"):
        finish_unfinished(storage)
    away.rename(disk)
    assert finish_unfinished(storage) == [disk / "first.db"] and ids(disk / "first.db") == NAMES


@on_sqlite
def test_a_damaged_archive_does_not_hold_up_another(
    storage: Storage, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = path.with_name("damaged.db")
    kill_a_move(damaged, ledger_part, "take_out", is_after=True)
    for file in path.parent.glob("damaged.db-*"):
        file.unlink()
    damaged.write_bytes(b"garbage" * 1000)
    make_job(storage, "d")
    assert archive(path, everyone()).moved == 1 and str(damaged) in caplog.text
    assert notes.unfinished(storage) == [damaged]


@on_sqlite
def test_an_archive_that_went_away_is_not_made_again(storage: Storage, path: Path) -> None:
    archive(path, everyone())
    path.unlink()
    make_job(storage, "d")
    with pytest.raises(Invalid, match="is not there: bring it back"):
        archive(path, everyone())
    assert ids() == {"d"} and not path.exists()


@on_sqlite
def test_an_archive_that_is_locked_holds_up_nothing_else(
    storage: Storage, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kill_a_move(path, ledger_part, "take_out", is_after=True)
    steps: list[str] = []
    monkeypatch.setattr(housekeeping, "index_jobs", lambda stopping: steps.append("index"))
    monkeypatch.setattr(housekeeping, "FINISH_SECONDS", 0)
    monkeypatch.setattr("maintenance.archive.database.BUSY_SECONDS", 0)
    rounds = housekeeping.Housekeeping(storage, threading.Event())
    with closing(cysqlite.Connection(str(path))) as other:
        other.execute("BEGIN IMMEDIATE").fetchall()
        for _ in range(2):
            rounds.run()
        other.execute("ROLLBACK").fetchall()
    assert steps == ["index", "index"] and caplog.text.count("is not finished") == 1
    rounds.run()
    assert ids(path) == NAMES


@on_sqlite
def test_a_disk_without_room_for_the_archive_keeps_the_jobs_in_the_ledger(
    storage: Storage, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(path.parent)._replace(free=moves.LEAST_FREE_BYTES)
    monkeypatch.setattr(moves.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(StorageFull, match="make room"):
        archive(path, everyone(), files=True)
    assert ids() == NAMES and not ids(path) and not stored(files_folder(path))


def make_text(path: Path, ledger: Settings) -> None:
    path.write_text("hello, this is no database at all" * 100)


def make_ledger(path: Path, ledger: Settings) -> None:
    init_database(ledger.model_copy(update={"database_url": "", "db_path": path}))
    init_database(ledger)


UNFIT: list[Callable[[Path, Settings], object]] = [lambda path, _: path.mkdir(), make_text, make_ledger]


@on_sqlite
@pytest.mark.parametrize("make", UNFIT, ids=["folder", "text", "ledger"])
def test_what_is_no_archive_is_refused_and_named(
    storage: Storage, ledger: Settings, path: Path, make: Callable[[Path, Settings], object]
) -> None:
    make(path, ledger)
    with pytest.raises(DatabaseUnusable) as refusal:
        archive(path, everyone())
    assert str(path) in str(refusal.value) and "choose another file" in str(refusal.value)
    with pytest.raises(LedgerError):
        unarchive(path)
    assert ids() == NAMES and "DB_PATH" not in str(refusal.value) and notes.archives(storage) == []


@on_sqlite
def test_a_folder_that_does_not_exist_is_not_made(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="mount its disk"):
        archive(tmp_path / "disk" / "archive.db", everyone())
    assert not (tmp_path / "disk").exists() and ids() == NAMES


@on_sqlite
def test_an_archive_that_was_renamed_comes_back_with_a_list_of_its_files(
    storage: Storage, ledger: Settings, path: Path
) -> None:
    archive(path, everyone(), files=True)
    path.rename(path.with_name("2026.db"))
    env = {"DATABASE_URL": ledger.database_url, "STORAGE_DIR": str(ledger.storage_dir)}
    done = flask(path.parent, "unarchive", "2026.db", os.fsdecode(b"\xff"), "a", **env)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "jobs/a/aaaaaaaaaaaa/s.wav" in done.stdout and "the archive does not have it" in done.stdout
    done = flask(path.parent, "unarchive", "2026.db", **env)
    assert done.returncode == 1 and "4 files are missing" in done.stderr and ids() == NAMES


@on_sqlite
def test_archives_with_similar_names_have_folders_of_their_own(storage: Storage, path: Path) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    folders = {files_folder(path.with_suffix(suffix)) for suffix in (".db", ".sqlite")}
    assert len(folders) == 2 and files_folder(link) == files_folder(path)


@on_sqlite
def test_a_copy_that_is_killed_is_never_taken_for_a_file(
    storage: Storage, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = stored(storage.root)
    monkeypatch.setattr(files_part.os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError("another disk")))
    part = files_folder(path) / ".parts" / "killed"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half")
    assert archive(path, everyone(), files=True).moved == 3
    assert stored(files_folder(path)) == files and not part.exists()
    assert unarchive(path).moved == 3 and stored(storage.root) == files
    assert not list((storage.root / ".parts").iterdir())
