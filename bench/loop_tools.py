"""Runs the two loopers that make bench-loops compares, and reads their loops."""

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from tests.listening import Audio, Join

ROOT = Path(__file__).parent.parent
RIVAL = ROOT / ".venv-pymusiclooper"
RIVAL_COMMAND = RIVAL / "bin/pymusiclooper"
MUSIC = ROOT / ".bench-music"
PACKAGES = ("asc-music", "frozen-bubble-data", "extremetuxracer-data")
SHORTEST = 30.0  # seconds: what is shorter in those packages is a jingle or a noise
LOOP_SHARE = 1.5  # a loop is so many times as long as its source, so that its first seam is in it
MOST_MEMORY = (
    12_000_000_000  # bytes of address space of a tool: PyMusicLooper would use all memory for an hour of music
)
WATCH = f"""
import resource, subprocess, sys
resource.setrlimit(resource.RLIMIT_AS, ({MOST_MEMORY}, {MOST_MEMORY}))
ended = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(ended.stdout)
print("USED", used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


@dataclass(frozen=True)
class Run:
    """A process that has ended: its output, its CPU seconds and its peak memory in MB."""

    text: str
    seconds: float
    memory: float

    @property
    def has_points(self) -> bool:
        """True if PyMusicLooper has printed a loop."""
        return "LOOP_END" in self.text


@dataclass(frozen=True)
class Loop:
    """The loop that a tool made of a piece, and the word for its quality; PyMusicLooper has no words."""

    join: Join
    word: str = ""


def watched(*command: object) -> Run:
    """Run a command from a small process, so that only its own peak memory is measured."""
    whole = [sys.executable, "-S", "-c", WATCH, *map(str, command)]
    text = subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    used = re.findall(r"^USED (\S+) (\S+)$", text, re.MULTILINE)[-1]
    return Run(text, float(used[0]), float(used[1]))


def prepare() -> None:
    """Install PyMusicLooper and download the music, unless this was done before."""
    if not RIVAL_COMMAND.exists():
        subprocess.run([sys.executable, "-m", "venv", RIVAL], check=True)
        subprocess.run([RIVAL / "bin/pip", "install", "--quiet", "pymusiclooper==3.6.0"], check=True)
    if not MUSIC.exists():
        MUSIC.mkdir()
        with tempfile.TemporaryDirectory() as temporary:
            subprocess.run(["apt-get", "download", *PACKAGES], cwd=temporary, check=True)
            for package in Path(temporary).glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", package, MUSIC], check=True)
    for folder in (RIVAL, MUSIC):
        (folder / ".gitignore").write_text("*\n")


def songs() -> list[Path]:
    """The real music: MP3 and Ogg files of the packages."""
    paths = sorted(MUSIC.rglob("*.mp3")) + sorted(MUSIC.rglob("*.ogg"))
    return [path for path in paths if soundfile.info(path).duration > SHORTEST]


def sound(path: Path) -> tuple[Audio, int]:
    """The samples of a file, (frames, channels), and its rate in Hz."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(samples, np.float32), rate


def run_ours(path: Path, folder: Path, seconds: float, kind: str = "WAV") -> Run:
    """Write a loop of so many seconds into a folder with our looper."""
    return watched(sys.executable, "-m", "studio.looper", path, folder, "--duration", seconds, "--format", kind)


def our_loop(path: Path) -> Loop:
    """The loop that our looper makes of a file, from the files that it writes. Raises FileNotFoundError without one."""
    original, rate = sound(path)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        run_ours(path, folder, LOOP_SHARE * len(original) / rate)
        analysis, looped = json.loads((folder / "analysis.json").read_text()), sound(folder / "loop.wav")[0]
    start, end, crossfade = (round(analysis[name] * rate) for name in ("start", "end", "crossfade"))
    return Loop(Join(original, looped, rate, start, end, crossfade), analysis["quality"])


def run_theirs(path: Path, *options: object) -> Run:
    """Let PyMusicLooper find the best loop of a file, or of all files of a folder."""
    return watched(RIVAL_COMMAND, "export-points", "--path", path, *options)


def their_points(sources: Path) -> dict[str, tuple[int, int]]:
    """PyMusicLooper's best loop of every file in a folder, in frames, by name; files without a loop are missing."""
    with tempfile.TemporaryDirectory() as folder:
        run_theirs(sources, "--export-to", "txt", "--output-dir", folder)
        listed = Path(folder) / "loops.txt"
        lines = listed.read_text().splitlines() if listed.exists() else []
    parts = [line.split(maxsplit=2) for line in lines]
    return {name: (int(start), int(end)) for start, end, name in parts}


def their_loop(path: Path, points: tuple[int, int]) -> Loop:
    """PyMusicLooper's loop, its end cut to its start as its players do."""
    original, rate = sound(path)
    start, end = points
    return Loop(Join(original, np.concatenate([original[:end], original[start:]]), rate, start, end, 0))
