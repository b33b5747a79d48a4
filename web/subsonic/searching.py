"""Methods that search. A search without words lists everything: players read the whole library by such a search."""

from itertools import islice

from database.letters import fold, words
from records.finding import TrackQuery
from web.subsonic import entries
from web.subsonic.artists import Artist
from web.subsonic.browsing import artists
from web.subsonic.calls import Call, Fields, Method
from web.subsonic.selection import list_albums, list_songs, page_of

FOUND = 20  # of each kind in an answer, if the call does not say how many
EVERYTHING = ' "*'  # characters that players send for an empty query


def search3(call: Call) -> Fields:
    """The artists, albums and songs with these words."""
    results = _search(call)
    return {"searchResult3": {**results, "album": [entries.album(album) for album in results["album"]]}}


def search2(call: Call) -> Fields:
    """The same, for players that browse folders."""
    results = _search(call)
    return {"searchResult2": {**results, "album": [entries.folder(album) for album in results["album"]]}}


def _search(call: Call) -> Fields:
    """The results of a search: artists and songs as the protocol has them, albums as records.

    The newest are first. Without words the oldest are first: then nothing that is made meanwhile moves the others.
    """
    text = call.require("query").strip(EVERYTHING)
    query, is_down = TrackQuery(text or None), bool(text)
    start, number = call.number("artistOffset", 0), call.number("artistCount", FOUND)
    named = (pair for pair in artists() if _has_words(pair[0], text)) if number else iter(())
    return {
        "artist": [entries.artist(*pair) for pair in islice(named, start, start + number)],
        "album": list_albums(query, page_of(call, "albumCount", "albumOffset", FOUND, is_down=is_down)),
        "song": entries.songs(list_songs(query, page_of(call, "songCount", "songOffset", FOUND, is_down=is_down))),
    }


def _has_words(artist: Artist, text: str) -> bool:
    """True if each word of the text is the beginning of a word of the name."""
    own = list(words(fold(artist.name)))
    return all(any(one.startswith(word) for one in own) for word in words(fold(text)))


METHODS: dict[str, Method] = {"search2": search2, "search3": search3}
