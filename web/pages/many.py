"""The page "Queue many": shows the jobs of a file in a table first, and then queues all of them or none.

Between the table and the queue, the browser keeps the file: a hidden field has its bytes. The service keeps nothing.
"""

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.formparser import FormDataParser

from errors import Invalid, LedgerError, Malformed, TooLarge, UnsupportedMediaType, WrongLines
from generators.catalogue import catalogue
from models import MOST_TAKES, new_id
from records.batches import MOST_JOBS, taken_ids
from web import orders, schemas
from web.batches import FILES, Batch, kind_of, queue_batch, read_batch
from web.current import services
from web.pages.new_job import types_of
from web.pages.routes import Routes
from web.pages.wording import brief, line_count
from web.reading import BATCH_BYTES, raw_body
from web.texts import body_of

routes = Routes()
DEFAULTS = ("job_type", "prompt", "takes")  # the fields of the form for jobs that do not have them
SHOWN, SHOWN_WRONG = 50, 500  # lines in the table
FACTS = 6
BATCH_ID = re.compile("[0-9a-f-]{36}")
PARTS = 20
ENDINGS = ",".join(f".{kind}" for kind in FILES)


@dataclass(frozen=True)
class Sent:
    """What the form has sent: a file, and the entries for jobs that do not have them.

    seen: from the button of a table: its digest, and an id. Pressing the button twice queues the jobs once.
    """

    name: str
    raw: bytes
    entries: dict[str, str]
    seen: str

    @property
    def digest(self) -> str:
        """A text that differs if the file or an entry differs."""
        return hashlib.sha256(json.dumps([self.name, self.entries]).encode() + self.raw).hexdigest()

    @property
    def packed(self) -> str:
        """The bytes of the file as a text, which browsers send back unchanged. unpacked() reads it."""
        return base64.b64encode(zlib.compress(self.raw)).decode()

    def batch(self) -> Batch:
        """The jobs of the file. Raises Invalid, TooLarge."""
        if not self.name:
            raise Invalid("Choose a file.")
        defaults = body_of(schemas.NewJob, {name: text for name, text in self.entries.items() if text})
        return read_batch(services().settings, self.raw, kind_of(self.name), defaults)


@routes.get("/new/many")
def show_many() -> str:
    """The form that takes a file of jobs."""
    return _page({})


@routes.post("/jobs/many")
def make_many() -> ResponseReturnValue:
    """Show the jobs of the file. If the form says that it shows just these jobs, queue them."""
    sent = _read()
    try:
        batch = sent.batch()
    except LedgerError as error:
        return _page(sent.entries, error=str(error)), 422
    digest, _, batch_id = sent.seen.partition(" ")
    if digest == sent.digest and BATCH_ID.fullmatch(batch_id) and not batch.wrong:
        try:
            queue_batch(identified(batch, batch_id))
            return redirect(url_for("pages.show_jobs", show="waiting"), 303)
        except WrongLines as error:
            batch.wrong.update(error.lines)
    else:
        batch.wrong.update(taken_ids(batch.jobs))
    return _page(sent.entries, sent, batch), 422 if batch.wrong else 200


def identified(batch: Batch, batch_id: str) -> Batch:
    """The batch with an id for each job: its own, or one of this batch and its line."""
    jobs = {line: {"job_id": f"{batch_id}-{line}", **fields} for line, fields in batch.jobs.items()}
    return replace(batch, jobs=jobs)


def _page(entries: dict[str, str], sent: Sent | None = None, batch: Batch | None = None, error: str = "") -> str:
    return render_template(
        "many.html",
        entries=entries,
        sent=sent,
        batch=batch,
        error=error,
        types=types_of(catalogue(services().settings)),
        rows=list(_rows(batch)) if batch else [],
        endings=ENDINGS,
        batch_id=new_id(),
        most_takes=MOST_TAKES,
        most_jobs=MOST_JOBS,
        megabytes=BATCH_BYTES // 1024**2,
    )


def _rows(batch: Batch) -> Iterator[dict[str, Any]]:
    """The lines of the table: what is wrong, and then the first jobs."""
    for line in sorted(batch.wrong)[:SHOWN_WRONG]:
        yield {"line": line, "wrong": brief(batch.wrong[line])}
    right = [line for line in batch.jobs if line not in batch.wrong]
    for line in right[:SHOWN]:
        fields = batch.jobs[line]
        yield {"line": line, "prompt": brief(fields["prompt"]), "facts": _facts(fields), "notes": batch.notes[line]}


def _facts(fields: dict[str, Any]) -> list[str]:
    """What a job has besides its prompt: its type, its numbers, and the first of its metadata."""
    metadata = fields.get("metadata", {})
    takes, lyrics = fields.get("takes", 1), metadata.get("lyrics")
    facts = [fields.get("job_type", orders.DEFAULT_TYPE)]
    facts += [f"{takes} takes"] if takes > 1 else []
    facts += [f"{name} {fields[name]}" for name in ("seed", "priority", "job_id") if fields.get(name) is not None]
    facts += [f"lyrics of {_lines(lyrics)}"] if isinstance(lyrics, str) else []
    others = [f"{name} {_text(value)}" for name, value in metadata.items() if name != "lyrics"]
    return [brief(fact, 60) for fact in (facts + others)[: FACTS + len(facts)]]


def _lines(text: str) -> str:
    number = line_count(text)
    return "1 line" if number == 1 else f"{number} lines"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read() -> Sent:
    """What was sent. A new file replaces the one that the form has shown."""
    form, files = _parts()
    entries = {name: form.get(name, "").strip() for name in DEFAULTS}
    entries["job_type"] = entries["job_type"] or types_of(catalogue(services().settings))[0]
    file = files.get("file")
    if file is not None and file.filename:
        return Sent(file.filename, file.read(), entries, "")
    return Sent(form.get("name", ""), unpacked(form.get("lines", "")), entries, form.get("shown", ""))


def _parts() -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
    """The fields and the files of a form with a file. Raises UnsupportedMediaType, Malformed, TooLarge."""
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType("Send the form as multipart/form-data.")
    raw = raw_body(BATCH_BYTES)
    parser = FormDataParser(_in_memory, max_form_memory_size=BATCH_BYTES, max_form_parts=PARTS, silent=False)
    try:
        _, form, files = parser.parse(BytesIO(raw), request.mimetype, len(raw), dict(request.mimetype_params))
    except ValueError:
        raise Malformed("The form cannot be read.") from None
    return form, files


def _in_memory(
    total_content_length: int | None, content_type: str | None, filename: str | None, content_length: int | None = None
) -> BytesIO:
    """Where the parser writes a file. Its own choice is a file on the disk, which it does not close."""
    return BytesIO()


def unpacked(text: str) -> bytes:
    """The bytes of a file from the form. Raises Malformed, TooLarge."""
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(base64.b64decode(text, validate=True), BATCH_BYTES)
    except (ValueError, zlib.error):
        raise Malformed("The file in the form cannot be read: choose it again.") from None
    if unpacker.unconsumed_tail:
        raise TooLarge(f"The file has more than {BATCH_BYTES // 1024**2} MB.")
    return raw
