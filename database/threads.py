"""Connections that close when their thread ends."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

_thread = threading.local()


class AtThreadEnd:
    """Calls what it was given when its thread ends, unless disarmed: it lives in a threading.local alone."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act: Callable[[], object] | None = act

    def __del__(self) -> None:
        if self.act is not None:
            self.act()


class PerThread:
    """A database whose connections end with their threads: no one else would close them."""

    def _connect(self) -> Any:
        connection = super()._connect()  # type: ignore[misc]
        _thread.end = AtThreadEnd(partial(super()._close, connection))  # type: ignore[misc]
        return connection

    def _close(self, connection: Any, *rest: Any) -> None:
        if hasattr(_thread, "end"):
            _thread.end.act = None
        super()._close(connection, *rest)  # type: ignore[misc]
