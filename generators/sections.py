"""The names of sections of songs: which words in a tag mean a verse, a chorus and so on."""

import re
from functools import lru_cache

NAMES = {
    "start": "start",
    "intro": "intro",
    "introduction": "intro",
    "prelude": "intro",
    "verse": "verse",
    "rap": "verse",
    "strophe": "verse",
    "prechorus": "prechorus",
    "chorus": "chorus",
    "refrain": "chorus",
    "postchorus": "postchorus",
    "hook": "hook",
    "bridge": "bridge",
    "inst": "inst",
    "instrumental": "inst",
    "interlude": "inst",
    "solo": "solo",
    "break": "break",
    "breakdown": "break",
    "outro": "outro",
    "coda": "outro",
    "ending": "outro",
    "end": "end",
    "silence": "silence",
    "前奏": "intro",
    "主歌": "verse",
    "副歌": "chorus",
    "桥段": "bridge",
    "间奏": "inst",
    "尾奏": "outro",
    "вступление": "intro",
    "куплет": "verse",
    "припев": "chorus",
    "бридж": "bridge",
    "проигрыш": "inst",
}
# What a section is called in a form that has no name for it; the first name that the form has is taken.
NEAREST = {
    "prechorus": "verse",
    "postchorus": "chorus",
    "hook": "chorus",
    "break": "inst",
    "solo": "inst",
    "inst": "inst-short",
    "start": "intro",
    "intro": "intro-short",
    "end": "outro",
    "silence": "break",
    "outro": "outro-short",
}
INSTRUMENTAL = {"intro", "inst", "solo", "break", "outro", "start", "end", "silence"}  # often without words
LONGEST = 40  # characters of a tag that are looked at
WORD = re.compile(r"[^\W\d_]+")
JOINED = re.compile(r"\b(pre|post)[\W_]+(?=chorus)")


def words_of(tag: str) -> list[str]:
    """The words of a tag before a colon, in lower case and without numbers. "Pre-Chorus" is one word."""
    return words_before_colon(tag[:LONGEST])


@lru_cache(1000)
def words_before_colon(tag: str) -> list[str]:
    """words_of() for a short tag, cached: songs repeat their tags."""
    return WORD.findall(JOINED.sub(r"\1", tag.partition(":")[0].lower()))


def section_name(tag: str) -> str | None:
    """The name of the section that a tag means: "solo" for "Guitar Solo". None if no word of the tag is known."""
    return next((NAMES[word] for word in words_of(tag) if word in NAMES), None)


def is_plain_name(tag: str) -> bool:
    """True if a tag is a known name and nothing else, such as "Verse 1" or "Chorus: Ada", so that no word is lost."""
    words = words_of(tag)
    return len(words) == 1 and words[0] in NAMES and len(tag) <= LONGEST


def is_instrumental(tag: str) -> bool:
    """True if a section of this tag often has no words, so that a blank line after the tag ends the section."""
    return section_name(tag) in INSTRUMENTAL


def nearest_name(tag: str, accepted: re.Pattern[str]) -> str | None:
    """The tag as a form writes it, which has the tags that the pattern matches. None if it has none that is near."""
    name = section_name(tag)
    if name and not is_plain_name(tag) and accepted.fullmatch(tag.lower()):
        return tag.lower()
    while name and not accepted.fullmatch(name):
        name = NEAREST.get(name)
    return name
