"""The rule for words of prompts: which characters separate words, and how letters are folded, on both databases.

A word is a run of letters, digits and their marks; everything else separates words. A Chinese character, a
kana, a symbol such as a star, and an emoji are one word each. Words are compared without case and without accents: a
letter is decomposed (NFD), the accents U+0300 to U+036F are dropped, and the rest is composed again (NFC).

A text matches a prompt if every word of the text is a word of the prompt or the beginning of one. Single-character
words that touch in the text must also touch in the prompt.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby

WORD_LENGTH = 255
WALL = "\U000f0000"  # a word of private use that stands between two fields, so that no phrase crosses them
# Ranges of characters that are a word each: CJK and kana, then symbols and emoji.
SINGLE = (
    "\u2600-\u2767\u2776-\u27bf\u2e80-\u2fdf\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U0001f000-\U0001faff\U00020000-\U0003ffff"
)
ACCENTS = "\u0300-\u036f"
# The code points (hexadecimal) that separate words.
_SEPARATORS = """
    1-2f 3a-40 5b-60 7b-a9 ab-b1 b4 b6-b8 bb bf d7 f7 2c2-2c5 2d2-2df 2e5-2eb 2ed 2ef-2ff 375 37e 384-385 387 3f6
    55a-55f 589-58a 58f 5be 5c0 5c3 5c6 5f3-5f4 600-604 606-60d 61b 61e-61f 66a-66d 6d4 6dd 700-70d 70f 7f7-7f9
    830-83e 85e 964-965 970 9f2-9f3 9fb af0-af1 bf9 df4 e3f e4f e5a-e5b f04-f12 f14 f3a-f3d f85 fd0-fd4 fd9-fda
    104a-104f 10fb 1360-1368 1400 166d-166e 1680 169b-169c 16eb-16ed 1735-1736 17d4-17d6 17d8-17db 1800-180a 180e
    1944-1945 1a1e-1a1f 1aa0-1aa6 1aa8-1aad 1b5a-1b60 1bfc-1bff 1c3b-1c3f 1c7e-1c7f 1cc0-1cc7 1cd3 1fbd 1fbf-1fc1
    1fcd-1fcf 1fdd-1fdf 1fed-1fef 1ffd-1ffe 2000-2064 206a-206f 207a-207e 208a-208e 20a0-20ff 2118 2140-2144 214b
    2190-2194 219a-219b 21a0 21a3 21a6 21ae 21ce-21cf 21d2 21d4 21f4-22ff 2308-230b 2320-2321 2329-232a 237c 239b-23b3
    23dc-23e1 25b7 25c1 25f8-25ff 2768-2775 27c0-27ff 2900-2aff 2b30-2b44 2b47-2b4c 2cf9-2cfc 2cfe-2cff 2d70 2e00-2e2e
    2e30-2e3b 3000-3003 3008-3011 3014-301f 3030 303d 309b-309c 30a0 30fb a4fe-a4ff a60d-a60f a673 a67e a6f2-a6f7
    a700-a716 a720-a721 a789-a78a a838 a874-a877 a8ce-a8cf a8f8-a8fa a92e-a92f a95f a9c1-a9cd a9de-a9df aa5c-aa5f
    aade-aadf aaf0-aaf1 abeb fb29 fbb2-fbc1 fd3e-fd3f fdfc fe00-fe19 fe30-fe52 fe54-fe66 fe68-fe6b feff ff01-ff0f
    ff1a-ff20 ff3b-ff40 ff5b-ff65 ffe0-ffe3 ffe5-ffe6 ffe9-ffec fff9-fffb 10100-10102 1039f 103d0 10857 1091f 1093f
    10a50-10a58 10a7f 10b39-10b3f 11047-1104d 110bb-110c1 11140-11143 111c5-111c8 12470-12473 1d173-1d17a 1d6c1 1d6db
    1d6fb 1d715 1d735 1d74f 1d76f 1d789 1d7a9 1d7c3 1eef0-1eef1 e0001 e0020-e007f
