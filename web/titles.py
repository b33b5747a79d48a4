"""Names of tracks, as people read them on pages and in the names of downloads, and other texts of the metadata."""

from database.library import NAMES
from models import Job, Track


def name_of(track: Track, job: Job | None) -> str:
    """The name of a track: its title, a name in its metadata, the prompt of its job, or the id of its job.

    It may be as long as a prompt. job: the job of the track; None if it was deleted meanwhile.
    """
    prompt = job.prompt if job and job.prompt and job.prompt.strip() else None
    return _own_name(track) or prompt or str(track.__data__["job"])


def _own_name(track: Track) -> str | None:
    """The title of a track, or a name in its metadata; None if it has neither."""
    return next((name for name in (track.title, _name_in(track)) if name and name.strip()), None)


def name_of_its_own(track: Track, job: Job) -> str | None:
    """The title of a track, or a name in its metadata, if its job does not have the same name; else None."""
    name = _own_name(track)
    return None if name == _name_in(job) else name


def job_name(job: Job) -> str:
    """The name of a job: a name in its metadata, its prompt, or its id."""
    prompt = job.prompt if job.prompt and job.prompt.strip() else None
    return _name_in(job) or prompt or str(job.job_id)


def metadata_text(record: Job | Track, name: str) -> str | None:
    """A value of the metadata; None if it is not text, or blank."""
    value = record.metadata.get(name)
    return value if isinstance(value, str) and value.strip() else None


def _name_in(record: Job | Track) -> str | None:
    """The name in the metadata of a record, if it has one."""
    return next(filter(None, (metadata_text(record, key) for key in NAMES)), None)
