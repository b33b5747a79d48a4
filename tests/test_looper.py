"""Loops of generated pieces: nothing to hear at the seam, exact lengths, every kind of source, bounded memory."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from files.sound import Source
from studio.looper.beats import grid
from studio.looper.features import extract
from studio.looper.pcm import decode
from studio.looper.repeats import Repeat, find_cuts
from studio.looper.seams import cut
from tests.listening import Audio, Join, beat_error, dip, flux_ratio, step, usual_step
from tests.pieces import EVEN, RHYTHMIC, Piece, noise, short, wandering
from tests.service import UNMEASURED

ROOT = Path(__file__).parent.parent
WATCHED = """
import runpy
try:
    runpy.run_module("studio.looper", run_name="__main__")
finally:
    print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def run(source: Path, folder: Path, duration: float, kind: str = "WAV", *more: str) -> subprocess.CompletedProcess[str]:
    """Run the looper as its worker does; the file is FOLDER/loop.wav or .mp3."""
    command = [sys.executable, "-m", "studio.looper", str(source), str(folder), "--duration", str(duration)]
    whole = [*command, "--format", kind, *more]
    return subprocess.run(whole, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)


def watched(source: Path, folder: Path, duration: float) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run the looper for a WAV; (the process with its output, its peak memory in MB)."""
    options = [str(source), str(folder), "--duration", str(duration), "--format", "WAV"]
    command = [sys.executable, "-c", WATCHED, *options]
    environment = os.environ | UNMEASURED
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    return ended, int(re.findall(r"VmHWM:\s+(\d+)", ended.stdout)[0]) / 1024


def looped(piece: Piece, folder: Path, seconds: float, *more: str) -> tuple[dict[str, Any], Audio]:
    """The analysis and the samples of a WAV loop of a piece."""
    ended = run(piece.save(folder), folder, seconds, "WAV", *more)
    assert ended.returncode == 0, ended.stdout
    return json.loads((folder / "analysis.json").read_text()), sound(folder / "loop.wav")


def sound(path: Path) -> Audio:
    """The samples of a file, (frames, channels)."""
    return np.asarray(soundfile.read(path, dtype="float32", always_2d=True)[0])


def join(piece: Piece, analysis: dict[str, Any], made: Audio) -> Join:
    """What there is to measure at the first seam."""
    start, end, crossfade = (round(analysis[name] * piece.rate) for name in ("start", "end", "crossfade"))
    return Join(piece.sound, made, piece.rate, start, end, crossfade)


@pytest.mark.parametrize("make", [*RHYTHMIC, *EVEN])
def test_there_is_nothing_to_hear_at_the_seam(make: Callable[[], Piece], tmp_path: Path) -> None:
    piece = make()
    analysis, made = looped(piece, tmp_path, 60)
    seam = join(piece, analysis, made)
    assert len(made) == 60 * piece.rate == analysis["frames"]
    assert step(seam) <= usual_step(seam)
    assert flux_ratio(seam) <= 1.05
    assert dip(seam) >= -4
    if piece.beats is not None:
        assert beat_error(piece.beats, analysis["start"], analysis["end"]) <= 0.001
        assert abs(analysis["tempo"] * np.diff(piece.beats).mean() / 60 - 1) < 0.005
        assert analysis["beats"] % 4 == 0
        assert 0.0299 <= analysis["crossfade"] <= 0.1501
    else:
        assert analysis["tempo"] is None and analysis["beats"] is None
        assert 0.25 <= analysis["crossfade"] <= 1


def test_a_loop_is_the_recording_itself_again_and_again(tmp_path: Path) -> None:
    piece = short()
    analysis, made = looped(piece, tmp_path, 31.7)
    seam, original = join(piece, analysis, made), sound(tmp_path / "short.wav")
    opening, body = seam.end - seam.crossfade, seam.length - seam.crossfade
    assert np.array_equal(made[:opening], original[:opening])
    assert np.array_equal(made[seam.end : seam.end + body], original[seam.start : seam.start + body])
    rounds = made[opening:][: 2 * seam.length].reshape(2, seam.length, -1)
    assert np.array_equal(rounds[0], rounds[1])


def test_silence_and_fades_are_no_part_of_the_body(tmp_path: Path) -> None:
    whole = noise().sound[:, 0]
    gains = np.concatenate(
        [np.zeros(220_500), np.ones(220_500), np.linspace(1, 0, 441_000) ** 2]
    )  # 5, 5 and 10 seconds
    source = Piece("faded", 44_100, (whole * gains)[:, None].astype(np.float32)).save(tmp_path)
    with Source(source) as opened, decode(opened, tmp_path / "pcm", "faded", lambda share: None) as pcm:
        features = extract(pcm, lambda share: None)
    cuts = find_cuts(features, grid(features))
    inside = cuts.times[cuts.in_body]
    assert inside[0] == pytest.approx(5, abs=0.5)
    assert inside[-1] == pytest.approx(14.04, abs=0.5)  # where the fade has come to -9 dB


@pytest.mark.parametrize(("kind", "seconds"), [("WAV", 1), ("WAV", 43.21987), ("MP3", 1), ("MP3", 43.21987)])
def test_a_loop_has_exactly_as_many_samples_as_requested(kind: str, seconds: float, tmp_path: Path) -> None:
    piece = short()
    ended = run(piece.save(tmp_path), tmp_path, seconds, kind)
    assert ended.returncode == 0, ended.stdout
    analysis = json.loads((tmp_path / "analysis.json").read_text())
    assert len(sound(tmp_path / f"loop.{kind.lower()}")) == analysis["frames"] == round(seconds * piece.rate)
    assert analysis["end"] - analysis["start"] <= seconds


def test_a_fade_is_silent_at_both_ends_and_leaves_the_middle_alone(tmp_path: Path) -> None:
    piece = noise()
    _, plain = looped(piece, tmp_path, 40)
    _, made = looped(piece, tmp_path, 40, "--fade")
    middle = slice(2 * piece.rate, 35 * piece.rate)
    assert abs(made[0]).max() == 0 and abs(made[-1]).max() == 0
    assert np.array_equal(made[middle], plain[middle])
    second = (made[-5 * piece.rate :].reshape(5, -1) ** 2).mean(axis=1)
    assert (np.diff(second) < 0).all()


def test_a_cut_slides_to_where_both_sides_are_alike(tmp_path: Path) -> None:
    rate, whole = 8_000, np.random.default_rng(2).normal(0, 0.1, 48_000)
    whole[3 * rate : 3 * rate + 800] = whole[rate : rate + 800]  # a tenth of a second that comes back after 2 seconds
    source = Piece("alike", rate, whole[:, None].astype(np.float32)).save(tmp_path)
    with Source(source) as opened, decode(opened, tmp_path / "pcm", "alike", lambda share: None) as pcm:
        seam = cut(pcm, Repeat(1, 3, 0), 2 * rate, (rate - 2000, rate + 2000), 240)
    assert rate + 240 <= seam.start <= rate + 800
    assert seam.lag == 2 * rate and seam.cost < 0.01


def test_music_that_never_repeats_has_no_beat_and_is_joined_gently(tmp_path: Path) -> None:
    analysis, made = looped(wandering(), tmp_path, 45)
    assert analysis["quality"] == "no beat" and analysis["score"] < 0.5
    assert analysis["crossfade"] >= 1
    assert len(made) == 45 * 32_000


@pytest.mark.parametrize("seconds", [3, 4.5, 8])
def test_short_sources_still_loop(seconds: float, tmp_path: Path) -> None:
    piece = short()
    beginning = Piece("beginning", piece.rate, piece.sound[: round(seconds * piece.rate)])
    analysis, made = looped(beginning, tmp_path, 30)
    assert 0 < analysis["start"] < analysis["end"] <= seconds
    assert len(made) == 30 * piece.rate


def test_progress_never_falls_and_gives_mp3_nearly_all_to_encoding(tmp_path: Path) -> None:
    lines = run(short().save(tmp_path), tmp_path, 120, "MP3").stdout.splitlines()
    matches = [re.fullmatch(r"(ANALYZING|RENDERING|EXPORTING) (\d+)%", line) for line in lines]
    assert all(matches)
    percents = [int(match[2]) for match in matches if match]
    exporting = [int(match[2]) for match in matches if match and match[1] == "EXPORTING"]
    assert percents == sorted(percents)
    assert exporting[0] < 20 and exporting[-1] == 100


def test_only_the_loop_and_its_analysis_are_left(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    ended = run(short().save(tmp_path), folder, 5, "MP3", "--name", "夜 river's")
    assert ended.returncode == 0, ended.stdout
    assert {path.name for path in folder.iterdir()} == {"analysis.json", "夜 river's.mp3"}


def test_memory_does_not_grow_with_the_loop(tmp_path: Path) -> None:
    source = short().save(tmp_path)
    peaks = []
    for seconds in (30, 1800):
        peaks.append(watched(source, tmp_path, seconds)[1])
    assert peaks[1] < 150
    assert peaks[1] - peaks[0] < 10


FORMATS = [
    ("WAV", "PCM_U8", 8_000, 1), ("WAV", "PCM_16", 11_025, 2), ("WAV", "PCM_24", 96_000, 2),
    ("WAV", "PCM_32", 48_000, 2), ("WAV", "FLOAT", 44_100, 2), ("WAV", "DOUBLE", 32_000, 1), ("WAV", "ULAW", 8_000, 1),
    ("WAV", "PCM_16", 192_000, 2), ("WAV", "PCM_16", 48_000, 6), ("FLAC", "PCM_24", 44_100, 2),
    ("OGG", "VORBIS", 44_100, 2), ("MP3", "MPEG_LAYER_III", 44_100, 2),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "subtype", "rate", "channels"), FORMATS)
def test_every_kind_of_source_becomes_an_mp3(kind: str, subtype: str, rate: int, channels: int, tmp_path: Path) -> None:
    source = tmp_path / "source.wav"  # whatever it is: a name proves nothing
    soundfile.write(source, ticking(rate, channels), rate, format=kind, subtype=subtype)
    ended = run(source, tmp_path, 7.5, "MP3")
    assert ended.returncode == 0, ended.stdout
    analysis = json.loads((tmp_path / "analysis.json").read_text())
    assert (analysis["rate"], analysis["channels"]) == (min(rate, 48_000), min(channels, 2))
    assert sound(tmp_path / "loop.mp3").shape == (round(7.5 * analysis["rate"]), analysis["channels"])


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (48_000, 6), (192_000, 2)])
def test_a_wav_keeps_the_rate_and_the_channels_of_its_source(rate: int, channels: int, tmp_path: Path) -> None:
    _, made = looped(Piece("ticking", rate, ticking(rate, channels)), tmp_path, 7.5)
    assert made.shape == (round(7.5 * rate), channels)
    assert (made.std(axis=0) > 0.005).all()


def test_a_recording_with_inverted_channels_is_heard_like_any_other(tmp_path: Path) -> None:
    inverted = ticking(32_000, 1, 10) * np.array([1, -1], np.float32)
    analysis, _ = looped(Piece("inverted", 32_000, inverted), tmp_path, 20)
    assert analysis["tempo"] == pytest.approx(120, rel=0.001)


def ticking(rate: int, channels: int, seconds: float = 5) -> Audio:
    """Decaying noise, twice a second, on all channels."""
    random = np.random.default_rng(1)
    time = np.arange(round(seconds * rate))[:, None] / rate
    hits = random.normal(0, 0.2, (len(time), channels)) * np.exp(-12 * (time % 0.5))
    return np.clip(hits, -1, 1).astype(np.float32)


def damaged(name: str, path: Path) -> None:
    """Write one of the sources that are not quite right."""
    good = ticking(44_100, 2)
    if name in ("NaN", "Inf", "loud", "DC"):
        good[1000:3000] = {"NaN": np.nan, "Inf": np.inf, "loud": 7, "DC": 0}[name]
        soundfile.write(path, good + 0.5 * (name == "DC"), 44_100, format="WAV", subtype="FLOAT")
    else:
        soundfile.write(path, good, 44_100, format=name)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 8])


@pytest.mark.parametrize("name", ["NaN", "Inf", "loud", "DC", "WAV", "MP3", "OGG", "FLAC"])
def test_a_damaged_source_is_looped_as_far_as_it_goes(name: str, tmp_path: Path) -> None:
    damaged(name, tmp_path / "source")
    ended = run(tmp_path / "source", tmp_path, 6, "MP3")
    assert ended.returncode == 0, ended.stdout
    made = sound(tmp_path / "loop.mp3")
    assert len(made) == 6 * 44_100 and np.isfinite(made).all() and made.std() > 0.005


UNUSABLE = [
    ("silent", "silent is silent"),
    ("constant", "constant is silent"),
    ("brief", "brief is too short to loop: it has 1.2 seconds, at least 3 are needed"),
    ("empty", "empty is empty: it has 0 bytes"),
    ("text", "text is not audio that can be decoded"),
    ("header", "header has no sound in it"),
    ("missing", "No such file"),
]


@pytest.mark.parametrize(("name", "sentence"), UNUSABLE)
def test_what_cannot_be_looped_is_refused_with_a_sentence(name: str, sentence: str, tmp_path: Path) -> None:
    source, folder = tmp_path / name, tmp_path / "made"
    folder.mkdir()
    sounds = {
        "silent": np.zeros(200_000),
        "constant": np.full(200_000, 0.4),
        "brief": ticking(44_100, 2, 1.2),
        "header": [],
    }
    if name in sounds:
        soundfile.write(source, np.asarray(sounds[name]), 44_100, format="WAV")
    elif name != "missing":
        source.write_text("These are words.\n" * 1000 if name == "text" else "")
    ended = run(source, folder, 30)
    assert ended.returncode == 1
    assert sentence in ended.stdout.splitlines()[-1]
    assert "Traceback" not in ended.stdout and not list(folder.iterdir())
