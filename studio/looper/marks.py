"""Writes into the file of a loop where it repeats, so that samplers and games repeat it there without a gap.

A WAV gets the chunks smpl and acid. An MP3 gets the tags LOOPSTART and LOOPLENGTH, in frames of the sound without the
silence that an MP3 has at both ends, and iTunSMPB, which says how long that silence is. The Xing header of the file,
which LAME writes, says the same.

smpl: "New Multimedia Data Types and Data Techniques", Microsoft (1994), revision 3.0: the end is the last sample that
is played. acid: as libsndfile reads it.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutagen.id3 import COMM, TXXX
from mutagen.mp3 import MP3

from files.riff import add_chunks, is_riff

NANOSECONDS = 1_000_000_000
MIDDLE_C = 60  # MIDI
FORWARD, FOR_EVER = 0, 0
ONE_SHOT, STRETCH = 1, 4  # the kinds of files of ACID: to play once, and a loop that follows the tempo of a song
ACID_CONSTANT = 0x8000
QUARTER = 4  # the denominator of a meter, whose beats are taken for quarter notes
UTF_8 = 3
XING_FRAMES, XING_BYTES, XING_TOC, XING_QUALITY = 1, 2, 4, 8  # the flags of a Xing header: which fields it has
HEAD_BYTES = 8192  # of an MP3: the Xing header is in the first frame


@dataclass(frozen=True)
class Marks:
    """What the file of a loop says about itself: frames, rate (Hz), the frames between which it repeats, and its tempo.

    repeat: (first, after the last), or None. tempo: in beats per minute, or None. beats_per_bar: or None.
    """

    frames: int
    rate: int
    repeat: tuple[int, int] | None
    tempo: float | None
    beats_per_bar: int | None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Marks":
        """The marks for the analysis of a loop."""
        start, end = record["loop_start_frame"], record["loop_end_frame"]
        repeat = None if start is None else (start, end)
        return cls(record["frames"], record["rate"], repeat, record["tempo"], record["beats_per_bar"])


def mark(path: Path, kind: str, marks: Marks) -> None:
    """Write the marks into a complete file that nobody reads yet. A WAV of more than 4 GB (RF64) gets none."""
    if kind == "MP3":
        tag(path, marks)
    elif is_riff(path):
        add_chunks(path, chunks(marks))


def chunks(marks: Marks) -> dict[bytes, bytes]:
    """The chunks of a WAV by their names: smpl if it repeats, acid if it has beats."""
    there = {}
    if marks.repeat is not None:
        there[b"smpl"] = smpl(marks.rate, *marks.repeat)
    if marks.tempo is not None:
        there[b"acid"] = acid(marks, marks.tempo)
    return there


def smpl(rate: int, start: int, end: int) -> bytes:
    """The content of a smpl chunk with one loop, from frame start to the frame before end."""
    header = struct.pack("<9I", 0, 0, round(NANOSECONDS / rate), MIDDLE_C, 0, 0, 0, 1, 0)
    return header + struct.pack("<6I", 0, FORWARD, start, end - 1, 0, FOR_EVER)


def acid(marks: Marks, tempo: float) -> bytes:
    """The content of an acid chunk: a loop if the whole file repeats; otherwise a sound to play once."""
    kind = STRETCH if marks.repeat == (0, marks.frames) else ONE_SHOT
    beats = round(marks.frames / marks.rate * tempo / 60)
    return struct.pack(
        "<IHHfIHHf", kind, MIDDLE_C, ACID_CONSTANT, 0.0, beats, QUARTER, marks.beats_per_bar or QUARTER, tempo
    )


def tag(path: Path, marks: Marks) -> None:
    """Write the tags of an MP3."""
    sound = MP3(path)
    if sound.tags is None:
        sound.add_tags()
    if (silence := silences(path)) is not None:
        text = f" 00000000 {silence[0]:08X} {silence[1]:08X} {marks.frames:016X}" + " 00000000" * 8
        sound.tags.add(COMM(encoding=UTF_8, lang="eng", desc="iTunSMPB", text=[text]))
    if marks.repeat is not None:
        start, end = marks.repeat
        for name, frames in (("LOOPSTART", start), ("LOOPLENGTH", end - start)):
            sound.tags.add(TXXX(encoding=UTF_8, desc=name, text=[str(frames)]))
    sound.save()


def silences(path: Path) -> tuple[int, int] | None:
    """The frames of silence before and after the sound of an MP3, as its Xing header says; None if it has none.

    A decoder adds 529 frames of its own to the first, and takes them from the second.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    place = next((place for name in (b"Info", b"Xing") if (place := head.find(name)) >= 0), None)
    if place is None:
        return None
    flags = int.from_bytes(head[place + 4 : place + 8])
    sizes = {XING_FRAMES: 4, XING_BYTES: 4, XING_TOC: 100, XING_QUALITY: 4}
    lame = place + 8 + sum(size for flag, size in sizes.items() if flags & flag)
    both = int.from_bytes(head[lame + 21 : lame + 24])  # twelve bits each
    return both >> 12, both & 0xFFF