"""
# Variants of letters, which a Unicode decomposition does not fold to the plain letter.
VARIANTS, PLAIN = "ςµſẛϐϑϕϖϰϱϵ", "σμssβθφπκρε"

_accents, _variants = re.compile(f"[{ACCENTS}]"), str.maketrans(VARIANTS, PLAIN)


def _ranges() -> Iterator[str]:
    for part in _SEPARATORS.split():
        first, _, last = part.partition("-")
        yield re.escape(chr(int(first, 16))) + (f"-{re.escape(chr(int(last, 16)))}" if last else "")


SEPARATORS = "".join(_ranges())


def fold(text: str) -> str:
    """The text in lower case and without accents."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFD", text.lower().translate(_variants))
    return unicodedata.normalize("NFC", _accents.sub("", plain))


_single = re.compile(f"([{SINGLE}])")
_ascii_word = re.compile("[0-9A-Za-z]+")
_separators = re.compile(f"[{SEPARATORS}\\0]+")


def words(text: str) -> list[str]:
    """The words of a folded text, in order; [] if it has none."""
    if text.isascii():  # the same rule; this needs a tenth of the time
        return [word[:WORD_LENGTH] for word in _ascii_word.findall(text)]
    return [word[:WORD_LENGTH] for word in _separators.sub(" ", _single.sub(r" \1 ", text)).split(" ") if word]


def folded_words(text: bytes | None) -> str | None:
    """The folded words of a text (UTF-8) with spaces between them, to compare two texts; None for None."""
    return None if text is None else " ".join(words(fold(text.decode("utf-8", "replace"))))


def phrases(text: str) -> list[list[str]]:
    """The folded words of a text as phrases. A phrase is one word, or several single-character words that touch."""
    result: list[list[str]] = []
    for run in _separators.sub(" ", fold(text)).split(" "):
        for is_single, group in groupby(words(run), _is_single):
            together = list(group)
            result += [together] if is_single else [[word] for word in together]
    return result


def has_words(prompt: bytes, text: str) -> bool:
    """True if the text matches the prompt. A text without a word matches no prompt.

    SQLite calls this for jobs that are not in the search index. prompt: UTF-8; invalid bytes are read as U+FFFD.
    """
    folded, in_text = fold(prompt.decode("utf-8", "replace")), _phrases_once(text)
    if not in_text or not all(_may_have(folded, phrase) for phrase in in_text):
        return False
    in_prompt = words(folded)
    return all(_has_phrase(in_prompt, phrase) for phrase in in_text)


def part_of_words(fields: bytes, text: str) -> str:
    """How many phrases of a text these fields have: "all", "some" or "none". A text without a word has none.

    SQLite calls this for the names of tracks.
    """
    number = len(phrases_in(fields, text))
    return "none" if number == 0 else "all" if number == len(_phrases_once(text)) else "some"


def fields_have_words(own: bytes, shared: bytes | None, text: str) -> bool:
    """True if each phrase of a text is in one of these fields. A text without a word matches nothing.

    SQLite calls this for tracks. own: the fields of a track; shared: those of its job, None if there is no job.
    """
    number, in_own = len(_phrases_once(text)), phrases_in(own, text)
    return number > 0 and (len(in_own) == number or len(in_own | _phrases_in_once(shared or b"", text)) == number)


def phrases_in(fields: bytes, text: str) -> frozenset[int]:
    """The numbers of the phrases of a text that one of these fields has.

    fields: UTF-8, with the character U+001F between two fields.
    """
    folded, in_text = fold(fields.decode("utf-8", "replace")), _phrases_once(text)
    likely = [number for number, phrase in enumerate(in_text) if _may_have(folded, phrase)]
    in_fields = [word for field in folded.split("\x1f") for word in (*words(field), WALL)] if likely else []
    return frozenset(number for number in likely if _has_phrase(in_fields, in_text[number]))


def _may_have(folded: str, phrase: list[str]) -> bool:
    """False if a word is not even a part of the folded text. It needs a tenth of the time of words()."""
    return all(word in folded for word in phrase)


def _has_phrase(in_prompt: list[str], phrase: list[str]) -> bool:
    *first, last = phrase
    if not first:
        return any(word.startswith(last) for word in in_prompt)
    places = range(len(in_prompt) - len(first))
    return any(in_prompt[n : n + len(first)] == first and in_prompt[n + len(first)].startswith(last) for n in places)


def _is_single(word: str) -> bool:
    return _single.fullmatch(word) is not None


_phrases_once = lru_cache(64)(phrases)  # a search calls has_words() with the same text for many prompts
_phrases_in_once = lru_cache(256)(phrases_in)  # the tracks of a job come after one another, with the same long texts
