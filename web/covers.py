"""The cover of a track: the picture that was uploaded, or one that is drawn from its waveform and its name."""

from typing import BinaryIO, NamedTuple

from flask import Response

from errors import NotFound
from files.derived import drawn_cover
from files.pictures import LONGEST_START, PNG, type_of
from models import Job, Track
from web import downloads
from web.current import services
from web.titles import name_of
from web.waiting import when_made


class Cover(NamedTuple):
    """A picture as an open file, and its type: image/png or image/jpeg."""

    file: BinaryIO
    kind: str


def cover_of(track: Track) -> Cover:
    """The cover of a track, for when_made(). Raises NotFound without a sound, and BeingMade if it is not drawn yet."""
    storage = services().storage
    file = storage.open(storage.cover(track.track_id))
    if file is None:
        job = Job.select(Job.job_id, Job.prompt).where(Job.job_id == track.__data__["job"]).first()
        return Cover(services().track_files.open_derived(track, drawn_cover(title_of(track, job))), PNG)
    kind = type_of(file.read(LONGEST_START))
    file.seek(0)
    if kind is None:  # somebody else has written this file
        file.close()
        raise NotFound("The cover of the track is no PNG and no JPEG: upload another one with PUT.")
    return Cover(file, kind)


def send_cover(track: Track) -> Response:
    """The response with the cover of a track, when it is drawn. Raises NotFound, and Busy if that takes long."""
    return when_made(lambda: cover_of(track), lambda cover: downloads.picture(cover.file, cover.kind))


def title_of(track: Track, job: Job | None) -> str:
    """The name of a track in one line, as it is drawn on its cover."""
    return " ".join(name_of(track, job).split())
