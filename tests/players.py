"""A music player in tests: signs calls of the OpenSubsonic interface."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from repos import JobRepository, TrackRepository
from settings import Settings

USER, PASSWORD = "ledger", "correct horse battery"
NAMESPACE = "{http://subsonic.org/restapi}"
# Every method of the protocol that changes something, and parameters that it would need.
CHANGES = [
    "createPlaylist?name=mine&songId=track-1",
    "updatePlaylist?playlistId=1&name=x",
    "deletePlaylist?id=1",
    "setRating?id=track-1&rating=5",
    "savePlayQueue?id=track-1",
    "savePlayQueueByIndex?id=track-1",
    "createBookmark?id=track-1&position=1",
    "deleteBookmark?id=track-1",
    "createShare?id=track-1",
    "updateShare?id=1",
    "deleteShare?id=1",
    "startScan",
    "addChatMessage?message=hi",
    "createUser?username=eve&password=x&email=e",
    "updateUser?username=ledger&adminRole=true",
    "deleteUser?username=ledger",
    "changePassword?username=ledger&password=secret",
    "jukeboxControl?action=start",
    "refreshPodcasts",
    "createPodcastChannel?url=http://x",
    "deletePodcastChannel?id=1",
    "deletePodcastEpisode?id=1",
    "downloadPodcastEpisode?id=1",
    "createInternetRadioStation?streamUrl=http://x&name=x",
    "updateInternetRadioStation?id=1&streamUrl=http://x&name=x",
    "deleteInternetRadioStation?id=1",
    "reportPlayback?id=track-1&state=playing",
]
# Methods that only read, with parameters.
READS = [
    "ping",
    "getLicense",
    "getOpenSubsonicExtensions",
    "getMusicFolders",
    "getIndexes",
    "getArtists",
    "getArtist?id=artist~QWRh",
    "getMusicDirectory?id=job-1",
    "getAlbum?id=job-1",
    "getSong?id=track-1",
    "getGenres",
    "getScanStatus",
    "getUser?username=ledger",
    "getAlbumList?type=newest",
    "getAlbumList2?type=random",
    "getRandomSongs",
    "getSongsByGenre?genre=ambient",
    "getStarred",
    "getStarred2",
    "search2?query=rain",
    "search3?query=",
    "getLyrics?title=x",
    "getLyricsBySongId?id=track-1",
    "getPlaylists",
    "getNowPlaying",
    "getAlbumInfo?id=job-1",
    "getAlbumInfo2?id=job-1",
    "getArtistInfo?id=x",
    "getArtistInfo2?id=x",
    "getSimilarSongs?id=x",
    "getSimilarSongs2?id=x",
    "getTopSongs?artist=Ada",
    "getBookmarks",
    "getInternetRadioStations",
    "getPodcasts",
    "getNewestPodcasts",
    "getVideos",
    "scrobble?id=track-1",
]
UNKNOWN = [
    "search",
    "getPlaylist?id=1",
    "getUsers",
    "getShares",
    "getAvatar",
    "hls.m3u8?id=track-1",
    "getVideoInfo?id=1",
    "none",
    "a/b",
    "%20",
]


def signed(password: str = PASSWORD, salt: str = "salted", **changes: str | None) -> dict[str, str]:
    """The parameters that sign a call. changes: other parameters; None leaves one out."""
    token = hashlib.md5(f"{password}{salt}".encode()).hexdigest()
    values = {"u": USER, "t": token, "s": salt, "v": "1.16.1", "c": "tests", "f": "json", **changes}
    return {name: value for name, value in values.items() if value is not None}


def address(method: str, **changes: str | None) -> str:
    """The path and the query of a signed call. method: with its own parameters, as in getSong?id=1."""
    return f"/rest/{method}{'&' if '?' in method else '?'}{urlencode(signed(**changes))}"


class Player:
    """Calls methods through a client of the app: player("getSong?id=1") returns the body of the answer."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def __call__(self, method: str, **changes: str | None) -> dict[str, Any]:
        answer = self.get(method, **changes)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json["subsonic-response"]  # type: ignore[index]
        return body

    def get(self, method: str, **changes: str | None) -> TestResponse:
        """The answer to a method."""
        return self.client.get(address(method, **changes))

    def code(self, method: str, **changes: str | None) -> int:
        """The code of the error with which a method is answered."""
        body = self(method, **changes)
        assert body["status"] == "failed" and body["error"]["message"].endswith("."), body
        return int(body["error"]["code"])

    def ids(self, method: str) -> list[str]:
        """The ids of the songs or albums in an answer."""
        return [item["id"] for item in listed(self(method))]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings of the test, with a password for players."""
    return settings.model_copy(update={"subsonic_password": PASSWORD})


@pytest.fixture
def player(client: FlaskClient) -> Player:
    """A player that knows the password."""
    return Player(client)


def listed(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The songs or albums in the body of an answer."""
    content = next(value for value in body.values() if isinstance(value, dict))
    items: list[dict[str, Any]] = content.get("song") or content.get("album") or content.get("child") or []
    return items


def elements(xml: bytes) -> Iterator[tuple[str, dict[str, str]]]:
    """(the name, the attributes) of each element of an XML document."""
    for element in ElementTree.fromstring(xml).iter():
        yield element.tag.removeprefix(NAMESPACE), element.attrib


def add(job_id: str, takes: int = 1, year: int = 2024, **fields: Any) -> None:
    """A job with tracks of these takes, all made in a year. fields: those of the tracks; metadata is that of both."""
    when = {"created_at": datetime(year, 6, 1, tzinfo=UTC)}
    metadata = fields.pop("metadata", {})
    job = {"prompt": f"song {job_id}", "job_type": "synth", "takes": takes, "metadata": metadata, **when}
    JobRepository().create(job_id=job_id, **job)
    for take in range(1, takes + 1):
        about = {"take": take, "duration": 60.4, "metadata": metadata, **when, **fields}
        TrackRepository().create(track_id=f"{job_id}-{take}", job_id=job_id, **about)
