"""Compares the speed and the memory of two loopers on ten minutes and on an hour of music, for make bench-loops."""

import sys
from pathlib import Path

from bench.loop_tools import MOST_MEMORY, Run, run_ours, run_theirs, watched
from tests.pieces import write_long

RATE = 44_100
TEN_MINUTES, HOUR = 600, 3600  # seconds
SOURCES = {
    "ten minutes of WAV": ("ten.wav", TEN_MINUTES),
    "an hour of WAV": ("hour.wav", HOUR),
    "an hour of MP3": ("hour.mp3", HOUR),
}
OUT_OF_MEMORY = f"more than {MOST_MEMORY / 1e6:.0f}"
SHORT_LOOP = 60  # seconds: nearly all the time is analysis


def print_speed(folder: Path) -> None:
    """Print both tools beside each other, then how fast loops are written. The folder is for temporary files."""
    write_sources(folder)
    print("\n| analysis of | this: times real time | CPU s | MB | PyMusicLooper: times real time | CPU s | MB |")
    print("|---|---|---|---|---|---|---|")
    for name, (file, seconds) in SOURCES.items():
        ours, theirs = run_ours(folder / file, folder, SHORT_LOOP), run_theirs(folder / file)
        compared = cells(theirs, seconds) if theirs.has_points else f"no loop | {theirs.seconds:.0f} | {OUT_OF_MEMORY}"
        print(f"| {name} | {cells(ours, seconds)} | {compared} |", flush=True)
    print_writing(folder)


def write_sources(folder: Path) -> None:
    """Write all sources, and a minute of WAV."""
    for file, seconds in [("minute.wav", 60), *SOURCES.values()]:
        if file.endswith(".wav"):
            write_long(folder / file, RATE, seconds // 60)
        else:
            encode(folder / "hour.wav", folder / file)


def encode(wav: Path, mp3: Path) -> Run:
    """Encode a WAV as MP3, as the service does."""
    return watched(sys.executable, "-m", "files.sound", "mp3", wav, mp3)


def print_writing(folder: Path) -> None:
    """Print how fast loops of a minute are written, and how fast the same is only encoded."""
    print("\n| writing | times real time | MB |\n|---|---|---|")
    for name, seconds, kind in (("an hour as WAV", HOUR, "WAV"), ("ten minutes as MP3", TEN_MINUTES, "MP3")):
        made = run_ours(folder / "minute.wav", folder, seconds, kind)
        print(f"| {name} | {seconds / made.seconds:.0f} | {made.memory:.0f} |")
    alone = encode(folder / "ten.wav", folder / "ten.mp3")
    print(f"| ten minutes, only encoded | {TEN_MINUTES / alone.seconds:.0f} | {alone.memory:.0f} |")


def cells(run: Run, seconds: int) -> str:
    """Times real time, CPU seconds and MB of a run over a source of so many seconds."""
    return f"{seconds / run.seconds:.0f} | {run.seconds:.1f} | {run.memory:.0f}"
