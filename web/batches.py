"""Reads files of many jobs: CSV with a header, JSON Lines, lines of prompts, or the lyrics of one job. Queues them."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from errors import Invalid, LedgerError, Malformed, TooLarge, WrongLines
from models import Job
from records import rows
from records.batches import MOST_JOBS, create_jobs
from records.rows import Row
from settings import Settings
from web import orders, schemas
from web.reading import validate_body
from web.strict_json import read_json
from web.texts import body_of, fields_of, kinds

MOST_BYTES = 64 * 1024 * 1024
JSON_PLACE = re.compile(r": line 1 column ([0-9]+) \(char [0-9]+\)")
LONGEST_CELL = 1024 * 1024  # characters, as long as the body of a request
Body = dict[str, Any]
Read = Callable[[], Body]  # reads the body of one line, or raises the error of this line
Reader = Callable[[str, Body], Iterator[tuple[int, Read]]]


@dataclass(frozen=True)
class Batch:
    """The jobs of a file by line: their fields, their notes, and what is wrong. unit: what the numbers count."""

    jobs: dict[int, Body]
    notes: dict[int, list[str]]
    wrong: dict[int, str]
    unit: str


def kind_of(name: str) -> str:
    """The kind of a file by its ending: one of FILES. Raises Invalid for another ending."""
    kind = PurePath(name).suffix.lower().removeprefix(".")
    if kind not in FILES:
        endings = ", ".join(f".{one}" for one in FILES[:-1])
        raise Invalid(f"{name or 'The file'} is not supported: its name must end in {endings} or .{FILES[-1]}.")
    return kind


def read_batch(settings: Settings, raw: bytes, kind: str, defaults: Body | None = None) -> Batch:
    """The jobs of a file, each by the number of the line where it begins. kind: a key of READERS.

    defaults: fields for lines that do not have them. Empty lines are skipped. Each job is checked against the recipe of
    its generator. Raises TooLarge, and Malformed for JSON that cannot be read.
    """
    if len(raw) > MOST_BYTES:
        raise TooLarge(f"The file has more than {MOST_BYTES // 1024**2} MB: split it.")
    defaults = defaults or {}
    batch = Batch({}, {}, {}, "job" if kind == "json" else "line")
    try:
        for line, read in READERS[kind](_text(raw), defaults):
            _require_room(line, len(batch.jobs) + len(batch.wrong))
            try:
                fields = orders.read_texts(settings, fields_of(schemas.NewJob, _completed(read(), defaults)))
                batch.notes[line] = orders.check_new(settings, fields)
                batch.jobs[line] = fields
            except LedgerError as error:
                batch.wrong[line] = _reason(error)
    except WrongLines as error:  # what follows cannot be read
        batch.wrong.update(error.lines)
    for line, reason in _repeated(batch.jobs).items():
        batch.wrong[line] = reason
        del batch.jobs[line]
    if not batch.jobs and not batch.wrong:
        batch.wrong[1] = "the file has no job"
    return batch


def queue_batch(batch: Batch) -> list[tuple[Row, bool]]:
    """Queue all jobs in one transaction: their rows in the order of the lines, and for each whether it is new.

    Raises WrongLines if a line is wrong, and then queues none.
    """
    if batch.wrong:
        raise WrongLines(batch.wrong, batch.unit)
    return create_jobs(batch.jobs, batch.unit)


def created(batch: Batch, rows_of_jobs: list[tuple[Row, bool]]) -> dict[str, Any]:
    """What queue_batch() has returned, as responses have it: a schemas.CreatedJobs as a dict."""
    notes_of_jobs = batch.notes.values()
    return {
        "created": sum(is_new for _, is_new in rows_of_jobs),
        "items": [
            {"job_id": row[rows.key(Job)], "notes": notes}
            for (row, _), notes in zip(rows_of_jobs, notes_of_jobs, strict=True)
        ],
    }


def defaults_of(query: schemas.BatchQuery) -> Body:
    """The fields in a query for the jobs that do not have them. Raises Invalid."""
    fields = {name: getattr(query, name) for name in ("job_type", "takes")}
    metadata = body_of(schemas.NewJob, {f"metadata.{path}": text for path, text in query.metadata.items()})
    return {name: value for name, value in fields.items() if value is not None} | metadata


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
        raise Invalid("The job is not a JSON object.")
    return value


def _json(text: str, defaults: Body) -> Iterator[tuple[int, Read]]:
    """The jobs of a schemas.JobBatch, by their place from 1."""
    for number, job in enumerate(validate_body(schemas.JobBatch, read_json(text.encode())).jobs, 1):
        yield number, lambda job=job: _object(job)  # type: ignore[misc]


def _prompts(text: str, defaults: Body) -> Iterator[tuple[int, Read]]:
    for number, line in enumerate(re.split("\r\n|[\r\n]", text), 1):
        if line.strip():
            yield number, lambda line=line: {"prompt": line.strip()}  # type: ignore[misc]


def _lyrics(text: str, defaults: Body) -> Iterator[tuple[int, Read]]:
    """One job, with the text as its lyrics."""
    if text.strip():
        yield 1, lambda: {"metadata": {"lyrics": text.strip("\r\n")}}


def _csv(text: str, defaults: Body) -> Iterator[tuple[int, Read]]:
    csv.field_size_limit(LONGEST_CELL)
    lines = _rows(text)
    start, header = next(lines, (1, []))
    names = [name.strip() for name in header]
    if problem := _wrong_header(names, defaults):
        raise WrongLines({start: problem})
    for number, cells in lines:
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


READERS: dict[str, Reader] = {"csv": _csv, "jsonl": _json_lines, "txt": _prompts, "lrc": _lyrics, "json": _json}
FILES = ("csv", "jsonl", "txt", "lrc")
