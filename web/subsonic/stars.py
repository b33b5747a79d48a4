"""Methods that give stars to songs and take them away: all that a player can change."""

from functools import partial

from web.subsonic.artists import is_artist
from web.subsonic.calls import Call, Fields, Method
from web.subsonic.failures import GENERIC, MISSING, NOT_FOUND, Failure
from web.subsonic.selection import jobs, tracks

ONLY_SONGS = "Only songs can have a star: nothing was changed."


def _star(starred: bool, call: Call) -> Fields:
    """Give the songs of a call a star or take it away: all of them in one transaction, or none. Raises Failure.

    An album has no star of its own. With its songs, the player would change stars that a person gave to single takes,
    and "Delete all but ★" depends on these.
    """
    if call.get("albumId") or call.get("artistId"):
        raise Failure(GENERIC, ONLY_SONGS)
    ids = call.ids("id")
    if not ids:
        raise Failure(MISSING, "The parameter id is missing.")
    present = tracks.get_by_ids(ids)
    for missing in (track_id for track_id in ids if track_id not in present):
        if is_artist(missing) or jobs.get_by_id(missing) is not None:
            raise Failure(GENERIC, ONLY_SONGS)
        raise Failure(NOT_FOUND, f"There is no song {missing[:100]}: nothing was changed.")
    tracks.star_all(ids, starred)
    return {}


METHODS: dict[str, Method] = {"star": partial(_star, True), "unstar": partial(_star, False)}
