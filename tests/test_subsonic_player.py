"""A client library of the protocol (py-sonic) against a real server: it signs in, lists, searches, plays and stars."""

import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libsonic
import pytest
from libsonic.errors import AuthError, CredentialError, DataNotFoundError, SonicError

from tests.players import PASSWORD, USER, address, signed
from tests.service import Server
from tests.sounds import wav_bytes

TOKEN = "token-of-the-service"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
JOB = {"job_id": "rain", "prompt": "ambient rain", "takes": 2, "metadata": {"genre": "Ambient"}}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with an album of two songs."""
    folder = tmp_path_factory.mktemp("players")
    settings = {"SUBSONIC_PASSWORD": PASSWORD, "API_TOKEN": TOKEN, "WORKERS": "0"}
    server = Server(folder, DB_PATH=str(folder / "app.db"), **settings).start()
    assert server.call("POST", "/api/jobs", JOB, **HEADERS)[0] == 201
    for take in (1, 2):
        track = {"track_id": f"rain-{take}", "take": take, "metadata": {"artist": "Ada", "genre": "Ambient"}}
        assert server.call("POST", "/api/jobs/rain/tracks", track, **HEADERS)[0] == 201
        assert send(server, "PUT", f"/api/tracks/rain-{take}/audio", wav_bytes(), **HEADERS).status == 200
    yield server
    server.stop()


def send(server: Server, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
    """The response to a request; its attribute `data` has the body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(method, path, body, headers)
    response: Any = connection.getresponse()
    response.data = response.read()
    connection.close()
    return response


def connect(server: Server, password: str = PASSWORD, **options: Any) -> Any:
    """The library, connected to a server."""
    return libsonic.Connection("http://127.0.0.1", USER, password, port=server.port, appName="tests", **options)


@pytest.fixture
def player(running: Server) -> Any:
    """The library, signed in."""
    return connect(running)


def test_the_library_signs_in_and_browses(player: Any) -> None:
    assert player.ping() and player.getLicense()["license"]["valid"]
    (index,) = player.getArtists()["artists"]["index"]
    (artist,) = index["artist"]
    (album,) = player.getArtist(artist["id"])["artist"]["album"]
    songs = player.getAlbum(album["id"])["album"]["song"]
    assert [song["title"] for song in songs] == ["ambient rain (take 1)", "ambient rain (take 2)"]
    assert player.getSong(songs[0]["id"])["song"]["artist"] == artist["name"] == "Ada"
    assert player.getMusicDirectory(album["id"])["directory"]["child"][1]["id"] == songs[1]["id"]
    assert player.getIndexes()["indexes"]["index"] == [index]


def test_the_library_lists_and_searches(player: Any) -> None:
    assert [album["id"] for album in player.getAlbumList2("newest")["albumList2"]["album"]] == ["rain"]
    assert player.getGenres()["genres"]["genre"] == [{"value": "Ambient", "songCount": 2, "albumCount": 1}]
    assert len(player.getSongsByGenre("ambient")["songsByGenre"]["song"]) == 2
    assert len(player.getRandomSongs()["randomSongs"]["song"]) == 2
    found = player.search3("ada")["searchResult3"]
    assert [len(found[kind]) for kind in ("artist", "album", "song")] == [1, 1, 2]
    assert player.getPlaylists()["playlists"] == {} and player.getUser(USER)["user"]["streamRole"]


def test_the_library_plays(player: Any, running: Server) -> None:
    assert player.stream("rain-1").read() == player.download("rain-1").read() == wav_bytes()
    mp3 = player.stream("rain-1", tformat="mp3")
    assert mp3.headers["Content-Type"] == "audio/mpeg" and len(mp3.read()) == int(mp3.headers["Content-Length"])
    assert player.getCoverArt("rain").read().startswith(b"\x89PNG")
    part = send(running, "GET", address("stream?id=rain-1"), Range="bytes=100-199")
    assert (part.status, part.data) == (206, wav_bytes()[100:200])
    assert player.scrobble("rain-1")


def test_the_library_stars(player: Any, running: Server) -> None:
    assert player.star(["rain-1", "rain-2"]) and player.unstar(["rain-1"])
    assert [song["id"] for song in player.getStarred2()["starred2"]["song"]] == ["rain-2"]
    assert running.call("GET", "/api/tracks/rain-2", **HEADERS)[1]["starred"] is True
    assert send(running, "GET", address("unstar?id=rain-2")).status == 200
    assert running.call("GET", "/api/tracks/rain-2", **HEADERS)[1]["starred"] is False
    with pytest.raises(SonicError, match="Only songs"):
        player.star(albumIds=["rain"])


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("createPlaylist", {"name": "mine", "songIds": ["rain-1"]}),
        ("updatePlaylist", {"lid": "1", "name": "mine"}),
        ("deletePlaylist", {"pid": "1"}),
        ("setRating", {"id": "rain-1", "rating": 5}),
        ("createUser", {"username": "eve", "password": "x", "email": "x"}),
        ("updateUser", {"username": USER, "adminRole": True}),
        ("deleteUser", {"username": USER}),
        ("changePassword", {"username": USER, "password": "x"}),
        ("createBookmark", {"mid": "1", "position": 1}),
        ("createPodcastChannel", {"url": "http://x"}),
        ("startScan", {}),
    ],
)
def test_the_library_can_change_nothing_else(player: Any, method: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(AuthError, match=method):
        getattr(player, method)(**arguments)


def test_what_is_not_there_is_an_error_of_the_library(player: Any) -> None:
    for call in (player.getAlbum, player.getSong, player.getPlaylist, player.stream, player.getCoverArt):
        with pytest.raises(DataNotFoundError):
            call("none")


def test_a_wrong_password_signs_nobody_in(running: Server) -> None:
    for password in ("of somebody else", TOKEN):
        with pytest.raises(CredentialError):
            connect(running, password).getLicense()
    with pytest.raises(SonicError, match="Passwords are not accepted"):
        connect(running, legacyAuth=True).getLicense()


def test_a_form_that_the_server_does_not_read_gets_an_error_of_the_protocol(running: Server) -> None:
    body = b"x=" + b"y" * 100_000
    answer = send(running, "POST", "/rest/ping?f=json", body, **{"Content-Type": "application/x-www-form-urlencoded"})
    assert (answer.status, b'"code":0' in answer.data) == (200, True), answer.data


def test_neither_passwords_nor_tokens_are_in_the_log(running: Server, player: Any) -> None:
    seen = signed()
    player.getAlbum("rain"), send(running, "GET", address("stream?id=rain-1")), send(running, "GET", address("none"))
    log = Path(running.log).read_text()
    assert "/rest/stream 200" in log
    assert not [secret for secret in (PASSWORD, TOKEN, seen["t"], "salted", "u=ledger") if secret in log]
