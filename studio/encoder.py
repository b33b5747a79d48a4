"""Encodes the files of a generator as tracks: python -m studio.encoder TARGET LIST.

LIST is a JSON file: for each file of the generator, its path and its tags. Every file becomes NAME.wav and NAME.mp3 in
TARGET, and TARGET/tracks.json lists them. A WAV stays as it is, unless the lengths in it are wrong. This module runs as
a process of its own, so that a file that crashes the decoder crashes only this process. A file that is empty, cannot be
decoded or is silent is left out, with a line that says why. If no file is left, the last line says why, and the exit
code is 1. A file that takes no tags gets none, with a line that says so.
"""

import json
import shutil
import sys
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np

from files.riff import is_exact, is_riff
from files.sound import Sink, Source, Unusable
from files.storage import safe_name, sha256
from files.tagging import Untaggable, write_tags
from files.tags import Tags

SILENCE = 1e-4  # of full scale, about -80 dB: no sample of a silent file is louder


def main(target: Path, sources: list[tuple[str, dict[str, Any]]]) -> None:
    """Encode every file that has sound in it. sources: the path and the tags of each."""
    tracks, reasons = [], []
    for number, (path, tags) in enumerate(sources):
        try:
            tracks.append(encode(Path(path), target, (number, len(sources)), Tags.from_json(tags)))
        except Unusable as error:
            reasons.append(str(error))
            print(f"left out: {error}", flush=True)
    if not tracks:
        sys.exit("; ".join(reasons))
    (target / "tracks.json").write_text(json.dumps(tracks))


def encode(path: Path, target: Path, place: tuple[int, int], tags: Tags) -> dict[str, Any]:
    """Encode one track as WAV and MP3. Returns its number, names, duration in seconds, sizes in bytes and digests.

    place: its number from 0, and how many there are. Raises Unusable, and then leaves no file.
    """
    number, count = place
    name = f"{safe_name(path.stem)}-{number + 1}" if count > 1 else safe_name(path.stem)
    wav, mp3 = target / f"{name}.wav", target / f"{name}.mp3"
    try:
        duration = write(path, wav, mp3, place)
    except Unusable:
        wav.unlink(missing_ok=True)
        mp3.unlink(missing_ok=True)
        raise
    if not wav.exists():
        move(path, wav)
    for kind, file in (("wav", wav), ("mp3", mp3)):
        tag(file, kind, tags)
    files = {kind: {"name": file.name, "bytes": file.stat().st_size, "sha256": sha256(file)}
             for kind, file in (("wav", wav), ("mp3", mp3))}  # fmt: skip
    return {"number": number, "duration": duration, "files": files}


def write(path: Path, wav: Path, mp3: Path, place: tuple[int, int]) -> float:
    """Decode a file and write it as MP3; unless it is a whole WAV, also as WAV. Returns its real duration in seconds.

    Raises Unusable, also if it is silent.
    """
    frames, loudest, (number, count) = 0, 0.0, place
    with Source(path) as source, ExitStack() as open_files:
        kinds = [Sink(mp3, source.rate, source.channels, "MP3")]
        if source.kind != "wav" or (is_riff(path) and not is_exact(path)):
            kinds.append(Sink(wav, source.rate, source.channels, "WAV", source.expected))
        sinks = [open_files.enter_context(sink) for sink in kinds]
        for block in source.blocks():
            for sink in sinks:
                sink.write(block)
            frames, loudest = frames + len(block), max(loudest, float(np.abs(block).max()))
            share = (number + min(1.0, frames / max(1, source.expected))) / count
            print(f"encoding {round(100 * share)}%", flush=True)
    if loudest <= SILENCE:
        raise Unusable(f"{path.name} is silent")
    return frames / float(source.rate)


def move(path: Path, target: Path) -> None:
    """Give a file its new place. A file that has another name, too, is copied: what is done to it must not be there."""
    if path.stat().st_nlink > 1:
        shutil.copyfile(path, target)
    else:
        path.replace(target)


def tag(file: Path, kind: str, tags: Tags) -> None:
    """Write the tags; if the file takes none, print a note."""
    try:
        write_tags(file, kind, tags)
    except Untaggable as error:
        print(error, flush=True)


if __name__ == "__main__":
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name of a file may be no UTF-8
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()))
