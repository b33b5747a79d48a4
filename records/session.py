"""Sessions: an open database connection for as long as a script needs it."""

import threading
from types import TracebackType
from typing import Self

from database import database, prepare_database, release_connection

_sessions = threading.local()


class Session:
    """An open database connection of this thread, and a context manager; the last session that closes closes it."""

    def __init__(self) -> None:
        database.connect(reuse_if_open=True)
        _sessions.open = getattr(_sessions, "open", 0) + 1
        self._is_open, self._thread = True, threading.current_thread()

    def close(self) -> None:
        """Close it. A repository that is used later opens a connection by itself.

        In another thread this does nothing: a connection belongs to its thread, and ends with it.
        """
        if self._is_open and self._thread is threading.current_thread():
            self._is_open = False
            _sessions.open -= 1
            if _sessions.open == 0:
                release_connection()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def get_session() -> Session:
    """A Session; the first call of the process brings the schema of the database up to date."""
    prepare_database()
    return Session()
