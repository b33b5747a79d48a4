"""The lyrics of a song with the times at which they are sung."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from generators.lyrics import Line, read_lyrics, spread

LONGEST = 50_000  # characters; longer lyrics get no times
MOST = 1000  # lines
SPARE_SECONDS = 0.05  # a line that begins so shortly before the end of the song is not sung


class TimedLine(NamedTuple):
    """A line of lyrics, and when it is sung: seconds from the beginning of the song."""

    seconds: float
    words: str


def timed_lines(sent: Any, received: Any, seconds: Any) -> list[TimedLine]:
    """The lines of lyrics in the order of their times; [] for lyrics without times. The values may be of any type.

    sent: the lyrics that a person wrote. received: those that the generator received. seconds: the length of the song.

    The result is the lyrics that were sent if all their lines have times. Otherwise it is what the generator received,
    because this service has spread the other lines over the song. Before that, the lines without times are spread
    between those that have one, if most have one.
    """
    lines, spread_lines = _lines(sent), _without_spare(received, seconds)
    if lines and all(line.seconds is not None for line in lines):
        return _in_order(lines)
    if spread_lines and all(line.seconds is not None for line in spread_lines):
        return _in_order(spread_lines)
    times = [line.seconds for line in lines if line.seconds is not None]
    if 2 * len(times) <= len(lines):
        return []
    starts = spread(lines, max(times))
    return _in_order([line._replace(seconds=start) for line, start in zip(lines, starts, strict=True)])


def write_lrc(lines: Iterable[TimedLine]) -> str:
    """Lines with times as an LRC file, which players show beside the song."""
    return "".join(f"[{_clock(line.seconds)}]{' '.join(line.words.split())}\n" for line in lines)


def _lines(text: Any) -> list[Line]:
    """The lines to be sung of a text; [] for another value, and for a text that is too long to follow."""
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST:
        return []
    lines = read_lyrics(text).lines
    return lines if len(lines) <= MOST else []


def _without_spare(received: Any, seconds: Any) -> list[Line]:
    """The lines that the generator received, without the spare one at the end that some generators need."""
    lines = _lines(received)
    if len(lines) < 2 or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return lines
    *before, last = lines
    is_spare = last.words == before[-1].words and (last.seconds or 0) > seconds - SPARE_SECONDS
    return before if is_spare else lines


def _in_order(lines: list[Line]) -> list[TimedLine]:
    return sorted(TimedLine(line.seconds or 0.0, line.words) for line in lines)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 100), 6000)
    return f"{minutes:02}:{rest // 100:02}.{rest % 100:02}"
