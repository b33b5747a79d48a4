"""The text files of an archive of tracks: a playlist, the lyrics of each track, and what made it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from files.bundles import Entry, Texts
from generators.timed import write_lrc
from models import Job, Track, utc_now
from web.lyrics import timed_lyrics
from web.titles import metadata_text, name_of

MADE_BY = ("take", "seed", "duration", "starred")  # what the list of tracks has of a track, beside its names


class Song(NamedTuple):
    """A track of an archive, its job (None if it was deleted meanwhile), and the name of its files without ending."""

    track: Track
    job: Job | None
    stem: str


class ArchiveTexts:
    """playlist.m3u8, tracks.json, and the lyrics of each song: .lrc if they have times, else .txt.

    Songs are added one after another, in the order of the archive. Their facts and lyrics are written to files in
    folder, so that no more than one song is in memory.
    """

    def __init__(self, folder: Path) -> None:
        self.facts, self.lyrics = Texts(folder), Texts(folder)
        self._playlist, self._lyrics = ["#EXTM3U"], list[Entry]()
        self._missing: list[str] = []

    @property
    def files(self) -> tuple[Texts, Texts]:
        """The files of the texts, to be closed."""
        return self.facts, self.lyrics

    def add(self, song: Song, file: str) -> None:
        """Add a song. file: the name of its sound in the archive. Raises OSError."""
        seconds = round(song.track.duration) if song.track.duration else -1
        self.facts.add(("[" if len(self._playlist) == 1 else ",\n") + json.dumps(_facts(song, file), indent=1))
        self._playlist += [f"#EXTINF:{seconds},{_line(name_of(song.track, song.job))}", file]
        for name, text in _lyrics(song):
            part = self.lyrics.add(text)
            self._lyrics.append(Entry(name, part, part.size, utc_now()))

    def add_missing(self, song: Song) -> None:
        """Add a track that has no file."""
        self._missing.append(song.stem)

    def entries(self) -> list[Entry]:
        """All files. Call it once, at the end. Raises OSError."""
        made = [_entry("missing files.txt", _note_of(self._missing))] if self._missing else []
        if len(self._playlist) == 1:
            return made
        self.facts.add("]")
        facts = self.facts.all()
        playlist = _entry("playlist.m3u8", "\n".join([*self._playlist, ""]))
        return [playlist, Entry("tracks.json", facts, facts.size, utc_now()), *self._lyrics, *made]

    def close(self) -> None:
        """Delete the files."""
        for texts in self.files:
            texts.close()


def _lyrics(song: Song) -> Iterator[tuple[str, str]]:
    """(the name of a file, its text) for the lyrics of a song; nothing if it has none."""
    if song.job is None:
        return
    if timed := timed_lyrics(song.job):
        yield f"{song.stem}.lrc", write_lrc(timed)
    elif text := metadata_text(song.job, "lyrics"):
        yield f"{song.stem}.txt", text


def _facts(song: Song, file: str) -> Mapping[str, Any]:
    """What made a song: its ids, words and metadata, its take and seed, and the provenance of its track."""
    track, job = song.track, song.job
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


def _note_of(missing: list[str]) -> str:
    return "\r\n".join(["These tracks have no file in the storage folder:", "", *missing, ""])


def _entry(name: str, text: str) -> Entry:
    data = text.encode("utf-8", "replace")
    return Entry(name, data, len(data), utc_now())


def _line(text: str) -> str:
    return " ".join(text.split())
