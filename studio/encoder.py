"""Encodes the files of a generator as tracks: python -m studio.encoder SOURCE TARGET.

Every audio file of SOURCE becomes NAME.wav and NAME.mp3 in TARGET, and TARGET/tracks.json lists them. It runs as a
process of its own, so that a file that crashes the decoder crashes only this process. If there is no audio, or if a
file cannot be decoded, it prints a sentence and ends with code 1.
"""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from files.sound import Sink, Source, Unusable
from files.storage import safe_name, sha256

AUDIO = {".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff"}


def main(source: Path, target: Path) -> None:
    """Encode every audio file of a folder."""
    sources = sorted(path for path in source.rglob("*") if path.suffix.lower() in AUDIO and path.is_file())
    if not sources:
        sys.exit("the generator wrote no audio file into its output folder")
    tracks = [encode(path, target, number, len(sources)) for number, path in enumerate(sources)]
    (target / "tracks.json").write_text(json.dumps(tracks))


def encode(path: Path, target: Path, number: int, count: int) -> dict[str, Any]:
    """Encode one track as WAV and MP3. Returns names, real duration in seconds, sizes in bytes and digests."""
    name = f"{safe_name(path.stem)}-{number + 1}" if count > 1 else safe_name(path.stem)
    wav, mp3 = target / f"{name}.wav", target / f"{name}.mp3"
    try:
        duration = write(path, wav, mp3, (number, count))
    except Unusable as error:
        sys.exit(str(error))
    if not wav.exists():
        path.replace(wav)
    files = {kind: {"name": file.name, "bytes": file.stat().st_size, "sha256": sha256(file)}
             for kind, file in (("wav", wav), ("mp3", mp3))}  # fmt: skip
    return {"title": path.stem, "duration": duration, "files": files}


def write(path: Path, wav: Path, mp3: Path, place: tuple[int, int]) -> float:
    """Decode a file and write it as MP3; unless it is a WAV, also as WAV. Returns its real duration in seconds."""
    frames, (number, count) = 0, place
    with Source(path) as source, ExitStack() as open_files:
        kinds = [Sink(mp3, source.rate, source.channels, "MP3")]
        if source.kind != "wav":
            kinds.append(Sink(wav, source.rate, source.channels, "WAV", source.expected))
        sinks = [open_files.enter_context(sink) for sink in kinds]
        for block in source.blocks():
            for sink in sinks:
                sink.write(block)
            frames += len(block)
            share = (number + min(1.0, frames / max(1, source.expected))) / count
            print(f"encoding {round(100 * share)}%", flush=True)
        return frames / float(source.rate)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
