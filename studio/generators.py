"""The generators by job_type: their command lines, and patterns that read their output."""

import math
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from settings import Settings
from studio.process import ROOT

DIFFRHYTHM_SECONDS = (95.0, 285.0)
SYNTH_SECONDS = (3.0, 600.0)

PERCENT = re.compile(r"(?<![\d.])(\d{1,3})(?:\.\d+)?\s?%")
# The first pattern that matches a printed line decides the status.
STATUS_PATTERNS = (
    ("exporting", re.compile(r"inference cost|export|decod|saving|writing", re.I)),
    ("loading_model", re.compile(r"\bload|download|fetch|checkpoint", re.I)),
    ("preparing_prompt", re.compile(r"prompt|lyric|tokeni|embedding", re.I)),
    ("generating_audio", re.compile(r"generat|infer|sampl|diffus|step|\d\s?%", re.I)),
)


@dataclass(frozen=True)
class Generator:
    """A command line with placeholders, the shortest and longest audio it makes (seconds), and the folder it runs in.

    The placeholders: {prompt}, {lyrics_file}, {duration}, {output_dir}, {metadata_file} and {job_id}. Without a folder
    it runs in the work folder of the attempt.
    """

    words: tuple[str, ...]
    seconds: tuple[float, float]
    whole_seconds: bool = False
    folder: Path | None = None

    def command(self, values: dict[str, str]) -> list[str]:
        """The command line with the values of its placeholders.

        Each word stays one argument, whatever the value contains.
        """
        return [re.sub(r"{(\w+)}", lambda match: values.get(match[1], match[0]), word) for word in self.words]

    def takes(self, placeholder: str) -> bool:
        """True if the command line has this placeholder."""
        return any(f"{{{placeholder}}}" in word for word in self.words)

    def nearest(self, seconds: float) -> float:
        """The possible length that is nearest to these seconds."""
        within = min(max(seconds, self.seconds[0]), self.seconds[1])
        return math.floor(within + 0.5) if self.whole_seconds else within


def configured(settings: Settings) -> dict[str, Generator]:
    """The generators that this process can run, by job_type."""
    synth = ("-m", "studio.synth", "--ref-prompt", "{prompt}", "--audio-length", "{duration}")
    more = ("--output-dir", "{output_dir}", "--metadata", "{metadata_file}", "--seed", "{job_id}")
    generators = {"synth": Generator((sys.executable, *synth, *more), SYNTH_SECONDS, folder=ROOT)}
    if settings.diffrhythm_command:
        words = tuple(shlex.split(settings.diffrhythm_command))
        generators["diffrhythm"] = Generator(words, DIFFRHYTHM_SECONDS, whole_seconds=True)
    return generators


def status_of(line: str) -> str | None:
    """The status that a printed line shows; None for other lines."""
    return next((status for status, pattern in STATUS_PATTERNS if pattern.search(line)), None)


def percent_of(line: str) -> int | None:
    """The last percentage in a printed line, 0 to 100; None if it has none, or if it is about the preparation."""
    percentages = [int(number) for number in PERCENT.findall(line) if int(number) <= 100]
    return percentages[-1] if percentages and status_of(line) not in ("loading_model", "preparing_prompt") else None
