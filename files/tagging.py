"""Writes tags into sound files: ID3 into MP3 and WAV, Vorbis comments into FLAC. The sound in them stays as it is."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, COMM, SYLT, TALB, TBPM, TCON, TIT2, TPE1, TRCK, USLT
from mutagen.mp3 import MP3
from mutagen.wave import WAVE

from files.pictures import type_of
from files.riff import is_exact, is_riff
from files.tags import Tags
from generators.timed import write_lrc

UTF_8 = 3
MILLISECONDS, LYRICS = 2, 1  # the unit of the times of SYLT, and what it has
FRONT_COVER = 3
FRAMES = {"title": TIT2, "artist": TPE1, "album": TALB, "genre": TCON}
OF_ID3 = ("TIT2", "TPE1", "TALB", "TCON", "COMM", "USLT", "SYLT", "TBPM", "TRCK", "APIC")  # frames that are replaced


class Untaggable(Exception):
    """The file gets no tags. The sentence has the reason."""


def write_tags(path: Path, kind: str, tags: Tags, cover: bytes | None = None) -> None:
    """Write tags, and a PNG or JPEG as cover, into a file. kind: mp3, wav or flac. RF64 (more than 4 GB) gets none.

    Raises Untaggable, and then the file is as it was: a copy gets the tags, and replaces the file when it is complete.
    """
    if kind == "wav" and not is_riff(path):
        return
    if kind == "wav" and not is_exact(path):
        raise Untaggable(f"{path.name} gets no tags: the lengths in it are wrong")
    copy = path.with_name(f".tagged-{path.name}")
    try:
        shutil.copyfile(path, copy)
        WRITERS[kind](copy, tags, cover)
        copy.replace(path)
    except Exception as error:  # mutagen raises many kinds for a file that it cannot read, such as struct.error
        copy.unlink(missing_ok=True)
        why = str(error).replace(str(copy), path.name) or type(error).__name__
        raise Untaggable(f"{path.name} gets no tags: {why}") from error


def _write_mp3(path: Path, tags: Tags, cover: bytes | None) -> None:
    _write_id3(MP3(path), tags, cover)


def _write_wav(path: Path, tags: Tags, cover: bytes | None) -> None:
    _write_id3(WAVE(path), tags, cover)


def _write_id3(sound: Any, tags: Tags, cover: bytes | None) -> None:
    if sound.tags is None:
        sound.add_tags()
    for name in OF_ID3:
        sound.tags.delall(name)
    for frame in _id3_frames(tags):
        sound.tags.add(frame)
    if cover is not None:
        sound.tags.add(APIC(encoding=UTF_8, mime=type_of(cover), type=FRONT_COVER, desc="", data=cover))
    sound.save()


def _id3_frames(tags: Tags) -> Iterator[Any]:
    for name, frame in FRAMES.items():
        if text := _clean(getattr(tags, name)):
            yield frame(encoding=UTF_8, text=[text])
    if tags.comment:
        yield COMM(encoding=UTF_8, lang="eng", desc="", text=[_clean(tags.comment)])
    if tags.lyrics:
        yield USLT(encoding=UTF_8, lang="und", desc="", text=_clean(tags.lyrics))
    if tags.lines:
        lines = [(_clean(words), round(1000 * seconds)) for seconds, words in tags.lines]
        yield SYLT(encoding=UTF_8, lang="und", format=MILLISECONDS, type=LYRICS, desc="", text=lines)
    if tags.bpm:
        yield TBPM(encoding=UTF_8, text=[str(tags.bpm)])
    if tags.take:
        yield TRCK(encoding=UTF_8, text=[f"{tags.take}/{tags.takes}" if tags.takes else str(tags.take)])


def _write_flac(path: Path, tags: Tags, cover: bytes | None) -> None:
    sound = FLAC(path)
    if sound.tags is None:
        sound.add_tags()
    for name, text in _vorbis_comments(tags).items():
        sound.tags[name] = [_clean(text)] if text else []
    sound.clear_pictures()
    if cover is not None:
        picture = Picture()
        picture.type, picture.mime, picture.data = FRONT_COVER, type_of(cover), cover
        sound.add_picture(picture)
    sound.save()


def _vorbis_comments(tags: Tags) -> dict[str, str]:
    """Lyrics with times are written as LRC, which players follow."""
    return {
        **{name: getattr(tags, name) for name in (*FRAMES, "comment")},
        "lyrics": write_lrc(tags.lines) if tags.lines else tags.lyrics,
        "bpm": str(tags.bpm or ""),
        "tracknumber": str(tags.take or ""),
        "tracktotal": str(tags.takes or ""),
    }


def _clean(text: str) -> str:
    """A text that UTF-8 can have; a NUL would end it."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode()


WRITERS = {"mp3": _write_mp3, "wav": _write_wav, "flac": _write_flac}
