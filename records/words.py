"""Queries of the full-text search: the words of a text, as FTS5 and PostgreSQL take them.

database/letters.py has the rule. A text matches a prompt when every word of the text is in the prompt, at least as the
beginning of a word; single-character words that touch in the text must touch in the prompt, too.
"""

import re
from itertools import groupby

from database.letters import SEPARATORS, SINGLE, fold

WORD_LENGTH = 255

_SINGLE = re.compile(f"([{SINGLE}])")
_SEPARATORS = re.compile(f"[{SEPARATORS}\\0]+")


def words(text: str) -> list[str]:
    """The words of a folded text in order; [] when it has none."""
    return [word[:WORD_LENGTH] for word in _SEPARATORS.sub(" ", _SINGLE.sub(r" \1 ", text)).split(" ") if word]


def phrases(text: str) -> list[list[str]]:
    """The words of a text, folded, in phrases: a word, or single-character words that touch."""
    found = []
    for run in _SEPARATORS.sub(" ", fold(text)).split(" "):
        for is_single, group in groupby(words(run), _is_single):
            together = list(group)
            found += [together] if is_single else [[word] for word in together]
    return found


def fts5_query(text: str) -> str | None:
    """The FTS5 expression for a text; None when it has no words."""
    return " AND ".join(f'"{" ".join(phrase)}" *' for phrase in phrases(text)) or None


def tsquery(text: str) -> str | None:
    """PostgreSQL's tsquery for a text; None when it has no words."""
    quoted = (" <-> ".join(f"'{word}':*" for word in phrase) for phrase in phrases(text))
    return " & ".join(f"({phrase})" for phrase in quoted) or None


def _is_single(word: str) -> bool:
    return _SINGLE.fullmatch(word) is not None
