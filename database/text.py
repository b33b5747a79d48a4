"""Reads SQLite text that is not valid UTF-8 as U+FFFD. A script or a restored file may contain such text."""

from collections.abc import Callable, Iterator
from typing import Any

import cysqlite
from peewee import __exception_wrapper__ as exceptions_of_peewee  # type: ignore[attr-defined]


class TolerantCursor:
    """A cursor that tolerates such text. The cursor of the driver raises UnicodeDecodeError for it.

    Peewee does not see what the driver raises while rows are read, such as for a damaged page. This cursor raises it as
    Peewee would.

    After this error the query runs again and returns text as bytes, without the rows that were read before. A statement
    that changes rows does not run again: it raises the error.
    """

    def __init__(self, cursor: Any, sql: str, run_again: Callable[[str], Any]) -> None:
        self._cursor, self._sql, self._run_again = cursor, sql, run_again
        self._rows: Iterator[Any] | None = None
        self._count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchone, None)

    def fetchone(self) -> Any:
        """The next row; None after the last."""
        if self._rows is not None:
            return next(self._rows, None)
        try:
            row = self._cursor.fetchone()
        except UnicodeDecodeError:
            return next(self._start_again(), None)
        except cysqlite.Error:
            with exceptions_of_peewee:
                raise
        self._count += 1
        return row

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        if self._rows is None:
            try:
                return list(self._cursor.fetchall())
            except UnicodeDecodeError:
                self._start_again()
            except cysqlite.Error:
                with exceptions_of_peewee:
                    raise
        return list(self)

    def _start_again(self) -> Iterator[Any]:
        """Run the query again. Returns the rows that are left. A statement that changes rows raises the error."""
        if not self._sql.lstrip().startswith(("SELECT", "WITH")):
            raise
        self._rows = self._decoded_rows()
        return self._rows

    def _decoded_rows(self) -> Iterator[Any]:
        names = [f"c{number}" for number in range(len(self._cursor.description))]
        columns = ", ".join(f"CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END, typeof({name})"
                            for name in names)  # fmt: skip
        cursor = self._run_again(
            f"WITH tolerated ({', '.join(names)}) AS ({self._sql}) SELECT {columns} FROM tolerated"
        )
        with exceptions_of_peewee:
            rows = iter(cursor.fetchone, None)
            for _ in range(self._count):
                next(rows, None)
            for row in rows:
                pairs = zip(row[::2], row[1::2], strict=True)
                yield tuple(
                    bytes(value).decode("utf-8", "replace") if kind == "text" else value for value, kind in pairs
                )
