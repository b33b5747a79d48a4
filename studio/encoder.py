"""Turns what a generator wrote into tracks: python -m studio.encoder SOURCE TARGET.

Every audio file of SOURCE becomes NAME.wav and NAME.mp3 in TARGET, and TARGET/tracks.json lists them. It runs as a
process of its own, so that a file that crashes the decoder crashes nothing else. Ends with 1 and a sentence when
there is no audio, or when a file cannot be decoded.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from storage import safe_name, sha256

AUDIO = {".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff"}
MP3_RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}  # Hz
MP3_192_KBIT = 0.444  # libsndfile's compression_level for 192 kbit/s
FRAMES = 65_536


def main(source: Path, target: Path) -> None:
    """Encode every audio file of a folder."""
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in AUDIO and path.is_file())
    if not found:
        sys.exit("the generator wrote no audio file into its output folder")
    tracks = [encode(path, target, number, len(found)) for number, path in enumerate(found)]
    (target / "tracks.json").write_text(json.dumps(tracks))


def encode(path: Path, target: Path, number: int, count: int) -> dict[str, Any]:
    """One track as WAV and MP3: names, true duration in seconds, sizes in bytes and digests."""
    name = f"{safe_name(path.stem)}-{number + 1}" if count > 1 else safe_name(path.stem)
    wav, mp3 = target / f"{name}.wav", target / f"{name}.mp3"
    try:
        with soundfile.SoundFile(path) as sound:
            frames = write(sound, wav if path.suffix.lower() != ".wav" else None, mp3, (number, count))
            rate = sound.samplerate
    except soundfile.LibsndfileError as error:
        sys.exit(f"{path.name} is not audio that can be decoded ({error.error_string.strip(' .')})")
    if frames == 0:
        sys.exit(f"{path.name} has no sound in it")
    if not wav.exists():
        path.replace(wav)
    files = {kind: {"name": file.name, "bytes": file.stat().st_size, "sha256": sha256(file)}
             for kind, file in (("wav", wav), ("mp3", mp3)) if file.exists()}  # fmt: skip
    return {"title": path.stem, "duration": frames / rate, "files": files}


def write(sound: soundfile.SoundFile, wav: Path | None, mp3: Path, place: tuple[int, int]) -> int:
    """Decode to the end, writing an MP3 (and a WAV) on the way; the frames there really were."""
    done, (number, count) = 0, place
    outputs = []
    if wav is not None:
        outputs.append(soundfile.SoundFile(wav, "w", sound.samplerate, sound.channels, "PCM_16"))
    if sound.samplerate in MP3_RATES:
        settings: Any = {"bitrate_mode": "CONSTANT", "compression_level": MP3_192_KBIT}
        channels = min(2, sound.channels)
        outputs.append(soundfile.SoundFile(mp3, "w", sound.samplerate, channels, "MPEG_LAYER_III", **settings))
    try:
        for block in sound.blocks(FRAMES, dtype="float32", always_2d=True):
            for output in outputs:
                output.write(fitting(block, output.channels))
            done += len(block)
            share = (number + min(1.0, done / max(1, sound.frames))) / count
            print(f"encoding {round(100 * share)}%", flush=True)
    finally:
        for output in outputs:
            output.close()
    return done


def fitting(block: NDArray[Any], channels: int) -> NDArray[np.float32]:
    """Samples an encoder can take: finite, within -1 to 1, mixed down to so many channels; (frames, channels)."""
    clean: NDArray[np.float32] = np.clip(np.nan_to_num(block, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)
    if block.shape[1] == channels:
        return clean
    mixed = np.stack([clean[:, side::channels].mean(axis=1) for side in range(channels)], axis=1)
    return mixed.astype(np.float32)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
