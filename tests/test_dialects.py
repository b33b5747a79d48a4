"""Forms of lyrics: a generator reads all words that were sent, in order, or a note says what it does not read."""

import random
import re
import time
import unicodedata
from collections.abc import Callable
from functools import partial
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from generators.dialects import DIALECTS, write_lyrics
from generators.lyrics import in_order, read_lyrics, spread
from tests.conftest import thorough
from tests.documents import ROOT, blocks
from tests.lyric_readers import READERS, SECONDS, sections_but_the_last

ODD = st.text(st.sampled_from("ab1 [](){}<>:;,.!?…'\"“’«/\\-_%$🎵é民谣，。；ёжש\u200b\u0301\t\x1b"), max_size=40)
ANY = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=60)
TAGS = st.sampled_from(
    ["[Verse 1]", "[verse]", "[Pre-Chorus]", "[Chorus x2]", "[CHORUS: Ada]", "[intro]", "[Outro]", "(instrumental)"]
    + ["[Guitar Solo]", "[inst-medium]", "[副歌]", "[Припев 2]", "[Oh yeah]", "[ar:Nobody]", "[]", "[chorus][loud]", ""]
)
TIMES = st.sampled_from(["[00:10.00]", "[1:02,5]", "[00:50.00][00:20.00]", "<00:10.00>"])
LINES = st.one_of(ODD, ANY, TAGS, st.tuples(TIMES, ODD).map("".join), st.tuples(TAGS, ODD).map(" ".join))
TEXTS = st.tuples(st.sampled_from(["\n", "\r\n", "\r"]), st.lists(LINES, max_size=30)).map(lambda t: t[0].join(t[1]))
ONE_LINE = {"semicolons", "commas"}


def sent(text: str, dialect: str) -> list[str]:
    """The lines of words of a text, in the order of their times. Only fixed columns have words in square brackets."""
    lyrics = read_lyrics(text)
    if dialect == "lrc":
        timed = sorted(zip(spread(lyrics.lines, SECONDS), lyrics.lines, strict=True), key=lambda pair: pair[0])
        return [line.words for start, line in timed if start < SECONDS]
    return [words for line in in_order(lyrics.lines, SECONDS) if (words := outside_brackets(line.words))]


def outside_brackets(line: str) -> str:
    """A line without "[words]" and without single brackets."""
    kept, inside = "", ""
    opened = False
    for char in line:
        if char in "[]":
            kept += " " if opened and char == "]" else f" {inside}"
            opened, inside = char == "[", ""
        elif opened:
            inside += char
        else:
            kept += char
    return " ".join(f"{kept} {inside}".split())


def letters(lines: list[str]) -> str:
    """All characters but spaces and punctuation."""
    return "".join(char for char in "".join(lines) if unicodedata.category(char)[0] not in "PZ" and not char.isspace())


@pytest.mark.parametrize("dialect", sorted(READERS))
@given(text=TEXTS)
@example(text="\ufeff[00:10.00]a\r\n[x] b [y] c\n[ d ] ] e\n...\n[[verse]]")
def test_a_generator_reads_every_word_in_order(dialect: str, text: str) -> None:
    written, notes = write_lyrics(text, dialect, SECONDS, spare_last=False)
    heard, expected = READERS[dialect](written), sent(text, dialect)
    assert letters(heard) == letters(expected)
    assert heard == expected or dialect in ONE_LINE


@given(TEXTS)
def test_a_spare_section_is_the_one_that_is_never_sung(text: str) -> None:
    written, _ = write_lyrics(text, "sections", SECONDS, spare_last=True)
    assert sections_but_the_last(written) == sent(text, "sections")


@given(TEXTS)
def test_a_spare_line_is_the_one_that_is_never_sung(text: str) -> None:
    written, _ = write_lyrics(text, "lrc", SECONDS, spare_last=True)
    assert READERS["lrc"](written)[:-1] == sent(text, "lrc")


@pytest.mark.parametrize("dialect", sorted(READERS))
def test_two_thousand_lines_and_a_very_long_one_are_read(dialect: str) -> None:
    numbers = random.Random(16)
    lines = [f"line {number} {'la ' * numbers.randrange(9)}" for number in range(2000)]
    lines[7] = "long; and, longer. " * 5000
    tags = [f"[Verse {number}]\n" if number % 16 == 0 else "" for number in range(2000)]
    text = "\n".join(f"{tag}{line}" for tag, line in zip(tags, lines, strict=True))
    heard = READERS[dialect](write_lyrics(text, dialect, SECONDS, spare_last=False)[0])
    assert letters(heard) == letters(lines)
    assert len(heard) == 2000 or dialect in ONE_LINE


ODD_STARTS = ["x<1:", "[1:1.", "[pre", "x", "(", ""]
REPEATED = ["1", "-", "[", "(", "1,", " ;", "[a]", "<1:1>", "[00:10]", "a\n", "(chorus)\n", "[intro]\n\n", "[a]x\n"]


