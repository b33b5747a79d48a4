"""Reads lyrics in any usual form: their lines, times and tags. Spreads lines without times over the song.

Read are LRC files, also with times of single words, lyrics with tags such as [Verse 1], and plain text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import NamedTuple

from generators.sections import is_plain_name

FIRST_SECONDS = 10.0  # the time at which lyrics without times begin
LAST_SECONDS = 5.0  # lyrics without times end this long before the end of the song
BRACKETS = re.compile(r"\s*\[([^\[\]]*)\]\s*")
TIME = re.compile(r"\s*(\d{1,4}):(\d{1,2})(?:[.:,](\d{1,9})\d*)?\s*", re.ASCII)
WORD_TIME = re.compile(r"<\d+:\d[\d.:,]*>|\[\d+:\d[\d.:,]*\]", re.ASCII)  # the time of a single word
ABOUT_FILE = re.compile(r"(?:ar|ti|al|au|lr|by|re|ve|length|offset|tool)\s*:|#", re.I)  # LRC tags for artist, title ...
OFFSET = re.compile(r"offset\s*:\s*([+-]?\d{1,7})", re.I | re.ASCII)  # the LRC tag: milliseconds
HEADING = re.compile(r"\(([^()]{1,30})\)|([^:]{1,30}):")  # a tag that is not in square brackets
PAUSE = ""  # among tags: a blank line


class Line(NamedTuple):
    """A line to be sung: its words, when it starts (seconds, or None), whether it is the first of a section.

    tags are the tags between the line before and this line, without brackets. PAUSE is a blank line after a tag.
    """

    words: str
    seconds: float | None
    opens_section: bool
    tags: tuple[str, ...] = ()

    def moved(self, seconds: float) -> "Line":
        """This line so many seconds later, but not before the beginning of the song."""
        return self if self.seconds is None else self._replace(seconds=max(0.0, self.seconds + seconds))


@dataclass
class Lyrics:
    """The lines to be sung in the order of the text, all tags, and the tags after the last line.

    headings are lines that are not sung because they are tags in another spelling, such as "(instrumental)".
    """

    lines: list[Line] = field(default_factory=list)
    all_tags: list[str] = field(default_factory=list)
    last_tags: list[str] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    opens_section: bool = False  # whether the next line is the first of a section
    offset: float = 0.0  # all lines start so many seconds before their times

    def add(self, raw: str) -> None:
        """Add one line of the text."""
        if not raw.strip():
            self.opens_section = True
            if self.last_tags and self.last_tags[-1] != PAUSE:
                self.last_tags.append(PAUSE)
            return
        times, tags, words = read_line(raw)
        if heading := heading_of(words):
            self.headings.append(words)
            tags, words = [*tags, heading], ""
        for offset in filter(None, map(OFFSET.fullmatch, tags)):
            self.offset = int(offset[1]) / 1000
        if tags:
            self.add_tags([tag for tag in tags if tag and not ABOUT_FILE.match(tag)])
        if words:
            self.add_words(words, times)

    def add_tags(self, tags: list[str]) -> None:
        """Add tags. The next line begins a section, even if none of its tags is left."""
        self.opens_section = True
        self.all_tags += tags
        self.last_tags += tags

    def add_words(self, words: str, times: list[float]) -> None:
        """Add a line to be sung: once for each of its times, or once without a time."""
        starts: list[float | None] = [*times] or [None]
        self.lines += [Line(words, seconds, self.opens_section, tuple(self.last_tags)) for seconds in starts]
        self.opens_section, self.last_tags = False, []


def read_lyrics(text: str) -> Lyrics:
    """The lyrics of a text. Blank lines and tags such as [chorus] separate sections.

    The LRC tag [offset:+500] lets all lines start half a second earlier.
    """
    lyrics = Lyrics()
    for raw in text.removeprefix("\ufeff").splitlines():
        lyrics.add(raw)
    if lyrics.offset:
        lyrics.lines = [line.moved(-lyrics.offset) for line in lyrics.lines]
    return lyrics


def read_line(raw: str) -> tuple[list[float], list[str], str]:
    """(the times in seconds at the beginning of a line, the tags there without brackets, the words after them)."""
    times: list[float] = []
    tags: list[str] = []
    if "[" not in raw and "<" not in raw:
        return times, tags, " ".join(raw.split())
    place = 0
    while bracket := BRACKETS.match(raw, place):
        place = bracket.end()
        if time := TIME.fullmatch(bracket[1]):
            minutes, seconds, fraction = time.groups("0")
            times.append(int(minutes) * 60 + float(f"{seconds}.{fraction}"))
        else:
            tags.append(" ".join(bracket[1].split()))
    return times, tags, " ".join(WORD_TIME.sub("", raw[place:]).split())


def heading_of(words: str) -> str | None:
    """The name of a section if a line is only that: "chorus" for "(chorus)", "Verse 1" for "Verse 1:"."""
    heading = HEADING.fullmatch(words) if words.endswith((")", ":")) else None
    name = (heading[1] or heading[2]).strip() if heading else ""
    return name if is_plain_name(name) else None


def in_order(lines: list[Line], seconds: float) -> list[Line]:
    """The lines of a song of this length (seconds) in the order of their times: those that they have, or get."""
    if all(line.seconds is None for line in lines):
        return lines
    starts = spread(lines, seconds)
    return [lines[number] for number in sorted(range(len(lines)), key=starts.__getitem__)]


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
