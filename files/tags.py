"""Writes tags into WAV and MP3 files, as ID3. The sound in them stays as it is."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from mutagen.id3 import COMM, TALB, TCON, TIT2, TPE1
from mutagen.mp3 import MP3
from mutagen.wave import WAVE

from files.riff import is_exact, is_riff

UTF_8 = 3
FRAMES = {"title": TIT2, "artist": TPE1, "album": TALB, "genre": TCON}


class Untaggable(Exception):
    """The file gets no tags. The sentence has the reason."""


def write_tags(path: Path, tags: Mapping[str, str]) -> None:
    """Write title, artist, album, genre and comment into a file. A WAV of more than 4 GB (RF64) gets none.

    Raises Untaggable, and then the file is as it was: a copy gets the tags, and replaces the file when it is complete.
    """
    if path.suffix == ".wav" and not is_riff(path):
        return
    if path.suffix == ".wav" and not is_exact(path):
        raise Untaggable(f"{path.name} gets no tags: the lengths in it are wrong")
    copy = path.with_name(f".tagged{path.suffix}")
    try:
        shutil.copyfile(path, copy)
        _write(copy, tags)
        copy.replace(path)
    except Exception as error:  # mutagen raises many kinds for a file that it cannot read, such as struct.error
        copy.unlink(missing_ok=True)
        why = str(error).replace(str(copy), path.name) or type(error).__name__
        raise Untaggable(f"{path.name} gets no tags: {why}") from error


def _write(path: Path, tags: Mapping[str, str]) -> None:
    sound = WAVE(path) if path.suffix == ".wav" else MP3(path)
    if sound.tags is None:
        sound.add_tags()
    for tag, frame in FRAMES.items():
        if tag in tags:
            sound.tags.setall(frame.__name__, [frame(encoding=UTF_8, text=[tags[tag]])])
    sound.tags.setall("COMM", [COMM(encoding=UTF_8, lang="eng", desc="", text=[tags["comment"]])])
    sound.save()
