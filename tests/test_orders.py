"""Orders: what a generator gets for a job, what is refused, and the notes about what a listener may notice."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errors import Invalid
from generators import templates
from generators.orders import ARGUMENT_BYTES, Order, order_of
from generators.recipe import Recipe
from models import Job
from studio.takes import Run
from tests.conftest import thorough

SECTIONS = "[verse]\none\n\n[chorus]\ntwo\n\n[verse]\nthree"
SEGMENTS = {"kind": "segments", "segment": 30, "min": 30, "max": 60}


def recipe(*words: str, **more: Any) -> Recipe:
    """A recipe with this command."""
    return Recipe.model_validate({"command": ["x", *words], **more})


def order(made: Recipe, prompt: str = "folk", **metadata: Any) -> Order:
    """The order for a job with this metadata."""
    return order_of(made, prompt, metadata)


@pytest.mark.parametrize(
    ("seconds", "duration", "values", "notes"),
    [
        ({"min": 10, "max": 20}, 12.5, (13, 13000), 1),
        ({"min": 10, "max": 20, "whole": False}, 12.5, (12.5, 12500), 0),
        ({"min": 10, "max": 20, "kind": "ceiling"}, 12, (12, 12000), 0),
        ({"min": 10, "max": 20, "usual": 15}, None, (15, 15000), 0),
        ({"kind": "none"}, 12, (12, 12000), 1),
        (SEGMENTS, 45, (45, 45000), 1),
        ({"min": 0.5, "max": 47.5}, 100, (47, 47000), 1),
        ({"min": 1.2, "max": 9}, 1, (2, 2000), 1),
        ({"min": 1, "max": 9}, 10**400, (9, 9000), 1),
    ],
)
def test_the_length_is_the_nearest_that_the_generator_can_make(
    seconds: Any, duration: Any, values: Any, notes: int
) -> None:
    made = order(recipe("{duration}", seconds=seconds), duration=duration)
    assert (made.values()["duration"], made.values()["duration_ms"]) == values
    assert len(made.notes) == notes


def test_a_generator_of_segments_makes_one_for_each_section_of_the_lyrics() -> None:
    made = recipe("{lyrics_file}", "{segments}", seconds=SEGMENTS | {"max": 300}, lyrics="sections")
    assert order(made, lyrics=SECTIONS).segments == 3 and order(made, lyrics=SECTIONS).notes == []
    with_spare = recipe("{lyrics_file}", seconds=SEGMENTS | {"max": 300},
                        lyrics={"form": "sections", "spare_last": True})  # fmt: skip
    assert order(with_spare, lyrics=SECTIONS).segments == 3


def test_sections_that_have_no_segment_are_named() -> None:
    made = order(recipe("{lyrics_file}", seconds=SEGMENTS, lyrics="sections"), lyrics=SECTIONS, duration=60)
    assert made.notes[-1] == "1 of 3 sections of lyrics is not sung: the song has 2 segments"


@pytest.mark.parametrize("value", [{"a": None}, [1, None], {"a": [{"b": None}]}])
def test_a_null_that_toml_cannot_have_is_refused_by_name(value: Any) -> None:
    made = recipe("{files.f}", files={"f": {"path": "f.toml", "content": {"o": "{metadata.o|}"}}})
    with pytest.raises(Invalid, match="expected no null") as caught:
        order(made, o=value)
    assert caught.value.errors[0]["field"] == "metadata.o" and order(made, o={"a": 1}).metadata == {"o": {"a": 1}}


def test_lyrics_for_a_generator_that_takes_none_are_named() -> None:
    made = order(recipe("{prompt}"), lyrics="la\nla")
    assert made.lyrics == "" and made.notes == ["the generator takes no lyrics: 2 lines are not sung"]


def test_all_problems_are_named_at_once() -> None:
    made = recipe("{prompt}", parameters={"steps": {"type": "int", "max": 9}})
    with pytest.raises(Invalid) as caught:
        order(made, " ", duration="long", lyrics=7, parameters={"steps": 10, "cfg": 1})
    fields = [error["field"] for error in caught.value.errors]
    named = ["duration", "lyrics", "parameters.steps", "parameters.cfg"]
    assert fields == ["prompt", *(f"metadata.{name}" for name in named)]


@pytest.mark.parametrize(
    ("word", "metadata", "field"),
    [
        ("--p={prompt}", {}, "prompt"), ("{lyrics}", {"lyrics": "x" * 140_000}, "metadata.lyrics"),
        ("{metadata.a|}", {"a": "a\0"}, "metadata.a"),
        ("{text}", {"parameters": {"text": "ö" * 66_000}}, "metadata.parameters.text"),
    ],
)  # fmt: skip
def test_a_value_that_no_command_line_can_carry_is_refused_by_name(word: str, metadata: Any, field: str) -> None:
    parameters = {"text": {"type": "text", "max_length": 100_000, "default": ""}}
    prompt = "x" * (ARGUMENT_BYTES - 3) if field == "prompt" else "x"
    with pytest.raises(Invalid, match="expected at most 131071 bytes and no NUL") as caught:
        order(recipe(word, lyrics="plain", parameters=parameters), prompt, **metadata)
    assert caught.value.errors[0]["field"] == field


def test_the_longest_argument_of_a_command_line_really_has_this_many_bytes() -> None:
    for length in (ARGUMENT_BYTES, ARGUMENT_BYTES + 1):
        try:
            subprocess.run(["true", "x" * length], check=True)
        except OSError:
            assert length > ARGUMENT_BYTES
        else:
            assert length <= ARGUMENT_BYTES or sys.platform != "linux"


# --- what arrives is what was sent

ECHO = "import json, pathlib, sys; print(json.dumps([sys.argv[1:], pathlib.Path(sys.argv[1]).read_text('utf-8')]))"
TRICKY = st.sampled_from(
    [
        *(
            "$(reboot)",
            "--flag",
            "-x",
            "{prompt}",
            "{{}}",
            "`id`",
            "'",
            '"',
            "\\",
            "\n",
            "\r\n",
            "\u2028",
            "\x7f",
            "\0",
        ),
        *("🎵", "é", "%s", "[verse]", ";", "|", "&&", "~", "*", "a" * 5000),
    ]
)
TEXT = st.lists(TRICKY | st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=12).map("".join)
FILES = {"row": {"path": "row.jsonl", "content": {"style": "{prompt}", "words": "{lyrics}", "steps": "{steps}"}}}
PARAMETERS = {
    "steps": {"type": "int", "default": 3},
    "negative": {"type": "text", "default": "", "max_length": 100_000},
}
WORDS = ["{files.row}", "{prompt}", "--prompt={prompt}", "{lyrics}", "{metadata.mood|none}", "{negative}", "{steps}"]


@settings(max_examples=thorough(10_000, 150), deadline=None, suppress_health_check=list(HealthCheck))
@given(prompt=TEXT, lyrics=TEXT, mood=TEXT, negative=TEXT, steps=st.integers(-(2**63), 2**63))
def test_what_arrives_is_what_was_sent_or_it_is_refused(
    tmp_path_factory: pytest.TempPathFactory, prompt: str, lyrics: str, mood: str, negative: str, steps: int
) -> None:
    made = recipe(*WORDS, lyrics="plain", parameters=PARAMETERS, files=FILES)
    metadata = {"lyrics": lyrics, "mood": mood, "parameters": {"negative": negative, "steps": steps}}
    try:
        ordered = order_of(made, prompt, metadata)
    except Invalid as refused:
        assert "\0" in prompt + lyrics + mood + negative or not prompt.strip()
        assert {error["field"] for error in refused.errors} <= {
            "prompt", "metadata.lyrics", "metadata.mood", "metadata.parameters.negative",
        }  # fmt: skip
        return
    run = Run(made, Job(job_id="j", metadata=metadata, seed=1), ordered, tmp_path_factory.mktemp("run") / "run", [1])
    run.prepare()
    words = run.words()[1:]
    sent = [prompt, f"--prompt={prompt}", ordered.lyrics, mood, negative, templates.as_text(steps)]
    assert words[1:] == sent
    assert arrived(words) == [words, {"style": prompt, "words": ordered.lyrics, "steps": steps}]


def arrived(words: list[str]) -> list[Any]:
    """What a real process gets: its arguments, and the row of its file."""
    ended = subprocess.run([sys.executable, "-S", "-E", "-c", ECHO, *words], capture_output=True, check=True)
    arguments, text = json.loads(ended.stdout)
    return [arguments, json.loads(text)]
