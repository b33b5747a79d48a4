"""REST: plays, saves and uploads the sound of tracks and loops, and shows waveforms."""

from collections.abc import Callable
from typing import Any

from flask import Response

from errors import NotFound
from models import Job, Track
from repos import LoopRepository, TrackRepository
from web import downloads, schemas, waveform
from web.answers import json_answer, record, require
from web.candidates import preview_of
from web.current import services
from web.operations import IfMatch, Operations
from web.tagged import open_tagged
from web.titles import name_of
from web.uploads import Upload
from web.waiting import when_made

routes = Operations("/api")
tracks, loops = TrackRepository(), LoopRepository()

KINDS = ("audio/wav", "audio/mpeg")
SOUND: dict[int, Any] = {200: KINDS, 206: KINDS, 304: None}
TAGGED: dict[int, Any] = {
    200: ("audio/mpeg", "audio/flac", "audio/wav"),
    206: ("audio/mpeg", "audio/flac", "audio/wav"),
    304: None,
}
PREVIEW: dict[int, Any] = {200: KINDS[:1], 206: KINDS[:1], 304: None}
PEAKS: dict[int, Any] = {200: schemas.Waveform, 304: None}
PICTURE: dict[int, Any] = {200: ("image/svg+xml",), 304: None}


@routes.route("GET", "/tracks/<id:track_id>/audio", answers=SOUND, problems=[404, 416, 507])
def get_track_audio(track_id: str, query: schemas.AudioQuery) -> Response:
    """The sound of a track, whole or a Range of it. If there is only a WAV, the MP3 is made from it."""
    track = require(tracks.get_by_id(track_id))
    return when_made(
        lambda: services().track_files.open(track, query.format),
        lambda opened: downloads.sound(*opened, _title(track)),
    )


@routes.route("GET", "/tracks/<id:track_id>/download", answers=TAGGED, problems=[404, 416, 507])
def download_track(track_id: str, query: schemas.DownloadQuery) -> Response:
    """The sound of a track as a file to keep, with its tags and its cover of this moment: MP3, FLAC or WAV."""
    track = require(tracks.get_by_id(track_id))
    return when_made(
        lambda: open_tagged(track, query.format),
        lambda opened: downloads.sound(opened.file, query.format, opened.title, "attachment"),
    )


@routes.route("PUT", "/tracks/<id:track_id>/audio", answers={200: schemas.Track}, problems=[404, 412])
def put_track_audio(track_id: str, query: schemas.UploadQuery, upload: Upload, if_match: IfMatch) -> Response:
    """Replace the sound of a track: the WAV and the MP3 it had, its duration and its waveform.

    The body is a WAV or MP3 file. Any other file that can be decoded becomes a WAV.
    """
    track = require(tracks.get_by_id(track_id))
    return record(services().track_files.replace(track, upload, query.format, if_match))


@routes.route("GET", "/tracks/<id:track_id>/waveform.json", answers=PEAKS, problems=[404, 507])
def get_track_waveform(track_id: str, query: schemas.WaveformQuery) -> Response:
    """The waveform of a track, as the lowest and the highest sample of each point, and its loudness."""
    return _waveform(track_id, query.points, json_answer)


@routes.route("GET", "/tracks/<id:track_id>/waveform.svg", answers=PICTURE, problems=[404, 507])
def get_track_waveform_image(track_id: str, query: schemas.WaveformQuery) -> Response:
    """The waveform of a track as a picture, for light and dark pages."""
    return _waveform(track_id, query.points, _picture)


@routes.route("GET", "/loops/<id:loop_id>/audio", answers=SOUND, problems=[404, 416])
def get_loop_audio(loop_id: str) -> Response:
    """The sound of a completed loop, whole or a Range of it."""
    loop = require(loops.get_by_id(loop_id))
    title = f"{_title(require(tracks.get_by_id(loop.__data__['track'])))} (loop, {loop.length})"
    file = services().storage.open(loop.result_path or "")
    if file is None:
        raise NotFound(f"There is no file of this loop: it is {loop.status}.")
    return downloads.sound(file, loop.format.lower(), title)


@routes.route(
    "GET", "/loops/<id:loop_id>/candidates/<int:number>/audio", answers=PREVIEW, problems=[404, 409, 416, 507]
)
def get_candidate_audio(loop_id: str, number: int) -> Response:
    """The sound around the seam of a candidate: three seconds before the cut and three after it. 1 is the best seam."""
    loop = require(loops.get_by_id(loop_id))
    track, recipe = require(tracks.get_by_id(loop.__data__["track"])), preview_of(loop, number)
    return when_made(
        lambda: services().track_files.open_derived(track, recipe),
        lambda file: downloads.sound(file, "wav", f"{_title(track)} (seam {number})"),
    )


def _waveform(track_id: str, points: int, show: Callable[[dict[str, Any]], Response]) -> Response:
    track = require(tracks.get_by_id(track_id))

    def answer(shape: dict[str, Any]) -> Response:
        peaks = waveform.coarser(shape["peaks"], points)
        return waveform.conditional(show({**shape, "peaks": peaks}))

    return when_made(lambda: services().track_files.waveform(track), answer)


def _picture(shape: dict[str, Any]) -> Response:
    return Response(waveform.svg(shape["peaks"]), content_type="image/svg+xml")


def _title(track: Track) -> str:
    job = Job.select(Job.job_id, Job.prompt).where(Job.job_id == track.__data__["job"]).first()
    return name_of(track, job)
