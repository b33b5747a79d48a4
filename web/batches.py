"""Reads files of many jobs: CSV with a header, or JSON Lines with the body of a request in each line."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from errors import Invalid, LedgerError, Malformed, TooLarge, WrongLines
from records.batches import MOST_JOBS
from web import schemas
from web.strict_json import read_json
from web.texts import body_of, fields_of, kinds

MOST_BYTES = 64 * 1024 * 1024
JSON_PLACE = re.compile(r": line 1 column ([0-9]+) \(char [0-9]+\)")
LONGEST_CELL = 1024 * 1024  # characters, as long as the body of a request
Body = dict[str, Any]
Read = Callable[[], Body]  # reads the body of one line, or raises the error of this line
Reader = Callable[[str, Body], Iterator[tuple[int, Read]]]


def read_batch(
    raw: bytes, kind: str, defaults: Body | None = None, prepare: Callable[[Body], Body] = dict
) -> dict[int, Body]:
    """The fields of all jobs of a file, by the number of the line where each begins. kind: csv or jsonl.

    defaults: fields for lines that do not have them. prepare(fields) returns the fields to record, or raises Invalid.
    Empty lines are skipped. Raises WrongLines with every wrong line, and TooLarge.
    """
    if len(raw) > MOST_BYTES:
        raise TooLarge(f"The file has more than {MOST_BYTES // 1024**2} MB: split it.")
    fields, wrong = dict[int, Body](), dict[int, str]()
    try:
        for line, read in READERS[kind](_text(raw), defaults or {}):
            _require_room(line, len(fields) + len(wrong))
            try:
                fields[line] = prepare(fields_of(schemas.NewJob, _completed(read(), defaults or {})))
            except LedgerError as error:
                wrong[line] = _reason(error)
    except WrongLines as error:  # what follows cannot be read
        wrong |= error.lines
    wrong |= _repeated(fields)
    if wrong or not fields:
        raise WrongLines(wrong or {1: "the file has no job"})
    return fields


def _require_room(line: int, number: int) -> None:
    if number == MOST_JOBS:
        raise WrongLines({line: f"is beyond {MOST_JOBS} jobs: split the file"})


def _reason(error: LedgerError) -> str:
    """What is wrong in a line: the messages by field if there are some, else the sentence."""
    fields = error.errors if isinstance(error, Invalid) and not isinstance(error, Malformed) else []
    reasons = "; ".join(f"{problem['field']} {problem['message']}".strip() for problem in fields)
    return reasons or JSON_PLACE.sub(r" at character \1", str(error).replace("The body", "The line"))


def _text(raw: bytes) -> str:
    """The text of a file, without a byte order mark. Raises WrongLines if it is not UTF-8."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WrongLines({raw[: error.start].count(b"\n") + 1: "is not UTF-8: save the file as UTF-8"}) from None


def _json_lines(text: str, defaults: Body) -> Iterator[tuple[int, Read]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, lambda line=line: _object(read_json(line.encode()))  # type: ignore[misc]


def _object(value: Any) -> Body:
    if not isinstance(value, dict):
        raise Invalid("The line is not a JSON object.")
    return value


def _csv(text: str, defaults: Body) -> Iterator[tuple[int, Read]]:
    csv.field_size_limit(LONGEST_CELL)
    rows = _rows(text)
    start, header = next(rows, (1, []))
    names = [name.strip() for name in header]
    if problem := _wrong_header(names, defaults):
        raise WrongLines({start: problem})
    for number, cells in rows:
        yield number, lambda cells=cells: _body(names, cells)  # type: ignore[misc]


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """(the line where a row begins, its cells), without empty rows. Raises WrongLines where it is no CSV."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise WrongLines({number: f"is not CSV: {error}"}) from None
        if any(cell.strip() for cell in cells):
            yield number, cells


def _wrong_header(names: Sequence[str], defaults: Body) -> str | None:
    """What is wrong with the first line of a CSV file, or None."""
    kind_of = kinds(schemas.NewJob)
    if not names:
        return "the file is empty: the first line names the fields, such as prompt"
    if len(names) == 1 and re.search("[;\t]", names[0]):
        return "separates its columns by another character: use commas"
    for name in names:
        field, _, path = name.partition(".")
        if field not in kind_of or bool(path) != (kind_of[field] == "object"):
            columns = ", ".join(f"{name}.KEY" if kind == "object" else name for name, kind in kind_of.items())
            return f"has the column {name!r}, which is no field of a job. The fields are {columns}, separated by commas"
        if names.count(name) > 1:
            return f"has the column {name!r} twice"
    required = [name for name, field in schemas.NewJob.model_fields.items() if field.is_required()]
    missing = [name for name in required if name not in (*names, *defaults)]
    return f"has no column {missing[0]}" if missing else None


def _body(names: Sequence[str], cells: Sequence[str]) -> Body:
    """The body of a row. An empty cell is no value."""
    if any(cell.strip() for cell in cells[len(names) :]):
        raise Invalid(f"The line has {len(cells)} values, and the header has {len(names)} columns.")
    return body_of(schemas.NewJob, {name: cell for name, cell in zip(names, cells, strict=False) if cell.strip()})


def _completed(body: Body, defaults: Body) -> Body:
    """The body with the defaults that it does not have; objects are merged."""
    both = {**defaults, **body}
    for name, default in defaults.items():
        if isinstance(default, dict) and isinstance(body.get(name), dict):
            both[name] = {**default, **body[name]}
    return both


def _repeated(fields: dict[int, Body]) -> dict[int, str]:
    """The lines whose job_id an earlier line has."""
    first: dict[str, int] = {}
    ids = [(line, body["job_id"]) for line, body in fields.items() if "job_id" in body]
    places = [(line, job_id, first.setdefault(job_id, line)) for line, job_id in ids]
    return {line: f"has the job_id {job_id} of line {place}" for line, job_id, place in places if place != line}


READERS: dict[str, Reader] = {"csv": _csv, "jsonl": _json_lines}
