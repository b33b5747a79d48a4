"""Checks a job against the recipe of its generator: the same rule for REST, forms, files of jobs and commands."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from errors import Invalid
from files.references import has_reference
from files.storage import Storage
from generators.catalogue import catalogue
from generators.orders import order_of, shown
from generators.recipe import Recipe
from models import JOB_STATUSES, Job
from repos import JobRepository, TrackRepository
from settings import Settings

ORDER = ("job_type", "prompt", "metadata")  # the fields of a job that its generator gets
DEFAULT_TYPE: str = Job.job_type.default
jobs, tracks = JobRepository(), TrackRepository()
_storage = cache(Storage)  # to resolve the path of the folder takes longer than to look for a file


def check(settings: Settings, fields: Mapping[str, Any]) -> list[str]:
    """The notes for a job with these fields: a sentence for each thing that its generator drops or changes.

    [] if this process has no recipe for its job_type, because another worker may have one. A job that is recorded with
    another status than pending is not made, so it is not checked. Raises Invalid with all problems by field.
    """
    recipe = _recipe(settings, fields)
    if recipe is None:
        return []
    has_recording = has_upload(settings, fields.get("job_id"))
    return order_of(recipe, fields.get("prompt"), fields.get("metadata") or {}, has_reference=has_recording).notes


def has_upload(settings: Settings, job_id: str | None) -> bool:
    """True if a reference recording was uploaded for a job. It is used instead of metadata.reference_track."""
    return job_id is not None and has_reference(_storage(settings), job_id)


def check_new(settings: Settings, fields: dict[str, Any]) -> list[str]:
    """The same as check() for a job that is to be recorded.

    Its reference track must exist by now. [] if the same request has recorded the job before: a recipe that was changed
    since does not make it wrong.
    """
    try:
        notes = check(settings, fields)
        _require_reference(settings, fields)
        return notes
    except Invalid:
        if jobs.is_recorded(fields):
            return []
        raise


def read_texts(settings: Settings, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a job from a command or a CSV file, where all parameters are texts, with numbers and flags."""
    recipe = catalogue(settings).get(fields.get("job_type", DEFAULT_TYPE))
    metadata = fields.get("metadata") or {}
    sent = metadata.get("parameters")
    if recipe is None or not isinstance(sent, dict):
        return fields
    known = recipe.parameters
    texts = {name: text for name, text in sent.items() if name in known and isinstance(text, str)}
    read = {name: known[name].read(text) for name, text in texts.items()}
    return {**fields, "metadata": {**metadata, "parameters": {**sent, **read}}}


def check_change(
    settings: Settings, job_id: str, changes: Mapping[str, Any], if_match: Sequence[int] | None = None
) -> None:
    """Raise Invalid if a change makes a job one that its generator cannot use, although it can still be made.

    A failed or cancelled job can be retried, so it is checked, too. If its version is none of if_match, it is not
    checked, because the change is refused. Another change may come between this check and the change itself. So the
    worker checks the job again.
    """
    if changes.keys().isdisjoint(ORDER):
        return
    job = jobs.get_by_id(job_id)
    if job is None or (if_match is not None and job.version not in if_match):
        return
    if changes.get("status", job.status) in JOB_STATUSES.changeable:
        order = {"job_id": job_id, **{name: changes.get(name, getattr(job, name)) for name in ORDER}}
        check(settings, order)
        _require_reference(settings, order)


def _recipe(settings: Settings, fields: Mapping[str, Any]) -> Recipe | None:
    """The recipe that a job is checked against; None if there is none, or if the job is not to be made."""
    is_made = fields.get("status", JOB_STATUSES.pending) == JOB_STATUSES.pending
    return catalogue(settings).get(fields.get("job_type", DEFAULT_TYPE)) if is_made else None


def _require_reference(settings: Settings, fields: Mapping[str, Any]) -> None:
    """Raise Invalid if the generator takes a reference recording, and metadata.reference_track is no track."""
    recipe = _recipe(settings, fields)
    track_id = (fields.get("metadata") or {}).get("reference_track")
    if track_id is None or recipe is None or not recipe.uses("reference_file"):
        return
    if has_upload(settings, fields.get("job_id")):
        return
    if not isinstance(track_id, str) or tracks.get_value(track_id, "updated_at") is None:
        raise Invalid(f"{shown(track_id)}: expected the id of a track that exists", "metadata.reference_track")
