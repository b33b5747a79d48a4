"""Template filters for the takes of a job: their numbers, the takes to come, and what all of them have in common."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import Any

from generators.catalogue import catalogue
from models import Job, Track
from web.current import services
from web.pages.making import is_measure, origin
from web.pages.wording import brief, is_final, label, tone

STEP = re.compile(r"(?<![\d.])(\d{1,9}) ?/ ?(\d{1,9})(?: \[|\s*$)|\bstep (\d{1,9}) of (\d{1,9})\b", re.I)
SHOWN = 3  # makers and seeds that are listed


@dataclass(frozen=True)
class Coming:
    """A take that is not recorded yet. percent: how much of it is made; None if its turn has not come.

    done: the takes that are recorded. together: the takes that are made at the same time as this one.
    """

    number: int
    percent: int | None = None
    done: int = 0
    together: int = 1


def numbered(tracks: Sequence[Track]) -> list[tuple[int, Track]]:
    """The tracks with the numbers that people see: their takes if each has its own, else their places in the list."""
    takes = [track.take for track in tracks if track.take is not None]
    numbers = takes if len(set(takes)) == len(tracks) else range(1, len(tracks) + 1)
    return list(zip(numbers, tracks, strict=True))


def coming(job: Job, tracks: Sequence[Track]) -> list[Coming]:
    """The takes that a job will still make, in order; [] if it has finished."""
    to_come = missing(job, tracks)
    running = _made_together(job, to_come) if tone(job) == "running" else []
    done, together = job.takes - len(to_come), len(running)
    return [
        Coming(number, percent_of_take(job, done, together), done, together) if number in running else Coming(number)
        for number in to_come
    ]


def missing(job: Job, tracks: Sequence[Track]) -> list[int]:
    """The numbers of the takes that a job will still make; [] if it has finished.

    A track without a number counts as the next take. Takes that were deleted are not made again.
    """
    if is_final(job):
        return []
    present = {track.take for track in tracks}
    discarded = {number for number in range(1, job.takes + 1) if job.discarded_takes >> number - 1 & 1}
    unnumbered = sum(track.take is None for track in tracks)
    return [number for number in range(1, job.takes + 1) if number not in present | discarded][unnumbered:]


def percent_of_take(job: Job, done: int, together: int) -> int:
    """The progress of the takes that are made now, 0 to 100. The progress of the job counts all its takes."""
    return max(0, min(100, (job.progress * job.takes - 100 * done) // max(1, together)))


def step(job: Job) -> str:
    """The step in the message of a job, as 'step 21 of 32'; '' if the message has none."""
    match = STEP.search(job.message or "")
    numbers = [number for number in match.groups() if number] if match else []
    return "step {} of {}".format(*numbers) if numbers else ""


def progress_words(job: Job, tracks: Sequence[Track]) -> str:
    """The status of a job; while it makes one of several takes, also which one."""
    first = next((take for take in coming(job, tracks) if take.percent is not None), None)
    return f"{label(job)} take {first.number} of {job.takes}" if first and job.takes > 1 else label(job)


def subtitle(track: Track, job: Job, number: int) -> str:
    """The second line of a sound: 'Take 3 of 8 · seed 71042'. Parts that do not apply are left out."""
    is_one_of_several = track.take is not None and job.takes > 1
    take = [f"Take {number} of {job.takes}" if number <= job.takes else f"Take {number}"] if is_one_of_several else []
    return " · ".join(take + ([f"seed {track.seed}"] if track.seed is not None else []))


def makers(tracks: Iterable[Track]) -> str:
    """What made the tracks, as 'diffrhythm 28ad63c, 32 steps'; '' if no generator of this service made them."""
    return _listed(dict.fromkeys(filter(None, map(_maker, tracks))))


def seeds(tracks: Iterable[Track]) -> str:
    """The seeds of the tracks, as '71040 – 71047' or '5, 9'; '' without any."""
    values = sorted({track.seed for track in tracks if track.seed is not None})
    if len(values) > 1 and values[-1] - values[0] == len(values) - 1:
        return f"{values[0]} – {values[-1]}"
    return _listed(map(str, values))


def effort(tracks: Iterable[Track]) -> str:
    """The mean time and GPU memory of a track, as '58 s, 9.1 GB of GPU memory'; '' if the provenance has neither."""
    made = [track.provenance for track in tracks]
    seconds, megabytes = (_mean(facts.get(name) for facts in made) for name in ("seconds", "peak_gpu_mb"))
    parts = [] if seconds is None else [f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.1f} s"]
    parts += [] if not megabytes else [f"{_memory(megabytes)} of GPU memory"]
    return ", ".join(parts)


def megabytes(size: int) -> str:
    """Bytes as '118 MB' or '0.4 MB'."""
    number = size / 1_000_000
    return f"{number:,.0f} MB" if number >= 10 else f"{number:.1f} MB"


def _made_together(job: Job, to_come: list[int]) -> list[int]:
    """The takes that are made now: the next one. A generator with batches makes all that follow one another."""
    recipe = catalogue(services().settings).get(job.job_type)
    if recipe is None or not recipe.batch:
        return to_come[:1]
    _, first = next(groupby(enumerate(to_come), lambda pair: pair[1] - pair[0]), (None, ()))
    return [number for _, number in first]


def _maker(track: Track) -> str:
    facts = origin(track)
    name = " ".join(facts[part] for part in ("Generator", "Version") if part in facts)
    return f"{name}, {facts['steps']} steps" if name and facts.get("steps", "").isdecimal() else name


def _listed(texts: Iterable[str]) -> str:
    """The texts with commas. If there are many, the last ones are left out."""
    listed = list(texts)
    return ", ".join([*(brief(text, 100) for text in listed[:SHOWN]), *(["…"] if len(listed) > SHOWN else [])])


def _mean(values: Iterable[Any]) -> float | None:
    """The mean of the values that are measures; None without any."""
    numbers = list(filter(is_measure, values))
    return fmean(numbers) if numbers else None


def _memory(megabytes: float) -> str:
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"


FILTERS = {
    function.__name__: function
    for function in (
        coming, effort, makers, megabytes, numbered, progress_words, seeds, step, subtitle,
    )
}  # fmt: skip
