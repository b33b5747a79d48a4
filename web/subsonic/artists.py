"""Artists: that of the metadata of a track, or else the generator that made it. Their ids say which artist it is."""

import base64
import binascii
from typing import NamedTuple

from database.letters import fold, words
from database.library import SHORT
from models import Job, Track
from records.finding import TrackQuery
from web.subsonic.failures import NOT_FOUND, Failure
from web.titles import metadata_text

MARK = "~"  # no id of a job or a track has this character
KINDS = ("artist", "generator")


class Artist(NamedTuple):
    """The name of an artist, and whether it is the job_type of jobs whose tracks have no artist."""

    name: str
    is_generator: bool = False

    @property
    def id(self) -> str:
        """The id for players: the kind and the name."""
        name = base64.urlsafe_b64encode(self.name.encode("utf-8", "replace")).decode().rstrip("=")
        return f"{KINDS[self.is_generator]}{MARK}{name}"

    @property
    def query(self) -> TrackQuery:
        """The tracks of the artist."""
        if self.is_generator:
            return TrackQuery(job_type=self.name, artist="")
        return TrackQuery(self.name if words(fold(self.name)) else None, artist=self.name)


def artist_of(track: Track, job: Job) -> Artist:
    """The artist of a track."""
    name = (metadata_text(track, "artist") or "").strip(" ")[:SHORT]
    return Artist(name) if name else Artist(job.job_type, True)


def is_artist(artist_id: str) -> bool:
    """True if this can only be the id of an artist."""
    return MARK in artist_id


def artist_with(artist_id: str) -> Artist:
    """The artist with this id. Raises Failure for a text that is no such id."""
    kind, _, code = artist_id.partition(MARK)
    try:
        name = base64.urlsafe_b64decode(f"{code}{'=' * (-len(code) % 4)}".encode()).decode()
    except (binascii.Error, UnicodeDecodeError):
        name = ""
    if kind not in KINDS or not name or "\0" in name:
        raise Failure(NOT_FOUND, f"There is no artist {artist_id[:100]}.")
    return Artist(name, kind == KINDS[1])
