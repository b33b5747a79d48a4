"""Opens the old database to read it. Neither the file nor its -wal is ever changed."""

import os
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from errors import Invalid

BATCH = 500  # rows
BUSY_SECONDS = 10
MAGIC = b"SQLite format 3\0"
WAL_VERSION = 2  # the byte at 18 of a database with a write-ahead log
ERROR_COLUMNS = ("error", "created_at", "updated_at")
TABLES = {
    "jobs": ("job_id", "job_type", "status", "progress", "prompt", "job_metadata", "file_manifest", *ERROR_COLUMNS),
    "tracks": (
        "track_id",
        "job_id",
        "duration",
        "track_metadata",
        "file_path_wav",
        "file_path_mp3",
        "created_at",
        "updated_at",
    ),
    "loops": (
        "loop_id",
        "track_id",
        "status",
        "duration",
        "fade_in_out",
        "format",
        "progress",
        "result_url",
        "result_path",
        *ERROR_COLUMNS,
    ),
}
OF_A_JOB = "job_id IN (SELECT job_id FROM jobs)"
CHILDREN = {"tracks": OF_A_JOB, "loops": f"track_id IN (SELECT track_id FROM tracks WHERE {OF_A_JOB})"}
ADVICE = "stop the old service, and copy the file together with its -wal into a folder that this user can write"

Old = dict[str, Any]  # a row: the values of the columns in TABLES


class OldDatabase:
    """The old database at one moment."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path, self._connection = path, connection
        connection.execute("BEGIN")
        self._columns = {table: self._present(table) for table in TABLES}

    def count(self, table: str) -> int:
        """The number of rows of a table."""
        (number,) = self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(number)

    def batches(self, table: str, only_children: bool = False) -> Iterator[list[Old]]:
        """The rows of a table, up to BATCH at a time. A column that this old version lacks is None.

        only_children: without the rows whose job or track does not exist.
        """
        names = TABLES[table]
        columns = ", ".join(name if name in self._columns[table] else "NULL" for name in names)
        where = f"WHERE {CHILDREN[table]}" if only_children else ""
        rows = self._connection.execute(f"SELECT {columns} FROM {table} {where}")
        while batch := list(islice(rows, BATCH)):
            yield [dict(zip(names, row, strict=True)) for row in batch]

    def _present(self, table: str) -> set[str]:
        present = {row[1] for row in self._connection.execute(f"PRAGMA table_info({table})")}
        if TABLES[table][0] not in present:
            raise Invalid(
                f"{self.path} is no database of the old service: it has no table {table} with {TABLES[table][0]}."
            )
        return present


@contextmanager
def open_old(path: Path) -> Generator[OldDatabase]:
    """Open the old database. Raises Invalid if it is no such database or cannot be read.

    If the path is a link, the file that it names is opened: the -wal is beside that file.
    """
    path = Path(os.path.realpath(path))
    try:
        with closing(sqlite3.connect(_uri(path), timeout=BUSY_SECONDS, isolation_level=None, uri=True)) as connection:
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            yield OldDatabase(path, connection)
    except sqlite3.Error as error:
        raise Invalid(f"The old database {path} cannot be read ({error}): {ADVICE}.") from None


def _uri(path: Path) -> str:
    """The address of the file.

    With `immutable`, SQLite makes no -wal and no -shm beside the file. Use it only if no program has the file open.
    Then a database with a write-ahead log has no -wal.
    """
    try:
        with path.open("rb") as file:
            head = file.read(20)
    except OSError as error:
        raise Invalid(f"The old database {path} cannot be opened ({error.strerror}).") from None
    if head[:16] != MAGIC:
        raise Invalid(f"{path} is no SQLite database.")
    wal = path.with_name(f"{path.name}-wal")
    is_closed = head[18] == WAL_VERSION and not wal.exists()
    return f"{path.as_uri()}?mode=ro{'&immutable=1' if is_closed else ''}"
