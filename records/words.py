"""Builds queries of the full-text search from the words of a text, for FTS5 and for PostgreSQL.

database/letters.py defines what a word is. A text matches a prompt if every word of the text is a word of the prompt or
the beginning of one. Single-character words that touch in the text must also touch in the prompt.
"""

import re
from itertools import groupby

from database.letters import SEPARATORS, SINGLE, fold

WORD_LENGTH = 255

_SINGLE = re.compile(f"([{SINGLE}])")
_SEPARATORS = re.compile(f"[{SEPARATORS}\\0]+")


def words(text: str) -> list[str]:
    """The words of a folded text, in order; [] if it has none."""
    return [word[:WORD_LENGTH] for word in _SEPARATORS.sub(" ", _SINGLE.sub(r" \1 ", text)).split(" ") if word]


def phrases(text: str) -> list[list[str]]:
    """The folded words of a text as phrases. A phrase is one word, or several single-character words that touch."""
    result: list[list[str]] = []
    for run in _SEPARATORS.sub(" ", fold(text)).split(" "):
        for is_single, group in groupby(words(run), _is_single):
            together = list(group)
            result += [together] if is_single else [[word] for word in together]
    return result


def fts5_query(text: str) -> str | None:
    """The FTS5 expression for a text; None if the text has no words."""
    return " AND ".join(f'"{" ".join(phrase)}" *' for phrase in phrases(text)) or None


def tsquery(text: str) -> str | None:
    """The tsquery (PostgreSQL) for a text; None if the text has no words."""
    quoted = (" <-> ".join(f"'{word}':*" for word in phrase) for phrase in phrases(text))
    return " & ".join(f"({phrase})" for phrase in quoted) or None


def _is_single(word: str) -> bool:
    return _SINGLE.fullmatch(word) is not None
