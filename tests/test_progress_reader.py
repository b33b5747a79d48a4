"""What the printed lines of a generator say about its progress, by common patterns and by those of a recipe."""

from typing import Any

import pytest

from generators.progress import ProgressReader
from generators.recipe import Recipe


def reader(**more: Any) -> ProgressReader:
    """The reader of a recipe with these keys."""
    return ProgressReader(Recipe.model_validate({"command": ["x"], **more}))


@pytest.mark.parametrize(
    ("line", "status", "percent"),
    [
        ("Loading checkpoint shards: 100%|####|", "loading_model", None),
        ("encoding the prompt", "preparing_prompt", None),
        (" 34%|###4      | 11/32 [00:03<00:06,  3.4it/s]", "generating_audio", 34),
        ("sampling 12.5 %", "generating_audio", 12),
        ("inference cost 12.34 seconds", "exporting", None),
        ("250% nonsense", "generating_audio", None),
        ("12/100 [00:01<00:09]", None, 12),
        ("    12 /    400", None, 3),
        ("12it [00:01, 9.9it/s]", None, None),
        ("3/0 [", None, None),
        ("hello", None, None),
    ],
)
def test_lines_tell_status_and_progress(line: str, status: str | None, percent: int | None) -> None:
    common = reader()
    assert (common.status_of(line), common.percent_of(line)) == (status, percent)


@pytest.mark.parametrize(
    ("pattern", "line", "percent"),
    [
        (r"step (\d+)/(\d+)", "step 8/32 of 50%", 25), (r"step (\d+)/(\d+)", "12%", None),
        (r"at (\S+) percent", "at 12.9 percent", 12), (r"at (\S+) percent", "at many percent", None),
        (r"step (\d+)/(\d+)", "step 33/32", None), ("inference cost", "inference cost 1.5 s", 100),
        (r"step (\d+)(?:/(\d+))?", "step 5", None), (r"(\d+)/(\d+)", "1/0", None),
    ],
)  # fmt: skip
def test_the_pattern_of_a_recipe_is_the_only_one(pattern: str, line: str, percent: int | None) -> None:
    assert reader(progress=pattern).percent_of(line) == percent


def test_the_stages_of_a_recipe_are_the_only_ones_and_the_latest_wins() -> None:
    own = reader(stages={"loading_model": "model", "generating_audio": "Stage [12]"})
    lines = ("the model", "Stage 1 inference", "Stage 2 of the model", "exporting", "50%")
    assert [own.status_of(line) for line in lines] == [
        "loading_model", "generating_audio", "generating_audio", None, None,
    ]  # fmt: skip
