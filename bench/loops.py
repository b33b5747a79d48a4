"""Compares our looper with PyMusicLooper 3.6: make bench-loops. Prints Markdown tables; not part of CI.

Both run as processes of their own on the pieces of tests/pieces.py, whose beats are known, and on music of three Debian
packages. PyMusicLooper lives in .venv-pymusiclooper and the music in .bench-music, both made on the first run.
"""

import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.listening import Audio, Join, beat_error, dip, flux_ratio, step, usual_step  # noqa: E402
from tests.pieces import EVEN, RHYTHMIC, Piece  # noqa: E402

RIVAL = ROOT / ".venv-pymusiclooper"
MUSIC = ROOT / ".bench-music"
PACKAGES = ("asc-music", "frozen-bubble-data", "extremetuxracer-data")
SHORTEST = 30.0  # seconds: what is shorter in those packages is a jingle or a noise
WATCH = """
import resource, subprocess, sys
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


@dataclass(frozen=True)
class Result:
    """The result of one tool for one piece: CPU seconds, MB, and the sound; join is None if the tool made no loop."""

    run: Run
    join: Join | None
    beats: NDArray[np.float64] | None

    @property
    def beat(self) -> float | None:
        """The beat error in milliseconds."""
        if self.join is None or self.beats is None:
            return None
        return 1000 * beat_error(self.beats, self.join.start / self.join.rate, self.join.end / self.join.rate)

    @property
    def step(self) -> float | None:
        """The sample step at the seam, as a multiple of the piece's own 99.9th percentile."""
        return None if self.join is None else step(self.join) / usual_step(self.join)

    @property
    def flux(self) -> float | None:
        """Spectral flux at the seam, relative to the original at the same place."""
        return None if self.join is None else flux_ratio(self.join)

    @property
    def dip(self) -> float | None:
        """How far the level falls, in dB."""
        return None if self.join is None else dip(self.join)


def watched(*command: object) -> Run:
    """Run a command from a small process, so that only its own peak memory is measured."""
    whole = [sys.executable, "-S", "-c", WATCH, *map(str, command)]
    text = subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    used = re.findall(r"^USED (\S+) (\S+)$", text, re.MULTILINE)[-1]
    return Run(text, float(used[0]), float(used[1]))


def prepare() -> None:
    """Install PyMusicLooper and download the music, unless this was done before."""
    if not (RIVAL / "bin/pymusiclooper").exists():
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


def sources(folder: Path) -> Iterator[tuple[Path, NDArray[np.float64] | None]]:
    """All pieces, with their beats if these are known."""
    for make in (*RHYTHMIC, *EVEN):
        piece: Piece = make()
        yield piece.save(folder), piece.beats
    for path in sorted(MUSIC.rglob("*.mp3")) + sorted(MUSIC.rglob("*.ogg")):
        if soundfile.info(path).duration > SHORTEST:
            yield path, None


def sound(path: Path) -> tuple[Audio, int]:
    """The samples of a file, (frames, channels), and its rate in Hz."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(samples, np.float32), rate


def ours(path: Path, folder: Path, beats: NDArray[np.float64] | None) -> Result:
    """A loop of our looper, 1.5 times as long as the source. Its figures include the time to write it."""
    original, rate = sound(path)
    seconds = 1.5 * len(original) / rate
    made = watched(sys.executable, "-m", "studio.looper", path, folder, "--duration", seconds, "--format", "WAV")
    analysis = json.loads((folder / "analysis.json").read_text())
    start, end, crossfade = (round(analysis[name] * rate) for name in ("start", "end", "crossfade"))
    return Result(made, Join(original, sound(folder / "loop.wav")[0], rate, start, end, crossfade), beats)


def theirs(path: Path, beats: NDArray[np.float64] | None) -> Result:
    """PyMusicLooper's best loop, its end cut to its start as its players do; the figures are of finding it alone."""
    original, rate = sound(path)
    made = watched(RIVAL / "bin/pymusiclooper", "export-points", "--path", path)
    points = re.findall(r"LOOP_(?:START|END): (\d+)", made.text)
    if len(points) < 2:
        return Result(made, None, beats)
    start, end = map(int, points[:2])
    return Result(made, Join(original, np.concatenate([original[:end], original[start:]]), rate, start, end, 0), beats)


