"""Turns the values of the old database into values that this one can store. It accepts every value of the old database.

Each function returns (the value, why it differs from the old value, or None).
"""

import hashlib
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from database import from_json
from database.json_text import is_too_deep
from database.ledger.tables import LONGEST
from errors import Invalid
from maintenance.transfer.form import canonical
from models import ID_LENGTH, ID_PATTERN, Statuses, microseconds

# What the old service and its generators call a status, and which status it has here. Work that was running is pending
# again, as after the loss of any worker.
STATUSES = {
    "pending": ("pending", "queued", "waiting", "created", "new", "submitted", "scheduled", "accepted"),
    "running": (
        *(
            "processing",
            "running",
            "started",
            "in_progress",
            "active",
            "working",
            "retrying",
            "loading_model",
            "loading",
        ),
        *("preparing_prompt", "preparing", "generating_audio", "generating", "inference", "analyzing", "analysing"),
        *(
            "rendering",
            "exporting",
            "encoding",
            "saving",
            "uploading",
            "postprocessing",
            "post_processing",
            "finalizing",
        ),
    ),
    "completed": ("completed", "complete", "done", "finished", "success", "succeeded", "successful", "ready", "ok"),
    "failed": ("failed", "failure", "fail", "error", "errored", "timeout", "timed_out", "crashed", "dead", "rejected"),
    "cancelled": ("cancelled", "canceled", "cancelling", "aborted", "stopped", "revoked", "killed", "terminated"),
}
MEANINGS = {word: meaning for meaning, words in STATUSES.items() for word in words}
TRUE = ("1", "true", "t", "yes", "y", "on")
Changed = tuple[Any, str | None]


def record_id(value: Any) -> str:
    """The id of a record: the old one, or one made from it if this service cannot have it. Raises Invalid without one.

    The same old id always gives the same new id, so tracks and loops find their parents.
    """
    old = text(value)[0]
    if not old or not old.strip():
        raise Invalid("it has no id")
    if re.match(ID_PATTERN, old) and len(old) <= ID_LENGTH and not old.endswith("\n"):
        return str(old)
    digest = hashlib.sha256(old.encode()).hexdigest()[:12]
    return f"{_word(old, ID_LENGTH - 13)}-{digest}".lstrip("-.")


def status(value: Any, statuses: Statuses) -> Changed:
    """The status. An unknown one is failed."""
    word = re.sub("[ -]+", "_", str(value).strip().lower())
    meaning = MEANINGS.get(word)
    if meaning == "running":
        return statuses.pending, None
    if meaning is None:
        return statuses.failed, f"the status {value!r:.80} is unknown, so it is {statuses.failed}"
    return getattr(statuses, meaning), None


def job_type(value: Any) -> Changed:
    """The type of a job; without one, diffrhythm."""
    old = text(value)[0]
    if not old:
        return "diffrhythm", None
    word = _word(old, ID_LENGTH)
    return (
        word or "diffrhythm",
        None if word == old else f"the job_type {old!r:.80} has characters that are not allowed",
    )


def progress(value: Any) -> Changed:
    """A whole number from 0 to 100."""
    number = _number(value)
    if value is None:
        return 0, None
    if number is None:
        return 0, f"the progress {value!r:.80} is no number, so it is 0"
    kept = int(min(max(number, 0), 100))
    return kept, None if 0 <= number <= 100 else f"the progress {value!r:.80} is not from 0 to 100, so it is {kept}"


def duration(value: Any) -> Changed:
    """Seconds, or None."""
    number = _number(value)
    if value is None or (number is not None and 0 < number <= LONGEST):
        return number, None
    return None, f"the duration {value!r:.80} is no number of seconds above 0, so there is none"


def text(value: Any) -> Changed:
    """Text, or None. Invalid UTF-8 and U+0000 are U+FFFD."""
    if value is None:
        return None, None
    decoded = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    clean = decoded.replace("\0", "\ufffd")
    return clean, None if clean == decoded else "a text has U+0000, which is U+FFFD now"


def flag(value: Any) -> Changed:
    """True or False; None is False."""
    return str(value).strip().lower() in TRUE, None


def audio_format(value: Any) -> Changed:
    """MP3 or WAV; without one, MP3."""
    word = str(value or "MP3").strip().upper()
    return (word, None) if word in ("MP3", "WAV") else ("MP3", f"the format {value!r:.80} is unknown, so it is MP3")


def json_object(value: Any) -> Changed:
    """A JSON object; NULL and null are empty."""
    raw = text(value)[0]
    if raw is None or raw.strip() in ("", "null"):
        return {}, None
    try:
        read = None if is_too_deep(raw) else from_json(raw)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        return {}, "its JSON is no object, is broken, or is nested too deeply"
    clean = canonical(read)
    return clean, None if clean == read else "its JSON has NaN, Infinity, U+0000 or a number beyond 64 bits"


def times(created: Any, updated: Any, fallback: int) -> tuple[int, int, str | None]:
    """(created_at, updated_at, why they differ) in microseconds since 1970. One that is missing is the other one."""
    first, last = _moment(created), _moment(updated)
    present = first if first is not None else last
    is_odd = present is None or any(
        moment is None and old is not None for moment, old in ((first, created), (last, updated))
    )
    reason = f"created_at or updated_at is no time ({created!r:.40}, {updated!r:.40})" if is_odd else None
    present = fallback if present is None else present
    return present if first is None else first, present if last is None else last, reason


def original(value: Any) -> str | float | None:
    """An old value as it is kept in metadata: numbers and text."""
    return value if isinstance(value, int) else text(value)[0]


def fingerprint(table: str, old: dict[str, Any]) -> str:
    """A digest of an old row. It tells whether a record was made from this row."""
    return hashlib.sha256(json.dumps([table, old], default=repr).encode()).hexdigest()


def _word(old: str, length: int) -> str:
    return re.sub("[^A-Za-z0-9._-]+", "-", old).strip("-.")[:length]


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _moment(value: Any) -> int | None:
    """A naive UTC time; one with a zone is also understood."""
    try:
        read = datetime.fromisoformat(text(value)[0] or "")
        moment = microseconds(read.astimezone(UTC) if read.tzinfo else read)
    except (ValueError, OverflowError):
        return None
    return moment if moment >= 0 else None


Convert = Callable[[Any], Changed]
