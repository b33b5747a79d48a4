"""Full-text search: how a prompt becomes words, the same in Python, SQLite and PostgreSQL.

A word is a run of letters and digits, compared without case and accents. Scripts written without spaces (Chinese,
Japanese) and emoji make a word of every character, so that any stretch of them can be found.
"""

import re
import unicodedata
from itertools import groupby

# Ranges of characters that are a word each: CJK and kana, then symbols and emoji.
SINGLE = (
    "\u2600-\u2767\u2776-\u27bf\u2e80-\u2fdf\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U0001f000-\U0001faff\U00020000-\U0003ffff"
)
# Everything between words: ASCII, Latin-1, general, CJK and full-width punctuation, and joiners of emoji.
BETWEEN = (
    "\x01-/:-@\\[-`{-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb\xbf\xd7\xf7\u2000-\u206f\u20d0-\u20ff\u2768-\u2775\u3000-\u3004\u3008-\u3040\ufe00-\ufe6f"
    "\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
ACCENTS = "\u0300-\u036f"
WORD_LENGTH = 255
INDEXED = ("L", "N", "Co", "So")  # categories of characters that FTS5's tokenizer makes words of

_SINGLE = re.compile(f"([{SINGLE}])")
_BETWEEN = re.compile(f"[{BETWEEN}\\0]+")
_ACCENTS = re.compile(f"[{ACCENTS}]")


def _kind(word: str) -> str:
    """SINGLE for a word of one character, BETWEEN for symbols FTS5 does not index, '' for any other word."""
    if not any(letter == "♯" or unicodedata.category(letter).startswith(INDEXED) for letter in word):
        return BETWEEN
    return SINGLE if _SINGLE.fullmatch(word) else ""


def words(text: str) -> list[str]:
    """The words of a text in order; [] when it has none."""
    return [word[:WORD_LENGTH] for word in _BETWEEN.sub(" ", _SINGLE.sub(r" \1 ", text)).split()]


def phrases(text: str) -> list[list[str]]:
    """The words of a text, single-character words that touch kept together: one list a phrase."""
    found = []
    for run in _BETWEEN.sub(" ", text).split():
        for kind, group in groupby(words(run), _kind):
            together = list(group)
            if kind != BETWEEN:
                found += [together] if kind == SINGLE else [[word] for word in together]
    return found


def fts5_query(text: str) -> str | None:
    """The FTS5 expression that finds prompts with every word of text, each as a beginning; None without words."""
    return " AND ".join(f'"{" ".join(phrase)}" *' for phrase in phrases(text)) or None


def tsquery(text: str) -> str | None:
    """The same as PostgreSQL's tsquery, folded as its index is; FTS5 folds by itself."""
    folded = _ACCENTS.sub("", unicodedata.normalize("NFD", text.lower().replace("ς", "σ")))
    quoted = (" <-> ".join(f"'{word}':*" for word in phrase) for phrase in phrases(folded))
    return " & ".join(f"({phrase})" for phrase in quoted) or None
