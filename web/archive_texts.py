"""The text files of an archive of tracks: a playlist, the lyrics of each track, and what made it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from files.bundles import Entry
from generators.timed import write_lrc
from models import Job, Track, utc_now
from web.lyrics import timed_lyrics
from web.titles import metadata_text, name_of

MOST_CHARACTERS = 10_000_000  # of all lyrics in an archive: they are in memory while it is sent
MADE_BY = ("take", "seed", "duration", "starred")  # what the list of tracks has of a track, beside its names


class Song(NamedTuple):
    """A track of an archive, its job (None if it was deleted meanwhile), and its file in the archive."""

    track: Track
    job: Job | None
    file: str

    @property
    def stem(self) -> str:
        """The name of its file without the ending."""
        return self.file.rpartition(".")[0]


def texts(songs: Sequence[Song]) -> list[Entry]:
    """playlist.m3u8, tracks.json, and the lyrics beside each song: .lrc if they have times, else .txt.

    After ten million characters of lyrics, the lyrics of further songs are left out.
    """
    made, left = [entry("playlist.m3u8", playlist(songs)), entry("tracks.json", facts(songs))], MOST_CHARACTERS
    for song in songs:
        for name, text in lyrics(song):
            left -= len(text)
            made += [entry(name, text)] if left >= 0 else []
    return made if songs else []


def playlist(songs: Sequence[Song]) -> str:
    """The songs as an extended M3U, in the order of the archive."""
    lines = (
        (f"#EXTINF:{round(track.duration) if track.duration else -1},{_line(name_of(track, job))}", file)
        for track, job, file in songs
    )
    return "\n".join(["#EXTM3U", *chain.from_iterable(lines), ""])


def lyrics(song: Song) -> Iterator[tuple[str, str]]:
    """(the name of a file, its text) for the lyrics of a song; nothing if it has none."""
    if song.job is None:
        return
    if timed := timed_lyrics(song.job):
        yield f"{song.stem}.lrc", write_lrc(timed)
    elif text := metadata_text(song.job, "lyrics"):
        yield f"{song.stem}.txt", text


def facts(songs: Sequence[Song]) -> str:
    """What made each song, as JSON: its ids, words and metadata, its take and seed, and the provenance of its track."""
    return json.dumps([_facts(*song) for song in songs], indent=1)


def entry(name: str, text: str) -> Entry:
    """A text file of an archive, in UTF-8. Half of a character outside the BMP becomes a question mark."""
    data = text.encode("utf-8", "replace")
    return Entry(name, data, len(data), utc_now())


def _facts(track: Track, job: Job | None, file: str) -> Mapping[str, Any]:
    order = {} if job is None else {"job_type": job.job_type, "prompt": job.prompt, "metadata": job.metadata}
    return {
        "file": file,
        "track_id": track.track_id,
        "job_id": track.__data__["job"],
        "name": name_of(track, job),
        **{name: getattr(track, name) for name in MADE_BY},
        "created_at": track.created_at.isoformat(),
        "order": order,
        "provenance": track.provenance,
    }


def _line(text: str) -> str:
    return " ".join(text.split())
