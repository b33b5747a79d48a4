"""How records read on a page: statuses, times, lengths and what a looper found, in words."""

import json
from datetime import datetime
from typing import Any

from models import JOB_STATUSES, Job, Loop, Track, utc_now
from web.current import services

LABELS = {
    "pending": "Waiting",
    "loading_model": "Loading model",
    "preparing_prompt": "Preparing",
    "generating_audio": "Generating",
    "exporting": "Exporting",
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "analyzing": "Analysing",
    "rendering": "Rendering",
}
TONES = {"pending": "waiting", "completed": "completed", "failed": "failed", "cancelled": "cancelled"}
UNITS = (("year", 31_557_600), ("month", 2_629_800), ("week", 604_800), ("day", 86_400), ("hour", 3600), ("minute", 60))
LAST = {"day": "yesterday", "week": "last week", "month": "last month", "year": "last year"}
SHORT = 300  # characters of a prompt in a list, where two lines are shown


def label(record: Job | Loop) -> str:
    """Its status in a word or two."""
    if record.cancel_requested and tone(record) == "running":
        return "Stopping"
    return LABELS[record.status.lower()]


def tone(record: Job | Loop) -> str:
    """waiting, running, completed, failed or cancelled: what its colour says."""
    return TONES.get(record.status.lower(), "running")


def is_final(record: Job | Loop) -> bool:
    """True when nothing more happens to it by itself."""
    return record.status.lower() in JOB_STATUSES.final


def waits_for(job: Job) -> str | None:
    """What a pending job waits for that the workers beside this process do not have; None when they can make it."""
    settings = services().settings
    if job.status != JOB_STATUSES.pending or not settings.workers:
        return None
    return settings.why_not_made(job.job_type)


def ago(moment: datetime) -> str:
    """'now', '5 minutes ago', 'yesterday': the words of Intl.RelativeTimeFormat, which times.js has them from."""
    seconds = (utc_now() - moment).total_seconds()
    for unit, length in UNITS:
        count = int(seconds // length)
        if count >= 1:
            return LAST[unit] if count == 1 and unit in LAST else f"{count} {unit}{'s' * (count > 1)} ago"
    return f"{int(seconds)} seconds ago" if seconds >= 10 else "now"


def exact(moment: datetime) -> str:
    """A moment to the second, in UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def machine(moment: datetime) -> str:
    """A moment as <time datetime> wants it."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"


def clock(seconds: float | None) -> str:
    """0:30, 4:05 or 1:02:03; a dash when it is not known."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def took(record: Job | Loop) -> str | None:
    """How long it was worked at, '12 s' or '3 min 20 s'; None when it was not, or still is."""
    if record.started_at is None or record.finished_at is None:
        return None
    seconds = max(0.0, (record.finished_at - record.started_at).total_seconds())
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def brief(text: str, length: int = SHORT) -> str:
    """The text, cut to so many characters."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def tags(record: Job | Track) -> list[str]:
    """Genre, mood and language as far as they are said."""
    return [brief(value, 40) for name in ("genre", "mood", "language") if (value := said(record, name))]


def said(record: Job | Track, name: str) -> str | None:
    """A text of the metadata; None when it is no text, or blank."""
    value = record.metadata.get(name)
    return value if isinstance(value, str) and value.strip() else None


def title(track: Track, number: int) -> str:
    """What a track is called."""
    return brief(said(track, "track_name") or said(track, "title") or f"Track {number}", 120)


def details(record: Job | Track) -> dict[str, str]:
    """The metadata but the lyrics, each value as text."""
    found = {name: value for name, value in record.metadata.items() if name != "lyrics"}
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in found.items()
    }
    return {name: brief(text, 1000) for name, text in texts.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def heard(loop: Loop) -> list[str]:
    """What the looper found: its judgement of the seam, tempo and beats; [] when there is nothing."""
    found: dict[str, Any] = loop.analysis
    quality, tempo, beats = (found.get(name) for name in ("quality", "tempo", "beats"))
    words = [f"{brief(quality, 20)} seam"] if isinstance(quality, str) else []
    words += [f"{tempo:.0f} bpm"] if isinstance(tempo, int | float) and tempo else []
    return words + ([f"{beats} beats"] if isinstance(beats, int) and beats else [])


def version(record: Any) -> str:
    """What changes when the record does."""
    return str(record.version)


FILTERS = {
    each.__name__: each
    for each in (
        ago,
        brief,
        clock,
        details,
        exact,
        heard,
        is_final,
        label,
        machine,
        said,
        tags,
        title,
        tone,
        took,
        waits_for,
    )
} | {"version": version}
