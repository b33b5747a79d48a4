"""Checks a job against the recipe of its generator: the same rule for REST, forms, files of jobs and commands."""

from collections.abc import Mapping, Sequence
from typing import Any

from errors import Invalid
from generators.catalogue import catalogue
from generators.orders import order_of
from models import JOB_STATUSES, Job
from repos import JobRepository
from settings import Settings

ORDER = ("job_type", "prompt", "metadata")  # the fields of a job that its generator gets
DEFAULT_TYPE: str = Job.job_type.default
jobs = JobRepository()


def check(settings: Settings, fields: Mapping[str, Any]) -> list[str]:
    """The notes for a job with these fields: a sentence for each thing that its generator drops or changes.

    [] if this process has no recipe for its job_type, because another worker may have one. A job that is recorded with
    another status than pending is not made, so it is not checked. Raises Invalid with all problems by field.
    """
    recipe = catalogue(settings).get(fields.get("job_type", DEFAULT_TYPE))
    if recipe is None or fields.get("status", JOB_STATUSES.pending) != JOB_STATUSES.pending:
        return []
    return order_of(recipe, fields.get("prompt"), fields.get("metadata") or {}).notes


def check_new(settings: Settings, fields: dict[str, Any]) -> list[str]:
    """The same as check() for a job that is to be recorded.

    [] if the same request has recorded the job before: a recipe that was changed since does not make it wrong.
    """
    try:
        return check(settings, fields)
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
        order = {name: changes.get(name, getattr(job, name)) for name in ORDER}
        check(settings, order)
