"""Methods that list albums and songs: the newest, by name, of a genre or a year, with a star, at random."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from records.albums import Album, albums_of, random_tracks, songs_of
from records.finding import TrackQuery
from repos import Page
from web.subsonic import entries
from web.subsonic.calls import Call, Fields, Method
from web.subsonic.failures import GENERIC, Failure
from web.subsonic.selection import MOST, list_albums, list_songs, page_of

ALBUMS, SONGS = 10, 10  # in an answer, if the call does not say how many
YEARS = (1, 9998)  # of a range that can be listed
STARRED = 2000  # songs with a star that are listed, the newest
Listing = Callable[[Call, Page], Sequence[Album]]


def get_album_list2(call: Call) -> Fields:
    """The albums of a list. Raises Failure for an unknown list."""
    return {"albumList2": {"album": [entries.album(album) for album in _list(call)]}}


def get_album_list(call: Call) -> Fields:
    """The same, for players that browse folders."""
    return {"albumList": {"album": [entries.folder(album) for album in _list(call)]}}


def get_random_songs(call: Call) -> Fields:
    """Songs at random, of a genre if the call names one."""
    genre = call.get("genre")
    chosen = random_tracks(call.number("size", SONGS, MOST), TrackQuery(genre=genre) if genre else None)
    return {"randomSongs": {"song": entries.songs(songs_of(chosen))}}


def get_songs_by_genre(call: Call) -> Fields:
    """The songs of a genre, the newest first."""
    listed = list_songs(TrackQuery(genre=call.require("genre")), page_of(call, "count", "offset", SONGS))
    return {"songsByGenre": {"song": entries.songs(listed)}}


def get_starred2(call: Call) -> Fields:
    """The newest 2000 songs with a star. Albums and artists have no star."""
    return {"starred2": _starred()}


def get_starred(call: Call) -> Fields:
    """The same, for players that browse folders."""
    return {"starred": _starred()}


def _starred() -> Fields:
    return {"song": entries.songs(list_songs(TrackQuery(starred=True), Page(limit=STARRED)))}


def _list(call: Call) -> Sequence[Album]:
    kind = call.require("type")
    if kind not in LISTS:
        raise Failure(GENERIC, f"There is no list of the type {kind[:100]}: choose one of {', '.join(LISTS)}.")
    return LISTS[kind](call, page_of(call, "size", "offset", ALBUMS))


def _newest(call: Call, page: Page) -> Sequence[Album]:
    return list_albums(TrackQuery(), page)


def _by_name(call: Call, page: Page) -> Sequence[Album]:
    return list_albums(TrackQuery(), replace(page, sort="title", descending=False))


def _starred_albums(call: Call, page: Page) -> Sequence[Album]:
    return list_albums(TrackQuery(starred=True), page)


def _of_genre(call: Call, page: Page) -> Sequence[Album]:
    return list_albums(TrackQuery(genre=call.require("genre")), page)


def _of_years(call: Call, page: Page) -> Sequence[Album]:
    """The albums with songs of a range of years, the newest first if the range goes back. Raises Failure.

    The list begins at the edge of the range, and ends where the years are over.
    """
    first, last = (max(YEARS[0], call.number(name, 0, YEARS[1])) for name in ("fromYear", "toYear"))
    call.require("fromYear"), call.require("toYear")
    is_back, low, high = first > last, min(first, last), max(first, last)
    edge = datetime(high + 1 if is_back else low, 1, 1, tzinfo=UTC)
    listed = list_albums(TrackQuery(), replace(page, descending=is_back, after=(edge, "")))
    return [album for album in listed if low <= album.lead.created_at.year <= high]


def _at_random(call: Call, page: Page) -> Sequence[Album]:
    """Albums at random. Four songs are chosen for each, because several may be of one album."""
    return albums_of(songs_of(random_tracks(4 * page.limit)))[: page.limit]


LISTS: dict[str, Listing] = {
    "newest": _newest,
    "recent": _newest,  # the service does not store what was played
    "frequent": _newest,
    "highest": _newest,
    "random": _at_random,
    "alphabeticalByName": _by_name,
    "alphabeticalByArtist": _by_name,
    "starred": _starred_albums,
    "byGenre": _of_genre,
    "byYear": _of_years,
}
METHODS: dict[str, Method] = {
    "getAlbumList": get_album_list,
    "getAlbumList2": get_album_list2,
    "getRandomSongs": get_random_songs,
    "getSongsByGenre": get_songs_by_genre,
    "getStarred": get_starred,
    "getStarred2": get_starred2,
}
