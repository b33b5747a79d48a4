"""Measures the loops of two loopers on generated classes and on real music, and prints tables, for make bench-loops."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.loop_tools import Loop, our_loop, songs, their_loop, their_points
from tests.listening import alike, flux_ratio
from tests.loop_quality import Quality, quality_at_seam
from tests.loop_table import row
from tests.pieces import CLASSES, Piece, generate

SEED = 2026  # other pieces than those of the tests


@dataclass(frozen=True)
class Pair:
    """The qualities of both loops of one piece, ours and PyMusicLooper's; None if it made no loop."""

    ours: Quality
    theirs: Quality | None


def measured_classes(most: int) -> dict[str, list[Pair]]:
    """Both loops of all pieces of every class, or of the first `most` of a class."""
    with tempfile.TemporaryDirectory() as folder:
        pieces = [(name, index) for name, kind in CLASSES.items() for index in range(min(most, kind.count))]
        paths = [generate(name, index, SEED).save(Path(folder)) for name, index in pieces]
        points = their_points(Path(folder))  # one run: the tool needs some seconds to start
        classes: dict[str, list[Pair]] = {name: [] for name in CLASSES}
        for (name, index), path in zip(pieces, paths, strict=True):
            classes[name].append(pair(generate(name, index, SEED), path, points.get(path.name)))
    return classes


def pair(piece: Piece, path: Path, points: tuple[int, int] | None) -> Pair:
    """Both loops of a piece and its file; points are the frames of PyMusicLooper's."""
    ours, theirs = our_loop(path), None if points is None else their_loop(path, points)
    return Pair(
        quality_at_seam(piece, ours.word, ours.join),
        quality_at_seam(piece, theirs.word, theirs.join) if theirs else None,
    )


def print_beats(classes: dict[str, list[Pair]]) -> None:
    """Print the beat errors of both tools for the classes whose beats are true."""
    print("\nBeat error at the seam in ms: median / 90 % / worst\n\n| class | pieces | PyMusicLooper | this |")
    print("|---|---|---|---|")
    for name, pairs in classes.items():
        if CLASSES[name].group in ("steady", "loose", "drifting"):
            both = [spread(one.beat for one in side if one is not None) for side in sides(pairs)]
            print(row([name, str(len(pairs)), *both]))


def print_seams(classes: dict[str, list[Pair]]) -> None:
    """Print the worst step, flux and dip of both tools for every class."""
    print("\nWorst values at the seam, PyMusicLooper / this\n\n| class | step | flux | dip, dB | without a loop |")
    print("|---|---|---|---|---|")
    measures: list[tuple[Callable[[Quality], float], Callable[[Iterable[float]], float]]] = [
        (lambda one: one.step, max),
        (lambda one: one.flux, max),
        (lambda one: one.dip, min),
    ]
    for name, pairs in classes.items():
        loops = [[one for one in side if one is not None] for side in sides(pairs)]
        cells = [" / ".join(f"{worst(map(of, some)):.2f}" if some else "—" for some in loops) for of, worst in measures]
        print(row([name, *cells, f"{len(pairs) - len(loops[0])} / {len(pairs) - len(loops[1])}"]))


def print_words(classes: dict[str, list[Pair]]) -> None:
    """Print how often each class gets each word from our looper, and how often "good" is true."""
    words = list(dict.fromkeys(one.ours.word for pairs in classes.values() for one in pairs))
    print(f"\n| class | {' | '.join(words)} |\n|---|{'---|' * len(words)}")
    for name, pairs in classes.items():
        counts = Counter(one.ours.word for one in pairs)
        print(row([name, *(str(counts[word]) for word in words)]))
    good = [one.ours for pairs in classes.values() for one in pairs if one.ours.word == "good"]
    noise = [one.ours for name, pairs in classes.items() if CLASSES[name].group == "noise" for one in pairs]
    print(f"\ngood: {len(good)}, of these as good as the word says: {sum(one.sounds_good for one in good)}")
    print(f"noise, pads, speech, silence: {len(noise)}, of these good: {sum(one.word == 'good' for one in noise)}")


def print_songs() -> None:
    """Print how alike real music is around both ends of the loops, by its onsets and by its spectrum."""
    print("\nReal music: correlation around both ends, of onsets and of the spectrum\n")
    print("| song | PyMusicLooper | this | seconds of a round | flux | word |\n|---|---|---|---|---|---|")
    results: list[list[tuple[float, float]]] = []
    for path in songs():
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / path.name).symlink_to(path)
            points = their_points(Path(folder)).get(path.name)
        loops = [None if points is None else their_loop(path, points), our_loop(path)]
        print(song_row(path.stem, loops), flush=True)
        if all(loops):
            results.append([likeness(loop) for loop in loops if loop])
    medians = np.median(np.array(results), axis=0)
    print(row(["median", *(f"{onsets:.2f}, {spectrum:.2f}" for onsets, spectrum in medians), "", "", ""]))


def song_row(name: str, loops: list[Loop | None]) -> str:
    """One row: likeness, seconds of a round and flux of both loops, and the word of ours."""
    alikes = [f"{likeness(loop)[0]:.2f}, {likeness(loop)[1]:.2f}" if loop else "—" for loop in loops]
    lags = " / ".join(f"{loop.join.length / loop.join.rate:.1f}" if loop else "—" for loop in loops)
    fluxes = " / ".join(f"{flux_ratio(loop.join):.2f}" if loop else "—" for loop in loops)
    return row([name, *alikes, lags, fluxes, loops[1].word if loops[1] else ""])


def likeness(loop: Loop) -> tuple[float, float]:
    """The correlations of onsets and of the spectrum around both ends."""
    return alike(loop.join.original, loop.join.rate, loop.join.start, loop.join.end)


def sides(pairs: list[Pair]) -> tuple[list[Quality | None], list[Quality | None]]:
    """The qualities of PyMusicLooper, and ours."""
    return [one.theirs for one in pairs], [one.ours for one in pairs]


def spread(values: Iterable[float | None]) -> str:
    """Median, 90th percentile and worst of the values that are there."""
    measured = [value for value in values if value is not None]
    return " / ".join(f"{value:.2f}" for value in np.percentile(measured, [50, 90, 100])) if measured else "—"
