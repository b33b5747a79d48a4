"""The archive database: an SQLite file with the schema of the ledger. Rows on their way are in tables of their own.

The tables moving_job, moving_track, moving_loop and moving_event have the rows of one batch, and `moving` says where
they go. Readers of the archive do not see these tables. So a batch is on disk before the ledger gives it away, and the
last commit only shows it. moving_file has the files that leave the storage folder after that commit.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cysqlite
import peewee
from peewee import __exception_wrapper__ as exceptions_of_peewee  # type: ignore[attr-defined]

from database import HISTORY, available_migrations
from errors import DatabaseUnusable, NotFound, StorageFull
from maintenance.archive import rows
from maintenance.archive.rows import OF_JOBS, RECORDS, TABLES, Rows
from records.writes import marks

BUSY_SECONDS = 10
APPLICATION = 0x4C454441  # PRAGMA application_id of an archive; a ledger has 0
PRAGMAS = ("foreign_keys = 1", "trusted_schema = 0", "recursive_triggers = 1", "mmap_size = 0")
LEAVE, RETURN = "to the archive", "to the ledger"
MOVED_JOBS = "SELECT job_id FROM moving_job"


class Move(NamedTuple):
    """A batch on its way: LEAVE or RETURN, the newest event of the ledger when it began, and the ids of its jobs."""

    direction: str
    newest_event: int
    job_ids: list[str]


class Archive:
    """One connection to an archive. It is used by one thread."""

    def __init__(self, path: Path, is_mover: bool = False) -> None:
        """Open an archive that exists; only a mover may change it. Raises NotFound, DatabaseUnusable."""
        if not path.is_file():
            raise NotFound(f"There is no archive {path}.")
        self.path = path
        with errors_of(path):
            self._connection = cysqlite.Connection(str(path), timeout=BUSY_SECONDS)
        try:
            for pragma in (*PRAGMAS, "journal_mode = WAL" if is_mover else "query_only = 1"):
                self._execute(f"PRAGMA {pragma}")
            self._require_schema()
            self._inode = os.stat(path).st_ino
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        with errors_of(self.path):
            self._connection.close()

    def drop_tables(self) -> None:
        """Drop the tables of moves, unless a move is unfinished. Only for the process that has the lock of movers."""
        with self.transaction():
            if self._has_tables() and self.begun() is None and not self.moved_files():
                for table in ("moving", "moving_file", *(f"moving_{table}" for table in TABLES)):
                    self._execute(f"DROP TABLE {table}")

    @contextmanager
    def transaction(self, is_durable: bool = True) -> Iterator[None]:
        """A transaction. is_durable: it is on disk after the block; otherwise a power cut may undo it, but no kill."""
        self._execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'NORMAL'}")
        with self._block("BEGIN IMMEDIATE"):
            yield

    def begun(self) -> Move | None:
        """The move that was begun and is not finished, or None."""
        with self._snapshot():
            if not self._has_tables():
                return None
            row = self._rows("SELECT direction, newest_event FROM moving")
            job_ids = [job_id for (job_id,) in self._rows(f"{MOVED_JOBS} ORDER BY job_id")]
        return Move(row[0][0], row[0][1], job_ids) if row else None

    def moved_files(self) -> list[str]:
        """The relative paths of files that leave the storage folder with the last batch."""
        with self._snapshot():
            names = self._rows("SELECT CAST(name AS BLOB) FROM moving_file") if self._has_tables() else []
        return [os.fsdecode(name) for (name,) in names]

    def will_remove(self, names: Collection[str]) -> None:
        """Store the relative paths of files that leave the storage folder, if the jobs leave."""
        with self.transaction():
            self._run_many("INSERT INTO moving_file VALUES (?)", [(os.fsencode(name),) for name in names])

    def has_removed(self) -> None:
        """Forget the files that leave the storage folder."""
        with self.transaction(is_durable=False):
            self._execute("DELETE FROM moving_file")

    def stage(self, newest_event: int, leaving: Rows) -> dict[str, str]:
        """Store the rows of jobs that are about to leave the ledger.

        Returns a reason by job_id for jobs of which the archive has an id already, also of a track or loop. If there is
        one, nothing is stored.
        """
        self._make_tables()
        with self.transaction():
            for table in TABLES:
                self._run_many(rows.insert(f"moving_{table}", table, False), leaving[table])
            taken = self._taken()
            if taken:
                self._clear()
            else:
                self._execute("INSERT INTO moving VALUES (?, ?)", LEAVE, newest_event)
        return taken

    def read(self, job_ids: Sequence[str]) -> Rows:
        """The rows of these jobs."""
        return {table: self._select(table, table, OF_JOBS[table].format(marks(job_ids)), job_ids) for table in TABLES}

    def stage_return(self, newest_event: int, job_ids: Sequence[str]) -> None:
        """Copy the rows of jobs that are about to go back to the ledger."""
        self._make_tables()
        with self.transaction():
            for table in TABLES:
                where, columns = OF_JOBS[table].format(marks(job_ids)), rows.columns(table)
                copy = f"INSERT INTO moving_{table} ({columns}) SELECT {columns} FROM {table} WHERE {where}"
                self._execute(copy, *job_ids)
            self._execute("INSERT INTO moving VALUES (?, ?)", RETURN, newest_event)

    def staged(self) -> Rows:
        """The rows on their way."""
        return {table: self._select(table, f"moving_{table}", "true") for table in TABLES}

    def show(self) -> None:
        """Put the rows on their way into the tables that readers see, in the transaction of the caller.

        The triggers of the archive write events and deliveries meanwhile, which are deleted again.
        """
        with self._without_events():
            for table in RECORDS:
                self._copy(table)
        self._copy("event", " ON CONFLICT (event_id) DO NOTHING")

    def hide(self) -> None:
        """Take the jobs on their way out of the tables that readers see, in the transaction of the caller."""
        with self._without_events():
            self._execute(f"DELETE FROM event WHERE job_id IN ({MOVED_JOBS})")
            self._execute(f"DELETE FROM job WHERE job_id IN ({MOVED_JOBS})")

    def clear(self, keeps_files: bool = False) -> None:
        """End the move, in the transaction of the caller. keeps_files: its files are still to be removed."""
        self._clear()
        self._execute("DELETE FROM moving")
        if not keeps_files:
            self._execute("DELETE FROM moving_file")

    def require_in_place(self) -> None:
        """Raise DatabaseUnusable if the file was removed or replaced after it was opened."""
        try:
            is_same = os.stat(self.path).st_ino == self._inode
        except FileNotFoundError:
            is_same = False
        if not is_same:
            raise DatabaseUnusable(
                f"The archive {self.path} was removed or replaced while jobs were moved. Start again."
            )

    def count(self) -> int:
        """The number of jobs in the archive."""
        return int(self._rows("SELECT count(*) FROM job")[0][0])

    def job_ids(self, after: str, limit: int) -> list[str]:
        """The next ids of jobs, in the order of the ids."""
        query = f"SELECT job_id FROM job WHERE job_id > ? ORDER BY job_id LIMIT {limit}"
        return [job_id for (job_id,) in self._rows(query, after)]

    def present(self, job_ids: Sequence[str]) -> set[str]:
        """Those of these jobs that the archive has."""
        job_ids = list(filter(str.isascii, job_ids))  # no job has another id, and SQLite refuses broken text
        query = f"SELECT job_id FROM job WHERE job_id IN ({marks(job_ids)})"
        return {job_id for (job_id,) in self._rows(query, *job_ids)}

    def has(self, table: str, record_id: str) -> bool:
        """True if the archive has this job, track or loop."""
        return bool(self._rows(f"SELECT 1 FROM {table} WHERE {table}_id = ?", record_id))

    def named(self, names: Sequence[str]) -> set[str]:
        """Those of these names of files that a track or a loop of the archive has."""
        columns = (("track", "file_path_wav"), ("track", "file_path_mp3"), ("loop", "result_path"))
        queries = [f"SELECT {column} FROM {table} WHERE {column} IN ({marks(names)})" for table, column in columns]
        return {name for query in queries for (name,) in self._rows(query, *names)}

    def _taken(self) -> dict[str, str]:
        """The jobs on their way of which the archive has an id already."""
        reasons: dict[str, str] = {}
        owners = {
            "job": "SELECT job_id, job_id FROM moving_job",
            "track": "SELECT track_id, job_id FROM moving_track",
            "loop": "SELECT loop_id, job_id FROM moving_loop JOIN moving_track USING (track_id)",
        }
        for table, query in owners.items():
            own = f"WITH own (id, job_id) AS ({query}) SELECT id, job_id FROM own"
            for record_id, job_id in self._rows(f"{own} WHERE id IN (SELECT {table}_id FROM {table})"):
                reasons.setdefault(job_id, f"the archive has a {table} {record_id}")
        return reasons

    def _select(self, table: str, source: str, where: str, values: Sequence[str] = ()) -> list[Any]:
        return self._rows(
            f"SELECT {rows.read_columns(table, False)} FROM {source} WHERE {where} ORDER BY rowid", *values
        )

    def _copy(self, table: str, ending: str = "") -> None:
        columns = rows.columns(table)
        self._execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM moving_{table} WHERE true{ending}")

    @contextmanager
    def _without_events(self) -> Iterator[None]:
        """Delete what triggers write in this block: the archive has only the events and no deliveries of the ledger."""
        [(pruned,)] = self._rows("SELECT event_id FROM pruned")
        [(newest,)] = self._rows("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0)")
        yield
        self._execute("DELETE FROM event WHERE event_id > ?", newest)
        self._execute("DELETE FROM delivery WHERE event_id > ?", newest)
        self._execute("UPDATE pruned SET event_id = ?", pruned)

    def _make_tables(self) -> None:
        with self.transaction():
            self._execute("CREATE TABLE IF NOT EXISTS moving (direction TEXT NOT NULL, newest_event INTEGER NOT NULL)")
            self._execute("CREATE TABLE IF NOT EXISTS moving_file (name BLOB NOT NULL)")
            for table in TABLES:
                columns = rows.columns(table)
                self._execute(f"CREATE TABLE IF NOT EXISTS moving_{table} AS SELECT {columns} FROM {table} WHERE false")

    def _has_tables(self) -> bool:
        return bool(self._rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'moving'"))

    def _clear(self) -> None:
        for table in TABLES:
            self._execute(f"DELETE FROM moving_{table}")

    def _require_schema(self) -> None:
        """Raise DatabaseUnusable if the file is no archive with the schema of this program."""
        if self._rows("PRAGMA application_id") != [(APPLICATION,)]:
            raise not_an_archive(self.path)
        tables = {name for (name,) in self._rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
        applied = {name for (name,) in self._rows(f"SELECT name FROM {HISTORY}")} if HISTORY in tables else set()
        if applied != set(available_migrations()):
            raise DatabaseUnusable(
                f"The schema of {self.path} is not that of this version. If the archive is older, `flask archive` or "
                "`flask unarchive` changes it. If it is newer, use the newer version of this program."
            )

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """A block whose statements read the same state; part of the transaction, if there is one."""
        if self._connection.in_transaction:
            yield
            return
        with self._block("BEGIN"):
            yield

    @contextmanager
    def _block(self, begin: str) -> Iterator[None]:
        self._execute(begin)
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._execute("ROLLBACK")
            raise

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        with errors_of(self.path):
            return list(self._connection.execute(sql, values).fetchall())

    def _execute(self, sql: str, *values: Any) -> None:
        with errors_of(self.path):
            self._connection.execute(sql, values).fetchall()  # a statement that is read to its end holds no lock

    def _run_many(self, sql: str, values: Sequence[Any]) -> None:
        with errors_of(self.path):
            self._connection.executemany(sql, values)


def not_an_archive(path: Path) -> DatabaseUnusable:
    """The error for a database that is not marked as an archive."""
    return DatabaseUnusable(f"{path} is not an archive, but another database: choose another file.")


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """A block in which errors of an archive become StorageFull or DatabaseUnusable; errors of its rules stay."""
    try:
        with exceptions_of_peewee:
            yield
    except (peewee.IntegrityError, peewee.DataError):
        raise
    except peewee.DatabaseError as error:
        if "full" in str(error):
            raise StorageFull(f"The disk of the archive {path} is full: make room on it.") from None
        if "locked" in str(error):
            raise DatabaseUnusable(f"The archive {path} is locked by another program: close that program.") from None
        raise DatabaseUnusable(
            f"The archive {path} cannot be used ({error}): repair it, or choose another file for the archive."
        ) from None


@contextmanager
def open_archive(path: Path, is_mover: bool = False) -> Iterator[Archive]:
    """A block with an archive that exists; only a mover may change it. Raises NotFound, DatabaseUnusable."""
    archive = Archive(path, is_mover)
    try:
        yield archive
    finally:
        archive.close()
