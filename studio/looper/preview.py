"""Writes the sound around a seam: python -m studio.looper.preview SOURCE TARGET --start S --end S --crossfade S.

With --outline, it writes the outline of the sound at both ends as JSON in place of the sound: studio/looper/outline.py.

The WAV has up to three seconds of the source before the cut, the crossfade, and up to three seconds after the cut,
exactly as in a loop with this seam. It is a process of its own, like the looper. From a WAV that is not compressed, it
reads only the frames that it needs. It decodes any other source up to the last of these frames. For a source that
cannot be decoded or ends too early, the exit code is 3, and standard error has the reason.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from files.sound import UNUSABLE, Sink, Source, Unusable, become_subprocess
from studio.looper.outline import AROUND as OUTLINED
from studio.looper.outline import outline, stretches
from studio.looper.pcm import BLOCK, FULL_SCALE, Audio, sixteen_bits
from studio.looper.seams import crossfaded

AROUND = 3.0  # seconds before and after the cut; the longest crossfade


def main() -> None:
    """Read the command line and write the sound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    for name in ("start", "end", "crossfade"):
        parser.add_argument(f"--{name}", type=float, required=True, help="seconds in the source")
    parser.add_argument("--outline", action="store_true", help="write the outline of the sound")
    options = parser.parse_args()
    try:
        with Source(options.source) as source:
            if options.outline:
                write_outline(source, options.target, options.start, options.end)
                return
            sound = around_seam(source, options.start, options.end, options.crossfade)
            with Sink(options.target, source.rate, source.channels, "WAV") as sink:
                sink.write(sound)
    except Unusable as error:
        print(error, file=sys.stderr)
        sys.exit(UNUSABLE)


def write_outline(source: Source, target: Path, start: float, end: float) -> None:
    """Write the outline of the sound around start and end (seconds). Raises Unusable if the source ends before end."""
    leaving, entering = read(source, stretches(source.rate, start, end))
    if len(leaving) < min(round(OUTLINED * source.rate), round(end * source.rate)):
        raise Unusable(f"{source.name} ends before the seam at {end:g} seconds")
    target.write_text(json.dumps(outline(start, end, leaving, entering, source.rate)))


def around_seam(source: Source, start: float, end: float, crossfade: float) -> Audio:
    """The sound before the cut, the crossfade and the sound after it, (frames, channels).

    start, end, crossfade: seconds, as in the analysis of a loop. Raises Unusable if the source ends before the cut,
    and if the crossfade is longer than AROUND or than the sound before the start or from start to end.
    """
    if not 0 <= crossfade <= min(AROUND, start, end - start):  # a longer one would need memory without a limit
        raise Unusable(f"a crossfade of {crossfade:g} seconds has no room at the seam, or is longer than {AROUND:g} s")
    cut, again, mixed = (round(seconds * source.rate) for seconds in (end, start, crossfade))
    around = round(AROUND * source.rate)
    after = min(again + around, cut - mixed)  # at most up to the next seam
    leaving, entering = read(source, [(max(0, cut - around), cut), (again - mixed, max(again, after))])
    if len(leaving) < min(around, cut):
        raise Unusable(f"{source.name} ends before the seam at {end:g} seconds")
    joint = crossfaded(leaving[len(leaving) - mixed :], entering[:mixed], source.rate)
    return np.concatenate([leaving[: len(leaving) - mixed], joint, entering[mixed:]])


def read(source: Source, stretches: list[tuple[int, int]]) -> list[Audio]:
    """The frames from start to stop of each stretch, (frames, channels); fewer if the source ends before them.

    The samples are rounded to 16 bits, as the looper does.
    """
    parts = [source.read(*stretch) for stretch in stretches] if source.is_seekable else decode(source, stretches)
    return [rounded(part) for part in parts]


def decode(source: Source, stretches: list[tuple[int, int]]) -> list[Audio]:
    """The frames of each stretch as in read(), from a source that must be decoded from its beginning."""
    parts: list[list[Audio]] = [[np.zeros((0, source.channels), np.float32)] for _ in stretches]
    last, done = max(stop for _, stop in stretches), 0
    for block in source.blocks(BLOCK):
        for part, (start, stop) in zip(parts, stretches, strict=True):
            piece = block[max(0, start - done) : max(0, stop - done)]
            if len(piece):  # an empty slice would keep its block in memory
                part.append(piece)
        done += len(block)
        if done >= last:
            break
    return [np.concatenate(part) for part in parts]


def rounded(sound: Audio) -> Audio:
    """The sound in steps of 16 bits, -1 to 1."""
    return np.asarray(sixteen_bits(sound) / FULL_SCALE, np.float32)


if __name__ == "__main__":
    become_subprocess()
    main()
