"""Methods that browse: by artists, albums, genres and folders."""

from collections.abc import Iterable
from itertools import chain, groupby

from database.letters import fold
from records.albums import Album
from repos import Page
from web.subsonic import entries
from web.subsonic.artists import Artist, artist_with, is_artist
from web.subsonic.calls import Call, Fields, Method
from web.subsonic.catalogue import catalogue
from web.subsonic.failures import NOT_FOUND, Failure
from web.subsonic.selection import MOST, list_albums, require_album, require_song

OTHERS = "#"  # the index of names that begin with no letter
NO_ARTICLES = ""  # no word at the beginning of a name is ignored


def get_artists(call: Call) -> Fields:
    """All artists, by their first letter."""
    return {"artists": {"ignoredArticles": NO_ARTICLES, "index": _index()}}


def get_indexes(call: Call) -> Fields:
    """The same, for players that browse folders. lastModified is 0: the service does not store when artists change."""
    return {"indexes": {"lastModified": 0, "ignoredArticles": NO_ARTICLES, "index": _index()}}


def get_artist(call: Call) -> Fields:
    """An artist and its newest 500 albums. Raises Failure."""
    artist = artist_with(call.require("id"))
    listed = _albums_of(artist)
    return {"artist": {**entries.artist(artist, len(listed)), "album": [entries.album(album) for album in listed]}}


def get_album(call: Call) -> Fields:
    """An album with its songs. Raises Failure."""
    album, songs = require_album(call.require("id"))
    return {"album": {**entries.album(album), "song": [entries.measured_song(*song) for song in songs]}}


def get_song(call: Call) -> Fields:
    """A song. Raises Failure."""
    return {"song": entries.measured_song(*require_song(call.require("id")))}


def get_music_directory(call: Call) -> Fields:
    """The albums of an artist, or the songs of an album, as the content of a folder. Raises Failure."""
    folder_id = call.require("id")
    if is_artist(folder_id):
        artist = artist_with(folder_id)
        folders = [entries.folder(album) for album in _albums_of(artist)]
        return {"directory": {"id": artist.id, "name": artist.name, "child": folders}}
    album, songs = require_album(folder_id)
    about = entries.album(album)
    head = {"id": about["id"], "parent": about["artistId"], "name": about["name"]}
    return {"directory": {**head, "child": entries.songs(songs)}}


def get_genres(call: Call) -> Fields:
    """All genres, with the numbers of their songs and albums."""
    return {"genres": {"genre": [entries.genre(genre) for genre in catalogue().overview().genres]}}


def artists() -> Iterable[tuple[Artist, int]]:
    """All artists with the numbers of their albums: first those of metadata, then the generators."""
    counted = catalogue().overview()
    named = ((Artist(name), albums) for name, albums, _ in counted.artists)
    return chain(named, ((Artist(name, True), albums) for name, albums, _ in counted.generators))


def _index() -> list[Fields]:
    """All artists by their first letter, which is a letter without an accent."""
    pairs = sorted(artists(), key=lambda pair: (_letter(pair[0]), fold(pair[0].name)))
    return [
        {"name": letter, "artist": [entries.artist(artist, albums) for artist, albums in same]}
        for letter, same in groupby(pairs, lambda pair: _letter(pair[0]))
    ]


def _letter(artist: Artist) -> str:
    first = fold(artist.name[:1]).upper()[:1]
    return first if first.isalpha() else OTHERS


def _albums_of(artist: Artist) -> list[Album]:
    """The newest albums of an artist. Raises Failure if it has none."""
    listed = list(list_albums(artist.query, Page(limit=MOST)))
    if not listed:
        raise Failure(NOT_FOUND, f"There are no albums of the artist {artist.name[:100]}.")
    return listed


METHODS: dict[str, Method] = {
    "getIndexes": get_indexes,
    "getArtists": get_artists,
    "getArtist": get_artist,
    "getMusicDirectory": get_music_directory,
    "getAlbum": get_album,
    "getSong": get_song,
    "getGenres": get_genres,
}