def table(results: dict[str, tuple[Result, Result]]) -> None:
    """Print every piece on both tools, 'ours / theirs'."""
    print("| Piece | Beat error, ms | Step | Flux | Dip, dB | CPU, s | Memory, MB |\n|---|---|---|---|---|---|---|")
    for name, pair in results.items():
        figures = [(one.beat, one.step, one.flux, one.dip, one.run.seconds) for one in pair]
        cells = [f"{written(mine)} / {written(other)}" for mine, other in zip(*figures, strict=True)]
        print(f"| {name} | {' | '.join(cells)} | {' / '.join(f'{one.run.memory:.0f}' for one in pair)} |")


def written(figure: float | None) -> str:
    """Two decimals; a dash for what could not be measured."""
    return "—" if figure is None else f"{figure:.2f}"


def summary(results: dict[str, tuple[Result, Result]]) -> None:
    """Print the table of docs/loops.md: medians, and worst values if listeners notice them."""
    rows: list[tuple[str, Callable[[Result], float | None], Callable[[list[float]], float]]] = [
        ("Beat error at the seam, median (ms)", lambda result: result.beat, statistics.median),
        ("Beat error at the seam, worst (ms)", lambda result: result.beat, max),
        ("Sample step at the seam, worst (of the usual largest)", lambda result: result.step, max),
        ("Spectral flux at the seam, median (of the original's)", lambda result: result.flux, statistics.median),
        ("Spectral flux at the seam, worst (of the original's)", lambda result: result.flux, max),
        ("CPU time, median (s)", lambda result: result.run.seconds, statistics.median),
        ("Memory, median (MB)", lambda result: result.run.memory, statistics.median),
        ("Pieces without a loop", lambda result: float(result.join is None), sum),
    ]
    print("\n| | This | PyMusicLooper 3.6 |\n|---|---|---|")
    for name, measure, of in rows:
        both = [[value for pair in results.values() if (value := measure(pair[side])) is not None] for side in (0, 1)]
        print(f"| {name} | {' | '.join(f'{of(values):.3g}' for values in both)} |")


def throughput(folder: Path) -> None:
    """Print the seconds of sound per second of CPU time, and the memory, for whole processes."""
    song = max(MUSIC.rglob("*.mp3"), key=lambda path: path.stat().st_size)
    seconds = soundfile.info(song).duration
    steady = RHYTHMIC[0]()
    piece = steady.save(folder)
    long = replace(steady, name="long", sound=np.tile(steady.sound, (6, 1))).save(folder)
    print("\n| | times real time | MB |\n|---|---|---|")
    for name, source, length, kind, worth in (
        (f"analysis of {seconds:.0f} s of MP3", song, 5, "WAV", seconds),
        ("analysis of 240 s of WAV", long, 5, "WAV", 240),
        ("one hour as WAV", piece, 3600, "WAV", 3600),
        ("ten minutes as WAV", piece, 600, "WAV", 600),
        ("ten minutes as MP3", piece, 600, "MP3", 600),
    ):
        made = watched(sys.executable, "-m", "studio.looper", source, folder, "--duration", length, "--format", kind)
        print(f"| {name} | {worth / made.seconds:.0f} | {made.memory:.0f} |")
    alone = watched(sys.executable, "-m", "files.sound", "mp3", folder / "loop.wav", folder / "alone.mp3")
    print(f"| the same ten minutes, only encoded | {600 / alone.seconds:.0f} | {alone.memory:.0f} |")


def main() -> None:
    """Measure all pieces and print the tables."""
    prepare()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        results: dict[str, tuple[Result, Result]] = {}
        for path, beats in sources(folder):
            if not results:
                theirs(path, beats)  # compiles what it caches
            results[path.stem] = ours(path, folder, beats), theirs(path, beats)
            print(f"{path.stem} done", file=sys.stderr, flush=True)
        table(results)
        summary(results)
        throughput(folder)


if __name__ == "__main__":
    main()
