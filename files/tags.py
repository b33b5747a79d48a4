"""Writes tags into WAV and MP3 files, as ID3. The sound in them stays as it is."""

from collections.abc import Mapping
from pathlib import Path

from mutagen.id3 import COMM, TALB, TCON, TIT2, TPE1
from mutagen.mp3 import MP3
from mutagen.wave import WAVE

UTF_8 = 3
FRAMES = {"title": TIT2, "artist": TPE1, "album": TALB, "genre": TCON}


def write_tags(path: Path, tags: Mapping[str, str]) -> None:
    """Write title, artist, album, genre and comment into a file. A WAV of more than 4 GB (RF64) gets none."""
    if path.suffix == ".wav" and not is_riff(path):
        return
    sound = WAVE(path) if path.suffix == ".wav" else MP3(path)
    if sound.tags is None:
        sound.add_tags()
    for tag, frame in FRAMES.items():
        if tag in tags:
            sound.tags.setall(frame.__name__, [frame(encoding=UTF_8, text=[tags[tag]])])
    sound.tags.setall("COMM", [COMM(encoding=UTF_8, lang="eng", desc="", text=[tags["comment"]])])
    sound.save()


def is_riff(path: Path) -> bool:
    """True for a plain WAV, whose chunks have lengths of 32 bits."""
    with path.open("rb") as file:
        return file.read(4) == b"RIFF"
