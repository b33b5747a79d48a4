"""The SQLite database: its pragmas, and a queue for the write transactions of one process."""

import threading
from typing import Any

import peewee
from playhouse.cysqlite_ext import CySqliteDatabase

from database.letters import has_words
from database.text import TolerantCursor
from database.threads import PerThread
from settings import Settings

BUSY_SECONDS = 10
WRITER_SECONDS = 30

_writer, _thread = threading.Lock(), threading.local()


class Sqlite(PerThread, CySqliteDatabase):
    """SQLite with a queue for the write transactions of this process: without it, some threads would wait for ever."""

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """A cursor over the result; text that is not valid UTF-8 is read as U+FFFD."""
        run = super().execute_sql
        return TolerantCursor(run(sql, params), sql, lambda again: run(again, params))

    def begin(self, lock_type: str | None = None) -> None:
        """Wait for the writers of this process, then for the writers of other processes, and begin."""
        self.connection()  # the first one brings the schema up to date, which writes
        if not _writer.acquire(timeout=WRITER_SECONDS):
            raise peewee.OperationalError("database is locked by another thread")
        _thread.is_writer = True
        try:
            super().begin(lock_type)
        except BaseException:
            self._let_others_write()
            raise

    def commit(self) -> None:
        """Commit, and let other threads write. If the commit fails, Peewee calls rollback(), which does the same."""
        super().commit()
        self._let_others_write()

    def rollback(self) -> None:
        """Roll back, and let other threads write."""
        try:
            super().rollback()
        finally:
            self._let_others_write()

    def _let_others_write(self) -> None:
        if getattr(_thread, "is_writer", False):
            _thread.is_writer = False
            _writer.release()


def open_sqlite(settings: Settings) -> CySqliteDatabase:
    """Create the database object for the SQLite file of these settings; opens no connection."""
    pragmas = {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": settings.sqlite_synchronous,
        "journal_size_limit": 64 * 1024 * 1024,
        "trusted_schema": 0,
        "recursive_triggers": 1,  # INSERT OR REPLACE deletes a row, and then the triggers for a deletion must run
        "mmap_size": 0,
    }
    opened = Sqlite(
        str(settings.sqlite_path), rank_functions=False, pragmas=pragmas, timeout=BUSY_SECONDS, lock_type="IMMEDIATE"
    )
    opened.register_function(has_words, num_params=2, deterministic=True)
    return opened
