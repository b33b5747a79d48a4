"""Where the file of a loop says that it repeats: read back by struct, libsndfile, mutagen, and ffprobe where it is."""

import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from mutagen.mp3 import MP3

from files.riff import add_chunks, is_exact
from studio.looper.marks import Marks, mark
from tests.pieces.songs import ambient, short, steady
from tests.sounds import wav_bytes
from tests.test_rounds import made

GET_INSTRUMENT, GET_LOOP_INFO = 0x10D0, 0x10E0  # commands of libsndfile
BARS = ["--bars", "4", "--no-intro"]


def chunks(path: Path) -> dict[bytes, bytes]:
    """The chunks of a WAV, content by name."""
    data, place, there = path.read_bytes(), 12, {}
    assert data[:4] == b"RIFF" and int.from_bytes(data[4:8], "little") == len(data) - 8
    while place < len(data):
        name, length = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        there[name] = data[place + 8 : place + 8 + length]
        place += 8 + length + length % 2
    return there


def by_libsndfile(path: Path, command: int, size: int) -> bytes:
    """What libsndfile answers to a command."""
    with soundfile.SoundFile(path) as file:
        answer = soundfile._ffi.new("char[]", size)
        assert soundfile._snd.sf_command(file._file, command, answer, size) == 1
        return bytes(soundfile._ffi.buffer(answer))


@pytest.mark.parametrize("options", [BARS, ["--duration", "60"], ["--duration", "61", "--fade"]], ids=str)
def test_a_wav_says_where_it_repeats(options: list[str], tmp_path: Path) -> None:
    analysis, file = made(steady(), tmp_path, *options)
    path = tmp_path / "loop.wav"
    sampler = struct.unpack("<9I6I", chunks(path)[b"smpl"])
    assert sampler[2] == round(1e9 / 44_100) and sampler[7] == 1
    identity, kind, start, last, fraction, count = sampler[9:]
    assert (identity, kind, fraction, count) == (0, 0, 0, 0)
    assert (start, last + 1) == (analysis["loop_start_frame"], analysis["loop_end_frame"])
    assert start / 44_100 == analysis["loop_start"] and (last + 1) / 44_100 == analysis["loop_end"]
    assert is_exact(path) and len(file) == analysis["frames"]
    # gain, key, detune, velocities and keys, number of loops; then for each: mode, start, end, count.
    instrument = struct.unpack("<i6b2xi4I", by_libsndfile(path, GET_INSTRUMENT, 12 + 4 + 16 * 16)[:32])
    assert instrument[7] == 1 and instrument[9:11] == (start, last + 1)


def test_a_wav_that_repeats_as_a_whole_tells_acid_its_beats(tmp_path: Path) -> None:
    made(steady(), tmp_path, *BARS)
    path = tmp_path / "loop.wav"
    kind, _, _, _, beats, denominator, numerator, tempo = struct.unpack("<IHHfIHHf", chunks(path)[b"acid"])
    assert (kind, beats, denominator, numerator) == (4, 16, 4, 4) and tempo == pytest.approx(120, abs=0.01)
    info = struct.unpack("<2h2i1f1i6i", by_libsndfile(path, GET_LOOP_INFO, 44))
    assert (info[0], info[1], info[3]) == (4, 4, 16) and info[4] == pytest.approx(120, abs=0.01)


def test_a_wav_with_an_intro_is_no_loop_for_acid_but_has_a_tempo(tmp_path: Path) -> None:
    analysis, _ = made(steady(), tmp_path, "--duration", "60")
    kind, *_, beats, _, _, tempo = struct.unpack("<IHHfIHHf", chunks(tmp_path / "loop.wav")[b"acid"])
    assert (kind, beats) == (1, 120) and tempo == pytest.approx(analysis["tempo"], abs=0.01)


def test_a_wav_without_beats_or_without_a_round_has_no_such_chunk(tmp_path: Path) -> None:
    made(ambient(), tmp_path, "--duration", "30")
    assert b"smpl" in chunks(tmp_path / "loop.wav") and b"acid" not in chunks(tmp_path / "loop.wav")
    made(steady(), tmp_path, "--duration", "7.9", "--start", "8.05", "--end", "16.05", "--exact")
    assert b"smpl" not in chunks(tmp_path / "loop.wav")


