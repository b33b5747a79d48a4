"""The process that makes the sound around a seam: the same samples as in the loop, and no more work than needed."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile

from files.sound import Source
from studio.looper import preview
from studio.looper.arrangement import play
from studio.looper.pcm import decode
from studio.looper.seams import Seam
from tests.conftest import ROOT
from tests.sounds import RATE, noise, wav_bytes

pytestmark = pytest.mark.measured


def made_by_process(source: Path, target: Path, start: float, end: float, crossfade: float) -> Any:
    """Run the process that makes the sound around a seam."""
    options = [f"--start={start!r}", f"--end={end!r}", f"--crossfade={crossfade!r}"]
    command = [sys.executable, "-m", "studio.looper.preview", *options, str(source), str(target)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("start", "end", "crossfade", "before", "after"),
    [
        (5.0, 15.0, 0.03, 3, 3),
        (1.0, 2.5, 0.75, 2.5, 0.75),
        (12.0, 20.0, 1.0, 3, 3),
        (0.0, 5.0, 0.0, 3, 3),
        (0.1, 9.0, 0.1, 3, 3),
    ],
)
@pytest.mark.parametrize("kind_of_file", ["WAV", "MP3"])
def test_a_preview_is_the_sound_of_the_loop_at_its_seam(
    tmp_path: Path, kind_of_file: str, start: float, end: float, crossfade: float, before: float, after: float
) -> None:
    source = tmp_path / "song"
    source.write_bytes(wav_bytes(20.2, kind_of_file))
    assert made_by_process(source, tmp_path / "seam.wav", start, end, crossfade).returncode == 0
    heard, rate = soundfile.read(tmp_path / "seam.wav", dtype="float32")
    with Source(source) as opened, decode(opened, tmp_path / "pcm", "song", lambda share: None) as pcm:
        seam = Seam(round(start * rate), round(end * rate), round(crossfade * rate), 0.0)
        looped = np.concatenate(list(play(pcm, seam, seam.end + round(after * rate))))
    assert len(heard) == round((before + after) * rate)
    assert np.abs(heard - looped[-len(heard) :]).max() <= 1 / 32768


def test_a_seam_after_the_end_of_the_sound_says_so(tmp_path: Path) -> None:
    (tmp_path / "song.wav").write_bytes(wav_bytes(4))
    made = made_by_process(tmp_path / "song.wav", tmp_path / "seam.wav", 1.0, 9.0, 0.03)
    assert made.returncode == 3 and made.stderr == "song.wav ends before the seam at 9 seconds\n"


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM"])
def test_a_wav_that_is_read_in_part_has_the_same_samples_as_when_it_is_decoded(tmp_path: Path, subtype: str) -> None:
    soundfile.write(tmp_path / "song.wav", noise(5) * 4, RATE, subtype)
    stretches = [(100, 9000), (20_001, 30_000), (39_000, 50_000), (60_000, 70_000)]
    with Source(tmp_path / "song.wav") as source:
        assert source.is_seekable == (subtype not in ("ULAW", "IMA_ADPCM"))
        parts = preview.read(source, stretches)
    with Source(tmp_path / "song.wav") as source:
        whole = [preview.rounded(part) for part in preview.decode(source, stretches)]
    assert [len(part) for part in (*parts[:2], parts[3])] == [8900, 9999, 0]
    assert all(np.array_equal(part, other) for part, other in zip(parts, whole, strict=True))


def test_a_preview_reads_only_the_frames_of_a_wav_that_it_needs(tmp_path: Path) -> None:
    with soundfile.SoundFile(tmp_path / "song.wav", "w", RATE, 2, "PCM_16") as song:
        song.write(np.zeros((600 * RATE, 2), np.float32))
        song.write(noise(20))
    with Source(tmp_path / "song.wav") as source:
        before = psutil.Process().io_counters().read_chars
        assert len(preview.around_seam(source, 601.0, 615.0, 0.03)) == 6 * RATE
        assert psutil.Process().io_counters().read_chars - before < 1_000_000


@pytest.mark.parametrize(
    ("start", "end", "crossfade"), [(5.0, 15.0, 3.01), (1.0, 9.0, 2.0), (5.0, 6.0, 2.0), (5.0, 9.0, -1.0)]
)
def test_a_preview_refuses_a_crossfade_without_room_or_of_more_than_three_seconds(
    tmp_path: Path, start: float, end: float, crossfade: float
) -> None:
    (tmp_path / "song.wav").write_bytes(wav_bytes(20))
    made = made_by_process(tmp_path / "song.wav", tmp_path / "seam.wav", start, end, crossfade)
    assert made.returncode == 3 and made.stderr.startswith(f"a crossfade of {crossfade:g} seconds has no room")
