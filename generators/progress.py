"""Reads the progress of a generator from the lines that it prints."""

import re

from generators.recipe import STATUSES, Recipe

PERCENT = re.compile(r"(?<![\d.])(\d{1,3})(?:\.\d+)?\s?%")
STEPS = re.compile(
    r"(?<![\d.])(\d{1,9})/(\d{1,9}) \[|^\s*(\d{1,9}) ?/\s+(\d{1,9})\s*$"
)  # 12/100 [ of tqdm, and 12 / 100
# The first pattern that matches a printed line decides the status.
STATUS_PATTERNS = (
    ("exporting", re.compile(r"inference cost|export|decod|saving|writing", re.I)),
    ("loading_model", re.compile(r"\bload|download|fetch|checkpoint", re.I)),
    ("preparing_prompt", re.compile(r"prompt|lyric|tokeni|embedding", re.I)),
    ("generating_audio", re.compile(r"generat|infer|sampl|diffus|step|\d\s?%", re.I)),
)


class ProgressReader:
    """Reads lines by the patterns of a recipe (progress and stages), and by common ones where it has none."""

    def __init__(self, recipe: Recipe) -> None:
        self._progress = re.compile(recipe.progress) if recipe.progress else None
        stages = [(status, re.compile(recipe.stages[status])) for status in STATUSES if status in recipe.stages]
        self._stages = tuple(reversed(stages)) or STATUS_PATTERNS

    def status_of(self, line: str) -> str | None:
        """The status that a printed line shows; None for other lines."""
        return next((status for status, pattern in self._stages if pattern.search(line)), None)

    def percent_of(self, line: str) -> int | None:
        """The progress in a printed line, 0 to 100; None if it has none, or if it is about the preparation."""
        if self._progress:
            return _of_recipe(self._progress, line)
        if self.status_of(line) in ("loading_model", "preparing_prompt"):
            return None
        percent = percent_in(line)
        return _of_steps(line) if percent is None else percent


def percent_in(line: str) -> int | None:
    """The last percentage in a line, 0 to 100; None if it has none."""
    percentages = [int(number) for number in PERCENT.findall(line) if int(number) <= 100]
    return percentages[-1] if percentages else None


def _of_recipe(pattern: re.Pattern[str], line: str) -> int | None:
    """The percentage by the pattern of a recipe. One group is a percentage, two are a step and the total; none: 100."""
    match = pattern.search(line)
    if match is None:
        return None
    try:
        numbers = [float(text) for text in match.groups()]
    except (TypeError, ValueError):  # the group has no number in it
        return None
    return _percent(*numbers) if numbers else 100


def _of_steps(line: str) -> int | None:
    match = STEPS.search(line)
    return _percent(*(float(number) for number in match.groups() if number is not None)) if match else None


def _percent(number: float, total: float = 100) -> int | None:
    """The number as a percentage of the total; None if it is not 0 to 100."""
    percent = 100 * number / total if total > 0 else -1
    return int(percent) if 0 <= percent <= 100 else None