@pytest.mark.parametrize("size", [6, 7])
def test_chunks_of_any_size_leave_the_lengths_right_and_the_sound_as_it_was(size: int, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((9, 1)), 8000, "PCM_U8")  # an odd number of bytes
    before = soundfile.read(path)[0]
    add_chunks(path, {b"one ": b"x" * size, b"two ": b"y" * size})
    assert is_exact(path) and np.array_equal(soundfile.read(path)[0], before)
    assert (chunks(path)[b"one "], chunks(path)[b"two "]) == (b"x" * size, b"y" * size)


def test_a_wav_of_more_than_4_gb_gets_no_chunks(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(100), 8000, "PCM_16", format="RF64")
    before = path.read_bytes()
    mark(path, "WAV", Marks(100, 8000, (0, 100), 120.0, 4))
    assert path.read_bytes() == before


# --- MP3


def tags(path: Path) -> dict[str, Any]:
    """The comments and the user's texts of an MP3, by their names."""
    sound = MP3(path)
    assert sound.tags is not None
    return {frame.desc: frame.text[0] for kind in ("COMM", "TXXX") for frame in sound.tags.getall(kind)}


@pytest.mark.parametrize("piece", [steady, short])
@pytest.mark.parametrize("options", [BARS, ["--duration", "30"]], ids=str)
def test_an_mp3_that_is_cut_by_its_tags_has_exactly_the_frames_of_the_wav(
    piece: Any, options: list[str], tmp_path: Path
) -> None:
    wav_analysis, wav = made(piece(), tmp_path, *options)
    analysis, decoded = made(piece(), tmp_path, *options, kind="MP3")
    there = tags(tmp_path / "loop.mp3")
    start, length = int(there["LOOPSTART"]), int(there["LOOPLENGTH"])
    assert (start, start + length) == (wav_analysis["loop_start_frame"], wav_analysis["loop_end_frame"])
    assert len(decoded) == len(wav) == analysis["frames"]
    cut, original = decoded[start : start + length, 0], wav[start : start + length, 0]
    spectrum = np.fft.irfft(np.fft.rfft(cut) * np.conj(np.fft.rfft(original)))
    assert spectrum.argmax() == 0 and np.corrcoef(cut, original)[0, 1] > 0.95


@pytest.mark.parametrize("piece", [steady, short])
def test_an_mp3_says_how_many_samples_to_skip(piece: Any, tmp_path: Path) -> None:
    analysis, _ = made(piece(), tmp_path, *BARS, kind="MP3")
    zero, delay, padding, frames, *rest = (int(word, 16) for word in tags(tmp_path / "loop.mp3")["iTunSMPB"].split())
    a_frame = 1152 if analysis["rate"] >= 32_000 else 576
    assert (zero, frames, rest) == (0, analysis["frames"], [0] * 8)
    assert (delay + frames + padding) % a_frame == 0 and delay == 576
    assert MP3(tmp_path / "loop.mp3").info.length == pytest.approx(frames / analysis["rate"], abs=0.001)


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="there is no ffprobe")
def test_ffprobe_reads_the_tags_and_skips_the_silence_in_front(tmp_path: Path) -> None:
    analysis, _ = made(steady(), tmp_path, *BARS, kind="MP3")
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", str(tmp_path / "loop.mp3")]
    shown = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert int(shown["format"]["tags"]["LOOPLENGTH"]) == analysis["frames"]
    assert float(shown["streams"][0]["start_time"]) == pytest.approx((576 + 529) / 44_100, abs=1e-5)


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100])
def test_an_mp3_without_a_xing_header_gets_no_word_about_silence(rate: int, tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(wav_bytes(2, "MP3", rate).replace(b"Info", b"None").replace(b"Xing", b"None"))
    mark(path, "MP3", Marks(2 * rate, rate, (0, rate), None, None))
    assert set(tags(path)) == {"LOOPSTART", "LOOPLENGTH"}
