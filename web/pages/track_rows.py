"""The rows of the list of tracks: a row is a job with its takes."""

import zlib
from dataclasses import dataclass

from models import Job, Track
from records.library import Group
from web.pages.takes import missing, numbered
from web.pages.wording import brief
from web.titles import metadata_text, name_of

NAME, WORDS = 120, 80  # characters of a name, and of the words below it


@dataclass(frozen=True)
class Take:
    """A take with its number and its name. The track is None if it is still to be made."""

    number: int
    track: Track | None
    name: str


@dataclass(frozen=True)
class Row:
    """A row. The face is the track that the row plays, and whose name, length and star it shows."""

    job: Job
    face: Track
    name: str
    words: list[str]
    takes: list[Take]
    track_ids: list[str]
    version: str


def row_of(group: Group, shows_lead: bool, matching: set[str]) -> Row:
    """The row of a group. shows_lead: the lead is its face; else the first take with a star, or the first take.

    matching: the ids of the tracks that the list is about. What one does with the row concerns only these.
    """
    job = group.job
    face = group.lead if shows_lead else _chosen(group.tracks)
    name = brief(name_of(face, job), NAME)
    takes = [Take(number, track, brief(name_of(track, job), NAME)) for number, track in numbered(group.tracks)]
    to_come = [Take(number, None, "") for number in missing(job, group.tracks)]
    takes = sorted([*takes, *to_come], key=lambda take: take.number)
    return Row(
        job=job,
        face=face,
        name=name,
        words=_words(face, job, name)[: 1 if len(takes) > 1 else 2],
        takes=takes if len(takes) > 1 else [],
        track_ids=[track.track_id for track in group.tracks if track.track_id in matching],
        version=_version(group, face),
    )


def playable(track: Track) -> bool:
    """True if a track has a file that can be played."""
    return bool(track.file_path_wav or track.file_path_mp3)


def _chosen(tracks: list[Track]) -> Track:
    """The first take with a star that can be played, else the first that can be played, else the first."""
    return max(tracks, key=lambda track: (playable(track), playable(track) and track.starred))


def _words(face: Track, job: Job, name: str) -> list[str]:
    """The genre, and the prompt if the name is another text; else the mood."""
    genre, mood = (metadata_text(face, key) or metadata_text(job, key) for key in ("genre", "mood"))
    prompt = brief(job.prompt or "", NAME)
    return [brief(text, WORDS) for text in (genre, prompt if prompt.strip() and prompt != name else mood) if text]


def _version(group: Group, face: Track) -> str:
    """A text that changes with all that the row shows. The progress of the job is not shown."""
    texts = (group.job.prompt, group.job.metadata, group.job.status, group.job.takes, face.track_id)
    digest = zlib.crc32(repr(texts).encode("utf-8", "backslashreplace"))
    return f"{max(track.version for track in group.tracks)}-{len(group.tracks)}-{digest:x}"


FILTERS = {function.__name__: function for function in (name_of, playable)}
