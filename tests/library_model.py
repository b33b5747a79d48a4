"""The library in plain Python: what a search for tracks must return, from all jobs and tracks of the bound database."""

from typing import Any

from database.letters import fold, phrases, words
from models import Job, Track
from records.finding import TrackQuery
from repos import Page

NAMES = ("track_name", "title")


def matching(query: TrackQuery) -> list[Track]:
    """The tracks that a query describes, in any order."""
    jobs = {job.job_id: job for job in Job.select()}
    return [track for track in Track.select() if fits(query, track, jobs[track.__data__["job"]])]


def fits(query: TrackQuery, track: Track, job: Job) -> bool:
    """True if a query describes this track of this job."""
    plain = {"seed": track.seed, "starred": track.starred, "job_id": job.job_id, "job_type": job.job_type}
    if any(getattr(query, name) not in (None, value) for name, value in plain.items()):
        return False
    genre = text_at(track, "genre") or text_at(job, "genre") or ""
    if query.genre is not None and not (genre and words(fold(genre)) == words(fold(query.genre))):
        return False
    return query.text is None or has_all(query.text, texts_of(track, job))


def texts_of(track: Track, job: Job) -> list[str]:
    """The texts in which words are searched."""
    names = [track.metadata.get(key) for key in (*NAMES, "artist", "album")]
    texts = [track.title, *names, job.prompt, job.metadata.get("lyrics")]
    return [text for text in texts if isinstance(text, str)]


def has_all(text: str, texts: list[str]) -> bool:
    """True if each phrase of a text is in one of the other texts."""
    split = [words(fold(other)) for other in texts]
    return bool(phrases(text)) and all(any(has_phrase(other, part) for other in split) for part in phrases(text))


def has_phrase(other: list[str], part: list[str]) -> bool:
    """True if words have these words in a row, the last at least as a beginning."""
    runs = (other[place : place + len(part)] for place in range(len(other) - len(part) + 1))
    return any(run[:-1] == part[:-1] and run[-1].startswith(part[-1]) for run in runs)


def text_at(record: Any, key: str) -> str | None:
    """The text at a key of the metadata; None if it is blank or no text."""
    text = record.metadata.get(key)
    return (text.strip(" ") or None) if isinstance(text, str) else None


def place(track: Track, sort: str) -> tuple[Any, str]:
    """By what a track is sorted."""
    name = track.title or text_at(track, "track_name") or text_at(track, "title") or "\U0010ffff"
    lower = "".join(letter.lower() if letter.isascii() else letter for letter in name[:200])
    values = {"title": lower.encode(), "duration": track.duration or 0}
    return values[sort] if sort in values else getattr(track, sort), track.track_id


def in_order(tracks: list[Track], page: Page) -> list[Track]:
    """The tracks in the order of a page."""
    return sorted(tracks, key=lambda track: place(track, page.sort), reverse=page.descending)


def leads(tracks: list[Track], page: Page) -> list[str]:
    """The ids of the first track of each job."""
    first: dict[str, str] = {}
    for track in in_order(tracks, page):
        first.setdefault(track.__data__["job"], track.track_id)
    return list(first.values())
