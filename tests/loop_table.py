"""Prints the quality of loops of the generated classes: python -m tests.loop_table [CLASS or GROUP ...] [--pieces]."""

import argparse
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from multiprocessing import get_context

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: there are as many processes as cores

import numpy as np  # noqa: E402

from tests.loop_quality import Quality, quality_of  # noqa: E402
from tests.pieces import CLASSES  # noqa: E402

PROCESSES = 2
TITLES = ("class", "n", "beat ms: median", "90 %", "worst", "off bar", "step", "inner", "flux", "dip dB", "words")


def main() -> None:
    """Read the command line, measure and print one row for each class."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("classes", nargs="*", help="names of classes or groups; all without any")
    parser.add_argument("--pieces", action="store_true", help="print every piece, too")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(row(TITLES))
    print(row(["---"] * len(TITLES)))
    for name, results in measured_classes(names_of(options.classes), options.seed):
        print(summary(name, results), flush=True)
        for result in results if options.pieces else []:
            print("   ", result)


def names_of(words: list[str]) -> list[str]:
    """The classes with these names or in these groups."""
    return [name for name, kind in CLASSES.items() if not words or {name, kind.group} & set(words)]


def measured_classes(names: Iterable[str], seed: int = 0) -> Iterator[tuple[str, list[Quality]]]:
    """Every class with the qualities of its pieces, as soon as they are measured."""
    tasks = [(name, index, seed) for name in names for index in range(CLASSES[name].count)]
    with get_context("spawn").Pool(PROCESSES) as pool:
        results = zip(tasks, pool.imap(measure, tasks), strict=True)
        for name, group in groupby(results, key=lambda pair: pair[0][0]):
            yield name, [result for _, result in group]


def measure(task: tuple[str, int, int]) -> Quality:
    """The quality of one task: class, index and seed."""
    return quality_of(*task)


def summary(name: str, results: list[Quality]) -> str:
    """One row: the worst values of a class, and how often it got each word."""
    beats = [result.beat for result in results if result.beat is not None]
    errors = [f"{value:.2f}" for value in np.percentile(beats, [50, 90, 100])] if beats else ["—"] * 3
    largest = [max(values) for values in zip(*((one.step, one.inner_step, one.flux) for one in results), strict=True)]
    worst = [*largest, min(one.dip for one in results)]
    words = ", ".join(f"{count} {word}" for word, count in Counter(one.word for one in results).most_common())
    off_bar = str(sum(not one.has_whole_bars for one in results)) if beats else "—"
    return row([name, str(len(results)), *errors, off_bar, *(f"{value:.2f}" for value in worst), words])


def row(cells: Iterable[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
