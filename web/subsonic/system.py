"""Methods about the service itself, and those whose answer is always empty: players call them at the sign-in."""

from repos import TrackRepository
from web.current import services
from web.subsonic.calls import Call, Fields, Method
from web.subsonic.failures import NOT_ALLOWED, NOT_FOUND, Failure

PUBLIC = {"getOpenSubsonicExtensions"}  # the protocol wants it without a sign-in
EXTENSIONS = ("formPost", "songLyrics")
FOLDER = {"id": 1, "name": "Music"}
ROLES = (
    "admin",
    "settings",
    "upload",
    "playlist",
    "coverArt",
    "comment",
    "podcast",
    "jukebox",
    "share",
    "videoConversion",
)
# Methods that read what this service does not have, with the name of their empty answer.
EMPTY = {
    "getPlaylists": "playlists",
    "getNowPlaying": "nowPlaying",
    "getAlbumInfo": "albumInfo",
    "getAlbumInfo2": "albumInfo",
    "getArtistInfo": "artistInfo",
    "getArtistInfo2": "artistInfo2",
    "getSimilarSongs": "similarSongs",
    "getSimilarSongs2": "similarSongs2",
    "getTopSongs": "topSongs",
    "getBookmarks": "bookmarks",
    "getInternetRadioStations": "internetRadioStations",
    "getPodcasts": "podcasts",
    "getNewestPodcasts": "newestPodcasts",
    "getVideos": "videos",
}
# The methods of the protocol that change something, but not stars.
CHANGES = {
    *("createPlaylist", "updatePlaylist", "deletePlaylist", "setRating", "savePlayQueue", "savePlayQueueByIndex"),
    *("createBookmark", "deleteBookmark", "createShare", "updateShare", "deleteShare", "startScan", "addChatMessage"),
    *("createUser", "updateUser", "deleteUser", "changePassword", "jukeboxControl", "refreshPodcasts"),
    *("createPodcastChannel", "deletePodcastChannel", "deletePodcastEpisode", "downloadPodcastEpisode"),
    *("createInternetRadioStation", "updateInternetRadioStation", "deleteInternetRadioStation", "reportPlayback"),
}


def nothing(call: Call) -> Fields:
    """An empty answer. So a `scrobble` is answered as if it had been stored: players repeat it otherwise."""
    return {}


def get_license(call: Call) -> Fields:
    """A valid licence: the protocol comes from a program that was sold."""
    return {"license": {"valid": True}}


def get_extensions(call: Call) -> Fields:
    """The extensions of OpenSubsonic that this service has."""
    return {"openSubsonicExtensions": [{"name": name, "versions": [1]} for name in EXTENSIONS]}


def get_music_folders(call: Call) -> Fields:
    """The one folder of music."""
    return {"musicFolders": {"musicFolder": [FOLDER]}}


def get_scan_status(call: Call) -> Fields:
    """The number of songs. Nothing is ever scanned."""
    return {"scanStatus": {"scanning": False, "count": TrackRepository().count()}}


def get_user(call: Call) -> Fields:
    """The one user, who may download and play. Raises Failure for another one."""
    user = services().settings.subsonic_user
    if call.require("username") != user:
        raise Failure(NOT_ALLOWED, f"There is no other user than {user}.")
    roles = {f"{role}Role": False for role in ROLES}
    return {
        "user": {
            "username": user,
            "scrobblingEnabled": False,
            **roles,
            "downloadRole": True,
            "streamRole": True,
            "folder": [FOLDER["id"]],
        }
    }


def get_playlist(call: Call) -> Fields:
    """Raises Failure: there are no playlists."""
    raise Failure(NOT_FOUND, "There are no playlists here.")


def _empty(name: str) -> Method:
    return lambda call: {name: {}}


METHODS: dict[str, Method] = {
    "ping": nothing,
    "scrobble": nothing,
    "getLicense": get_license,
    "getOpenSubsonicExtensions": get_extensions,
    "getMusicFolders": get_music_folders,
    "getScanStatus": get_scan_status,
    "getUser": get_user,
    "getPlaylist": get_playlist,
    **{method: _empty(name) for method, name in EMPTY.items()},
}
