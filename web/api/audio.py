"""The sound of tracks and loops over REST: played, saved, uploaded and drawn."""

from typing import Any

from flask import Response

from errors import NotFound
from models import Job, Track
from repos import LoopRepository, TrackRepository
from web import downloads, schemas, waveform
from web.answers import json_answer, record, require
from web.current import services
from web.operations import IfMatch, Operations
from web.uploads import Upload

routes = Operations("/api")
tracks, loops = TrackRepository(), LoopRepository()

KINDS = ("audio/wav", "audio/mpeg")
SOUND: dict[int, Any] = {200: KINDS, 206: KINDS, 304: None}


@routes.route("GET", "/tracks/<id:track_id>/audio", answers=SOUND, problems=[404, 416])
def get_track_audio(track_id: str, query: schemas.AudioQuery) -> Response:
    """The sound of a track, whole or a Range of it; an MP3 is made of the WAV when there is none."""
    track = require(tracks.get_by_id(track_id))
    path, kind = services().track_files.find(track, query.format)
    return downloads.sound(services().storage, path, kind, _title(track))


@routes.route("PUT", "/tracks/<id:track_id>/audio", answers={200: schemas.Track}, problems=[404, 412])
def put_track_audio(track_id: str, query: schemas.UploadQuery, upload: Upload, if_match: IfMatch) -> Response:
    """Give a track its sound: the body is a WAV or MP3 file; any other that decodes becomes a WAV."""
    track = require(tracks.get_by_id(track_id))
    return record(services().track_files.keep(track, upload, query.format, if_match))


@routes.route("GET", "/tracks/<id:track_id>/waveform.json", answers={200: schemas.Waveform, 304: None}, problems=[404])
def get_track_waveform(track_id: str, query: schemas.WaveformQuery) -> Response:
    """The waveform of a track, lowest and highest sample of each of so many stretches."""
    return waveform.conditional(json_answer(_peaks(track_id, query.points)))


@routes.route("GET", "/tracks/<id:track_id>/waveform.svg", answers={200: ("image/svg+xml",), 304: None}, problems=[404])
def get_track_waveform_image(track_id: str, query: schemas.WaveformQuery) -> Response:
    """The waveform of a track as a picture, for light and dark pages."""
    found = _peaks(track_id, query.points)
    return waveform.conditional(Response(waveform.svg(found["peaks"]), content_type="image/svg+xml"))


@routes.route("GET", "/loops/<id:loop_id>/audio", answers=SOUND, problems=[404, 416])
def get_loop_audio(loop_id: str) -> Response:
    """The sound of a completed loop, whole or a Range of it."""
    loop = require(loops.get_by_id(loop_id))
    path = services().storage.find(loop.result_path)
    if path is None:
        raise NotFound(f"There is no file of this loop: it is {loop.status}.")
    title = f"{_title(require(tracks.get_by_id(loop.__data__['track'])))} (loop, {loop.duration:g} s)"
    return downloads.sound(services().storage, path, loop.format.lower(), title)


def _peaks(track_id: str, points: int) -> dict[str, Any]:
    found = services().track_files.peaks(require(tracks.get_by_id(track_id)))
    return {"duration": found["duration"], "peaks": waveform.coarser(found["peaks"], points)}


def _title(track: Track) -> str:
    """What a track is called: its own name, else the beginning of its job's prompt, else the job's id."""
    named = [track.metadata.get(key) for key in ("track_name", "title")]
    return next((name for name in named if isinstance(name, str) and name.strip()), None) or _prompt(track)


def _prompt(track: Track) -> str:
    job = Job.select(Job.job_id, Job.prompt).where(Job.job_id == track.__data__["job"]).first()
    return (job.prompt or job.job_id) if job else ""
