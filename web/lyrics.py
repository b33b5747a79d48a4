"""The lyrics of a job with the times at which they are sung."""

import math
from typing import Any, NamedTuple

from generators.lyrics import Line, read_lyrics, spread
from models import Job
from web.titles import metadata_text

LONGEST = 50_000  # characters; longer lyrics are shown as they were sent
MOST = 1000  # lines
SPARE_SECONDS = 0.05  # a line that begins so shortly before the end of the song is not sung


class TimedLine(NamedTuple):
    """A line of lyrics, and when it is sung: seconds from the beginning of the song."""

    seconds: float
    words: str


def timed_lyrics(job: Job) -> list[TimedLine]:
    """The lines in the order of their times; [] for lyrics without times.

    They are the lyrics of the metadata if all their lines have times. Otherwise they are what the generator received,
    because this service has spread the other lines over the song. Before that, the lines without times are spread
    between those that have one, if most have one. A script may have written any values.
    """
    sent, received = _lines(metadata_text(job, "lyrics")), _without_spare(job.file_manifest)
    if sent and all(line.seconds is not None for line in sent):
        return _in_order(sent)
    if received and all(line.seconds is not None for line in received):
        return _in_order(received)
    times = [line.seconds for line in sent if line.seconds is not None]
    if 2 * len(times) <= len(sent):
        return []
    starts = spread(sent, max(times))
    return _in_order([line._replace(seconds=start) for line, start in zip(sent, starts, strict=True)])


def _lines(text: Any) -> list[Line]:
    """The lines to be sung of a text; [] for another value, and for a text that is too long to follow."""
    if not isinstance(text, str) or len(text) > LONGEST:
        return []
    lines = read_lyrics(text).lines
    return lines if len(lines) <= MOST else []


def _without_spare(manifest: dict[str, Any]) -> list[Line]:
    """The lines that the generator received, without the spare one at the end that some generators need."""
    lines, seconds = _lines(manifest.get("lyrics")), manifest.get("seconds")
    if len(lines) < 2 or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return lines
    *before, last = lines
    is_spare = last.words == before[-1].words and (last.seconds or 0) > seconds - SPARE_SECONDS
    return before if is_spare else lines


def _in_order(lines: list[Line]) -> list[TimedLine]:
    return sorted(TimedLine(line.seconds or 0.0, line.words) for line in lines)
