"""Chooses the tracks of an archive, and names its files so that they are in order and can be stored anywhere."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from errors import Malformed, NotFound
from files.bundles import Bundle, Entry
from files.derived import Recipe, drawn_cover
from files.pictures import JPEG, LONGEST_START, type_of
from files.refusals import storage_errors
from files.storage import Storage, is_file, open_file
from files.tracks import OTHER
from models import Job, Track
from web import schemas
from web.archive_texts import ArchiveTexts, Song
from web.covers import title_of
from web.downloads import file_name
from web.titles import name_of

MOST = 1000  # tracks in an archive
PAGE = 20  # tracks that are in memory with their jobs
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


def chosen_tracks(query: schemas.ArchiveQuery) -> list[str]:
    """The ids of the tracks in order: as in track_id; else those of a job by take; else the newest first.

    Raises NotFound if there are none, or if one of track_id does not exist; Malformed for too many.
    """
    where: list[Any] = [Track.track_id.in_(query.track_id)] if query.track_id else []
    where += [Track.job == query.job_id] if query.job_id is not None else []
    where += [Track.starred == query.starred] if query.starred is not None else []
    chosen: Any = Track.select(Track.track_id, Track.take).order_by(Track.created_at.desc(), Track.track_id.desc())
    tracks = list((chosen.where(*where) if where else chosen).limit(MOST + 1).tuples())
    if len(tracks) > MOST:
        raise Malformed(f"The query cannot be used: more than {MOST} tracks meet it. Choose fewer.")
    if query.job_id is not None:
        tracks = sorted(reversed(tracks), key=lambda row: row[1] or 0)
    ids = [track_id for track_id, _ in tracks]
    _require(query, ids)
    places = {track_id: place for place, track_id in reversed(list(enumerate(query.track_id)))}
    return sorted(ids, key=places.__getitem__) if places else ids


def wanted_covers(storage: Storage, track_ids: Sequence[str]) -> list[tuple[Recipe, Path]]:
    """The covers of these tracks that are not drawn yet: how each is drawn, and of which sound."""
    covers = (_drawn(storage, song) for song in _songs(track_ids) if not is_file(storage.cover(song.track.track_id)))
    return [cover for cover in covers if cover and not is_file(_path_of(storage, *cover))]


def pack(storage: Storage, track_ids: Sequence[str], kind: str | None) -> Bundle:
    """An archive of these tracks; kind: wav or mp3, where a track has both. WAV if it is None.

    After the sounds come the covers that are uploaded or drawn, and the texts. A track without a file is named in one
    of the texts. Raises StorageFull, StorageUnusable.
    """
    sounds, covers = list[Entry](), list[Entry]()
    with storage_errors():
        texts = ArchiveTexts(storage.part().parent)
        try:
            for song in _songs(track_ids):
                sound = _sound(storage, song, kind or "wav")
                if sound is None:
                    texts.add_missing(song)
                else:
                    sounds.append(sound)
                    covers += _cover(storage, song)
                    texts.add(song, sound.name)
            return Bundle([*sounds, *covers, *texts.entries()], texts.files)
        except BaseException:
            texts.close()
            raise


def _require(query: schemas.ArchiveQuery, track_ids: Sequence[str]) -> None:
    present = set(track_ids)
    gone = [track_id for track_id in query.track_id if track_id not in present]
    if gone and query.job_id is None and query.starred is None:
        raise NotFound(f"There is no track {gone[0]} (any more).")
    if not track_ids:
        raise NotFound("There are no such tracks.")


def _songs(track_ids: Sequence[str]) -> Iterator[Song]:
    """The tracks with their jobs, read page by page. The number in a name keeps the order, and makes it unique."""
    width = len(str(len(track_ids)))
    for start in range(0, len(track_ids), PAGE):
        page = track_ids[start : start + PAGE]
        tracks = {track.track_id: track for track in Track.select(*COLUMNS).where(Track.track_id.in_(page))}
        job_ids = sorted({_job_id(track) for track in tracks.values()})
        jobs = {job.job_id: job for job in Job.select(*OF_JOB).where(Job.job_id.in_(job_ids))}
        for number, track_id in enumerate(page, start + 1):
            if track := tracks.get(track_id):  # it may be deleted meanwhile
                job = jobs.get(_job_id(track))
                yield Song(track, job, f"{number:0{width}} {file_name(name_of(track, job))}{_take(track)}")


def _sound(storage: Storage, song: Song, kind: str) -> Entry | None:
    """The file of a track of this kind, or else of the other kind; None if it has neither."""
    names = {"wav": song.track.file_path_wav, "mp3": song.track.file_path_mp3}
    paths = ((candidate, storage.find(names[candidate])) for candidate in (kind, OTHER[kind]))
    entries = (_entry(song, candidate, path) for candidate, path in paths if path)
    return next(filter(None, entries), None)


def _cover(storage: Storage, song: Song) -> list[Entry]:
    """The cover of a track, if it is uploaded or drawn."""
    path = storage.cover(song.track.track_id)
    if not is_file(path):
        drawn = _drawn(storage, song)
        path = _path_of(storage, *drawn) if drawn else path
    file = open_file(path)
    if file is None:
        return []
    with file:
        ending = "jpg" if type_of(file.read(LONGEST_START)) == JPEG else "png"
    entry = _entry(song, ending, path)
    return [entry] if entry else []


def _drawn(storage: Storage, song: Song) -> tuple[Recipe, Path] | None:
    """How the cover of a track is drawn, and of which sound; None without a sound."""
    names = (song.track.file_path_wav, song.track.file_path_mp3)
    source = next(filter(None, map(storage.find, names)), None)
    return (drawn_cover(title_of(song.track, song.job)), source) if source else None


def _path_of(storage: Storage, recipe: Recipe, source: Path) -> Path:
    """Where the cover is when it is drawn. If the sound is gone, no file is there."""
    try:
        return storage.derived(source, recipe.suffix)
    except FileNotFoundError:
        return source


def _entry(song: Song, ending: str, path: Path) -> Entry | None:
    file = open_file(path)
    if file is None:
        return None
    with file:
        return Entry(f"{song.stem}.{ending}", path, os.fstat(file.fileno()).st_size, song.track.created_at)


def _job_id(track: Track) -> str:
    return str(track.__data__["job"])


def _take(track: Track) -> str:
    return f" (take {track.take})" if track.take is not None else ""
