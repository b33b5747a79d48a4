"""Closes the database connections of a thread when the thread ends."""

import threading
from collections.abc import Callable
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
    """A mixin for databases: the connection of a thread closes when the thread ends. Without it, it would stay open."""

    def _connect(self) -> Any:
        connection = super()._connect()  # type: ignore[misc]
        _thread.end = AtThreadEnd(partial(super()._close, connection))  # type: ignore[misc]
        return connection

    def _close(self, connection: Any, *rest: Any) -> None:
        if hasattr(_thread, "end"):
            _thread.end.act = None
        super()._close(connection, *rest)  # type: ignore[misc]
