"""Reads the log of a job for people: folded, with the errors far before the end, or only the lines with some words.

Only the last LOG_BYTES of a log are read, from the end, block by block. The lines of
the last block are folded, at most FOLDED of them. From what is before, only lines with errors are taken, the last
ERRORS of them. A search and the look for errors stop after LINES lines, not counting blocks without one that matters.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import BinaryIO

from web.log_lines import SIGNS, ErrorReader, Line, clean_lines, folded, has_error

LOG_BYTES = 8 * 1024 * 1024
BLOCK_BYTES = 512 * 1024
FOLDED = 10_000
LINES = 100_000
ERRORS = 100


@dataclass
class FoldedLog:
    """A log for people. errors: the lines with errors before the first of lines. is_whole: if nothing was left out."""

    errors: list[Line] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    is_whole: bool = True

    def newest(self, count: int) -> "FoldedLog":
        """The last lines, at most this number, and the errors before them."""
        before, lines = self.lines[:-count], self.lines[-count:]
        errors = [*self.errors, *(line for line in before if line.is_error)][-ERRORS:]
        return FoldedLog(errors, lines, self.is_whole and not before)


def fold_log(file: BinaryIO) -> FoldedLog:
    """Fold a log."""
    blocks = _blocks(file)
    last = next(blocks, b"").splitlines()
    errors = _last_errors(chain([b"\n".join(last[:-FOLDED])], blocks))
    is_whole = file.seek(0, os.SEEK_END) <= BLOCK_BYTES and len(last) <= FOLDED
    return FoldedLog(errors, folded(clean_lines(last[-FOLDED:]), ErrorReader().is_error), is_whole)


def search_log(file: BinaryIO, words: Sequence[str], is_folded: bool = True) -> FoldedLog:
    """The lines of a log with all of these words, in upper or lower case: of these, the last FOLDED."""
    folded_words = [word.casefold() for word in words]
    newest_first: list[str] = []
    left = LINES
    for block in _blocks(file):
        if left <= 0 or len(newest_first) >= FOLDED:
            break
        if _has_all(folded_words, block.decode("utf-8", "replace")):
            lines = block.splitlines()[-left:]
            left -= len(lines)
            newest_first += [text for text in clean_lines(reversed(lines)) if _has_all(folded_words, text)]
    texts = newest_first[:FOLDED][::-1]
    lines_found = folded(texts, has_error) if is_folded else list(map(Line, texts))
    is_whole = file.seek(0, os.SEEK_END) <= LOG_BYTES and left > 0 and len(texts) < FOLDED
    return FoldedLog([], lines_found, is_whole)


def _last_errors(blocks: Iterable[bytes]) -> list[Line]:
    """The last lines with errors, in their order. The last block comes first."""
    errors: list[Line] = []
    left = LINES
    for block in filter(_may_have_errors, blocks):
        if left <= 0 or len(errors) >= ERRORS:
            break
        lines, reader = block.splitlines(), ErrorReader()
        errors[:0] = [Line(text, is_error=True) for text in clean_lines(lines[-left:]) if reader.is_error(text)]
        left -= len(lines)
    return errors[-ERRORS:]


def _has_all(words: Sequence[str], text: str) -> bool:
    text = text.casefold()
    return all(word in text for word in words)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """The last LOG_BYTES of a log in blocks of whole lines, the last block first.

    Only a line that is longer than a block comes in parts.
    """
    end = file.seek(0, os.SEEK_END)
    first = max(0, end - LOG_BYTES)
    while end > first:
        start = max(first, end - BLOCK_BYTES)
        file.seek(start)
        block = file.read(end - start)
        cut = 0 if start == first else _end_of_line(block)
        yield block[cut:]
        end = start + cut


def _end_of_line(block: bytes) -> int:
    """The place after the first line of a block; 0 if no other line follows."""
    ends = [place + 1 for place in map(block.find, (b"\n", b"\r")) if 0 <= place < len(block) - 1]
    return min(ends, default=0)


def _may_have_errors(block: bytes) -> bool:
    lower = block.lower()
    return any(sign.encode() in lower for sign in SIGNS)
