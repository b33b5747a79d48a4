"""Template filters: statuses, times, lengths, metadata and the analysis of a loop in words."""

import json
from datetime import datetime
from typing import Any

from models import JOB_STATUSES, LOOP_STATUSES, Job, Loop, Track, utc_now
from web.candidates import AROUND, Candidate, playable
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
# The quality of a seam: the words of the looper.
QUALITIES = {
    "good": "The seam cannot be heard.",
    "fair": "The seam can be heard if you listen for it.",
    "poor": "The seam can be heard: the music before and after it is different.",
    "texture": "Sound without beats that changes little: the seam is a long crossfade.",
    "no beat": "Music without beats that does not repeat: the seam is a crossfade that can be heard.",
}
SHORT = 300  # characters of a prompt in a list, which shows two lines of it


def heading(job: Job) -> str:
    """The prompt of a job; its id if it has no prompt."""
    return str(job.prompt) if has_prompt(job) else str(job.job_id)


def has_prompt(job: Job) -> bool:
    """True if a job has a prompt that is not blank."""
    return bool(job.prompt and job.prompt.strip())


def label(record: Job | Loop) -> str:
    """The status of a record in a word or two."""
    if record.cancel_requested and tone(record) == "running":
        return "Stopping"
    return LABELS[record.status.lower()]


def tone(record: Job | Loop) -> str:
    """The tone of a status, which decides its colour: waiting, running, completed, failed or cancelled."""
    return TONES.get(record.status.lower(), "running")


def is_final(record: Job | Loop) -> bool:
    """True if the record has completed, failed or been cancelled."""
    return record.status.lower() in JOB_STATUSES.final


def waits_for(job: Job) -> str | None:
    """What is missing for a pending job in the workers of this service; None if they can make it."""
    settings = services().settings
    if job.status != JOB_STATUSES.pending or not settings.workers:
        return None
    return settings.why_not_made(job.job_type)


def ago(moment: datetime) -> str:
    """A past moment in words: 'now', '5 minutes ago', 'yesterday'. times.js makes the same words in the browser."""
    seconds = (utc_now() - moment).total_seconds()
    for unit, length in UNITS:
        count = int(seconds // length)
        if count >= 1:
            return LAST[unit] if count == 1 and unit in LAST else f"{count} {unit}{'s' * (count > 1)} ago"
    return f"{int(seconds)} seconds ago" if seconds >= 10 else "now"


def exact(moment: datetime) -> str:
    """A moment to the second, in UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def iso(moment: datetime) -> str:
    """A moment in ISO 8601, for <time datetime>."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"


def clock(seconds: float | None) -> str:
    """Seconds as 0:30, 4:05 or 1:02:03; a dash for None."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def took(record: Job | Loop) -> str | None:
    """The duration of the work, such as '12 s' or '3 min 20 s'; None if it has not started or not finished."""
    if record.started_at is None or record.finished_at is None:
        return None
    seconds = max(0.0, (record.finished_at - record.started_at).total_seconds())
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def brief(text: str, length: int = SHORT) -> str:
    """The text, cut to this number of characters."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def tags(record: Job | Track) -> list[str]:
    """Genre, mood and language; those that the metadata has."""
    return [brief(value, 40) for name in ("genre", "mood", "language") if (value := metadata_text(record, name))]


def metadata_text(record: Job | Track, name: str) -> str | None:
    """A value of the metadata; None if it is not text, or blank."""
    value = record.metadata.get(name)
    return value if isinstance(value, str) and value.strip() else None


def title(track: Track, number: int) -> str:
    """The name of a track: its track_name, its title, or its number."""
    return brief(metadata_text(track, "track_name") or metadata_text(track, "title") or f"Track {number}", 120)


def line_count(text: str) -> int:
    """The number of lines of a text, without blank lines at its end."""
    return len(text.rstrip().splitlines())


def details(record: Job | Track) -> dict[str, str]:
    """The metadata as text, without the lyrics, which the page shows in another place."""
    shown = {name: value for name, value in record.metadata.items() if name != "lyrics" or not isinstance(value, str)}
    return {name: brief(_text(value), 1000) for name, value in shown.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def findings(loop: Loop) -> list[str]:
    """The results of the looper: quality of the seam, tempo, beats and beat error; [] before the loop is made."""
    analysis: dict[str, Any] = loop.analysis
    quality, tempo, beats, error = (analysis.get(name) for name in ("quality", "tempo", "beats", "beat_error_ms"))
    words = [quality_word(quality)] if isinstance(quality, str) else []
    words += [f"{tempo:.0f} bpm"] if isinstance(tempo, int | float) and tempo else []
    words += [f"{beats} beats"] if isinstance(beats, int) and beats else []
    return words + ([f"beat error {_milliseconds(error)}"] if isinstance(error, int | float) else [])


def _milliseconds(number: float) -> str:
    """Milliseconds as 0.4 ms."""
    return f"{number:.1f} ms" if number >= 0.05 else "under 0.1 ms"


def quality_word(quality: str) -> str:
    """The word of the looper for people: 'good seam', 'texture'."""
    return f"{quality} seam" if quality in ("good", "fair", "poor") else brief(quality, 20)


def verdict(loop: Loop) -> str | None:
    """A sentence that says how good the seam of a completed loop is; None if its analysis has no known word."""
    quality = loop.analysis.get("quality")
    return QUALITIES.get(quality) if loop.status == LOOP_STATUSES.completed and isinstance(quality, str) else None


def seams(loop: Loop) -> list[dict[str, Any]]:
    """The candidates of a loop that can be heard, the best first: number, place, facts, seconds, and is_own."""
    own = (loop.analysis.get("start"), loop.analysis.get("end"))
    return [
        {
            "number": number,
            "place": f"{_tenths(seam.start)}–{_tenths(seam.end)}",
            "facts": _facts(seam),
            "seconds": min(AROUND, seam.end) + max(seam.crossfade, min(AROUND, seam.end - seam.start - seam.crossfade)),
            "is_own": (seam.start, seam.end) == own,
        }
        for number, seam in playable(loop).items()
    ]


def _facts(seam: Candidate) -> list[str]:
    """The length of one round, its beats, and the word."""
    beats = [f"{seam.beats} beats"] if seam.beats else []
    return [f"{seam.end - seam.start:.1f} s", *beats, *([quality_word(seam.quality)] if seam.quality else [])]


def _tenths(seconds: float) -> str:
    """A place in a track as 0:12.5."""
    minutes, tenths = divmod(round(10 * seconds), 600)
    return f"{minutes}:{tenths / 10:04.1f}"


def version(record: Any) -> str:
    """A text that changes whenever the record changes."""
    return str(record.version)


FILTERS = {
    function.__name__: function
    for function in (
        ago, brief, clock, details, exact, findings, has_prompt, heading, is_final, iso, label, line_count,
        metadata_text, seams, tags, title, tone, took, verdict, version, waits_for,
    )
}  # fmt: skip
