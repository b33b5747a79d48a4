"""Collects what a change of form does to lyrics, and says it in sentences for the listener."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from generators.lyrics import Lyrics
from generators.sections import is_plain_name, section_name

SHOWN = 5  # examples in a sentence
LETTERS = 40  # of a tag in an example
INLINE = re.compile(r"\[([^\[\]]*)\]")
# The ends of sentences: for one thing, and for several.
HEADINGS = ("is read as a tag and is not sung", "are read as tags and are not sung")
UNKNOWN = ("is not known to the generator and is left out", "are not known to the generator and are left out")
NOT_SUNG = ("is not sung", "are not sung")
RENAMED = ("is renamed", "are renamed")
WORDLESS = (
    "has no words, but the generator needs some: it is left out",
    "have no words, but the generator needs some: they are left out",
)
INLINE_WORDS = ("has words in square brackets, which are left out", "have words in square brackets, which are left out")
UNTIMED = ("has no time: it gets a time within", "have no time: they are spread over")
START = ("starts", "start")
THEY = ("it", "they")


@dataclass
class Changes:
    """What a listener may notice. Each list has the examples of one sentence."""

    unknown: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)
    wordless: list[str] = field(default_factory=list)
    inline: list[str] = field(default_factory=list)

    def leave_out_inline(self, words: str) -> str:
        """The words of a line without those in square brackets, which a generator would read as a tag."""
        if "[" not in words and "]" not in words:
            return words
        if texts := INLINE.findall(words):
            self.inline.append(" ".join(map(in_brackets, texts[:SHOWN])))
        return " ".join(INLINE.sub(" ", words).replace("[", " ").replace("]", " ").split())

    def leave_out_unknown(self, tags: list[str]) -> None:
        """Tags that mean no section of the form."""
        self.unknown += map(in_brackets, tags)

    def leave_out_wordless(self, tag: str) -> None:
        """A tag without words, of a section that needs some."""
        self.wordless.append(in_brackets(tag))

    def leave_out_tags(self, tags: list[str]) -> None:
        """Tags are not sung. Only those with other words than the name of a section are worth a sentence."""
        self.unknown += [in_brackets(tag) for tag in tags if not is_plain_name(tag)]

    def rename(self, tag: str, name: str) -> str:
        """The name. It is worth a sentence if it means another kind of section than the tag, or has fewer words."""
        same = is_plain_name(tag) and name.partition("-")[0] == section_name(tag)
        if not same and name != tag.lower():
            self.renamed.append(f"{in_brackets(tag)} to {in_brackets(name)}")
        return name

    def notes(self, lyrics: Lyrics) -> list[str]:
        """The sentences, with numbers and examples; [] if there is nothing to notice."""
        of_tags = f"of {amount(len(lyrics.all_tags), 'tag')} of the lyrics"
        of_lines = f"of {amount(len(lyrics.lines) + len(lyrics.headings), 'line')} of lyrics"
        said = (
            (lyrics.headings, of_lines, HEADINGS),
            (self.unknown, of_tags, UNKNOWN),
            (self.renamed, of_tags, RENAMED),
            (self.wordless, of_tags, WORDLESS),
            (self.inline, of_lines, INLINE_WORDS),
        )
        return [
            f"{len(examples)} {of_all} {agreeing(len(examples), sentence)}: {shown(examples)}"
            for examples, of_all, sentence in said
            if examples
        ]


def notes_about_times(starts: Sequence[float], untimed: int, seconds: float) -> list[str]:
    """Sentences about lines without times and about lines after the end of the song; [] if there are no such lines."""
    late = sum(start >= seconds for start in starts)
    of_lines, length = f"of {amount(len(starts), 'line')} of lyrics", amount(seconds, "second")
    spread_out = f"{untimed} {of_lines} {agreeing(untimed, UNTIMED)} {length}"
    left_out = (
        f"{late} {of_lines} {agreeing(late, START)} at or after {length}, where the song ends: "
        f"{agreeing(late, THEY)} {agreeing(late, NOT_SUNG)}"
    )
    return [note for note, count in ((spread_out, untimed), (left_out, late)) if count]


def amount(number: float, noun: str) -> str:
    """A number with its noun: 1 line, 2 lines."""
    return f"{number:.12g} {noun if number == 1 else noun + 's'}"


def agreeing(number: int, forms: tuple[str, str]) -> str:
    """The form of a sentence for one thing, or the form for several."""
    return forms[number != 1]


def in_brackets(tag: str) -> str:
    """A tag as an example, cut if it is long."""
    return f"[{tag if len(tag) <= LETTERS else tag[:LETTERS] + '…'}]"


def shown(examples: list[str]) -> str:
    """The first different examples, and the number of the others."""
    different = list(dict.fromkeys(examples))
    more = [f"{len(different) - SHOWN} more"] if len(different) > SHOWN else []
    return ", ".join(different[:SHOWN] + more)
