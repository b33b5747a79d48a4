"""The SQLite database: its pragmas, and a queue for the write transactions of one process."""

import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peewee
from peewee import __exception_wrapper__ as exceptions_of_peewee  # type: ignore[attr-defined]
from playhouse.cysqlite_ext import CySqliteDatabase

from database.damage import Damaged
from database.file_identity import FileIdentity
from database.groups import ONE_STATEMENT, Groups, acknowledge
from database.in_use import share
from database.letters import fields_have_words, folded_words, has_words, part_of_words
from database.text import TolerantCursor
from database.threads import PerThread
from settings import Settings

BUSY_SECONDS = 10
WRITER_SECONDS = 30
SCHEMA = "malformed database schema"  # the driver cannot read the message of SQLite that quotes it

_writer, _thread = threading.Lock(), threading.local()


class Sqlite(PerThread, CySqliteDatabase):
    """SQLite with a queue for the write transactions of this process: without it, some threads would wait for ever."""

    _state: Any  # of this thread, by Peewee
    _groups: Groups | None = None
    _in_use: Callable[[], object] | None = None  # ends the lock of this process
    file: FileIdentity
    _locking = threading.Lock()

    def let_go(self) -> None:
        """Let other processes replace the file. The connections are closed; the next one locks the file again."""
        if self._in_use is not None:
            self._in_use()
            self._in_use = None

    def commit_in_groups(self) -> None:
        """From now on, the write transactions of several threads share one commit."""
        self._groups = Groups(self._connect_shared, self.file.require)

    def end_groups(self) -> None:
        """Close the connection that the groups share."""
        if self._groups is not None and self._groups.close():
            self.file.closed()

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        """A cursor over the result; text that is not valid UTF-8 is read as U+FFFD."""
        run = super().execute_sql
        try:
            cursor = run(sql, params)
        except UnicodeDecodeError:
            raise Damaged(SCHEMA) from None
        return TolerantCursor(cursor, sql, lambda again: run(again, params))

    def begin(self, lock_type: str | None = None) -> None:
        """Wait for the writers of this process, then for the writers of other processes, and begin."""
        own = self.connection()  # the first connection of a process migrates the schema, which needs a write
        if self._groups is not None:
            with exceptions_of_peewee:
                self._state.conn = self._groups.begin(needs_savepoint=lock_type != ONE_STATEMENT)
            _thread.own = own
            return
        if not _writer.acquire(timeout=WRITER_SECONDS):
            raise peewee.OperationalError("database is locked by another thread")
        _thread.is_writer = True
        try:
            super().begin(None if lock_type == ONE_STATEMENT else lock_type)
        except BaseException:
            self._let_others_write()
            raise

    def commit(self) -> None:
        """Commit, and let other threads write. If the commit fails, Peewee calls rollback(), which does the same."""
        if self._groups is not None:
            self._leave(self._groups, is_kept=True)
            return
        super().commit()
        self._let_others_write()
        self.file.require()

    def rollback(self) -> None:
        """Roll back, and let other threads write."""
        if self._groups is not None:
            self._leave(self._groups, is_kept=False)
            return
        try:
            if self.connection().in_transaction:  # a commit that ended it may have failed afterwards
                super().rollback()
        finally:
            self._let_others_write()

    def _connect(self) -> Any:
        """A new connection of a thread. The first one locks the file for this process: no restore replaces it."""
        with self._locking:
            if self._in_use is None:
                try:
                    handle = share(Path(self.database).resolve())
                except OSError as error:
                    raise peewee.OperationalError(f"unable to lock the database file: {error.strerror}") from None
                self._in_use = weakref.finalize(self, os.close, handle)
        self.file.require_before_opening(may_make=self._preparer == threading.get_ident())
        try:
            connection = super()._connect()
        except UnicodeDecodeError:
            raise Damaged(SCHEMA) from None
        self.file.opened()
        return connection

    def _connect_shared(self) -> Any:
        """A new connection that threads share: it does not end with one of them. Every thread has its own before."""
        self.file.require_before_opening(may_make=False)
        connection = super(PerThread, self)._connect()
        self.file.opened()
        return connection

    def _closed(self) -> None:
        self.file.closed()

    def _leave(self, groups: Groups, is_kept: bool) -> None:
        """End the transaction of this thread in its group; then the thread uses its own connection again.

        Does nothing if the transaction has ended.
        """
        own, _thread.own = getattr(_thread, "own", None), None
        if own is None:
            return
        self._state.conn = own
        with exceptions_of_peewee:
            group = groups.end(is_kept)
        if is_kept or group.size:  # a refusal may be about a change in the group that is not committed yet
            acknowledge(group)

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
    opened.file = FileIdentity(settings.sqlite_path)
    for function, count in ((has_words, 2), (fields_have_words, 3), (part_of_words, 2), (folded_words, 1)):
        opened.register_function(function, num_params=count, deterministic=True)
    return opened
