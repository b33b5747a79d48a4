"""Writes lyrics in the forms that generators read, and says what a listener may notice of the change.

A generator drops what is not in its form without a message. So all words are written in the form, or a note names them.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from generators.changes import NOT_SUNG, Changes, agreeing, amount, notes_about_times
from generators.lyrics import PAUSE, Line, Lyrics, in_order, read_lyrics, spread, stamp
from generators.sections import is_instrumental, nearest_name

Dialect = Callable[[Lyrics, float, bool], tuple[str, list[str]]]

SPARE_SECONDS = 0.01  # a spare last line starts this long before the end of the song
TIMES = 4  # how often "commas" writes a tag that has no words and that the lyrics have once
STOPS = ".,;:!?…。，、；：！？"
STOP = re.compile(f" ?[{STOPS}][{STOPS} ]*")
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
QUOTES = str.maketrans({"’": "'"} | dict.fromkeys('"“”„«»‘(){}《》〈〉【】「」', " "))


def write_lyrics(text: str, dialect: str, seconds: float, spare_last: bool) -> tuple[str, list[str]]:
    """(the lyrics in one of the DIALECTS, a sentence for each change that a listener may notice).

    seconds is the length of the song. spare_last is for a generator that never sings the last line or section: a spare
    one is added. Lyrics without words may become "".
    """
    return DIALECTS[dialect](read_lyrics(text), seconds, spare_last)


class Section(NamedTuple):
    """A section of lyrics as they were sent: its tags without brackets, usually one or none, and its lines of words."""

    tags: tuple[str, ...]
    lines: list[str]


def sections_of(lyrics: Lyrics, seconds: float, changes: Changes) -> list[Section]:
    """The sections in the order of the times of their lines, without words in square brackets."""
    sections: list[Section] = []
    for line in in_order(lyrics.lines, seconds):
        if line.opens_section or not sections:
            sections += sections_before(line)
        if words := changes.leave_out_inline(line.words):
            sections[-1].lines.append(words)
    return sections + [Section((tag,), []) for tag in lyrics.last_tags if tag != PAUSE]


def sections_before(line: Line) -> Iterator[Section]:
    """The sections that begin with the tags before a line. The line belongs to the last of them.

    After a blank line, the line belongs to the tag before, unless this is one that often has no words, such as [intro].
    """
    groups = [tuple(tags) for pause, tags in groupby(line.tags, lambda tag: tag == PAUSE) if not pause]
    *before, last = groups or [()]
    yield from (Section(tags, []) for tags in before)
    if line.tags[-1:] == (PAUSE,) and is_instrumental(last[-1]):
        yield Section(last, [])
        last = ()
    yield Section(last, [])


class Part(NamedTuple):
    """A section as a form writes it: its only tag, and its lines of words."""

    name: str
    lines: list[str]


@dataclass(frozen=True)
class Form:
    """A form of lyrics in sections that each have one tag.

    tags matches the tags that generators know. without_words matches those of them that never have words, where all
    others need words; None if any may have words or not. sentence changes the words of a line; join writes all parts.
    """

    tags: re.Pattern[str]
    without_words: re.Pattern[str] | None
    sentence: Callable[[str], str]
    join: Callable[[list[Part]], str]

    def write(self, lyrics: Lyrics, seconds: float, spare_last: bool) -> tuple[str, list[str]]:
        """The lyrics in this form, and notes."""
        changes = Changes()
        sections = joined(sections_of(lyrics, seconds, changes))
        parts = [part for section in sections for part in self.parts(section, changes)]
        if spare_last:
            parts = [*(parts or [self.part("inst")]), self.part("outro")]
        return self.join(parts), changes.notes(lyrics)

    def part(self, name: str) -> Part:
        """A part without words."""
        return Part(nearest_name(name, self.tags) or name, [])

    def parts(self, section: Section, changes: Changes) -> Iterator[Part]:
        """A part for each known tag of a section. The last one has the words; they are a verse if no tag is known."""
        lines = [words for line in section.lines if (words := self.sentence(line))]
        names = [(tag, nearest_name(tag, self.tags)) for tag in section.tags]
        named = [(tag, name) for tag, name in names if name]
        changes.leave_out_unknown([tag for tag, name in names if not name])
        last = named.pop() if named and lines else None
        for tag, name in named:
            if self.without_words and not self.without_words.fullmatch(name):
                changes.leave_out_wordless(tag)
            else:
                yield Part(changes.rename(tag, name), [])
        if lines:
            yield Part(self.name_with_words(*last, changes) if last else "verse", lines)

    def name_with_words(self, tag: str, name: str, changes: Changes) -> str:
        """The name of a section that has words: "verse" if sections of this name never have words."""
        wordless = self.without_words and self.without_words.fullmatch(name)
        return changes.rename(tag, "verse" if wordless else name)


def joined(sections: list[Section]) -> list[Section]:
    """The sections, with paragraphs that have no tag joined to the section before, if that has a tag and words."""
    whole: list[Section] = []
    for section in sections:
        if not section.tags and whole and whole[-1].tags and whole[-1].lines:
            whole[-1].lines.extend(section.lines)
        else:
            whole.append(section)
    return whole


def tag_and_lines(part: Part) -> str:
    """A line with the tag, and the lines of words."""
    return "\n".join([f"[{part.name}]", *part.lines])


def comma_parts(parts: list[Part]) -> str:
    """One line: parts with " , " between them, sentences with ". ". A tag without words is written several times."""
    written: list[str] = []
    for wordless, group in groupby(parts, lambda part: "" if part.lines else f"[{part.name}]"):
        if wordless:
            number = len(list(group))
            written.append(" ".join([wordless] * (number if number > 1 else TIMES)))
        else:
            written += [f"[{part.name}] {'. '.join(part.lines)}" for part in group]
    return " , ".join(written)


def semicolon_sentence(words: str) -> str:
    """A line that ends with a full stop and has no semicolon. "" if it had no words."""
    sentence = words.replace(";", ",").rstrip(STOPS + " ")
    return sentence and f"{sentence}."


def comma_sentence(words: str) -> str:
    """A line with full stops instead of all other such signs, without one at its end, and without quotation marks."""
    plain = STOP.sub(". ", THOUSANDS.sub("", words.translate(QUOTES)))
    return " ".join(plain.split()).strip(". ")


def lrc(lyrics: Lyrics, seconds: float, spare_last: bool) -> tuple[str, list[str]]:
    """Lines `[mm:ss.xx]words` in fixed columns. The spare last line has the words of the last."""
    changes = Changes()
    changes.leave_out_tags(lyrics.all_tags)
    starts = spread(lyrics.lines, seconds)
    timed = zip(starts, (line.words for line in lyrics.lines), strict=True)
    sung = sorted((pair for pair in timed if pair[0] < seconds), key=itemgetter(0))
    if sung and spare_last:
        sung.append((seconds - SPARE_SECONDS, sung[-1][1]))
    notes = notes_about_times(starts, sum(line.seconds is None for line in lyrics.lines), seconds)
    return "\n".join(f"[{stamp(start)}]{words}" for start, words in sung), notes + changes.notes(lyrics)


def tagged(lyrics: Lyrics, seconds: float, spare_last: bool) -> tuple[str, list[str]]:
    """Any tags, each in a line of its own, and a blank line between sections. The spare section is [outro]."""
    changes = Changes()
    sections = sections_of(lyrics, seconds, changes) + [Section(("outro",), [])] * spare_last
    paragraphs = ["\n".join([*(f"[{tag}]" for tag in section.tags), *section.lines]) for section in sections]
    return "\n\n".join(filter(None, paragraphs)), changes.notes(lyrics)


def plain(lyrics: Lyrics, seconds: float, spare_last: bool) -> tuple[str, list[str]]:
    """Words alone, and a blank line between sections. The spare last line has the words of the last."""
    changes = Changes()
    changes.leave_out_tags(lyrics.all_tags)
    paragraphs = [section.lines for section in sections_of(lyrics, seconds, changes) if section.lines]
    if paragraphs and spare_last:
        paragraphs[-1].append(paragraphs[-1][-1])
    return "\n\n".join("\n".join(lines) for lines in paragraphs), changes.notes(lyrics)


def none(lyrics: Lyrics, seconds: float, spare_last: bool) -> tuple[str, list[str]]:
    """No lyrics."""
    lines = len(lyrics.lines)
    return "", [f"the generator takes no lyrics: {amount(lines, 'line')} {agreeing(lines, NOT_SUNG)}"] if lines else []


TAGS = Form(
    tags=re.compile("start|end|intro|verse|chorus|outro|inst|solo|bridge|hook|break"),
    without_words=None,
    sentence=str,
    join=lambda parts: "\n".join(map(tag_and_lines, parts)),
)
SECTIONS = Form(
    tags=re.compile("[a-z]+"),
    without_words=None,
    sentence=str,
    join=lambda parts: "\n\n".join(map(tag_and_lines, parts)),
)
SEMICOLONS = Form(
    tags=re.compile("verse|chorus|bridge|(?:intro|inst|outro)-(?:short|medium)|silence"),
    without_words=re.compile("(?:intro|inst|outro)-(?:short|medium)|silence"),
    sentence=semicolon_sentence,
    join=lambda parts: " ; ".join(" ".join([f"[{part.name}]", *part.lines]) for part in parts),
)
COMMAS = Form(
    tags=re.compile("verse|chorus|bridge|intro|inst|outro"),
    without_words=re.compile("intro|inst|outro"),
    sentence=comma_sentence,
    join=comma_parts,
)
DIALECTS: dict[str, Dialect] = {
    "lrc": lrc,
    "tags": TAGS.write,
    "sections": SECTIONS.write,
    "tagged": tagged,
    "semicolons": SEMICOLONS.write,
    "commas": COMMAS.write,
    "plain": plain,
    "none": none,
}
