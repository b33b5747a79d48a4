"""Chooses the tracks of an archive, and names its files so that they are in order and can be stored anywhere."""

import os
from collections.abc import Sequence
from typing import Any

from errors import Malformed, NotFound
from files.bundles import Entry
from files.storage import Storage
from files.tracks import OTHER
from models import Job, Track
from web import schemas
from web.archive_texts import Song, entry, texts
from web.downloads import file_name
from web.titles import name_of

MOST = 1000  # tracks in an archive
BATCH = 200
COLUMNS: tuple[Any, ...] = (
    Track.track_id,
    Track.job,
    Track.title,
    Track.metadata,
    Track.starred,
    Track.duration,
    Track.seed,
    Track.take,
    Track.provenance,
    Track.created_at,
    Track.file_path_wav,
    Track.file_path_mp3,
)
OF_JOB: tuple[Any, ...] = (Job.job_id, Job.job_type, Job.prompt, Job.metadata, Job.file_manifest)


def chosen_tracks(query: schemas.ArchiveQuery) -> list[Track]:
    """The tracks of an archive in its order: as in track_id; else those of a job by take; else the newest first.

    Raises NotFound if there are none, or if one of track_id does not exist; Malformed for too many.
    """
    where: list[Any] = [Track.track_id.in_(query.track_id)] if query.track_id else []
    where += [Track.job == query.job_id] if query.job_id is not None else []
    where += [Track.starred == query.starred] if query.starred is not None else []
    newest_first = Track.select(*COLUMNS).order_by(Track.created_at.desc(), Track.track_id.desc()).limit(MOST + 1)
    tracks = list(newest_first.where(*where) if where else newest_first)
    if len(tracks) > MOST:
        raise Malformed(f"The query cannot be used: more than {MOST} tracks meet it. Choose fewer.")
    _require(query, tracks)
    if query.track_id:
        places = {track_id: place for place, track_id in reversed(list(enumerate(query.track_id)))}
        return sorted(tracks, key=lambda track: places[track.track_id])
    return sorted(reversed(tracks), key=_take) if query.job_id is not None else tracks


def entries(storage: Storage, tracks: Sequence[Track], kind: str | None) -> list[Entry]:
    """The files of these tracks; kind: wav or mp3, where a track has both. WAV if it is None.

    The texts of archive_texts follow: playlist, lyrics, facts. A track without a file is named in another text.
    """
    jobs = _jobs(set(map(_job_id, tracks)))
    names, made, missing, songs = _names(tracks, jobs), list[Entry](), list[str](), list[Song]()
    for track in tracks:
        name = names[track.track_id]
        sound = _entry(storage, track, kind or "wav", name)
        if sound is None:
            missing.append(name)
        else:
            made.append(sound)
            songs.append(Song(track, jobs.get(_job_id(track)), sound.name))
    return [*made, *texts(songs), *([_note_of(missing)] if missing else [])]


def _require(query: schemas.ArchiveQuery, tracks: Sequence[Track]) -> None:
    present = {track.track_id for track in tracks}
    gone = [track_id for track_id in query.track_id if track_id not in present]
    if gone and query.job_id is None and query.starred is None:
        raise NotFound(f"There is no track {gone[0]} (any more).")
    if not tracks:
        raise NotFound("There are no such tracks.")


def _take(track: Track) -> int:
    return track.take or 0


def _entry(storage: Storage, track: Track, kind: str, name: str) -> Entry | None:
    """The file of a track of this kind, or else of the other kind; None if it has neither."""
    names = {"wav": track.file_path_wav, "mp3": track.file_path_mp3}
    for candidate in (kind, OTHER[kind]):
        file = storage.open(names[candidate] or "")
        path = storage.locate(names[candidate] or "")
        if file is not None and path is not None:
            with file:
                return Entry(f"{name}.{candidate}", path, os.fstat(file.fileno()).st_size, track.created_at)
    return None


def _names(tracks: Sequence[Track], jobs: dict[str, Job]) -> dict[str, str]:
    """A file name without its ending for each track, by track_id. The number keeps the order, and makes it unique."""
    width = len(str(len(tracks)))
    return {
        track.track_id: f"{number:0{width}} {file_name(name_of(track, jobs.get(_job_id(track))))}{_number(track)}"
        for number, track in enumerate(tracks, 1)
    }


def _job_id(track: Track) -> str:
    return str(track.__data__["job"])


def _number(track: Track) -> str:
    return f" (take {track.take})" if track.take is not None else ""


def _jobs(job_ids: set[str]) -> dict[str, Job]:
    ids = sorted(job_ids)
    batches = (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))
    return {job.job_id: job for batch in batches for job in Job.select(*OF_JOB).where(Job.job_id.in_(batch))}


def _note_of(missing: Sequence[str]) -> Entry:
    return entry(
        "missing files.txt", "\r\n".join(["These tracks have no file in the storage folder:", "", *missing, ""])
    )
