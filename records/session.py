"""Sessions: a script opens a database connection and closes it when it is done."""

import threading
from types import TracebackType
from typing import Self

from database import database, prepare_database, release_connection

_sessions = threading.local()


class Session:
    """An open database connection of this thread; a context manager.

    The last session to close closes the connection.
    """

    def __init__(self) -> None:
        database.connect(reuse_if_open=True)
        _sessions.open = getattr(_sessions, "open", 0) + 1
        self._is_open, self._thread = True, threading.current_thread()

    def close(self) -> None:
        """Close the session. A repository that is used later opens a connection by itself.

        In another thread this does nothing: a connection belongs to its thread, and closes when the thread ends.
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
    """Open a session. The first call in a process brings the schema of the database up to date."""
    prepare_database()
    return Session()
