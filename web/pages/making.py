"""Template filters: the take of a track, what made it, and the notes of a job."""

import json
import math
import shlex
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from errors import Invalid
from models import JOB_STATUSES, Job, Track
from settings import Settings
from web import orders
from web.current import services
from web.pages.wording import brief

KEPT_NOTES = 32  # jobs whose notes are cached
LONGEST = 300  # characters of a fact
LONGEST_COMMAND = 20_000
LONGEST_NOTE = 2_000
MOST_NOTES = 20


def notes(job: Job) -> list[str]:
    """Until a worker has a job: what its generator will drop or change, or why it cannot make the job."""
    if job.status != JOB_STATUSES.pending:
        return []
    settings = services().settings
    return _notes(settings, job, job.version, orders.has_upload(settings, job.job_id))


@lru_cache(KEPT_NOTES)
def _notes(settings: Settings, job: Job, version: int, has_upload: bool) -> list[str]:
    """The notes of one version of a job, with or without an uploaded recording.

    They are cached, because to read long lyrics takes up to a second.
    """
    fields = {name: getattr(job, name) for name in ("job_id", *orders.ORDER)}
    try:
        return orders.check(settings, fields)
    except Invalid as error:
        return [str(error)]


def manifest_notes(job: Job) -> list[str]:
    """When a job has finished: what its generator has dropped or changed. A script may have written any manifest."""
    noted = job.file_manifest.get("notes")
    if job.status not in JOB_STATUSES.final or not isinstance(noted, list):
        return []
    return [brief(note, LONGEST_NOTE) for note in noted[:MOST_NOTES] if isinstance(note, str) and note.strip()]


def take(track: Track, job: Job) -> str | None:
    """The take of a track as 'take 2 of 4'; None if the job has one take, or if no generator of ours made the track."""
    if track.take is None or (job.takes == 1 and track.take == 1):
        return None
    return f"take {track.take} of {job.takes}" if track.take <= job.takes else f"take {track.take}"


def origin(track: Track) -> dict[str, str]:
    """What made a track, as names and texts. A script may have written any provenance; other values are left out."""
    made: dict[str, Any] = track.provenance
    parameters = made.get("parameters")
    facts = {
        "Generator": _text(made.get("generator")),
        "Version": _text(made.get("version")),
        "Took": _measure(made.get("seconds"), "{:,.1f} s"),
        "GPU memory": _measure(made.get("peak_gpu_mb"), "{:,.0f} MB"),
        "Licence": _text(made.get("licence")),
        **(_parameters(parameters) if isinstance(parameters, dict) else {}),
    }
    return {name: text for name, text in facts.items() if text}


def is_measure(value: Any) -> bool:
    """True for a number that seconds or megabytes can be: from 0 to a billion."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return is_number and 0 <= value < 1e9


def command(track: Track) -> list[str]:
    """The words of the command line that made a track, as one types them into a shell; [] if there is none."""
    words = track.provenance.get("command")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return []
    return list(_cut(map(shlex.quote, words), LONGEST_COMMAND))


def _cut(words: Iterable[str], length: int) -> Iterator[str]:
    """The words that have this number of characters together. The last of them may be cut."""
    for word in words:
        if length <= 0:
            return
        yield brief(word, length)
        length -= len(word) + 1


def _parameters(parameters: dict[str, Any]) -> dict[str, str]:
    values = {name: value for name, value in parameters.items() if value is not None}
    return {brief(name, 60): _json(value) for name, value in values.items()}


def _text(value: Any) -> str:
    return brief(value, LONGEST) if isinstance(value, str) else ""


def _json(value: Any) -> str:
    return brief(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), LONGEST)


def _measure(value: Any, form: str) -> str:
    return form.format(value) if is_measure(value) else ""


FILTERS = {function.__name__: function for function in (command, manifest_notes, notes, origin, take)}
