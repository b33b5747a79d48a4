"""Makes a loop of a track: python -m studio.looper SOURCE FOLDER --duration SECONDS --format MP3|WAV [--fade].

Writes FOLDER/analysis.json, then FOLDER/NAME.mp3 or .wav, which appears only when it is complete. Prints its progress.
It is a process of its own, so that a file that crashes the decoder crashes only this process. If the source cannot be
looped, it prints a sentence and ends with code 1. Its memory does not grow with the length of the source or of the
loop.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for such small matrices, threads make it slower

from files.sound import Sink, Source, Unusable  # noqa: E402
from studio.looper.arrangement import fade, play  # noqa: E402
from studio.looper.beats import Pulse, grid, pulse  # noqa: E402
from studio.looper.features import extract  # noqa: E402
from studio.looper.pcm import Pcm, decode  # noqa: E402
from studio.looper.progress import Progress, Report  # noqa: E402
from studio.looper.repeats import Repeat, aligned, earliest_cut, find_cuts, find_repeats  # noqa: E402
from studio.looper.seams import Seam, best_seam  # noqa: E402

MP3_SPEED, WAV_SPEED, ANALYSIS_SPEED = 35, 800, 150  # estimated seconds of sound per second, used only for progress
DECODED, EXTRACTED, COMPARED = 0.35, 0.75, 0.85  # shares of the analysis that are done after these steps
RENDERING_SECONDS = 0.05
SHORTEST_LOOP, USUAL_LOOP = 2.0, 20.0  # seconds; USUAL_LOOP is used unless the source or the loop is short
BODY_SHARE, DURATION_SHARE = 0.4, 0.5
UNREPEATED = 1.0  # the cost of a pair of times if nothing repeats
MARGIN = 0.1  # seconds; an alignment moves a cut by less than this


def main() -> None:
    """Read the command line and make the loop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--duration", type=float, required=True, help="seconds")
    parser.add_argument("--format", choices=["MP3", "WAV"], required=True)
    parser.add_argument("--fade", action="store_true", help="fade in and out")
    parser.add_argument("--name", default="loop", help="of the file, without its suffix")
    try:
        make(parser.parse_args())
    except Unusable as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"the loop cannot be made: {error}")


def make(options: argparse.Namespace) -> None:
    """Write the loop and its analysis. Raises Unusable and OSError."""
    target = options.folder / f"{options.name}.{options.format.lower()}"
    decoded, part = target.with_name(f"{target.name}.pcm"), target.with_name(f"{target.name}.part")
    try:
        with Source(options.source) as source:
            progress = progress_of(source, options)
            pcm = decode(source, decoded, options.source.name, progress.of("ANALYZING", 0, DECODED))
        with pcm:
            seam, beat = analyse(pcm, options.duration, progress)
            progress.of("RENDERING")(0)
            written = export(pcm, seam, part, options, progress.of("EXPORTING"))
        (options.folder / "analysis.json").write_text(json.dumps(describe(pcm, seam, beat) | written))
        part.replace(target)
    finally:
        decoded.unlink(missing_ok=True)
        part.unlink(missing_ok=True)


def progress_of(source: Source, options: argparse.Namespace) -> Progress:
    """The progress of a loop, with the estimated seconds of each stage."""
    exporting = options.duration / (MP3_SPEED if options.format == "MP3" else WAV_SPEED)
    analyzing = max(1.0, source.expected / source.rate) / ANALYSIS_SPEED
    return Progress({"ANALYZING": analyzing, "RENDERING": RENDERING_SECONDS, "EXPORTING": exporting})


def analyse(pcm: Pcm, duration: float, progress: Progress) -> tuple[Seam, Pulse]:
    """The best seam of a loop no longer than duration (seconds), and the pulse it belongs to."""
    features = extract(pcm, progress.of("ANALYZING", DECODED, EXTRACTED))
    for beat in (pulse(features), grid(features)):
        cuts = find_cuts(features, beat)
        shortest = max(SHORTEST_LOOP, min(USUAL_LOOP, BODY_SHARE * cuts.body_seconds))
        pairs = find_repeats(cuts, min(shortest, DURATION_SHARE * duration), duration - MARGIN)
        if pairs:
            progress.of("ANALYZING")(COMPARED)
            closer = [aligned(features, pair) for pair in pairs] if beat.rhythmic else pairs
            return best_seam(pcm, beat, closer), beat
    start = earliest_cut(pcm.seconds)
    guess = Repeat(start, min(start + duration, pcm.seconds) - MARGIN, UNREPEATED)
    return best_seam(pcm, grid(features), [guess]), grid(features)


def export(pcm: Pcm, seam: Seam, part: Path, options: argparse.Namespace, report: Report) -> dict[str, Any]:
    """Write the loop. Returns frames, rate (Hz), channels and duration (seconds) of the file."""
    frames = round(options.duration * pcm.rate)
    blocks = play(pcm, seam, frames)
    done = 0
    with Sink(part, pcm.rate, pcm.channels, options.format, frames) as sink:
        for block in fade(blocks, frames, pcm.rate) if options.fade else blocks:
            sink.write(block)
            done += len(block)
            report(done / frames)
    count = round(frames * sink.rate / pcm.rate)
    return {"frames": count, "rate": sink.rate, "channels": sink.channels, "duration": count / sink.rate}


def describe(pcm: Pcm, seam: Seam, beat: Pulse) -> dict[str, Any]:
    """The analysis of a loop: start, end and crossfade in seconds, tempo, beats, score and quality."""
    seconds = seam.lag / pcm.rate
    count = beat.nearest(seam.end / pcm.rate) - beat.nearest(seam.start / pcm.rate) if beat.rhythmic else None
    return {
        "start": seam.start / pcm.rate,
        "end": seam.end / pcm.rate,
        "crossfade": seam.crossfade / pcm.rate,
        "tempo": round(60 * count / seconds, 2) if count else None,  # the lag is exact; tracked beats are not
        "beats": count,
        "score": seam.score,
        "quality": seam.quality,
    }


if __name__ == "__main__":
    main()
