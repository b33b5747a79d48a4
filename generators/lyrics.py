"""Writes lyrics in the form DiffRhythm reads, so that it sings every line.

DiffRhythm reads fixed columns (parse_lyrics in its infer/infer_utils.py): a line is `[mm:ss.xx]words`. It drops all
other lines without a message, and lines that start after the end of the song. At 95 seconds it also drops the last line
of the file (get_lrc_token).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

FIRST_SECONDS = 10.0  # the time at which lyrics without times begin
LAST_SECONDS = 5.0  # lyrics without times end this long before the end of the song
BASE_SECONDS = 95.0  # the length of DiffRhythm's base model, which drops the last line of the file
BRACKETS = re.compile(r"\s*\[([^\[\]]*)\]\s*")
TIME = re.compile(r"\s*(\d{1,4}):(\d{1,2})(?:[.:,](\d+))?\s*", re.ASCII)
WORD_TIME = re.compile(r"<\d+:\d+[.:,\d]*>", re.ASCII)  # the time of a single word, in enhanced LRC files


@dataclass(frozen=True)
class Line:
    """A line to be sung: its words, when it starts (seconds, or None) and whether it is the first of a section."""

    words: str
    seconds: float | None
    opens_section: bool


def to_lrc(text: str, seconds: float) -> tuple[str, list[str]]:
    """(the lyrics file for a song of this length in seconds, a sentence for each change that a listener may notice)."""
    lines = read_lines(text)
    timed = sorted(zip(spread(lines, seconds), (line.words for line in lines), strict=True), key=lambda pair: pair[0])
    sung = [(start, words) for start, words in timed if start < seconds]
    if sung and seconds <= BASE_SECONDS:
        sung.append((BASE_SECONDS - 0.01, sung[-1][1]))  # DiffRhythm drops this line instead of the last sung line
    return "\n".join(f"[{stamp(start)}]{words}" for start, words in sung), notes(lines, timed, seconds)


def notes(lines: list[Line], timed: list[tuple[float, str]], seconds: float) -> list[str]:
    """Sentences about lines without times and about lines after the end of the song; [] if there are no such lines."""
    untimed = sum(line.seconds is None for line in lines)
    late = sum(start >= seconds for start, _ in timed)
    spread_out = f"{untimed} of {len(lines)} lines of lyrics have no time: they are spread over {seconds:g} seconds"
    left_out = (
        f"{late} of {len(lines)} lines of lyrics start at or after {seconds:g} seconds, where the song ends: "
        "they are not sung"
    )
    return [note for note, count in ((spread_out, untimed), (left_out, late)) if count]


def read_lines(text: str) -> list[Line]:
    """The lines to be sung, in the order of the text. Blank lines and tags such as [chorus] separate sections."""
    lines: list[Line] = []
    opens_section = False
    for raw in text.removeprefix("\ufeff").splitlines():
        times, has_tag, words = read_line(raw)
        opens_section = opens_section or has_tag or not raw.strip()
        if words:
            starts: list[float | None] = [*times] or [None]
            lines += [Line(words, seconds, opens_section) for seconds in starts]
            opens_section = False
    return lines


def read_line(raw: str) -> tuple[list[float], bool, str]:
    """(the times in seconds at the beginning of a line, True if it has a tag, the words after them)."""
    times: list[float] = []
    has_tag = False
    while bracket := BRACKETS.match(raw):
        raw = raw[bracket.end() :]
        if time := TIME.fullmatch(bracket[1]):
            minutes, seconds, fraction = time.groups("0")
            times.append(int(minutes) * 60 + float(f"{seconds}.{fraction}"))
        else:
            has_tag = True
    return times, has_tag, " ".join(WORD_TIME.sub("", raw).split())


def spread(lines: list[Line], seconds: float) -> list[float]:
    """When each line starts (seconds). Lines without times are evenly spread between their neighbours with times.

    Each section begins after an empty place. If no line has a time, the lyrics begin at 0:10 and end before the song.
    """
    if not lines:
        return []
    places = list(accumulate(1 + line.opens_section for line in lines))
    anchors = [(place, line.seconds) for place, line in zip(places, lines, strict=True) if line.seconds is not None]
    if lines[0].seconds is None:
        following = anchors[0][1] if anchors else seconds
        anchors.insert(0, (places[0], min(FIRST_SECONDS, following / 2)))
    if lines[-1].seconds is None:
        before, end = anchors[-1][1], seconds - LAST_SECONDS
        anchors.append((places[-1] + 1, end if before < end else max(before, seconds)))
    starts = dict(places_between(anchors))
    return [starts[place] if line.seconds is None else line.seconds for place, line in zip(places, lines, strict=True)]


def places_between(anchors: list[tuple[int, float]]) -> Iterator[tuple[int, float]]:
    """All places from the first anchor to the last, with their times (seconds).

    Between two anchors, times only rise.
    """
    yield anchors[0]
    for (place, start), (next_place, end) in pairwise(anchors):
        step = max(0.0, end - start) / (next_place - place)
        yield from ((place + number, start + number * step) for number in range(1, next_place - place))
        yield next_place, end


def stamp(seconds: float) -> str:
    """Seconds as mm:ss.xx, rounded down to hundredths."""
    minutes, hundredths = divmod(int(round(seconds * 100, 3)), 6000)
    return f"{minutes:02}:{hundredths // 100:02}.{hundredths % 100:02}"
