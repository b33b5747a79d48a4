"""Methods that send sound, covers and lyrics."""

import re

from flask import Response

from models import Job, Track
from records.albums import Song
from records.finding import TrackQuery
from repos import Page
from web import downloads
from web.covers import send_cover
from web.current import services
from web.lyrics import timed_lyrics
from web.subsonic.artists import artist_of
from web.subsonic.calls import Call, Fields, Method
from web.subsonic.entries import bit_rate, title_of
from web.subsonic.failures import NOT_FOUND, Failure
from web.subsonic.selection import list_songs, require_album, require_song, tracks
from web.titles import metadata_text
from web.waiting import when_made

STORED = ("", "wav")  # formats for which the stored file is sent, unless its rate is too high
LANGUAGE, UNKNOWN = re.compile("[a-z]{2,3}"), "xxx"  # a code of ISO 639, and the word of the protocol for no code
TAKE = re.compile(r" \(take \d+\)$")  # what title_of() adds to the name of an album
NAMESAKES = 20  # songs among which one has the title that a call asks for


def stream(call: Call) -> Response:
    """The sound of a song, whole or a Range of it: the stored file, or an MP3. Raises Failure.

    The MP3 is sent for another format than raw and wav, and if the stored file has more than maxBitRate kbit/s.
    """
    song = require_song(call.require("id"))
    return _sound(song, _kind(call, song[0]))


def download(call: Call) -> Response:
    """The stored sound of a song: the WAV if it has both. Raises Failure."""
    return _sound(require_song(call.require("id")), None)


def get_cover_art(call: Call) -> Response:
    """The cover of a song or an album, whatever size is asked for: players scale it. Raises Failure and NotFound."""
    cover_id = call.require("id")
    track = tracks.get_by_id(cover_id) or require_album(cover_id)[0].lead
    return send_cover(track)


def get_lyrics_by_song_id(call: Call) -> Fields:
    """The lyrics of a song: lines with times in milliseconds, or lines without times. Raises Failure."""
    track, job = require_song(call.require("id"))
    lines = _lines(job)
    about = {"displayArtist": artist_of(track, job).name, "displayTitle": title_of(track, job), "lang": _language(job)}
    listed = [{**about, "offset": 0, "synced": "start" in lines[0], "line": lines}] if lines else []
    return {"lyricsList": {"structuredLyrics": listed}}


def get_lyrics(call: Call) -> Fields:
    """The lyrics of a song with this title, and with this artist if the call names one; without text if none has."""
    title, artist = call.get("title"), call.get("artist")
    for track, job in list_songs(TrackQuery(TAKE.sub("", title)), Page(limit=NAMESAKES)) if title else []:
        text = "\n".join([line["value"] for line in _lines(job)])
        if text and title_of(track, job) == title and artist in ("", artist_of(track, job).name):
            return {"lyrics": {"title": title, "artist": artist_of(track, job).name, "value": text}}
    return {"lyrics": {}}


def _sound(song: Song, kind: str | None) -> Response:
    files, title = services().track_files, title_of(*song)
    return when_made(lambda: files.open(song[0], kind), lambda opened: downloads.sound(*opened, title))


def _kind(call: Call, track: Track) -> str | None:
    """The kind of the file to send: mp3, or None for the stored file."""
    form, most = call.get("format"), call.number("maxBitRate", 0)
    if form == "raw":
        return None
    stored = services().track_files.stored(track)
    if stored is None:
        raise Failure(NOT_FOUND, f"The song {track.track_id} has no file.")
    is_small = not most or bit_rate(stored[1], track.duration) <= most
    return None if form in STORED and is_small else "mp3"


def _lines(job: Job) -> list[Fields]:
    """The lines of the lyrics of a job, all with their times or all without; [] if it has no lyrics."""
    timed = [{"start": round(1000 * line.seconds), "value": line.words} for line in timed_lyrics(job)]
    return timed or [{"value": line} for line in (metadata_text(job, "lyrics") or "").splitlines()]


def _language(job: Job) -> str:
    language = (metadata_text(job, "language") or "").lower()
    return language if LANGUAGE.fullmatch(language) else UNKNOWN


METHODS: dict[str, Method] = {
    "stream": stream,
    "download": download,
    "getCoverArt": get_cover_art,
    "getLyrics": get_lyrics,
    "getLyricsBySongId": get_lyrics_by_song_id,
}
