"""Loudness by ITU-R BS.1770-4: the coefficients of the standard, the signals of EBU Tech 3341, and odd sound."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from files.loudness import LoudnessMeter, high_pass, shelf
from files.sound import encode, waveform
from tests.sounds import noise

Signal = np.ndarray

# Signals of EBU Tech 3341, table 1: (dBFS of the sine, seconds) one after another, and their loudness in LUFS.
CASES = {
    "1": ([(-23, 20)], -23.0),
    "2": ([(-33, 20)], -33.0),
    "3": ([(-36, 10), (-23, 60), (-36, 10)], -23.0),
    "4": ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23.0),
    "5": ([(-26, 20), (-20, 20.1), (-26, 20)], -23.0),
}


def sine(level: float, seconds: float, rate: int = 48000, channels: int = 2) -> Signal:
    """A sine of 1 kHz; level is its peak in dBFS."""
    samples = 10 ** (level / 20) * np.sin(2 * np.pi * 1000 * np.arange(round(seconds * rate)) / rate)
    return np.repeat(samples[:, None], channels, axis=1).astype(np.float32)


def measured(signal: Signal, rate: int = 48000, frames: int = 65536) -> float | None:
    """The loudness of a signal that comes in blocks of this many frames."""
    meter = LoudnessMeter(rate, signal.shape[1])
    for start in range(0, len(signal), frames):
        meter.add(signal[start : start + frames])
    return meter.integrated()


def filtered(samples: Signal, rate: int) -> Signal:
    """The samples after the recursive filter of the standard, sample by sample."""
    for numerator, denominator in (shelf(rate), high_pass(rate)):
        result = np.zeros(len(samples) + 2)
        padded = np.concatenate([[0, 0], samples])
        for at in range(2, len(padded)):
            before = denominator[1] * result[at - 1] + denominator[2] * result[at - 2]
            result[at] = numerator @ padded[at - 2 : at + 1][::-1] - before
        samples = result[2:]
    return samples


def test_the_filter_has_the_coefficients_of_the_standard_at_48_khz() -> None:
    high, low = shelf(48000), high_pass(48000)
    assert high[0] == pytest.approx([1.53512485958697, -2.69169618940638, 1.19839281085285], abs=1e-12)
    assert high[1] == pytest.approx([1, -1.69065929318241, 0.73248077421585], abs=1e-12)
    assert low[0] == pytest.approx([1, -2, 1]) and low[1] == pytest.approx([1, -1.99004745483398, 0.99007225036621])


@pytest.mark.parametrize(
    ("case", "rate"), [*((case, 48000) for case in CASES), ("5", 22050), ("5", 44100), ("5", 96000)]
)
def test_the_signals_of_the_ebu_have_their_loudness(case: str, rate: int) -> None:
    parts, loudness = CASES[case]
    signal = np.concatenate([sine(level, seconds, rate) for level, seconds in parts])
    assert measured(signal, rate) == pytest.approx(loudness, abs=0.1)


def test_surround_channels_weigh_more() -> None:
    levels = [-28, -28, -24, -30, -30]  # case 6 of the EBU: left, right, centre, left surround, right surround
    signal = np.concatenate([sine(level, 20, channels=1) for level in levels], axis=1)
    with_bass = np.insert(signal, 3, sine(-1, 20, channels=1)[:, 0], axis=1)  # the standard ignores this channel
    assert measured(signal) == pytest.approx(-23, abs=0.1) and measured(with_bass) == measured(signal)


def test_a_mono_sine_is_as_loud_as_one_channel_of_a_stereo_one() -> None:
    mono, left = sine(-23, 5, channels=1), sine(-23, 5) * np.array([1, 0], np.float32)
    assert measured(mono) == pytest.approx(-26.0, abs=0.1) and measured(mono) == measured(left)


@pytest.mark.parametrize("rate", [4000, 11127, 44100])
def test_the_filter_in_the_frequency_domain_is_the_recursive_one(rate: int) -> None:
    samples = noise(0.605, rate, 1)[:, 0]  # noise of one level: the gates leave out nothing
    step = round(rate / 10)
    powers = (filtered(samples, rate)[: 6 * step] ** 2).reshape(6, step).mean(axis=1)
    blocks = np.convolve(powers, np.ones(4) / 4, "valid")
    assert measured(samples[:, None], rate) == pytest.approx(-0.691 + 10 * np.log10(blocks.mean()), abs=0.006)


@pytest.mark.parametrize("frames", [1, 4410, 65536])
def test_the_size_of_the_blocks_changes_nothing(frames: int) -> None:
    assert measured(noise(1.25, 44100), 44100, frames) == measured(noise(1.25, 44100), 44100, 55125) is not None


@pytest.mark.parametrize("signal", [np.zeros((48000, 2)), sine(-23, 0.39), sine(-75, 5), np.zeros((0, 2))])
def test_silence_and_less_than_400_ms_have_no_loudness(signal: Signal) -> None:
    assert measured(signal.astype(np.float32)) is None


def test_a_meter_can_be_read_before_the_end() -> None:
    meter, signal = LoudnessMeter(48000, 2), np.concatenate([sine(-23, 1.03), sine(-20, 2)])
    meter.add(signal[:49440])
    before = meter.integrated()
    meter.add(signal[49440:])
    assert before == pytest.approx(-23, abs=0.1) and meter.integrated() == measured(signal)


def test_a_wav_and_its_mp3_agree(tmp_path: Path) -> None:
    music = sine(-20, 3, 44100) * np.linspace(0.1, 1, 3 * 44100)[:, None] + noise(3, 44100) / 50
    soundfile.write(tmp_path / "a.wav", music, 44100)
    encode(tmp_path / "a.wav", tmp_path / "a.mp3", "MP3")
    wav, mp3 = (waveform(tmp_path / name)["loudness"] for name in ("a.wav", "a.mp3"))
    assert mp3 == pytest.approx(wav + 20 * np.log10(0.97), abs=0.05)  # LAME writes 97 % of the level at 192 kbit/s
    assert wav == pytest.approx(measured(music, 44100), abs=0.01)


def test_samples_that_are_no_numbers_leave_a_loudness(tmp_path: Path) -> None:
    wild = sine(-23, 2)
    wild[1000], wild[2000], wild[3000] = np.nan, np.inf, -np.inf
    soundfile.write(tmp_path / "a.wav", wild, 48000, subtype="FLOAT")
    assert waveform(tmp_path / "a.wav")["loudness"] == pytest.approx(-23, abs=1)
