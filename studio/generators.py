"""What makes the audio, chosen by job_type: a command line, and how to read what it prints."""

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from settings import Settings
from studio.process import ROOT

# (seconds) what each generator takes, and its usual length
DIFFRHYTHM_SECONDS = (95.0, 285.0)
SYNTH_SECONDS = (3.0, 600.0)
USUAL_SECONDS = 95.0

PERCENT = re.compile(r"(?<![\d.])(\d{1,3})(?:\.\d+)?\s?%")
# What a line says about where the generator is; the first that matches counts.
SIGNS = (
    ("exporting", re.compile(r"inference cost|export|decod|saving|writing", re.I)),
    ("loading_model", re.compile(r"\bload|download|fetch|checkpoint", re.I)),
    ("preparing_prompt", re.compile(r"prompt|lyric|tokeni|embedding", re.I)),
    ("generating_audio", re.compile(r"generat|infer|sampl|diffus|step|\d\s?%", re.I)),
)


@dataclass(frozen=True)
class Generator:
    """A command, whose words may hold placeholders, the seconds it can make, and where it runs if not in a work folder.

    The placeholders: {prompt}, {lyrics_file}, {duration}, {output_dir}, {metadata_file} and {job_id}.
    """

    words: tuple[str, ...]
    seconds: tuple[float, float]
    folder: Path | None = None

    def command(self, values: dict[str, str]) -> list[str]:
        """The words with their placeholders filled: each stays one argument, whatever its value contains."""
        return [re.sub(r"{(\w+)}", lambda found: values.get(found[1], found[0]), word) for word in self.words]

    def duration(self, asked: object) -> float:
        """Seconds within what it takes; the usual length when nothing sensible is asked for."""
        wanted = float(asked) if isinstance(asked, int | float) and not isinstance(asked, bool) else USUAL_SECONDS
        return min(max(wanted, self.seconds[0]), self.seconds[1])


def configured(settings: Settings) -> dict[str, Generator]:
    """The generators this process can run, by job_type."""
    synth = ("-m", "studio.synth", "--ref-prompt", "{prompt}", "--audio-length", "{duration}")
    more = ("--output-dir", "{output_dir}", "--metadata", "{metadata_file}", "--seed", "{job_id}")
    found = {"synth": Generator((sys.executable, *synth, *more), SYNTH_SECONDS, ROOT)}
    if settings.diffrhythm_command:
        found["diffrhythm"] = Generator(tuple(shlex.split(settings.diffrhythm_command)), DIFFRHYTHM_SECONDS)
    return found


def status_of(line: str) -> str | None:
    """The status a printed line tells of; None when it tells of none."""
    return next((status for status, sign in SIGNS if sign.search(line)), None)


def percent_of(line: str) -> int | None:
    """The last percentage a line prints, 0 to 100; None without one, or while something is still being loaded."""
    found = [int(number) for number in PERCENT.findall(line) if int(number) <= 100]
    return found[-1] if found and status_of(line) not in ("loading_model", "preparing_prompt") else None
