"""Makes a loop of a track: python -m studio.looper SOURCE FOLDER --duration SECONDS --format MP3|WAV [--fade].

Writes FOLDER/NAME.mp3 or .wav, whole or not at all, and before it FOLDER/analysis.json. Prints how far it is. It is a
process of its own, so that a file that crashes the decoder crashes nothing else; it ends with 1 and a sentence when the
source cannot be looped. Memory is bounded however long source and loop are.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for matrices this small, threads cost more than they bring

from files.sound import Sink, Source, Unusable  # noqa: E402
from studio.looper.arrangement import faded, played  # noqa: E402
from studio.looper.beats import Pulse, grid, pulse  # noqa: E402
from studio.looper.features import extract  # noqa: E402
from studio.looper.pcm import Pcm, decode  # noqa: E402
from studio.looper.repeats import Repeat, aligned, cuts, earliest_cut, repeats  # noqa: E402
from studio.looper.seams import Seam, best_seam  # noqa: E402

MP3_SPEED, WAV_SPEED, ANALYSIS_SPEED = 35, 800, 150  # seconds of sound a second, roughly: only for progress
DECODED, HEARD, COMPARED = 0.35, 0.75, 0.85  # shares of the analysis that are done then
RENDERING_SECONDS = 0.05
REPORT_SECONDS = 0.3
SHORTEST_LOOP, USUAL_LOOP = 2.0, 20.0  # seconds; the latter unless the source or the loop itself is short
BODY_SHARE, DURATION_SHARE = 0.4, 0.5
UNREPEATED = 1.0  # the cost of a pair that was only guessed
MARGIN = 0.1  # seconds: more than an alignment may move a cut

Told = Callable[[float], None]


class Progress:
    """Prints how much of everything is done, as 'STAGE 12%', a few times a second and at the end; it never falls."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds, self.stage, self.percent, self.printed = seconds, "", -1, 0.0

    def of(self, stage: str, start: float = 0.0, stop: float = 1.0) -> Told:
        """A function that is told shares of a part of a stage, 0 to 1."""
        return lambda share: self._tell(stage, start + (stop - start) * share)

    def _tell(self, stage: str, share: float) -> None:
        stages = list(self.seconds)
        before = sum(self.seconds[each] for each in stages[: stages.index(stage)])
        done = (before + self.seconds[stage] * share) / sum(self.seconds.values())
        percent, now = max(self.percent, int(100 * done + 1e-6)), time.monotonic()
        pressing = percent == 100 or now - self.printed > REPORT_SECONDS
        if stage != self.stage or (percent > self.percent and pressing):
            print(f"{stage} {percent}%", flush=True)
            self.stage, self.percent, self.printed = stage, percent, now


def main() -> None:
    """See above."""
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


def make(asked: argparse.Namespace) -> None:
    """The loop that is asked for, and its analysis. Raises Unusable and OSError."""
    target = asked.folder / f"{asked.name}.{asked.format.lower()}"
    decoded, part = target.with_name(f"{target.name}.pcm"), target.with_name(f"{target.name}.part")
    try:
        with Source(asked.source) as source:
            progress = expected(source, asked)
            told = progress.of("ANALYZING", 0, DECODED)
            pcm = decode(source, decoded, asked.source.name, told)
        with pcm:
            seam, beat = analyse(pcm, asked.duration, progress)
            progress.of("RENDERING")(0)
            made = export(pcm, seam, part, asked, progress.of("EXPORTING"))
        (asked.folder / "analysis.json").write_text(json.dumps(described(pcm, seam, beat) | made))
        part.replace(target)
    finally:
        decoded.unlink(missing_ok=True)
        part.unlink(missing_ok=True)


def expected(source: Source, asked: argparse.Namespace) -> Progress:
    """The seconds each stage should take."""
    exporting = asked.duration / (MP3_SPEED if asked.format == "MP3" else WAV_SPEED)
    analyzing = max(1.0, source.expected / source.rate) / ANALYSIS_SPEED
    return Progress({"ANALYZING": analyzing, "RENDERING": RENDERING_SECONDS, "EXPORTING": exporting})


def analyse(pcm: Pcm, duration: float, progress: Progress) -> tuple[Seam, Pulse]:
    """The best seam of a loop no longer than duration (seconds), and the pulse it was found with."""
    features = extract(pcm, progress.of("ANALYZING", DECODED, HEARD))
    heard = pulse(features)
    for beat in (heard, grid(features)):
        found = cuts(features, beat)
        shortest = max(SHORTEST_LOOP, min(USUAL_LOOP, BODY_SHARE * found.body_seconds))
        pairs = repeats(found, min(shortest, DURATION_SHARE * duration), duration - MARGIN)
        if pairs:
            progress.of("ANALYZING")(COMPARED)
            closer = [aligned(features, pair) for pair in pairs] if beat.rhythmic else pairs
            return best_seam(pcm, beat, closer), beat
    start = earliest_cut(pcm.seconds)
    guess = Repeat(start, min(start + duration, pcm.seconds) - MARGIN, UNREPEATED)
    return best_seam(pcm, grid(features), [guess]), grid(features)


def export(pcm: Pcm, seam: Seam, part: Path, asked: argparse.Namespace, told: Told) -> dict[str, Any]:
    """Write the loop; frames, rate, channels and duration (seconds) of what was written."""
    frames = round(asked.duration * pcm.rate)
    blocks = played(pcm, seam, frames)
    done = 0
    with Sink(part, pcm.rate, pcm.channels, asked.format, frames) as sink:
        for block in faded(blocks, frames, pcm.rate) if asked.fade else blocks:
            sink.write(block)
            done += len(block)
            told(done / frames)
    written = round(frames * sink.rate / pcm.rate)
    return {"frames": written, "rate": sink.rate, "channels": sink.channels, "duration": written / sink.rate}


def described(pcm: Pcm, seam: Seam, beat: Pulse) -> dict[str, Any]:
    """What is told of a loop: start, end, crossfade in seconds, tempo, beats, score and quality."""
    seconds = seam.lag / pcm.rate
    count = beat.nearest(seam.end / pcm.rate) - beat.nearest(seam.start / pcm.rate) if beat.rhythmic else None
    return {
        "start": seam.start / pcm.rate,
        "end": seam.end / pcm.rate,
        "crossfade": seam.crossfade / pcm.rate,
        "tempo": round(60 * count / seconds, 2) if count else None,  # the lag is exact, tracked beats are not
        "beats": count,
        "score": seam.score,
        "quality": seam.quality,
    }


if __name__ == "__main__":
    main()
