"""Lyrics as they are read, lines spread over a song, and the form of fixed columns that DiffRhythm reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.dialects import write_lyrics
from generators.lyrics import PAUSE, in_order, read_line, read_lyrics, spread, stamp
from tests.conftest import SAMPLES
from tests.standins.infer import sung_lines

WORDS = st.text(st.characters(categories=("L", "N", "P", "Zs"), exclude_characters="[]<>"), max_size=30)


def starts(text: str, seconds: float) -> list[float]:
    """When each line of a text starts, in seconds, to a tenth."""
    return [round(start, 1) for start in spread(read_lyrics(text).lines, seconds)]


def to_lrc(text: str, seconds: float) -> tuple[str, list[str]]:
    """Lyrics and notes for DiffRhythm, which drops the last line at 95 seconds."""
    return write_lyrics(text, "lrc", seconds, spare_last=seconds <= 95)


@pytest.mark.parametrize(
    ("line", "times", "tags", "words"),
    [
        ("[00:10.00]The platform hums", [10], [], "The platform hums"),
        ("[00:12]x", [12], [], "x"),
        ("[1:02,5] x", [62.5], [], "x"),
        ("\t[00:11.000]\tx  y ", [11], [], "x y"),
        ("[00:10.00][00:50.00]twice", [10, 50], [], "twice"),
        ("[00:10.00]<00:10.00>word <00:10.50>by word", [10], [], "word by word"),
        ("[00:10.00]la [00:12.00]lo", [10], [], "la lo"),
        ("[chorus]", [], ["chorus"], ""),
        ("[Chorus  2: Ada][x2] x", [], ["Chorus 2: Ada", "x2"], "x"),
        ("[ar:Nobody]", [], ["ar:Nobody"], ""),
        ("at 7:30 [sic]", [], [], "at 7:30 [sic]"),
        ("[00:1x.00]x", [], ["00:1x.00"], "x"),
        ("[[verse]]", [], [], "[[verse]]"),
    ],
)
def test_a_line_has_times_tags_and_words(line: str, times: list[float], tags: list[str], words: str) -> None:
    assert read_line(line) == (times, tags, words)


def test_a_line_knows_the_tags_before_it_and_blank_lines_after_them() -> None:
    lyrics = read_lyrics("[ar:Nobody]\n[intro]\n\n\n[Verse 1]\na\nb\n\nc\n[outro]\n\n")
    assert [line.tags for line in lyrics.lines] == [("intro", PAUSE, "Verse 1"), (), ()]
    assert [line.opens_section for line in lyrics.lines] == [True, False, True]
    assert (lyrics.all_tags, lyrics.last_tags) == (["intro", "Verse 1", "outro"], ["outro", PAUSE])


@pytest.mark.parametrize("line", ["(instrumental)", "(Verse 2)", "Pre-Chorus:", "Bridge: ", "[00:05]( chorus )"])
def test_a_line_that_only_names_a_section_is_a_tag(line: str) -> None:
    lyrics = read_lyrics(f"{line}\nla")
    assert [(one.words, len(one.tags)) for one in lyrics.lines] == [("la", 1)]
    assert len(lyrics.headings) == 1


@pytest.mark.parametrize("line", ["(oh chorus of birds)", "Then she said:", "chorus", "(verse) by verse", "()", ":"])
def test_other_lines_in_parentheses_or_before_colons_are_sung(line: str) -> None:
    lyrics = read_lyrics(line)
    assert [one.words for one in lyrics.lines] == [line] and lyrics.headings == []


def test_lines_are_sung_in_the_order_of_their_times() -> None:
    lines = read_lyrics("[00:30][00:10]a\nb\n[00:20]c").lines
    assert "".join(line.words for line in in_order(lines, 95)) == "abca"
    assert "".join(line.words for line in in_order(read_lyrics("b\na").lines, 95)) == "ba"


@pytest.mark.parametrize(
    ("text", "seconds", "expected"),
    [
        ("a\nb\nc\nd", 95, [10, 30, 50, 70]),
        ("a\nb\n\nc", 95, [10, 30, 70]),
        ("a\nb\n\n[chorus]\nc", 95, [10, 30, 70]),
        ("a", 285, [10]),
        ("[00:20]a\nb\nc\n[00:50]d", 95, [20, 30, 40, 50]),
        ("a\n[00:08]b\nc", 95, [4, 8, 49]),
        ("[00:50]a\nb\n[00:20]c", 95, [50, 50, 20]),
        ("[01:34]a\nb", 95, [94, 94.5]),
        ("", 95, []),
        ("[verse]\n\n", 95, []),
    ],
)
def test_lines_without_times_are_spread_and_sections_kept_together(
    text: str, seconds: float, expected: list[float]
) -> None:
    assert starts(text, seconds) == expected


def test_the_sample_with_times_is_left_as_it_is() -> None:
    sample = (SAMPLES / "night_train.lrc").read_text()
    assert to_lrc(sample, 120) == (sample.strip(), [])


def test_at_95_seconds_a_line_is_added_for_diffrhythm_to_drop() -> None:
    assert to_lrc("[00:10]a\n[00:20]b", 95)[0] == "[00:10.00]a\n[00:20.00]b\n[01:34.99]b"
    assert to_lrc("[00:10]a", 96)[0] == "[00:10.00]a"
    assert to_lrc("[chorus]", 95) == ("", [])


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "00:00.00"), (13.4, "00:13.40"), (62.29, "01:02.29"), (94.999, "01:34.99")]
)
def test_a_stamp_is_never_later_than_its_time(seconds: float, text: str) -> None:
    assert stamp(seconds) == text


@given(st.lists(WORDS, max_size=120), st.integers(95, 285))
def test_diffrhythm_sings_every_line_without_a_time_in_order(lines: list[str], seconds: int) -> None:
    lrc, notes = to_lrc("\n".join(lines), seconds)
    assert [words for _, words in sung_lines(lrc, seconds)] == [
        " ".join(line.split()) for line in lines if line.split()
    ]
    assert len(notes) == bool(lrc)


@given(st.lists(st.tuples(st.floats(0, 300), WORDS.filter(str.strip)), max_size=40), st.integers(95, 285))
def test_diffrhythm_sings_every_line_before_the_end_in_the_order_of_time(
    lines: list[tuple[float, str]], seconds: int
) -> None:
    lrc, notes = to_lrc("\n".join(f"[{start // 60:.0f}:{start % 60:.3f}]{words}" for start, words in lines), seconds)
    times = [start for start, _ in sung_lines(lrc, seconds)]
    late = len(lines) - len(times)
    assert times == sorted(times) and all(start < seconds for start in times)
    assert notes == ([] if not late else [note for note in notes if note.startswith(f"{late} of {len(lines)} line")])
