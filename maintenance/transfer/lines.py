"""Reads the lines of an export in their order, and says which line is wrong, how, and what was expected."""

from collections.abc import Iterator
from itertools import groupby, islice
from typing import Any, BinaryIO, NamedTuple

import pydantic_core

from errors import Invalid
from maintenance.reports import Report
from maintenance.transfer.exporting import schema
from maintenance.transfer.form import FORMAT, KINDS, MODELS, PROGRAM, RECORDS, Fields, moment, stored
from records import rows

LONGEST_HEADER = 4096  # bytes; another file may be one long line
BATCH = 500  # lines
REPORT_LINES = 1000
HEADER: dict[str, tuple[type, ...]] = {
    "format": (int,),
    "program": (str,),
    "schema": (str,),
    "since": (str, type(None)),
    "newest_event": (int,),
    "pruned_event": (int,),
}
HIGHEST_EVENT = 2**53 - 1  # far from the end of 64 bits: a database that has come to it can write no more events
DELETED = ("entity", "entity_id", "deleted_at")


class Line(NamedTuple):
    """A line: its number, its kind, and its values in the order of rows.fields(), as the database stores them.

    The values of a deletion are the entity, the id, and the time of the deletion in microseconds since 1970.
    """

    number: int
    kind: str
    values: tuple[Any, ...]


class Lines:
    """The lines of a file. `size` is the length of the file in bytes. The header is read at once: see `header`."""

    def __init__(self, file: BinaryIO, size: int, report: Report) -> None:
        self.size, self._file, self._report = size, file, report
        self._number, self._read = 0, 0
        self._counts = dict.fromkeys(KINDS, 0)
        report("importing", 0, size)
        self.header = self._read_header()
        self._is_older = self.header["schema"] < schema()

    def batches(self) -> Iterator[tuple[str, list[Line]]]:
        """(kind, up to BATCH lines of this kind), in the order of the file. Raises Invalid."""
        for kind, lines in groupby(self._lines(), lambda line: line.kind):
            while batch := list(islice(lines, BATCH)):
                yield kind, batch

    def _read_header(self) -> Fields:
        kind, header = self._parse(self._file.readline(LONGEST_HEADER))
        if kind != "header" or header.get("program") != PROGRAM:
            raise wrong(self._number, f"it must be the header of an export of {PROGRAM}: is this another file?")
        is_newer = header.get("format") != FORMAT or str(header.get("schema")) > schema()
        if is_newer:
            raise wrong(self._number, "the export was made by another version of this program: update this one first")
        if header.keys() != HEADER.keys() or not all(type(header[name]) in types for name, types in HEADER.items()):
            raise wrong(self._number, f"the header must have {', '.join(HEADER)}")
        if not 0 <= header["pruned_event"] <= header["newest_event"] <= HIGHEST_EVENT:
            raise wrong(self._number, f"pruned_event and newest_event must be from 0 to {HIGHEST_EVENT}, in this order")
        return header

    def _lines(self) -> Iterator[Line]:
        latest = 0
        while raw := self._file.readline():
            kind, fields = self._parse(raw)
            if kind == "trailer":
                return self._check_end(fields)
            if kind not in KINDS:
                raise wrong(self._number, f"its kind is {kind!r:.40}, and must be one of {', '.join(KINDS)}")
            if KINDS.index(kind) < latest:
                raise wrong(self._number, f"a {kind} must come before the lines of kind {KINDS[latest]}")
            latest = KINDS.index(kind)
            self._counts[kind] += 1
            line = Line(self._number, kind, self._values(kind, fields))
            if kind in ("event", "delivery") and not 1 <= key(MODELS[kind], line) <= HIGHEST_EVENT:
                raise wrong(self._number, f"event_id must be from 1 to {HIGHEST_EVENT}")
            yield line
        raise Invalid(f"The file ends after line {self._number} and has no trailer: it is not complete. Export again.")

    def _parse(self, raw: bytes) -> tuple[Any, Fields]:
        """(the kind of a line, its other fields)."""
        self._number += 1
        self._read += len(raw)
        if self._number % REPORT_LINES == 0:
            self._report("importing", self._read, max(self.size, self._read))
        try:
            fields = pydantic_core.from_json(raw)
        except ValueError as error:
            raise wrong(self._number, f"it is no JSON ({error})") from None
        if not isinstance(fields, dict) or "kind" not in fields:
            raise wrong(self._number, "it must be a JSON object with a kind")
        return fields.pop("kind"), fields

    def _values(self, kind: str, fields: Fields) -> tuple[Any, ...]:
        try:
            return _deletion(fields) if kind == "deleted" else stored(MODELS[kind], fields, self._is_older)
        except Invalid as error:
            raise wrong(self._number, str(error)) from None

    def _check_end(self, trailer: Fields) -> None:
        if trailer != self._counts:
            raise wrong(self._number, f"the trailer says {trailer}, and the file has {self._counts}: lines are missing")
        if self._file.readline().strip():
            raise wrong(self._number + 1, "the trailer must be the last line")
        self._report("importing", self.size, self.size)


def wrong(number: int, reason: str) -> Invalid:
    """The error for a line."""
    return Invalid(f"Line {number}: {reason}. Nothing was imported.")


def key(model: Any, line: Line) -> Any:
    """The id of the record, event or delivery of a line."""
    return line.values[rows.key(model)]


def _deletion(fields: Fields) -> tuple[Any, ...]:
    try:
        entity, record_id, deleted_at = (fields[name] for name in DELETED)
        if entity in RECORDS and isinstance(record_id, str) and "\0" not in record_id:
            return entity, record_id, moment(deleted_at)
    except (KeyError, ValueError, TypeError):
        pass
    raise Invalid(f"a deletion must have {', '.join(DELETED)}")
