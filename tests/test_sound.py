"""Decoding, encoding, measuring and drawing sound files."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from files import sound
from files.sound import Sink, Source, Unusable, encode, probe, waveform
from tests.conftest import ROOT
from tests.sounds import RATE, noise, wav_bytes


@pytest.mark.parametrize("rate", [6000, 8000, 11127, 22050, 37800, 44100, 88200, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_number_of_channels_becomes_an_mp3_of_exact_length(
    tmp_path: Path, rate: int, channels: int
) -> None:
    frames = rate // 2 + 17
    soundfile.write(tmp_path / "a.wav", noise(1, rate, channels)[:frames], rate)
    encode(tmp_path / "a.wav", tmp_path / "a.mp3", "MP3")
    mp3 = probe(tmp_path / "a.mp3")
    assert mp3["frames"] == round(frames * mp3["rate"] / rate) and mp3["channels"] == min(2, channels)
    assert mp3["rate"] in sound.MP3_RATES and (mp3["rate"] >= rate or mp3["rate"] >= 44100)


def test_samples_that_would_abort_the_encoder_are_made_finite(tmp_path: Path) -> None:
    wild = noise()
    wild[10], wild[20], wild[30], wild[40] = np.nan, np.inf, -np.inf, 3e38
    soundfile.write(tmp_path / "a.wav", wild, RATE, subtype="FLOAT")
    encode(tmp_path / "a.wav", tmp_path / "a.mp3", "MP3")
    with Source(tmp_path / "a.wav") as source:
        block = next(source.blocks())
    assert probe(tmp_path / "a.mp3")["frames"] == RATE
    assert (block[10, 0], block[20, 0], block[30, 0], block[40, 0]) == (0, 1, -1, 1)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
def test_every_width_of_sample_is_the_same_sound(tmp_path: Path, subtype: str) -> None:
    soundfile.write(tmp_path / "a.wav", noise(), RATE, subtype=subtype)
    with Source(tmp_path / "a.wav") as source:
        block = np.concatenate(list(source.blocks()))
    assert source.kind == "wav" and np.abs(block - noise()).max() < 0.02


@pytest.mark.parametrize(("kind_of_file", "kind"), [("FLAC", None), ("OGG", None), ("MP3", "mp3"), ("AIFF", None)])
def test_a_file_is_known_by_its_content_whatever_its_name(tmp_path: Path, kind_of_file: str, kind: str | None) -> None:
    (tmp_path / "a.wav").write_bytes(wav_bytes(1, kind_of_file))
    probed = probe(tmp_path / "a.wav")
    assert (probed["kind"], probed["frames"]) == (kind, RATE)


@pytest.mark.parametrize("kind_of_file", ["WAV", "MP3", "FLAC"])
def test_a_truncated_file_has_what_is_there(tmp_path: Path, kind_of_file: str) -> None:
    whole = wav_bytes(20, kind_of_file)
    (tmp_path / "a.wav").write_bytes(whole[: len(whole) // 2])
    assert 0.2 < probe(tmp_path / "a.wav")["duration"] / 20 < 0.6


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty: it has 0 bytes"),
        (wav_bytes()[:44], "has no sound in it"),
        (b"hello, this is text " * 99, "is not audio that can be decoded"),
        (wav_bytes()[:20], "is not audio that can be decoded"),
        (os.urandom(9999), "a.wav "),
    ],
)
def test_what_is_no_sound_is_refused_in_a_sentence(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    for verb in (probe, waveform):
        with pytest.raises(Unusable, match=why):
            verb(tmp_path / "a.wav")


def test_a_long_wav_says_how_long_it_is(tmp_path: Path) -> None:
    with Sink(tmp_path / "a.wav", 44100, 6, "WAV", frames=6 * 3600 * 44100) as sink:
        sink.write(noise(0.1, 44100, 6))
    assert soundfile.info(tmp_path / "a.wav").format == "RF64" and probe(tmp_path / "a.wav")["frames"] == 4410


def test_peaks_are_the_extremes_of_each_stretch(tmp_path: Path) -> None:
    quiet = np.zeros((RATE * 4, 2), np.float32)
    quiet[RATE, 0], quiet[RATE * 3, 1] = 0.75, -0.5
    soundfile.write(tmp_path / "a.wav", quiet, RATE, subtype="FLOAT")
    drawn = waveform(tmp_path / "a.wav")
    lows, highs = np.array(drawn["peaks"]).T
    assert drawn["duration"] == 4 and len(lows) == 125 and highs.max() == 0.75 and lows.min() == -0.5
    assert highs.argmax() == 31 and lows.argmin() == 93


def test_a_wrong_command_line_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "files.sound", "sing", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1 and "usage:" in ended.stderr