@pytest.mark.no_cover  # it makes the code slower, and other tests reach all of it
@pytest.mark.parametrize("repeated", REPEATED)
def test_the_time_for_odd_lyrics_grows_with_their_length(repeated: str) -> None:
    for dialect, start in product(DIALECTS, ODD_STARTS):
        assert_linear(
            lambda size, start=start: start + repeated * (size // len(repeated)), dialect, thorough(1_500, 600)
        )


@pytest.mark.no_cover
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_time_for_long_lyrics_grows_with_their_length(dialect: str) -> None:
    verse = "[Verse 1]\n" + "The platform hums, a quiet key\n" * 8
    assert_linear(lambda size: verse * (size // len(verse)), dialect, 12_000)


def assert_linear(text_of: Callable[[int], str], dialect: str, size: int) -> None:
    """8 times the text may take 16 times as long; 64 times would be quadratic. A slow moment gets another try."""
    short, long = (
        partial(write_lyrics, text_of(number), dialect, SECONDS, spare_last=True) for number in (size, 8 * size)
    )
    assert any(seconds_of(long) < 16 * max(seconds_of(short), 0.0002) for _ in range(5)), dialect


def seconds_of(act: Callable[[], object]) -> float:
    """The time of the processor that an act takes."""
    began = time.process_time()
    act()
    return time.process_time() - began


LYRICS = """[Intro]

[Verse 1: Ada]
The platform hums; a quiet key [softly]
A paper ticket, "you and me"

[Pre-Chorus]
Wait 1,000 miles
(instrumental)
[Chorus x2]
Oh night train...

Count the bridges!
[Oh yeah] Miss no star
"""
HEADING = "1 of 7 lines of lyrics is read as a tag and is not sung: (instrumental)"
INLINE = "1 of 7 lines of lyrics has words in square brackets, which are left out: [softly]"
UNKNOWN = "1 of 6 tags of the lyrics is not known to the generator and is left out: [Oh yeah]"
NOT_SUNG = "2 of 6 tags of the lyrics are not known to the generator and are left out: [Chorus x2], [Oh yeah]"
RENAMED = "2 of 6 tags of the lyrics are renamed: [Pre-Chorus] to [verse], [Chorus x2] to [chorus]"
SPREAD = "6 of 6 lines of lyrics have no time: they are spread over 120 seconds"


@pytest.mark.parametrize(
    ("dialect", "notes"),
    [
        ("lrc", [SPREAD, HEADING, NOT_SUNG]),
        ("tags", [HEADING, UNKNOWN, RENAMED, INLINE]),
        ("sections", [HEADING, UNKNOWN, "1 of 6 tags of the lyrics is renamed: [Chorus x2] to [chorus]", INLINE]),
        ("tagged", [HEADING, INLINE]),
        ("semicolons", [HEADING, UNKNOWN, RENAMED, INLINE]),
        ("plain", [HEADING, NOT_SUNG, INLINE]),
        ("none", ["the generator takes no lyrics: 6 lines are not sung"]),
    ],
)
def test_notes_say_what_a_listener_may_notice(dialect: str, notes: list[str]) -> None:
    assert write_lyrics(LYRICS, dialect, SECONDS, spare_last=False)[1] == notes


@pytest.mark.parametrize(
    ("dialect", "text", "note"),
    [
        ("lrc", "la", "1 of 1 line of lyrics has no time: it gets a time within 120 seconds"),
        (
            "lrc",
            "[03:00]la",
            "1 of 1 line of lyrics starts at or after 120 seconds, where the song ends: it is not sung",
        ),
        ("none", "la", "the generator takes no lyrics: 1 line is not sung"),
        ("tags", "[Oh yeah]\nla", "1 of 1 tag of the lyrics is not known to the generator and is left out: [Oh yeah]"),
    ],
)
def test_the_numbers_of_a_note_agree_with_its_words(dialect: str, text: str, note: str) -> None:
    assert write_lyrics(text, dialect, SECONDS, spare_last=False)[1] == [note]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("text", ["", "\ufeff\r\n", "[ar:Nobody]\n[ti:Nothing]\n"])
def test_no_lyrics_become_no_lyrics_without_a_note(dialect: str, text: str) -> None:
    assert write_lyrics(text, dialect, SECONDS, spare_last=False) == ("", [])


@pytest.mark.parametrize("dialect", sorted(READERS.keys() - {"lrc"}))
def test_times_are_left_out_without_a_note(dialect: str) -> None:
    timed = "[00:10.00][00:30.00]Oh <00:12.00>night [00:13.00]train\r\n[00:20.00]Count the bridges"
    written, notes = write_lyrics(timed, dialect, SECONDS, spare_last=False)
    assert READERS[dialect](written) == ["Oh night train", "Count the bridges", "Oh night train"]
    assert notes == [] and "0" not in written


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("[Verse 1]", "verse"),
        ("[VERSE]", "verse"),
        ("[verse1: Ada & Bob]", "verse"),
        ("[Pre Chorus]", "verse"),
        ("[post-chorus 2]", "chorus"),
        ("[Instrumental Break]", "inst"),
        ("[Interlude]", "inst"),
        ("[Coda]", "outro"),
        ("[主歌1]", "verse"),
        ("[Припев]", "chorus"),
        ("[Hook]", "hook"),
        ("[Silence]", "break"),
    ],
)
def test_a_tag_gets_the_nearest_name_that_the_form_has(tag: str, name: str) -> None:
    assert write_lyrics(f"{tag}\nla", "tags", SECONDS, spare_last=False)[0] == f"[{name}]\nla"


def test_a_form_for_singers_gives_words_of_an_intro_to_a_verse_and_leaves_out_a_chorus_without_words() -> None:
    written, notes = write_lyrics("[Intro]\nla la\n[Chorus]\n[inst-medium]\n[Outro]", "semicolons", 60, False)
    assert written == "[verse] la la. ; [inst-medium] ; [outro-short]"
    assert notes == [
        "1 of 4 tags of the lyrics is renamed: [Intro] to [verse]",
        "1 of 4 tags of the lyrics has no words, but the generator needs some: it is left out: [Chorus]",
    ]


def test_tags_without_words_that_are_repeated_stay_as_often_as_they_are() -> None:
    written, notes = write_lyrics("[intro] [intro]\n\n[verse]\nla\n[outro]\n[outro]\n[outro]", "commas", 60, False)
    assert (written, notes) == ("[intro] [intro] , [verse] la , [outro] [outro] [outro]", [])


def test_a_number_stays_one_number_where_commas_separate_sections() -> None:
    assert write_lyrics("1,000 miles, 1,2,3", "commas", 60, False)[0] == "[verse] 1000 miles. 1. 2. 3"


def test_words_in_a_long_tag_are_not_lost_without_a_note() -> None:
    notes = write_lyrics("[Chorus: Ada]\nla\n[Chorus: oh night train, carry what we are]\nla", "tags", 60, False)[1]
    assert notes == ["1 of 2 tags of the lyrics is renamed: [Chorus: oh night train, carry what we ar…] to [chorus]"]


def test_each_paragraph_without_a_tag_is_a_verse_but_after_a_tag_it_belongs_to_that_section() -> None:
    assert write_lyrics("a\n\nb", "sections", 60, False)[0] == "[verse]\na\n\n[verse]\nb"
    assert write_lyrics("[chorus]\n\na\n\nb", "sections", 60, False)[0] == "[chorus]\na\nb"
    assert write_lyrics("[intro]\n\na", "sections", 60, False)[0] == "[intro]\n\n[verse]\na"


@pytest.mark.parametrize(
    ("dialect", "spare"),
    [
        ("lrc", "[00:10.00]a\n[00:59.99]a"),
        ("tags", "[verse]\na\n[outro]"),
        ("sections", "[verse]\na\n\n[outro]"),
        ("tagged", "a\n\n[outro]"),
        ("semicolons", "[verse] a. ; [outro-short]"),
        ("plain", "a\na"),
        ("none", ""),
    ],
)
def test_something_spare_can_be_added_at_the_end(dialect: str, spare: str) -> None:
    assert write_lyrics("a", dialect, 60, spare_last=True)[0] == spare


def test_a_generator_that_never_sings_the_last_section_gets_two_even_without_lyrics() -> None:
    assert write_lyrics("", "sections", 60, spare_last=True) == ("[inst]\n\n[outro]", [])


def test_a_note_has_five_short_examples_and_the_number_of_the_others() -> None:
    text = "".join(f"[{letter} {'x' * 50}]\n" for letter in "abcdefg") + "la " + "[sic]" * 1000
    unknown, inline = write_lyrics(text, "tags", 60, False)[1]
    assert unknown.startswith("7 of 7 tags of the lyrics are not known") and unknown.endswith("…], 2 more")
    assert inline.endswith("left out: [sic] [sic] [sic] [sic] [sic]") and len(unknown) < 400


def test_the_document_shows_each_form_as_it_is_written() -> None:
    page = ROOT / "docs" / "generators.md"
    rows = re.findall(r"^\| `(\w+)` \| (?:`(.*?)`)? *\| (.*) \|$", page.read_text().partition("\n## Lyrics\n")[2], re.M)
    (lyrics,) = (block.text for block in blocks("text", page) if block.text.startswith("[Intro]"))
    for form, shown, _ in rows:
        written = write_lyrics(lyrics, form, 95, spare_last=False)[0]
        assert shown == written.replace("\n", " ⏎ ").replace("⏎  ⏎", "⏎ ⏎"), form
    assert [form for form, *_ in rows] == list(DIALECTS)
