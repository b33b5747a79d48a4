"""Compares our looper with PyMusicLooper 3.6: make bench-loops. Prints Markdown tables; not part of CI.

Both run as processes of their own: on the generated classes of tests/pieces, whose beats are known, on music of three
Debian packages, and on an hour of music. PyMusicLooper lives in .venv-pymusiclooper and the music in .bench-music, both
made on the first run. --pieces limits the pieces of a class; --only names the parts to run.
"""

import argparse
import tempfile
from pathlib import Path

from bench.loop_speed import print_speed
from bench.loop_tables import measured_classes, print_beats, print_seams, print_songs, print_words
from bench.loop_tools import prepare

PARTS = ("classes", "songs", "speed")


def main() -> None:
    """Read the command line, measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pieces", type=int, default=100, help="of a class, at most")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    prepare()
    if "classes" in options.only:
        print_classes(options.pieces)
    if "songs" in options.only:
        print_songs()
    if "speed" in options.only:
        with tempfile.TemporaryDirectory() as folder:
            print_speed(Path(folder))


def print_classes(most: int) -> None:
    """Print the tables of the generated classes, of `most` pieces each."""
    classes = measured_classes(most)
    print_beats(classes)
    print_seams(classes)
    print_words(classes)


if __name__ == "__main__":
    main()
