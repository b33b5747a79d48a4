"""Template filters: statuses, times, lengths, metadata and the analysis of a loop in words."""

import json
from datetime import datetime
from typing import Any

from generators.parameters import digits
from models import JOB_STATUSES, LOOP_STATUSES, Job, Loop, Track, utc_now
from records.offers import why_not_made
from web.candidates import AROUND, playable
from web.current import live_workers, services
from web.lyrics import timed_lyrics
from web.titles import metadata_text, name_of_its_own

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
MOST_SECONDS, MOST_BPM, MOST_MILLISECONDS = 1_000_000, 1000, 1000  # larger values are wrong
SHORT = 300  # characters of a prompt in a list, which shows two lines of it


def heading(job: Job) -> str:
    """The prompt of a job; its id if it has no prompt."""
    return str(job.prompt) if has_prompt(job) else str(job.job_id)


def has_prompt(job: Job) -> bool:
    """True if a job has a prompt that is not blank."""
    return bool(job.prompt and job.prompt.strip())


def label(record: Job | Loop) -> str:
    """The status of a record in a word or two. In a damaged database it may be any text, which is shown as it is."""
    if record.cancel_requested and tone(record) == "running":
        return "Stopping"
    return LABELS.get(record.status.lower(), record.status)


def tone(record: Job | Loop) -> str:
    """The tone of a status, which decides its colour: waiting, running, completed, failed or cancelled."""
    return TONES.get(record.status.lower(), "running")


def is_final(record: Job | Loop) -> bool:
    """True if the record has completed, failed or been cancelled."""
    return record.status.lower() in JOB_STATUSES.final


def waits_for(job: Job) -> str | None:
    """What is missing for a pending job in the workers that run; None if one of them can make it."""
    if job.status != JOB_STATUSES.pending:
        return None
    return why_not_made(services().settings, job.job_type, live_workers())


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


def title(track: Track, job: Job, number: int) -> str:
    """The name of a track on the page of its job: its name if that is not the name of the job, or else its number."""
    kind = "Track" if track.take is None else "Take"
    return brief(name_of_its_own(track, job) or f"{kind} {number}", 120)


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
    """The results of the looper: place and quality of the seam, tempo, beats, beat error; [] before the loop is made.

    A script may have written any values; those that cannot be true are left out.
    """
    analysis: dict[str, Any] = loop.analysis
    start, end, tempo, error = (plausible(analysis.get(name)) for name in ("start", "end", "tempo", "beat_error_ms"))
    words = [_place(start, end)] if start is not None and end is not None else []
    words += _quality(analysis.get("quality"))
    words += [f"{tempo:.0f} bpm"] if tempo and tempo < MOST_BPM else []
    words += _beats(analysis.get("beats"))
    return words + ([f"beat error {_milliseconds(error)}"] if error is not None and error <= MOST_MILLISECONDS else [])


def plausible(value: Any) -> float | None:
    """The value if it is a number from 0 to a million; else None."""
    return value if type(value) in (int, float) and 0 <= value <= MOST_SECONDS else None


def _milliseconds(number: float) -> str:
    """Milliseconds as 0.4 ms."""
    return f"{number:.1f} ms" if number >= 0.05 else "under 0.1 ms"


def _beats(value: Any) -> list[str]:
    beats = plausible(value)
    return [f"{beats:.0f} beats"] if beats else []


def _quality(value: Any) -> list[str]:
    """The word of the looper for people: 'good seam', 'texture'."""
    if not value or not isinstance(value, str):
        return []
    return [f"{value} seam" if value in ("good", "fair", "poor") else brief(value, 20)]


def verdict(loop: Loop) -> str | None:
    """A sentence that shows the quality of the seam of a completed loop; None if its analysis has no word for it."""
    quality = loop.analysis.get("quality")
    return QUALITIES.get(quality) if loop.status == LOOP_STATUSES.completed and isinstance(quality, str) else None


def seams(loop: Loop) -> list[dict[str, Any]]:
    """The candidates of a loop that can be heard, the best first: number, place, facts, seconds, and is_in_loop.

    If the loop has another seam, because it was made with start and end, that is the first one, with number None.
    """
    own = (plausible(loop.analysis.get("start")), plausible(loop.analysis.get("end")))
    listed = [
        {
            "number": number,
            "place": _place(seam.start, seam.end),
            "facts": _facts(seam.end - seam.start, seam.beats, seam.quality),
            "seconds": min(AROUND, seam.end) + max(seam.crossfade, min(AROUND, seam.end - seam.start - seam.crossfade)),
            "is_in_loop": (seam.start, seam.end) == own,
        }
        for number, seam in playable(loop).items()
    ]
    has_own = any(seam["is_in_loop"] for seam in listed)
    return listed if not listed or has_own or None in own else [_own_seam(loop.analysis), *listed]


def _own_seam(analysis: dict[str, Any]) -> dict[str, Any]:
    """The seam of a loop that is not among its candidates. It has no number, and no preview."""
    start, end = analysis["start"], analysis["end"]
    facts = _facts(end - start, analysis.get("beats"), analysis.get("quality"))
    return {"number": None, "place": _place(start, end), "facts": facts, "is_in_loop": True}


def is_outdated(loop: Loop, track: Track) -> bool:
    """True if the sound of the track was replaced after the work on the loop began, or is gone.

    A new star or title also changes the track, so the time of its file decides.
    """
    made: datetime = loop.started_at or loop.finished_at or loop.created_at
    if track.updated_at <= made:
        return False
    names = (track.file_path_wav, track.file_path_mp3)
    files = [file for name in names if (file := services().storage.find(name))]
    return not files or any(file.stat().st_mtime > made.timestamp() for file in files)


def _facts(seconds: float, beats: Any, quality: Any) -> list[str]:
    """The length of one round, its beats, and the word."""
    return [f"{seconds:.1f} s", *_beats(beats), *_quality(quality)]


def _place(start: float, end: float) -> str:
    """A seam by its times in the track, as 0:12.5–0:31.2."""
    return f"{_tenths(start)}–{_tenths(end)}"


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
        ago, brief, clock, details, digits, exact, findings, has_prompt, heading, is_final, is_outdated, iso, label,
        line_count, metadata_text, name_of_its_own, seams, tags, timed_lyrics, title, tone, took, verdict, version,
        waits_for,
    )
}  # fmt: skip
