"""Offers: what can be made, by the recipes of this process and by those of the workers that run."""

from collections.abc import Sequence
from typing import Any

from generators.catalogue import catalogue, no_generator
from generators.description import describe
from models import Worker
from settings import Settings

Offer = dict[str, Any]


def offers(settings: Settings, workers: Sequence[Worker]) -> list[Offer]:
    """The description of every generator, sorted by job_type, with the names of the workers that can start it.

    can_start and problems are those of the workers that have it. If none of them runs, they are those of this process.
    """
    own = {name: describe(recipe) for name, recipe in catalogue(settings).items()}
    types = sorted({*own, *(job_type for worker in workers for job_type in announced(worker))})
    return [_offer(job_type, own.get(job_type), _of_workers(workers, job_type)) for job_type in types]


def why_not_made(settings: Settings, job_type: str, workers: Sequence[Worker]) -> str | None:
    """The reason why no worker makes jobs of this type, and what to do; None if one does, or if nobody knows.

    The workers of this service count also while they start. Without them, and if no other worker has announced itself,
    programs of somebody else may claim the jobs.
    """
    theirs = _of_workers(workers, job_type)
    if any(offer["can_start"] for offer in theirs.values()):
        return None
    if theirs:
        return f"the generator for {job_type} cannot start: {'; '.join(_problems(theirs))}"
    own = catalogue(settings) if settings.workers else {}
    if job_type in own or not (settings.workers or workers):
        return None
    return no_generator(job_type, {*own, *(name for worker in workers for name in announced(worker))})


def _offer(job_type: str, own: Offer | None, theirs: dict[str, Offer]) -> Offer:
    described = own or next(iter(theirs.values()))
    able = [name for name, offer in theirs.items() if offer["can_start"]]
    state = {"can_start": bool(able), "problems": [] if able else _problems(theirs)} if theirs else {}
    return {"job_type": job_type, **described, **state, "workers": able}


def announced(worker: Worker) -> dict[str, Offer]:
    """What a worker has announced, by job_type. It may have another version: what cannot be read is left out."""
    every: Offer = worker.generators
    return {job_type: description for job_type, description in every.items() if _is_readable(description)}


def _is_readable(description: Any) -> bool:
    if not isinstance(description, dict) or not isinstance(description.get("can_start"), bool):
        return False
    problems = description.get("problems", [])
    return isinstance(problems, list) and all(isinstance(problem, str) for problem in problems)


def _of_workers(workers: Sequence[Worker], job_type: str) -> dict[str, Offer]:
    """The offers of a type by the name of the worker."""
    theirs = {worker.name: worker.generators.get(job_type) for worker in workers}
    return {name: offer for name, offer in theirs.items() if _is_readable(offer)}


def _problems(theirs: dict[str, Offer]) -> list[str]:
    """The problems of the workers, each with the name of its worker."""
    return [f"{name}: {problem}" for name, offer in theirs.items() for problem in offer.get("problems", [])]
