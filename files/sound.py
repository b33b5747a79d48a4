"""Sound files: decodes, encodes and measures them, and computes their waveforms and loudness.

`python -m files.sound VERB FILE [TARGET]`: `probe FILE` prints what the file contains, `wav` and `mp3 FILE TARGET`
encode it, `waveform FILE TARGET` writes its waveform and its loudness. This module runs as a subprocess of the web
process, because the web process must not load numpy, and because a file that crashes a decoder then crashes only the
subprocess. For a file that is not audio, the exit code is 3, and standard error has the reason. libsndfile (soundfile)
reads and writes the files.
Arrays have the shape (frames, channels).
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from files.child import die_with_parent, use_remembered_cores
from files.loudness import LoudnessMeter

Block = NDArray[np.float32]
Kind = Literal["WAV", "MP3"]

FRAMES = 65_536
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # Hz
MP3_192_KBIT = 0.444  # libsndfile's compression_level for 192 kbit/s
WAV_BYTES = 4_000_000_000  # the header of a WAV cannot hold a greater length; the header of RF64 can
KINDS = {"WAV": "wav", "WAVEX": "wav", "RF64": "wav", "MP3": "mp3"}  # the kind of each format name of libsndfile
MORE_THAN_16_BITS = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE")
FLAC_CHANNELS = 8
SEEKABLE = ("PCM_", "FLOAT", "DOUBLE")  # how libsndfile names sound in a WAV that is not compressed
PEAK_FRAMES = 256
POINTS = 2000
RATES = (4000, 768_000)  # Hz
CHANNELS = 32
UNUSABLE = 3


class Unusable(Exception):
    """The file cannot be used as sound. The sentence has the reason."""


class Source:
    """A sound file to decode: its content decides the format, not its name. A context manager. Raises Unusable.

    rate: in Hz. channels: their number. kind: wav, mp3 or None for another format. expected: the number of frames that
    the header says, which may be wrong. bits: 16 or 24, in which the samples have room. is_seekable: True if read() can
    be called, as for a WAV that is not compressed.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        if path.stat().st_size == 0:
            raise Unusable(f"{self.name} is empty: it has 0 bytes")
        self._file = path.open("rb")
        try:
            self._sound = soundfile.SoundFile(self._file)  # a path would let soundfile guess the format from the suffix
        except soundfile.LibsndfileError as error:
            self._file.close()
            raise self._undecodable(error) from None
        self.rate, self.channels, self.expected = self._sound.samplerate, self._sound.channels, self._sound.frames
        self.kind = KINDS.get(self._sound.format)
        self.bits = 24 if self._sound.subtype in MORE_THAN_16_BITS else 16
        self.is_seekable = self.kind == "wav" and self._sound.subtype.startswith(SEEKABLE)
        if not RATES[0] <= self.rate <= RATES[1] or self.channels > CHANNELS:
            self.__exit__()
            raise Unusable(
                f"{self.name} has {self.channels} channels at {self.rate} Hz: up to {CHANNELS} channels "
                f"at {RATES[0]} to {RATES[1]} Hz are taken"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._sound.close()
        self._file.close()

    def blocks(self, frames: int = FRAMES) -> Iterator[Block]:
        """The sound in order, as blocks of finite samples from -1 to 1.

        Blocks of more than two channels have fewer frames, and the last block may be shorter. The sound ends where the
        file is damaged. Raises Unusable if there is no sound at all.
        """
        decoded, frames = 0, max(1, frames // max(1, self.channels // 2))
        while True:
            try:
                block = self._sound.read(frames, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                if not decoded:
                    raise self._undecodable(error) from None
                return
            if not len(block):
                break
            decoded += len(block)
            yield finite(block)
        if not decoded:
            raise Unusable(f"{self.name} has no sound in it: it decodes to 0 samples")

    def read(self, start: int, stop: int) -> Block:
        """The frames from start to stop of a seekable source, as blocks() has them; fewer if the sound ends earlier.

        The time does not depend on start. Raises Unusable.
        """
        first, last = (max(0, min(frame, self.expected)) for frame in (start, stop))
        try:
            self._sound.seek(first)
            return finite(self._sound.read(last - first, dtype="float32", always_2d=True))
        except soundfile.LibsndfileError as error:
            raise self._undecodable(error) from None

    def _undecodable(self, error: soundfile.LibsndfileError) -> Unusable:
        why = str(error.error_string).strip(" .")
        return Unusable(f"{self.name} is not audio that can be decoded ({why})")


class Sink:
    """A sound file to write: WAV (16 bit) or MP3 (192 kbit/s). A context manager.

    write() takes blocks of this rate and this number of channels. An MP3 has at most two channels and one of MP3_RATES,
    so other sound is mixed and resampled, to exactly round(frames * new rate / rate) samples. The attributes rate and
    channels say what the file has.
    """

    def __init__(self, path: Path, rate: int, channels: int, kind: Kind, frames: int = 0) -> None:
        self.rate, self.channels = rate, channels
        self._taken, self._written, self._from, self._resampler = 0, 0, rate, None
        settings: dict[str, Any] = {
            "format": "RF64" if frames * channels * 2 > WAV_BYTES else "WAV",
            "subtype": "PCM_16",
        }
        if kind == "MP3":
            self.rate, self.channels = mp3_rate(rate), min(2, channels)
            settings = {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": MP3_192_KBIT}
        self._resampler = _resampler(rate, self.rate, self.channels) if self.rate != rate else None
        self._sound = soundfile.SoundFile(path, "w", self.rate, self.channels, **settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if self._resampler is not None and error[0] is None:
                self._end_exactly(self._resampler)
        finally:
            self._sound.close()

    def write(self, block: NDArray[Any]) -> None:
        """Append a block of samples, (frames, channels)."""
        samples = mixed(finite(block), self.channels)
        self._taken += len(samples)
        if self._resampler is not None:
            samples = finite(self._resampler.resample_chunk(samples))
        self._put(samples)

    def _end_exactly(self, resampler: Any) -> None:
        rest = finite(resampler.resample_chunk(np.zeros((0, self.channels), np.float32), last=True))
        missing = round(self._taken * self.rate / self._from) - self._written
        self._put(rest[: max(0, missing)])
        self._put(np.zeros((max(0, missing - len(rest)), self.channels), np.float32))

    def _put(self, block: Block) -> None:
        self._sound.write(block)
        self._written += len(block)


def finite(block: NDArray[Any]) -> Block:
    """The samples clipped to -1 to 1, with 0 for NaN. Other values would abort the MP3 encoder and its process."""
    clean: Block = np.clip(np.nan_to_num(block, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)
    return clean


def mixed(block: Block, channels: int) -> Block:
    """The sound in at most this number of channels: channel n of the result is the mean of n, n + channels, …"""
    if block.shape[1] <= channels:
        return block
    return np.stack([block[:, side::channels].mean(axis=1) for side in range(channels)], axis=1)


def mp3_rate(rate: int) -> int:
    """The sample rate (Hz) of an MP3 of this sound: the same if MP3 allows it, else the next higher, at most 48 kHz."""
    if rate > MP3_RATES[-1]:
        return 44100 if rate % 44100 == 0 else MP3_RATES[-1]
    return next(higher for higher in MP3_RATES if higher >= rate)


def encode(path: Path, target: Path, kind: Kind) -> float:
    """Decode a file and encode it into another. Returns its real duration in seconds. Raises Unusable."""
    frames = 0
    with Source(path) as source, Sink(target, source.rate, source.channels, kind, source.expected) as sink:
        for block in source.blocks():
            sink.write(block)
            frames += len(block)
        return frames / float(source.rate)


def encode_flac(path: Path, target: Path) -> None:
    """Decode a file and encode it as FLAC, of 24 bits if its samples have more than 16. Raises Unusable.

    Samples of up to 24 bits stay as they are. Sound of more than eight channels is mixed.
    """
    with Source(path) as source:
        channels, subtype = min(FLAC_CHANNELS, source.channels), f"PCM_{source.bits}"
        with soundfile.SoundFile(target, "w", source.rate, channels, subtype, format="FLAC") as flac:
            for block in source.blocks():
                flac.write(whole_numbers(mixed(block, channels), source.bits))


def whole_numbers(block: Block, bits: int) -> NDArray[np.int32]:
    """Samples from -1 to 1 as whole numbers, in the highest bits of int32.

    libsndfile reads samples as parts of 2**(bits - 1), but writes them as parts of one less.
    """
    most = 2 ** (bits - 1)
    whole = np.clip(np.rint(block.astype(np.float64) * most), -most, most - 1)
    numbers: NDArray[np.int32] = (whole * 2 ** (32 - bits)).astype(np.int32)
    return numbers


def probe(path: Path) -> dict[str, Any]:
    """Decode a file to learn what it really contains, because headers may be wrong.

    Returns duration in seconds, frames, rate in Hz, channels, and kind (wav, mp3 or None for another). Raises Unusable.
    """
    with Source(path) as source:
        frames = sum(len(block) for block in source.blocks())
        shape = {"frames": frames, "rate": source.rate, "channels": source.channels}
        return {"duration": frames / source.rate, **shape, "kind": source.kind}


def waveform(path: Path) -> dict[str, Any]:
    """The waveform of a file: its duration in seconds, its peaks, and its loudness in LUFS.

    The peaks are up to POINTS pairs [lowest, highest] of samples from -1 to 1, over all channels. The loudness is None
    for silence, and for less than 400 ms. Raises Unusable.
    """
    with Source(path) as source:
        meter = LoudnessMeter(source.rate, source.channels)
        lows, highs, frames = [], [], 0
        for block in source.blocks(PEAK_FRAMES * 256):
            samples, starts = block.ravel(), np.arange(0, block.size, PEAK_FRAMES * source.channels)
            lows.append(np.minimum.reduceat(samples, starts))
            highs.append(np.maximum.reduceat(samples, starts))
            meter.add(block)
            frames += len(block)
    low, high = np.concatenate(lows), np.concatenate(highs)
    starts = np.unique(np.linspace(0, len(low), min(POINTS, len(low)), endpoint=False).astype(int))
    pairs = np.stack([np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)], axis=1)
    return {"duration": frames / source.rate, "loudness": meter.integrated(), "peaks": np.round(pairs, 3).tolist()}


def main(verb: str, path: Path, target: Path | None = None) -> None:
    """Run one verb of the command line."""
    try:
        if verb == "probe":
            print(json.dumps(probe(path)))
        elif target is not None and verb in ("wav", "mp3"):
            encode(path, target, "WAV" if verb == "wav" else "MP3")
        elif target is not None and verb == "waveform":
            target.write_text(json.dumps(waveform(path)))
        else:
            sys.exit(
                "usage: python -m files.sound probe FILE | wav FILE TARGET | mp3 FILE TARGET | waveform FILE TARGET"
            )
    except Unusable as error:
        print(error, file=sys.stderr)
        sys.exit(UNUSABLE)


def _resampler(rate: int, new_rate: int, channels: int) -> Any:
    import soxr  # imported here, because few files need it

    return soxr.ResampleStream(rate, new_rate, channels, dtype="float32")


def become_subprocess() -> None:
    """End with the web process, run at a low priority, and use all cores: the web process itself runs on one core."""
    die_with_parent()
    use_remembered_cores()
    os.nice(5)


if __name__ == "__main__":
    become_subprocess()
    main(sys.argv[1], *map(Path, sys.argv[2:]))
