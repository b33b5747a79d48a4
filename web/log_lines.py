"""Folds the lines of a log: progress becomes its newest line with a count, and lines with errors are marked."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

LONGEST = 2000  # characters of a line that are kept
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*\x07?|.)")  # colours and moves of a terminal
CONTROL = re.compile(r"[\0-\x08\x0b-\x1f\x7f-\x9f]+")
NUMBER = r"(?:\d[\d.,:]*(?:[eE][-+]?\d+)?|\?)"
UNIT = (
    r"(?:\s?(?:[kKMGTP]?(?:it|i?[bB]|steps?|tok(?:ens)?)?/s(?:ec|tep)?|s/(?:it|step)|[kKMGTP]i?[bB]?|[bB]"
    r"|bytes|ms|s|sec|min|h|m|d)(?![A-Za-z]))?"
)
# What changes in a line of progress: numbers with their units, blanks, bars and spinners.
CHANGING = re.compile(rf"{NUMBER}{UNIT}|[\s%/|\\#=>.,:;\-–—·•*_~<\[\]()]+|[\u2500-\u25ff\u2800-\u28ff]+")
BAR = re.compile(r"\d\s?%\s?\||[\u2501\u2578-\u25ff\u2800-\u28ff]|\[[#=>\-. ]{5,}\]|\bs/it|it/s")
PROGRESS = re.compile(rf"\d\s?%|(?<![\d/])\d+\s?/\s?\d+(?![\d/])|{BAR.pattern}")
BARS = 4  # that may be drawn in turn
TRACEBACK = "Traceback (most recent call last)"
# These words mean an error in every line, also after a bar.
ALWAYS = re.compile(
    r"Traceback \(most recent call last\)|\w(?:Error|Exception|Interrupt)\b(?=:|\(|$)|[Oo]ut of memory|OutOfMemory"
    r"|[Ss]egmentation fault|core dumped|\bKilled\b|\bFATAL\b|\bCRITICAL\b|panicked at|CUDA error"
)
# These words mean an error in a line without a bar, unless they are in a number of errors or in the name of a measure.
MOSTLY = re.compile(r"\b(?:errors?|exceptions?|fatal|failed|failure|killed|aborted|out of memory)\b", re.I)
HARMLESS = re.compile(
    r"\b(?:no|0|zero|without)\s++(?:\w++\s++)?(?:errors?|exceptions?|failures?|failed)\b|\b0 failed\b"
    r"|\berror(?:s|\s++rate)?\s*+[:=]?\s*+-?\d*+\.\d",
    re.I,
)
# A text without any of these, in lower case, has no line with an error.
SIGNS: tuple[str, ...] = ("error", "exception", "interrupt", "fatal", "fail", "kill", "abort", "out of memory")
SIGNS += ("outofmemory", "traceback (", "segmentation", "core dumped", "critical", "panicked")


@dataclass
class Line:
    """A line of the log. count: how many lines it stands for; it is the newest of them."""

    text: str
    count: int = 1
    is_error: bool = False


class ErrorReader:
    """Says of the lines of a log, in their order, which belong to an error. A traceback has several lines."""

    def __init__(self) -> None:
        self._before: str | None = None  # what stands before the lines of the traceback that has begun

    def is_error(self, text: str) -> bool:
        """True if this line belongs to an error."""
        start = text.find(TRACEBACK)
        if start >= 0:
            self._before = text[:start]
            return True
        if self._before is None:
            return has_error(text)
        if not text.removeprefix(self._before).startswith((" ", "\t")):
            self._before = None  # this line names the exception
        return True


def has_error(text: str) -> bool:
    """True if the words of a line mean an error."""
    lower = text.lower()
    if not any(sign in lower for sign in SIGNS):
        return False
    if ALWAYS.search(text):
        return True
    return bool(MOSTLY.search(text)) and not BAR.search(text) and not HARMLESS.search(text)


class Fold:
    """Folds lines that are added in their order.

    Lines that differ only in numbers, bars and spinners become the newest of them if they follow one another. If a line
    shows progress, there may be lines of other bars between. Lines with errors are only folded if they are equal.
    """

    def __init__(self, is_error: Callable[[str], bool]) -> None:
        self.lines: list[Line] = []
        self._is_error = is_error
        self._recent: dict[str, Line] = {}  # by what does not change in them: the last line, and bars right before it

    def add(self, text: str) -> None:
        """Add a line."""
        if self._is_error(text):
            self._add_error(text)
            return
        shape, is_progress = CHANGING.sub("", text) or _kind(text), bool(PROGRESS.search(text))
        before = self._recent.get(shape)
        if before is not None and (is_progress or before is self.lines[-1]):
            before.text, before.count = text, before.count + 1
            return
        if not is_progress:
            self._recent.clear()
        elif len(self._recent) == BARS:
            del self._recent[next(iter(self._recent))]
        self._recent[shape] = self._append(Line(text))

    def _add_error(self, text: str) -> None:
        self._recent.clear()
        last = self.lines[-1] if self.lines else None
        if last is not None and last.is_error and last.text == text:
            last.count += 1
        else:
            self._append(Line(text, is_error=True))

    def _append(self, line: Line) -> Line:
        self.lines.append(line)
        return line


def folded(texts: Iterable[str], is_error: Callable[[str], bool]) -> list[Line]:
    """These lines, folded."""
    fold = Fold(is_error)
    for text in texts:
        fold.add(text)
    return fold.lines


def _kind(text: str) -> str:
    """What a line without words has in common with others: it has numbers or not."""
    return "0" if re.search(r"\d", text) else text


def clean_lines(lines: Iterable[bytes]) -> Iterator[str]:
    """The lines that are not blank, as a terminal shows them."""
    return filter(None, map(clean, lines))


def clean(raw: bytes) -> str:
    """The text of a line without colours and control characters, cut to LONGEST."""
    text = raw[: 4 * LONGEST].decode("utf-8", "replace")
    if not text.isprintable():
        text = CONTROL.sub("", ESCAPES.sub("", text))
    text = text.rstrip()
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def as_text(lines: Iterable[Line]) -> str:
    """Lines as plain text: an error begins with "! ", and a line that stands for several ends with ×31."""
    return "".join(
        f"{'! ' * line.is_error}{line.text}{f'  ×{line.count}' if line.count > 1 else ''}\n" for line in lines
    )


def in_parts(lines: Iterable[Line]) -> list[tuple[bool, list[Line]]]:
    """The lines in groups, with True for a group of lines with errors."""
    return [(is_error, list(group)) for is_error, group in groupby(lines, lambda line: line.is_error)]
