"""Folding the lines of a log: which lines become one, and which lines are errors."""

from time import process_time
from timeit import Timer

import pytest

from generators.changes import notes_about_times
from web.log_lines import LONGEST, ErrorReader, as_text, clean_lines, folded, has_error

TRACE = """Traceback (most recent call last):
  File "infer.py", line 12, in <module>
    main()
torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"""


def fold(text: str) -> list[str]:
    """The lines of a log, folded, as text."""
    return as_text(folded(clean_lines(text.encode().splitlines()), ErrorReader().is_error)).splitlines()


@pytest.mark.parametrize(
    "lines",
    [
        ["step 1/32", "step 2/32", "step 32/32"],
        ["  0%|          | 0/32 [00:00<?, ?it/s]", " 50%|█████     | 16/32 [00:20<00:20,  1.25s/it]",
         "100%|██████████| 32/32"],
        ["shards:  50%|█████     | 1/2 [00:10<00:10, 10.5s/it]", "shards: 100%|██████████| 2/2 [00:11<?, 9.9it/s]"],
        ["512.0 kB/1.2 MB 900 kB/s eta 0:00:01", "1.1/1.2 MB 1.3 MB/s eta 0:00:00"],
        ["⠋ thinking", "⠙ thinking", "⠹ thinking"],
        ["| wait", "/ wait", "- wait", "\\ wait"],
        ["Sampling.", "Sampling..", "Sampling..."],
        ["[=====>     ] 45%", "[=========> ] 95%"],
        ["loss 1.5e-05", "loss 0.25"],
        ["done", "done"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x1b[K\n"])
def test_lines_that_differ_in_numbers_bars_and_spinners_become_the_newest(lines: list[str], end: str) -> None:
    log = "loading\n" + "".join(line + end for line in lines) + "saved"
    assert fold(log) == ["loading", f"{lines[-1]}  ×{len(lines)}", "saved"]


def test_bars_that_are_drawn_in_turn_become_one_line_each() -> None:
    turns = [f"Take {n}: {n}0%\n  inner: {n}/9 [00:0{n}<00:01]" for n in range(1, 6)]
    assert fold("\n".join(turns)) == ["Take 5: 50%  ×5", "  inner: 5/9 [00:05<00:01]  ×5"]


@pytest.mark.parametrize("lines", [["loaded a.wav", "loaded b.wav"], ["a 1", "b", "a 2"], ["=====", "12", "-----"]])
def test_other_lines_stay(lines: list[str]) -> None:
    assert fold("\n".join(lines)) == lines


def test_the_notes_of_the_service_stay() -> None:
    notes = notes_about_times([10, 12, 200], 2, 95)
    assert len(notes) == 2 and fold("\n".join([*notes, "step 1/9", "step 2/9"])) == [*notes, "step 2/9  ×2"]


def test_a_traceback_stays_and_is_marked_as_a_whole() -> None:
    log = f"step 1/9\nstep 2/9\n{TRACE}\n{TRACE}\nend 1\nend 2"
    marked = [f"! {line}" for line in TRACE.splitlines()]
    assert fold(log) == ["step 2/9  ×2", *marked, *marked, "end 2  ×2"]


def test_the_lines_of_a_traceback_may_begin_with_the_number_of_a_process() -> None:
    log = "".join(f"[rank0]: {line}\n" for line in TRACE.splitlines())
    assert all(line.startswith("! ") for line in fold(log)) and fold(f"{log}after")[-1] == "after"


@pytest.mark.parametrize(
    "line",
    [
        TRACE.splitlines()[-1], "Error: no such file", "ValueError: x", "RuntimeError",
        "2026/11/27 ERROR cannot load", "Killed", " 45%|████  | 9/20 [00:10<00:12,  1.10s/it]Killed",
        "inference failed with code 2", "Fatal: disk full",
        "Segmentation fault (core dumped)", "An exception occurred", "CUDA error: device-side assert", "out of memory",
    ],
)  # fmt: skip
def test_lines_of_errors(line: str) -> None:
    assert has_error(line) and fold(f"{line}\n{line}\nb") == [f"! {line}  ×2", "b"]


@pytest.mark.parametrize(
    "line",
    ["0 errors", "no error", "12 passed, 0 failed", "reconstruction error: 0.013", "error 0.5", "without exceptions",
     " 45%|████▌     | 9/20 [00:10<00:12, error=1, 1.10s/it]", "skill", "terrors", "mirror"],
)  # fmt: skip
def test_lines_that_only_have_the_words_of_errors(line: str) -> None:
    assert not has_error(line)


def test_errors_that_differ_in_numbers_stay() -> None:
    assert fold("Error 1\nError 2\nError 2") == ["! Error 1", "! Error 2  ×2"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\x1b[31mred\x1b[0m \x1b]0;title\x07text\0\x08", "red text"),
        (b"caf\xe9 \xff", "caf\ufffd \ufffd"),
        (b"\tindented  ", "\tindented"),
        (b"x" * 100_000, "x" * (LONGEST - 1) + "…"),
        ("é".encode() * 5000, "é" * (LONGEST - 1) + "…"),
        (b" \x1b[A\x1b[2K", ""),
    ],
)
def test_a_line_is_shown_as_in_a_terminal(raw: bytes, shown: str) -> None:
    assert list(clean_lines([raw])) == [shown] * bool(shown)


@pytest.mark.parametrize("shape", ["error{blanks}x", "no {words}", "0{blanks}", "error:{digits}", "no w{blanks}x"])
def test_the_time_for_a_line_grows_only_with_its_length(shape: str) -> None:
    assert seconds(shape, 2_000) < 40 * seconds(shape, 200)  # with every division of the blanks: 100 or 1000 times


def seconds(shape: str, size: int) -> float:
    """The CPU time to look for an error in a line of this shape, the best of three."""
    line = shape.format(blanks=" " * size, words="a " * (size // 2), digits="1" * size)
    return min(Timer(lambda: has_error(line), timer=process_time).repeat(3, 10))
