"""Makes a loop of a track: python -m studio.looper SOURCE FOLDER LENGTH --format MP3|WAV [OPTIONS].

LENGTH is --duration SECONDS or --bars N. The options: --fade, --no-intro, and the seam to cut at: --candidate N, or
--start SECONDS --end SECONDS [--exact].

Writes FOLDER/analysis.json, then FOLDER/NAME.mp3 or .wav, which appears only when it is complete. Prints its progress.
It is a process of its own, so that a file that crashes the decoder crashes only this process. If the source cannot be
looped, it prints a sentence and ends with code 1. Its memory does not grow with the length of the source or of the
loop.
"""

import argparse
import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for such small matrices, threads make it slower

from files.sound import Sink, Source, Unusable  # noqa: E402
from studio.looper.analysis import Choice, analyse  # noqa: E402
from studio.looper.arrangement import fade, fade_frames, play, repeating  # noqa: E402
from studio.looper.bars import Bars, Length  # noqa: E402
from studio.looper.length import file_frames  # noqa: E402
from studio.looper.marks import Marks, mark  # noqa: E402
from studio.looper.pcm import Pcm, decode  # noqa: E402
from studio.looper.progress import Progress, Report  # noqa: E402
from studio.looper.seams import Seam  # noqa: E402

MP3_SPEED, WAV_SPEED, ANALYSIS_SPEED = 35, 800, 150  # estimated seconds of sound per second, used only for progress
DECODED = 0.35  # the share of ANALYZING that decoding takes
RENDERING_SECONDS = 0.05
SHORTEST_CHOICE = 0.1  # seconds
USUAL_BAR = 2.0  # seconds, used only for progress
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # parameters of mallopt(), from malloc.h
KEPT_BYTES = 32 << 20  # the most that glibc allows for MMAP_THRESHOLD


def main() -> None:
    """Read the command line and make the loop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--duration", type=float, help="seconds")
    length.add_argument("--bars", type=int, help="the length in bars")
    parser.add_argument("--format", choices=["MP3", "WAV"], required=True)
    parser.add_argument("--fade", action="store_true", help="fade in and out")
    parser.add_argument("--no-intro", action="store_true", help="begin inside the part that repeats")
    parser.add_argument("--candidate", type=int, default=1, help="the rank of the seam to cut at: 1 for the best")
    parser.add_argument("--start", type=float, help="seconds; cut at the seam nearest to this start and end")
    parser.add_argument("--end", type=float, help="seconds")
    parser.add_argument("--exact", action="store_true", help="cut exactly at start and end")
    parser.add_argument("--name", default="loop", help="of the file, without its suffix")
    keep_freed_memory()
    try:
        make(parser.parse_args())
    except Unusable as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"the loop cannot be made: {error}")


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next array: to get it from the kernel again takes a third of the analysis."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries do not have it
        mallopt(TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(MMAP_THRESHOLD, KEPT_BYTES)


def make(options: argparse.Namespace) -> None:
    """Write the loop and its analysis. Raises Unusable and OSError."""
    ordered, length = choice(options), ordered_length(options)
    target = options.folder / f"{options.name}.{options.format.lower()}"
    decoded, part = target.with_name(f"{target.name}.pcm"), target.with_name(f"{target.name}.part")
    try:
        with Source(options.source) as source:
            progress = progress_of(source, options)
            pcm = decode(source, decoded, options.source.name, progress.of("ANALYZING", 0, DECODED))
        with pcm:
            analysis = analyse(pcm, length, ordered, progress.of("ANALYZING", DECODED))
            record, frames = analysis.record(), file_frames(analysis, length, not options.no_intro)
            progress.of("RENDERING")(0)
            written = export(pcm, analysis.seam, frames, part, options, progress.of("EXPORTING"))
        mark(part, options.format, Marks.of(record | written))
        (options.folder / "analysis.json").write_text(json.dumps(record | written))
        part.replace(target)
    finally:
        decoded.unlink(missing_ok=True)
        part.unlink(missing_ok=True)


def choice(options: argparse.Namespace) -> Choice:
    """The seam that the command line chooses. Raises Unusable."""
    start, end = options.start, options.end
    if (start is None) != (end is None) or (start is not None and not 0 <= start <= end - SHORTEST_CHOICE):
        raise Unusable(f"give both: --start of at least 0, and --end at least {SHORTEST_CHOICE:g} seconds later")
    if options.exact and start is None:
        raise Unusable("--exact needs --start and --end")
    if options.candidate < 1:
        raise Unusable("--candidate is 1 for the best seam, 2 for the next one, and so on")
    return Choice(options.candidate, start, end, options.exact)


def ordered_length(options: argparse.Namespace) -> Length:
    """The length that the command line orders. Raises Unusable."""
    if options.fade and options.no_intro:
        raise Unusable("a loop with fades does not repeat: --no-intro cannot be combined with --fade")
    return options.duration if options.bars is None else Bars(options.bars)


def progress_of(source: Source, options: argparse.Namespace) -> Progress:
    """The progress of a loop, with the estimated seconds of each stage."""
    seconds = options.bars * USUAL_BAR if options.bars else options.duration
    exporting = seconds / (MP3_SPEED if options.format == "MP3" else WAV_SPEED)
    analyzing = max(1.0, source.expected / source.rate) / ANALYSIS_SPEED
    return Progress({"ANALYZING": analyzing, "RENDERING": RENDERING_SECONDS, "EXPORTING": exporting})


def export(
    pcm: Pcm, seam: Seam, frames: int, part: Path, options: argparse.Namespace, report: Report
) -> dict[str, Any]:
    """Write the loop, so many frames of the source. Returns what facts() returns."""
    intro, fades = not options.no_intro, fade_frames(frames, pcm.rate) if options.fade else (0, 0)
    blocks = play(pcm, seam, frames, intro)
    done = 0
    with Sink(part, pcm.rate, pcm.channels, options.format, frames) as sink:
        for block in fade(blocks, frames, pcm.rate) if options.fade else blocks:
            sink.write(block)
            done += len(block)
            report(done / frames)
    return facts(sink, pcm.rate, frames, repeating(seam, frames, intro, fades))


def facts(sink: Sink, rate: int, frames: int, repeat: tuple[int, int] | None) -> dict[str, Any]:
    """The frames, rate (Hz), channels and duration (seconds) of the file, and the places between which it repeats.

    These are loop_start and loop_end, in seconds and in frames; None if it does not repeat. The arguments frames and
    repeat count the frames of the source, whose rate is `rate`.
    """
    count = round(frames * sink.rate / rate)
    places = [None if place is None else round(place * sink.rate / rate) for place in repeat or (None, None)]
    start, end = (None if place is None else place / sink.rate for place in places)
    return {
        "frames": count,
        "rate": sink.rate,
        "channels": sink.channels,
        "duration": count / sink.rate,
        "loop_start": start,
        "loop_end": end,
        "loop_start_frame": places[0],
        "loop_end_frame": places[1],
    }


if __name__ == "__main__":
    main()
