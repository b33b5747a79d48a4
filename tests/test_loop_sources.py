"""Loops of unusual sources: short, faded, silent in part, one-sided, all rates and sample formats, hours long."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.pieces import Audio, Band, drums, write_long
from tests.pieces.rhythms import over_drums
from tests.test_looper import sound, watched

MOST_MEMORY = 120  # MB
SHORT_LOOP, LONG_LOOP = 7.5, 120.0  # seconds


def one_bar() -> Audio:
    """One bar of 4 seconds."""
    band = Band(4.0, 44_100, 2, seed=4)
    over_drums(lambda band, index: np.arange(4.0), band, 0)
    return band.sound * np.float32(0.6)


def faded() -> Audio:
    """A fade in and out over the whole length."""
    whole = drums(20)
    return whole * np.hanning(len(whole)).astype(np.float32)[:, None]


def silent_inside() -> Audio:
    """Silence from the 4th to the 16th of 20 seconds."""
    whole = drums(20)
    whole[4 * 44_100 : 16 * 44_100] = 0
    return whole


def one_sided() -> Audio:
    """Nothing on the left."""
    return drums(15) * np.array([0, 1], np.float32)


def offset() -> Audio:
    """A constant on all samples."""
    return drums(15) * np.float32(0.5) + np.float32(0.45)


SOURCES = {
    "3.1 seconds": lambda: drums(3.1),
    "3.9 seconds": lambda: drums(3.9),
    "one bar": one_bar,
    "faded": faded,
    "silent inside": silent_inside,
    "one-sided": one_sided,
    "DC": offset,
}


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES.keys())
def test_an_unusual_source_becomes_a_loop_in_little_memory(make: Callable[[], Audio], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "source.wav", make(), 44_100, subtype="PCM_16")
    check_loop(tmp_path / "source.wav", tmp_path, SHORT_LOOP)


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"),
    [(8_000, 1, "PCM_16"), (16_000, 2, "PCM_U8"), (44_100, 2, "PCM_24"), (96_000, 2, "FLOAT"), (192_000, 2, "PCM_24")],
)
def test_every_rate_and_sample_format_becomes_a_loop(rate: int, channels: int, subtype: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "source.wav", drums(12, rate, channels), rate, subtype=subtype)
    check_loop(tmp_path / "source.wav", tmp_path, SHORT_LOOP)


def test_ten_minutes_become_a_loop_in_little_memory(tmp_path: Path) -> None:
    write_long(tmp_path / "source.wav", 48_000, 10)
    check_loop(tmp_path / "source.wav", tmp_path, LONG_LOOP)


@pytest.mark.soak
def test_two_hours_become_a_loop_in_little_memory(tmp_path: Path) -> None:
    write_long(tmp_path / "source.wav", 44_100, 120)
    check_loop(tmp_path / "source.wav", tmp_path, LONG_LOOP)


def check_loop(source: Path, folder: Path, seconds: float) -> None:
    """Make a loop, and check its length, its sound and the memory of the looper."""
    ended, megabytes = watched(source, folder, seconds)
    assert "Traceback" not in ended.stdout + ended.stderr
    assert ended.returncode == 0, ended.stdout + ended.stderr
    made = sound(folder / "loop.wav")
    assert len(made) == round(seconds * soundfile.info(source).samplerate)
    assert np.isfinite(made).all() and made.std() > 0.001
    assert megabytes <= MOST_MEMORY
