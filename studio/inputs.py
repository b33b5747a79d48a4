"""The inputs of a generator for a job: prompt, seconds and lyrics, checked before the generator starts."""

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from files.storage import Storage
from generators.dialects import write_lyrics
from models import Job
from studio.attempt import Failed
from studio.generators import Generator

USUAL_SECONDS = 95
SPARE_UNTIL_SECONDS = 95  # up to this length of the song, DiffRhythm never sings the last line of the file
LYRICS_BYTES = 1024 * 1024
NUMBER = re.compile(r"\s*\d+(\.\d+)?\s*", re.ASCII)


@dataclass(frozen=True)
class Inputs:
    """Prompt, seconds, lyrics as an LRC file, and notes: sentences that say how the inputs differ from the job."""

    prompt: str
    seconds: float
    lyrics: str
    notes: list[str]


def inputs_of(job: Job, generator: Generator, storage: Storage) -> Inputs:
    """The inputs for a job. Raises Failed if the prompt is missing or the metadata cannot be used."""
    prompt, metadata = job.prompt or "", job.metadata
    if generator.takes("prompt") and not prompt.strip():
        raise Failed(f"the job has no prompt: a generator for {job.job_type} needs one")
    seconds, notes = length(metadata.get("duration"), generator)
    spare_last = seconds <= SPARE_UNTIL_SECONDS
    lyrics, about_lyrics = write_lyrics(lyrics_text(metadata, storage), "lrc", seconds, spare_last)
    return Inputs(prompt, seconds, lyrics, [*notes, *(about_lyrics if generator.takes("lyrics_file") else [])])


def length(duration: object, generator: Generator) -> tuple[float, list[str]]:
    """(seconds that the generator can make, a note if they differ from metadata.duration). Raises Failed."""
    requested = read_seconds(duration)
    seconds = generator.nearest(requested)
    if seconds == requested:
        return seconds, []
    low, high = generator.seconds
    unit = "whole seconds" if generator.whole_seconds else "seconds"
    note = f"metadata.duration is {shown(duration)} seconds: the generator takes {low:g} to {high:g} {unit}"
    return seconds, [f"{note}, so {seconds:.12g} are generated"]


def read_seconds(duration: object) -> float:
    """metadata.duration as a number; the usual length if there is none. Raises Failed."""
    if duration is None:
        return USUAL_SECONDS
    if isinstance(duration, str) and NUMBER.fullmatch(duration):
        duration = float(duration)
    if isinstance(duration, int | float) and not isinstance(duration, bool) and 0 < duration < math.inf:
        return duration
    raise Failed(f"metadata.duration is {shown(duration)}: expected a number of seconds above 0, such as 120")


def lyrics_text(metadata: dict[str, Any], storage: Storage) -> str:
    """The lyrics of a job: metadata.lyrics, or the text of the file metadata.lyrics_file, or "". Raises Failed."""
    text, name = metadata.get("lyrics"), metadata.get("lyrics_file")
    if text is not None and not isinstance(text, str):
        raise Failed(f"metadata.lyrics is {shown(text)}: expected text")
    if text or name is None:
        return text or ""
    file = storage.open(name) if isinstance(name, str) else None
    if file is None:
        raise Failed(f"metadata.lyrics_file is {name!r}: there is no such file inside the storage folder")
    with file:
        return file.read(LYRICS_BYTES).decode("utf-8", "replace")


def shown(value: object) -> str:
    """A value as JSON, short enough for a sentence."""
    return json.dumps(value, ensure_ascii=False)[:80]
