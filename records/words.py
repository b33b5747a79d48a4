"""Builds queries for the search indexes (FTS5 and PostgreSQL) from the words of a text and from values of metadata.

database/letters.py defines what a word is, and which prompts a text matches.
"""

from collections.abc import Callable

from database.ledger.tables import PREFIXES
from database.letters import phrases
from records.filters import equal_numbers
from records.indexing import UNREAD, field_token
from records.library_index import genre_token


def fts5_query(text: str | None, metadata: dict[str, str], is_wide: bool = False) -> str:
    """The FTS5 query for the words of a text and for values by dotted path. A text without a word matches nothing.

    is_wide: shorten each word to its longest prefix that has an index. The query then matches the same jobs or more.
    For such prefixes FTS5 returns the newest matches at once. For other prefixes it first reads all matches.
    """
    has_words = [] if text is None else [f"words : ({_phrases(text, _indexed if is_wide else list)})"]
    return " AND ".join(has_words + [_has_field(*field) for field in metadata.items()])


def library_query(text: str | None, genre: str | None = None, is_shared: bool = False) -> str:
    """The FTS5 query for jobs that have tracks with these words and this genre. is_shared: words of the job alone."""
    columns = "shared" if is_shared else "{shared own}"
    has_words = [] if text is None else [f"{columns} : ({_phrases(text, list)})"]
    return " AND ".join(has_words + ([] if genre is None else [f'fields : ("{genre_token(genre)}")']))


def tsquery(text: str, operator: str = "&") -> str:
    """The tsquery (PostgreSQL) for the words of a text; '' if it has none. operator: & for all of them, | for any."""
    quoted = (" <-> ".join(f"'{word}':*" for word in phrase) for phrase in phrases(text))
    return f" {operator} ".join(f"({phrase})" for phrase in quoted)


def longest_ascii(text: str) -> str:
    """The longest word of a text that has only ASCII letters and digits; '' if there is none."""
    return max((word for phrase in phrases(text) for word in phrase if word.isascii()), key=len, default="")


def _phrases(text: str, cut: Callable[[list[str]], list[str]]) -> str:
    return " AND ".join(f'"{" ".join(cut(part))}" *' for part in phrases(text)) or '""'


def _indexed(phrase: list[str]) -> list[str]:
    *first, last = phrase
    return [*first, last[: max(length for length in PREFIXES if length <= max(len(last), 1))]]


def _has_field(path: str, text: str) -> str:
    tokens = [field_token(path, value) for value in (text, *equal_numbers(text))]
    return "fields : (" + " OR ".join(f'"{token}"' for token in (*tokens, UNREAD)) + ")"
