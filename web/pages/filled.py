"""Fills in the form for a new job with the fields of a job or of a track."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from generators.catalogue import catalogue
from generators.parameters import digits
from generators.recipe import Recipe
from models import Job
from records.again import again_job, again_track
from records.recent import recent_jobs
from repos import JobRepository, TrackRepository
from web.answers import require
from web.current import services
from web.orders import has_upload
from web.pages.entries import OWN
from web.pages.wording import brief

TEXTS = ("genre", "mood", "lyrics")  # the metadata that the form has for each type
MOST = 10  # templates
UPLOAD = "the uploaded reference recording"


@dataclass(frozen=True)
class Filled:
    """Entries of the form. query: the address of the form has it. left_out: what the form has no field for."""

    query: str = ""
    entries: Mapping[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def filled(arguments: Mapping[str, str]) -> Filled:
    """The entries for the query of the form: like=JOB_ID, or track=TRACK_ID with its seed. Raises NotFound.

    job_type: another type than that of the job, if one chooses it in the form.
    """
    names = [name for name in ("like", "track") if arguments.get(name)]
    if not names:
        return Filled()
    job, fields = _source(names[0], arguments[names[0]].replace("\0", ""))
    recipe = catalogue(services().settings).get(arguments.get("job_type") or job.job_type)
    entries, left_out = entries_of(fields, recipe)
    left_out += [UPLOAD] if has_upload(services().settings, job.job_id) else []
    return Filled(urlencode({names[0]: arguments[names[0]]}), entries, left_out)


def templates(types: Sequence[str]) -> dict[str, Job]:
    """The last jobs of these types with different settings, the newest first, by their settings in words."""
    words: dict[str, Job] = {}
    for job in recent_jobs(types, MOST):
        words.setdefault(settings_of(job), job)
    return words


def settings_of(job: Job) -> str:
    """The settings of a job in words: synth, 60 s, 3 takes, tempo 90."""
    seconds, parameters = _text(job.metadata.get("duration")), job.metadata.get("parameters")
    words = [job.job_type, *([f"{seconds} s"] if seconds else []), *([f"{job.takes} takes"] if job.takes > 1 else [])]
    if isinstance(parameters, dict):
        words += [f"{name} {text}" for name, value in sorted(parameters.items()) if (text := _text(value)) is not None]
    return brief(", ".join(words), 80)


def entries_of(fields: Mapping[str, Any], recipe: Recipe | None) -> tuple[dict[str, str], list[str]]:
    """(the entries for the fields of a job, the names of the metadata and parameters for which there is no field)."""
    metadata = dict(fields["metadata"])
    own = metadata.pop("parameters", None)
    parameters: Mapping[str, Any] = own if isinstance(own, dict) else {}
    texts = _texts(metadata, _names(recipe))
    texts |= {OWN + name: text for name, text in _texts(parameters, recipe.parameters if recipe else {}).items()}
    counts = {name: str(fields[name]) for name in ("takes", "seed") if fields[name] is not None}
    names = [*metadata, *(OWN + name for name, value in parameters.items() if value is not None)]
    entries = {"prompt": fields["prompt"] or "", "job_type": fields["job_type"], **counts, **texts}
    return entries, [name for name in names if name not in texts]


def _source(name: str, record_id: str) -> tuple[Job, dict[str, Any]]:
    """(the job, the fields of a new job that is like it, or like its track)."""
    if name == "like":
        job: Job = require(JobRepository().get_by_id(record_id))
        return job, again_job(job, same_seed=False)
    track = require(TrackRepository().get_by_id(record_id))
    job = require(JobRepository().get_by_id(track.__data__["job"]))
    return job, again_track(job, track)


def _names(recipe: Recipe | None) -> list[str]:
    """The metadata for which the form has a field."""
    if recipe is None:
        return [*TEXTS]
    has_seconds, has_reference = recipe.seconds.kind != "none", recipe.uses("reference_file")
    return [*TEXTS, *["duration"] * has_seconds, *["reference_track"] * has_reference]


def _texts(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """The texts and numbers among these values that have one of these names, as the form has them."""
    texts = {name: _text(values[name]) for name in names if name in values}
    return {name: text for name, text in texts.items() if text is not None}


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return digits(value)
    return value if isinstance(value, str) else None
