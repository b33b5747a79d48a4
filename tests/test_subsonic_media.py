"""What music players get to hear, to see and to sing: sound, covers and lyrics."""

from files.storage import Storage
from models import Track
from repos import TrackRepository
from settings import Settings
from tests.players import Player, add, address, player, settings
from tests.test_covers import png

__all__ = ["player", "settings"]
LYRICS = "[00:01.50]Hello\n[00:03]World"


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


def test_the_cover_of_a_song_is_drawn_or_uploaded_and_that_of_an_album_is_the_one_of_its_first_song(
    player: Player, song: bytes, settings: Settings
) -> None:
    drawn = player.get("getCoverArt?id=track-1&size=64")
    assert (drawn.content_type, drawn.data[:4]) == ("image/png", b"\x89PNG")
    cover = Storage(settings).cover("track-1")
    cover.parent.mkdir(parents=True, exist_ok=True)
    cover.write_bytes(png())
    for cover_id in ("track-1", "job-1"):
        assert player.get(f"getCoverArt?id={cover_id}").data == png() != drawn.data


def test_a_song_without_sound_has_no_cover(player: Player, track: Track) -> None:
    assert player.code("getCoverArt?id=track-1") == 70
