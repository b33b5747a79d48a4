"""Kills an action by SIGKILL at each of its steps, in forks of this process: python -m tests.killed ACTION FOLDER.

A step is a file that is opened, made, renamed, linked or removed. Each run is killed some steps later than the last
one, until one ends by itself. After each, another fork looks at what is there. `make soak` kills at all steps. CI kills
at each third one, and first at one of three at random.
"""

import os
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import NoReturn

from database import database, init_database, leave
from errors import DatabaseUnusable
from files.references import NOTES, put_reference, remove_forgotten
from files.storage import Storage
from maintenance.backup import backup
from maintenance.manifest import Backup
from maintenance.restore import restore
from maintenance.workplace import PREFIX
from models import Job
from settings import Settings

SQL = "ledger.sql"  # an event that a caller raises after each statement
STRIDE = 1 if os.environ.get("THOROUGH") else 3
STEPS = {SQL, "open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.utime"}


def run_and_exit(action: Callable[[], object]) -> NoReturn:
    """Run an action in a fork, and end the fork: with 1 after an error, which is printed."""
    try:
        action()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def in_fork(action: Callable[[], object], steps: int = 1_000_000, prepare: Callable[[], object] = lambda: None) -> bool:
    """Run an action in a fork, which is killed before this step. True if it ended before.

    prepare() runs before the first step.
    """
    pid = os.fork()
    if pid == 0:
        left = [steps]
        prepare()

        def count_down(event: str, arguments: object) -> None:
            left[0] -= event in STEPS
            if event in STEPS and left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count_down)
        run_and_exit(action)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "an error, which is printed above"
    return os.WIFEXITED(status)


def moments(first: int) -> Iterator[int]:
    """After how many steps to kill; first: the fewest."""
    return count(first + random.randrange(STRIDE), STRIDE)


def must(action: Callable[[], object]) -> None:
    """Run an action in a fork. It must end by itself."""
    assert in_fork(action)


def kill_at_every_step(prepare: Callable[[], object], action: Callable[[], object], look: Callable[[], object]) -> int:
    """Returns the number of steps at which a run is killed."""
    for steps in moments(1):
        must(prepare)
        has_ended = in_fork(action, steps)
        must(look)
        if has_ended:
            return steps - 1
    raise AssertionError


class Place:
    """A database that was not closed, so that a row is in its log alone; its storage folder; and a backup."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(_env_file=None, db_path=folder / "app.db", storage_dir=folder / "output")
        self.song = folder / "output" / "a.wav"
        self.copy = folder / "backups" / "copy"

    def write(self, job_id: str) -> None:
        """Put a job into the database, and die without closing it."""
        init_database(self.settings)
        Job.create(job_id=job_id, prompt="x")
        os._exit(0)

    def begin(self, job_id: str) -> None:
        """A new database and storage folder."""
        for path in self.folder.glob("app.db*"):
            path.unlink()
        shutil.rmtree(self.settings.storage_dir, ignore_errors=True)
        self.settings.storage_dir.mkdir()
        self.song.write_bytes(job_id.encode())
        self.write(job_id)

    def ids(self) -> list[str]:
        """The ids of all jobs."""
        init_database(self.settings)
        assert database.execute_sql("PRAGMA integrity_check").fetchall() == [("ok",)]
        names = sorted(job.job_id for job in Job.select())
        leave()
        return names

    def kill_restores(self) -> int:
        """Restore a backup with another job and files. Afterwards, all of it is there or nothing, or no start works."""
        must(lambda: self.begin("restored"))
        self.song.with_name("new.wav").write_bytes(b"new")
        must(lambda: backup(self.settings, self.copy, files=True))
        return kill_at_every_step(lambda: self.begin("present"), lambda: restore(self.settings, self.copy), self.look)

    def look(self) -> None:
        """After a killed restore: one of the two databases, and the present one is not lost."""
        assert self.song.read_bytes() in (b"present", b"restored"), "its place must never be empty"
        if self.must_repeat():
            restore(self.settings, self.copy)
        [job_id] = self.ids()
        assert not (self.folder / "app.db.restored").exists(), "opening the database must finish the restore"
        assert self.song.read_bytes().decode() == job_id
        if job_id == "restored":
            assert self.song.with_name("new.wav").read_bytes() == b"new"
            assert {path.read_bytes() for path in self.song.parent.glob(".before-restore-*/a.wav")} == {b"present"}
            before = min(self.folder.glob("app.db.before-restore-*Z"))
            restore(self.settings, before)
            assert self.ids() == ["present"]
        restore(self.settings, self.copy)
        assert self.ids() == ["restored"] and not list(self.folder.glob("app.db.rest*"))

    def must_repeat(self) -> bool:
        """True if the database says that the restore must be repeated."""
        try:
            self.ids()
        except DatabaseUnusable as refusal:
            assert str(refusal).endswith(f"repeat `flask restore {self.copy}`.")
            return True
        return False

    def kill_backups(self) -> int:
        """Make backups. Afterwards, a backup is complete, or there is none."""
        must(lambda: self.begin("present"))
        self.song.write_bytes(b"sound")
        with_files = kill_at_every_step(
            self.forget, lambda: backup(self.settings, self.copy, True), self.look_at_backup
        )
        return with_files + kill_at_every_step(
            self.forget, lambda: backup(self.settings, self.copy), self.look_at_backup
        )

    def forget(self) -> None:
        """Remove all backups."""
        shutil.rmtree(self.copy.parent, ignore_errors=True)

    def look_at_backup(self) -> None:
        """After a killed backup: a good one or none, and the next one removes what is left."""
        assert not self.copy.exists() or Backup(self.copy).is_good()
        if self.copy.exists():
            restore(self.settings, self.copy)
            assert self.ids() == ["present"]
        else:
            backup(self.settings, self.copy)
        backup(self.settings, self.copy.parent / "next")
        assert not list(self.copy.parent.glob(f"{PREFIX}*"))

    def kill_references(self) -> int:
        """Replace a reference recording whose job is not recorded. Afterwards, one of the two is there, whole."""
        storage = Storage(self.settings)
        path, part = storage.reference("song"), storage.part()

        def begin() -> None:
            self.put(storage, b"old")
            part.write_bytes(b"new" * 100_000)

        def look() -> None:
            assert path.read_bytes() in (b"old", b"new" * 100_000)
            for old in (path, *(storage.root / NOTES).iterdir()):
                os.utime(old, (0, 0))
            init_database(self.settings)
            remove_forgotten(storage)
            assert not path.exists() and not list((storage.root / NOTES).iterdir())

        must(lambda: self.begin("another"))
        return kill_at_every_step(begin, lambda: self.put(storage, part.read_bytes()), look)

    def put(self, storage: Storage, recording: bytes) -> None:
        """Make this the recording of a job."""
        part = storage.part()
        part.write_bytes(recording)
        init_database(self.settings)
        put_reference(storage, "song", part)


if __name__ == "__main__":
    place = Place(Path(sys.argv[2]))
    actions = {"backup": place.kill_backups, "restore": place.kill_restores, "references": place.kill_references}
    print(actions[sys.argv[1]]())
