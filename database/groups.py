"""Group commit for SQLite: the transactions of several threads share one commit, and so one write to the disk.

The threads take turns on one connection. A transaction is a savepoint: if one is rolled back, the others are kept. A
thread that ends its transaction while another waits for its turn does not commit; the last thread commits for all. No
thread waits for others to come: a single writer commits at once.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import peewee
from peewee import __exception_wrapper__ as exceptions_of_peewee  # type: ignore[attr-defined]

from errors import LedgerError

log = logging.getLogger("ledger.database")

MOST = 32  # the most transactions that share one commit
# After a large group, the database is free for a moment if other processes write, too: SQLite's busy handler tries only
# now and then (it sleeps up to 100 ms). Without the pause, one in ten updates of a worker waited for 1.4 s.
LARGE, PAUSE_SECONDS, OTHERS_SECONDS = 4, 0.0015, 60.0
ONE_STATEMENT = "one statement"  # passed instead of a lock type: such a transaction needs no savepoint
TURN_SECONDS = 30


class Group:
    """Transactions that are committed together."""

    def __init__(self) -> None:
        self.size = 0
        self.is_done = False
        self.error: BaseException | None = None  # why the commit failed
        self._calls: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    def then(self, call: Callable[[], object]) -> None:
        """Call this function when the group is committed or has failed; at once if the group has ended already."""
        with self._lock:
            if not self.is_done:
                self._calls.append(call)
                return
        call()

    def wait(self) -> None:
        """Wait for the commit. Raises OperationalError or FileGone if it failed, with the error as __cause__."""
        if not self.is_done:
            waiting = threading.Lock()
            waiting.acquire()
            self.then(waiting.release)
            waiting.acquire()
        if isinstance(self.error, LedgerError):
            raise type(self.error)(str(self.error)) from self.error
        if self.error is not None:
            raise peewee.OperationalError(f"the commit failed: {self.error}") from self.error

    def end(self, error: BaseException | None) -> None:
        """The group is committed, or has failed with this error."""
        with self._lock:
            self.is_done, self.error = True, error
        for call in self._calls:
            try:
                call()
            except Exception:
                log.exception("what waits for a commit has failed")


class Groups:
    """The groups of one process. connect() opens the connection that its threads share.

    confirm() is called after each commit. If it raises an error, the commit counts as failed.
    """

    def __init__(self, connect: Callable[[], Any], confirm: Callable[[], object]) -> None:
        self._connect, self._confirm = connect, confirm
        self._connection: Any = None
        self._group = Group()
        self._turn = threading.Lock()  # the thread that holds it uses the connection
        self._has_savepoint, self._changes = False, 0  # of the transaction of the thread that has the turn
        self._version, self._others_until = None, 0.0  # of the commits of other connections
        self._waiting = 0
        self._count = threading.Lock()  # protects _waiting and the decision who commits

    def begin(self, needs_savepoint: bool = True) -> Any:
        """Wait for the turn of this thread, and begin its transaction. Returns the connection, until end().

        A transaction of one statement that writes needs no savepoint: SQLite undoes a statement that fails.
        """
        self._take_turn()
        try:
            if self._connection is None:
                self._connection = self._connect()
                self._version = self._data_version()
            if not self._connection.in_transaction:
                self._connection.execute("BEGIN IMMEDIATE")
            self._has_savepoint, self._changes = needs_savepoint, self._connection.total_changes()
            if needs_savepoint:
                self._connection.execute("SAVEPOINT one")
        except BaseException:
            self._pass_on()
            raise
        return self._connection

    def end(self, is_kept: bool) -> Group:
        """End the transaction of this thread. Returns its group, which may not be committed yet."""
        group = self._group
        group.size += is_kept
        try:
            if self._connection.in_transaction:  # for example, a full disk makes SQLite roll everything back
                self._end_one(is_kept)
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._pass_on()
        return group

    def close(self) -> bool:
        """Close the connection. False if there is none."""
        with self._turn:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()
            return connection is not None

    def _take_turn(self) -> None:
        with self._count:
            self._waiting += 1
        has_turn = self._turn.acquire(timeout=TURN_SECONDS)
        with self._count:
            self._waiting -= 1
            has_turn = has_turn or self._turn.acquire(blocking=False)
        if not has_turn:
            raise peewee.OperationalError("database is locked by another thread")

    def _end_one(self, is_kept: bool) -> None:
        """Keep or undo the changes of one transaction."""
        if self._has_savepoint:
            if not is_kept:
                self._connection.execute("ROLLBACK TO one")
            self._connection.execute("RELEASE one")
        elif not is_kept and self._connection.total_changes() != self._changes:
            self._roll_back()  # the statement has worked, and then its caller has failed: this is rare

    def _roll_back(self) -> None:
        """Undo the changes of the whole group."""
        with suppress(Exception):
            self._connection.execute("ROLLBACK")

    def _pass_on(self) -> None:
        """Let the next thread take its turn. Commit, unless a later thread will do it."""
        with self._count:
            is_open = self._connection is not None and self._connection.in_transaction
            if is_open and self._waiting and self._group.size < MOST:
                self._turn.release()
                return
        group, self._group = self._group, Group()
        error = self._commit(group)
        group.end(error)
        try:
            if error is None and group.size >= LARGE and self._do_others_write():
                time.sleep(PAUSE_SECONDS)
        finally:
            self._turn.release()

    def _do_others_write(self) -> bool:
        """True if another connection has committed in the last minute."""
        now, version = time.monotonic(), self._data_version()
        if version != self._version:
            self._version, self._others_until = version, now + OTHERS_SECONDS
        return now < self._others_until

    def _data_version(self) -> Any:
        """A number that changes when another connection commits."""
        return self._connection.execute("PRAGMA data_version").fetchone()

    def _commit(self, group: Group) -> BaseException | None:
        """Commit the transactions of the group. Returns the error if that fails."""
        try:
            if self._connection is not None and self._connection.in_transaction:
                with exceptions_of_peewee:
                    self._connection.execute("COMMIT")
                self._confirm()
            elif group.size:
                return sys.exception() or peewee.OperationalError("the transaction was rolled back")
        except Exception as error:
            self._roll_back()
            return error
        return None


class _Deferral(threading.local):
    is_allowed = False
    group: Group | None = None


_deferral = _Deferral()


@contextmanager
def committing_later() -> Iterator[Callable[[], Group | None]]:
    """In this block, a transaction may be committed after the block. Acknowledge nothing before that commit.

    Yields a function that returns the group to wait for; None if all is committed. Inside the block, statements outside
    of the transaction do not see the new data.
    """
    _deferral.is_allowed = True
    try:
        yield lambda: _deferral.group
    finally:
        _deferral.is_allowed, _deferral.group = False, None


def acknowledge(group: Group) -> None:
    """Wait for the commit of a group, unless this thread is in a block of committing_later()."""
    if not _deferral.is_allowed:
        group.wait()
        return
    if _deferral.group not in (None, group):
        _deferral.group.wait()
    _deferral.group = group
