"""Reading a log for people: errors far before the end, searches, and bounded work for a log of any size."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from web.log_files import BLOCK_BYTES, ERRORS, FOLDED, LOG_BYTES, FoldedLog, fold_log, search_log
from web.log_lines import Line

ERROR = b"ValueError: no such step\n"
STEPS = b"".join(b"step %d/1000\rchunk %c\n" % (number, 97 + number % 26) for number in range(2000))
READERS: list[Callable[..., FoldedLog]] = [fold_log, lambda file: search_log(file, ["e"])]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., FoldedLog]:
    """Reads a log with this content."""

    def read_content(content: bytes, reader: Callable[..., FoldedLog] = fold_log) -> FoldedLog:
        (tmp_path / "log").write_bytes(content)
        with (tmp_path / "log").open("rb") as file:
            return reader(file)

    return read_content


def texts(lines: list[Line]) -> list[str]:
    """The texts of lines."""
    return [line.text for line in lines]


def test_an_error_far_before_the_end_stays(read: Callable[..., FoldedLog]) -> None:
    for number in (1, 5, LOG_BYTES // len(STEPS) - 1):
        log = read(b"Traceback (most recent call last):\n  line 1\n" + ERROR + STEPS * number)
        shown = log.newest(10)
        assert texts(shown.errors)[-1] == "ValueError: no such step" and len(shown.errors) == 3
        assert len(shown.lines) == 10 and not shown.is_whole


def test_of_very_many_errors_the_last_ones_stay(read: Callable[..., FoldedLog]) -> None:
    errors = b"".join(b"Error %d\nok %c\n" % (number, 97 + number % 26) for number in range(60_000))
    log = read(errors + STEPS * 30)
    assert texts(log.errors) == [f"Error {number}" for number in range(60_000 - ERRORS, 60_000)]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("size", [1, BLOCK_BYTES - 1, BLOCK_BYTES, 2 * BLOCK_BYTES + 17])
def test_no_line_is_lost_or_cut_at_the_border_of_two_blocks(
    read: Callable[..., FoldedLog], size: int, end: bytes
) -> None:
    lines = [b"word %d " % number + b"x" * 190 for number in range(size // 200 + 1)]
    log = read(end.join(lines), lambda file: search_log(file, ["word"], is_folded=False))
    wanted = [line.decode() for line in lines]
    assert texts(log.lines) == wanted


def test_a_search_keeps_the_lines_with_all_words_in_any_case(read: Callable[..., FoldedLog]) -> None:
    content = "Straße ONE two\ntwo one\nthree\nONE\n".encode() + STEPS
    assert texts(read(content, lambda file: search_log(file, ["one", "TWO"])).lines) == ["Straße ONE two", "two one"]
    assert texts(read(content, lambda file: search_log(file, ["STRASSE"])).lines) == ["Straße ONE two"]
    steps = read(content, lambda file: search_log(file, ["step"])).lines
    assert [(line.text, line.count) for line in steps] == [("step 1999/1000", 2000)]


def test_a_search_marks_errors(read: Callable[..., FoldedLog]) -> None:
    log = read(STEPS + ERROR, lambda file: search_log(file, ["no", "such"]))
    assert [line.is_error for line in log.lines] == [True]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "content", [b"", b"\n" * 2**23, b"\r\n" * 2**22, b"x" * 2**24, b"e\nf\n" * 2**22, ERROR * 2**19, b"e 1%\r" * 2**21]
)
def test_the_work_is_bounded_for_any_log(
    read: Callable[..., FoldedLog], content: bytes, reader: Callable[..., FoldedLog]
) -> None:
    begun = time.process_time()
    log = read(content, reader)
    assert time.process_time() - begun < 3 and len(log.lines) <= FOLDED and len(log.errors) <= ERRORS


def test_the_newest_lines_have_the_errors_before_them(read: Callable[..., FoldedLog]) -> None:
    log = read(b"a\n" + ERROR + b"b\nc\nd\n")
    assert (texts(log.newest(2).errors), texts(log.newest(2).lines)) == (["ValueError: no such step"], ["c", "d"])
    assert log.newest(5) == log and log.is_whole and not log.newest(4).is_whole
