"""Reads the songs and albums that calls ask for, and refuses those that do not exist."""

from collections.abc import Sequence

from models import Track
from records import filters
from records.albums import Album, Song, albums, songs_of, totals_of
from records.finding import TrackQuery
from repos import JobRepository, Page, TrackRepository, TrackSearch
from web.subsonic.calls import Call
from web.subsonic.catalogue import catalogue
from web.subsonic.failures import NOT_FOUND, Failure

MOST = 500  # songs or albums in an answer, as the protocol says
MOST_SONGS = 1000  # of an album
jobs, tracks = JobRepository(), TrackRepository()


def page_of(call: Call, count: str, offset: str, default: int, is_down: bool = True) -> Page:
    """The page that a call asks for by the parameters with these names; the newest are first if is_down."""
    return Page(descending=is_down, limit=call.number(count, default, MOST), offset=call.number(offset, 0))


def list_albums(query: TrackQuery, page: Page) -> Sequence[Album]:
    """One page of the albums with songs of this query."""
    if not page.limit:
        return []
    name = ("albums", query, page.sort, page.descending, page.after)
    return catalogue().read(name, page, lambda start: albums(query, start), lambda album: album.place)


def list_songs(query: TrackQuery, page: Page) -> list[Song]:
    """One page of the songs of this query."""
    if not page.limit:
        return []
    search = TrackSearch(query)
    name = ("songs", query, page.descending)
    return songs_of(catalogue().read(name, page, search.page, lambda track: (track.created_at, track.track_id)))


def require_song(track_id: str) -> Song:
    """The song with this id. Raises Failure if there is none."""
    track = tracks.get_by_id(track_id)
    song = songs_of([track]) if track is not None else []
    if not song:
        raise Failure(NOT_FOUND, f"There is no song {track_id[:100]}.")
    return song[0]


def require_album(job_id: str) -> tuple[Album, list[Song]]:
    """The album with this id and its songs, in the order of the takes. Raises Failure if it has no songs.

    After 1000 songs, further ones are left out.
    """
    job = jobs.get_by_id(job_id)
    of_job = tracks.page(Page(descending=False, limit=MOST_SONGS), filters.equals(Track.job, job_id)) if job else []
    if job is None or not of_job:
        raise Failure(NOT_FOUND, f"There is no album {job_id[:100]}.")
    of_job.sort(key=lambda track: (track.take is None, track.take or 0))
    return Album(job, of_job[0], *totals_of([job_id])[job_id]), [(track, job) for track in of_job]
