"""What music players get to hear, to see and to sing: sound, covers and lyrics."""

import struct
import zlib

import pytest
from flask.testing import FlaskClient

from models import Track
from repos import TrackRepository
from settings import Settings
from tests.players import PASSWORD, Player, add, address

LYRICS = "[00:01.50]Hello\n[00:03]World"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings of the test, with a password for players."""
    return settings.model_copy(update={"subsonic_password": PASSWORD})


@pytest.fixture
def player(client: FlaskClient) -> Player:
    """A player that knows the password."""
    return Player(client)


def test_lyrics_have_times_in_milliseconds_if_they_have_times(player: Player) -> None:
    add("a", metadata={"lyrics": LYRICS, "language": "EN"}), add("b", metadata={"lyrics": "One\nTwo"}), add("c")
    (timed,) = player("getLyricsBySongId?id=a-1")["lyricsList"]["structuredLyrics"]
    assert timed["line"] == [{"start": 1500, "value": "Hello"}, {"start": 3000, "value": "World"}]
    assert (timed["synced"], timed["lang"], timed["displayTitle"]) == (True, "en", "song a")
    (plain,) = player("getLyricsBySongId?id=b-1")["lyricsList"]["structuredLyrics"]
    assert (plain["synced"], plain["line"]) == (False, [{"value": "One"}, {"value": "Two"}])
    assert player("getLyricsBySongId?id=c-1")["lyricsList"] == {"structuredLyrics": []}
    assert player("getLyrics?title=song b&artist=synth")["lyrics"]["value"] == "One\nTwo"
    assert player("getLyrics?title=song a")["lyrics"]["value"] == "Hello\nWorld"
    assert player("getLyrics?title=song b&artist=Ada")["lyrics"] == player("getLyrics")["lyrics"] == {}


def test_a_song_is_sent_as_it_is_stored_in_ranges(player: Player, song: bytes) -> None:
    for method in (
        "stream?id=track-1",
        "stream.view?id=track-1&format=raw",
        "download?id=track-1",
        "stream?id=track-1&maxBitRate=256",
    ):
        TrackRepository().update("track-1", duration=1.0)
        answer = player.get(method)
        assert (answer.data, answer.content_type) == (song, "audio/wav")
    part = player.client.get(address("stream?id=track-1"), headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.data, part.headers["Content-Range"]) == (
        206,
        song[10:20],
        f"bytes 10-19/{len(song)}",
    )
    beyond = player.client.get(address("stream?id=track-1"), headers={"Range": f"bytes={len(song)}-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(song)}")


def test_a_player_that_wants_less_gets_an_mp3(player: Player, song: bytes) -> None:
    TrackRepository().update("track-1", duration=1.0)
    posted = player.client.post(address("stream"), data={"id": "track-1", "format": "mp3"})
    assert posted.content_type == "audio/mpeg" and posted.data[:3] != b"RIF"
    for method in ("stream?id=track-1&format=opus", "stream?id=track-1&maxBitRate=255"):
        assert player.get(method).data == posted.data


def test_songs_of_an_album_have_a_gain_if_their_loudness_is_measured(player: Player, song: bytes) -> None:
    assert player("getSong?id=track-1")["song"]["replayGain"] == {}
    shape = player.client.get("/api/tracks/track-1/waveform.json").json
    gain = player("getAlbum?id=job-1")["album"]["song"][0]["replayGain"]
    assert gain["trackGain"] == round(-18 - shape["loudness"], 2)  # type: ignore[index]
    assert 0 < gain["trackPeak"] <= 1


def test_covers_are_pngs_of_the_size_that_is_asked_for(player: Player, track: Track) -> None:
    for method, side in (
        ("getCoverArt?id=job-1&size=64", 64),
        ("getCoverArt?id=track-1", 300),
        ("getCoverArt?id=job-1&size=9999", 1000),
    ):
        answer = player.get(method)
        assert (answer.content_type, answer.data[:8]) == ("image/png", b"\x89PNG\r\n\x1a\n")
        assert struct.unpack(">II", answer.data[16:24]) == (side, side)
    place, chunks = 8, []
    while place < len(answer.data):
        length = struct.unpack(">I", answer.data[place : place + 4])[0]
        kind, data = answer.data[place + 4 : place + 8], answer.data[place + 8 : place + 8 + length]
        assert struct.unpack(">I", answer.data[place + 8 + length : place + 12 + length])[0] == zlib.crc32(kind + data)
        chunks.append((kind, data))
        place += 12 + length
    assert len(zlib.decompress(dict(chunks)[b"IDAT"])) == 1000 * 126
