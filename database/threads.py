"""Closes the database connections of a thread when the thread ends."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

_thread = threading.local()


class AtThreadEnd:
    """Calls act() when its thread ends, unless act is None. Only a threading.local refers to it."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act: Callable[[], object] | None = act

    def __del__(self) -> None:
        if self.act is not None:
            self.act()


class PerThread:
    """A mixin for databases: the connection of a thread closes when the thread ends. Without it, it would stay open.

    prepare: a function to call before the first connection, or None. When it fails, the next connection calls it again.
    """

    prepare: Callable[[], object] | None = None
    _preparing = threading.RLock()
    _preparer: int | None = None  # the thread that prepares

    def let_go(self) -> None:
        """Let others replace the database. Only SQLite needs to know."""

    def connect(self, reuse_if_open: bool = False) -> Any:
        """Open a connection of this thread; True when it was closed before."""
        if self.prepare is not None and self._preparer != threading.get_ident():
            with self._preparing:
                if self.prepare is not None:
                    self.prepare()
        return super().connect(reuse_if_open)  # type: ignore[misc]

    @contextmanager
    def being_prepared(self, is_complete: bool = True) -> Iterator[None]:
        """This thread connects and prepares the database; the first connections of other threads wait for it.

        is_complete: False if the next connection must still prepare it.
        """
        with self._preparing:
            outer, self._preparer = self._preparer, threading.get_ident()
            try:
                yield
                if is_complete:
                    self.prepare = None
            finally:
                self._preparer = outer

    def _connect(self) -> Any:
        connection = super()._connect()  # type: ignore[misc]
        _thread.end = AtThreadEnd(partial(self._end, connection))
        return connection

    def _close(self, connection: Any, *rest: Any) -> None:
        if hasattr(_thread, "end"):
            _thread.end.act = None
        self._end(connection, *rest)

    def _end(self, connection: Any, *rest: Any) -> None:
        super()._close(connection, *rest)  # type: ignore[misc]
        self._closed()

    def _closed(self) -> None:
        """A connection has been closed. Only SQLite needs to know."""
