"""Reads lyrics as generators read them, by the rules of their own code: each function returns the lines that are sung.

What a generator drops without a message is dropped here, too. What it cannot read is an AssertionError.
"""

import re
from collections.abc import Callable

from tests.standins.infer import sung_lines

SECONDS = 120
TAG_LINES = {"start", "end", "intro", "verse", "chorus", "outro", "inst", "solo", "bridge", "hook", "break"}
WITH_WORDS = {"[verse]", "[chorus]", "[bridge]"}
LENGTHS = ("short", "medium")
INSTRUMENTAL = {f"[{name}-{length}]" for name in ("intro", "inst", "outro") for length in LENGTHS} | {"[silence]"}


def columns(text: str) -> list[str]:
    """Fixed columns."""
    return [words for _, words in sung_lines(text, SECONDS)]


def tag_lines(text: str) -> list[str]:
    """A line is a tag only if it is exactly that; all other lines are sung, and an empty one is a stop."""
    tags = {f"[{tag}]" for tag in TAG_LINES}
    return [line.strip() for line in text.split("\n") if text and line not in tags]


def sections(text: str) -> list[str]:
    """Sections begin with a tag of one word. Text before the first, and text after any other bracket, is lost."""
    found = re.findall(r"\[(\w+)\](.*?)(?=\[|\Z)", text, re.DOTALL)
    assert text == "\n\n".join(f"[{tag}]\n{words.strip()}".strip() for tag, words in found)
    return [line for _, words in found for line in words.strip().split("\n") if line]


def sections_but_the_last(text: str) -> list[str]:
    """The same, where the last section is never sung, and fewer than two sections crash."""
    whole = text.split("\n\n")
    assert len(whole) > 1
    return sections("\n\n".join(whole[:-1]))


def tagged(text: str) -> list[str]:
    """A line that begins with something in brackets is a tag as a whole."""
    return [line for line in text.split("\n") if line and not re.match(r"\[.*?\]", line)]


def semicolons(text: str) -> list[str]:
    """One line of sections, each with a tag. Those for instruments have no words, and the others need words."""
    return one_line(text, " ; ", INSTRUMENTAL)


def commas(text: str) -> list[str]:
    """One line of sections, each with a tag. A comma only separates sections. Tags without words are repeated."""
    assert text.count(",") == text.count(" , ")
    return one_line(text, " , ", {"[intro]", "[inst]", "[outro]"})


def one_line(text: str, separator: str, instrumental: set[str]) -> list[str]:
    """The sentences of lyrics in one line."""
    assert "\n" not in text and separator.strip() not in text.replace(separator, "")
    return [sentence for part in text.split(separator) if text for sentence in sentences(part, instrumental)]


def sentences(part: str, instrumental: set[str]) -> list[str]:
    """The sentences of a section, which has them only if it is not for instruments. Then its tag may be repeated."""
    tag, _, words = part.partition(" ")
    if tag in instrumental:
        assert set(words.split()) <= {tag}
        return []
    sung = [sentence.strip() for sentence in words.split(".") if sentence.strip()]
    assert tag in WITH_WORDS and sung and "[" not in words and "]" not in words
    return sung


def plain(text: str) -> list[str]:
    """All lines are sung."""
    return [line for line in text.split("\n") if line]


READERS: dict[str, Callable[[str], list[str]]] = {
    "lrc": columns,
    "tags": tag_lines,
    "sections": sections,
    "tagged": tagged,
    "semicolons": semicolons,
    "commas": commas,
    "plain": plain,
}
