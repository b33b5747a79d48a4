"""Again: the fields of a new job that makes the same music as a job or a track, or a variant of it."""

from collections.abc import Mapping
from typing import Any

from models import Job, Track

MUSIC = ("job_type", "prompt", "metadata", "seed", "takes")  # the fields of a job that its music comes from


def again_job(job: Job, same_seed: bool) -> dict[str, Any]:
    """The fields of a job that makes all takes of a job again, with its seed or with a new one."""
    fields = {name: getattr(job, name) for name in MUSIC}
    return fields if same_seed else {**fields, "seed": None}


def again_track(job: Job, track: Track, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The fields of a job that makes a track again: its seed, one take, and the parameters that it was made with.

    changes: other fields of the job. Its `parameters` are merged into those of the track; null is the default of one.
    """
    changes = dict(changes or {})
    parameters = parameters_of(job, track) | changes.pop("parameters", {})
    kept = {name: value for name, value in parameters.items() if value is not None}
    prompt, metadata = ordered(job, track)
    metadata = {name: value for name, value in metadata.items() if name != "parameters"}
    metadata |= {"parameters": kept} if kept else {}
    fields = {**again_job(job, same_seed=True), "prompt": prompt, "metadata": metadata}
    return {**fields, "seed": track.seed, "takes": 1, **changes}


def ordered(job: Job, track: Track) -> tuple[str | None, dict[str, Any]]:
    """The prompt and the metadata that a track was made with; if it has no provenance, those of its job.

    The job may have been changed since.
    """
    prompt, metadata = track.provenance.get("prompt"), track.provenance.get("metadata")
    if isinstance(prompt, str) and isinstance(metadata, dict):
        return prompt, metadata
    return job.prompt, job.metadata


def parameters_of(job: Job, track: Track) -> dict[str, Any]:
    """The parameters that a track was made with; if it has no provenance, those of its job."""
    for place in (track.provenance, job.metadata):
        parameters = place.get("parameters")
        if isinstance(parameters, dict):
            return dict(parameters)
    return {}
