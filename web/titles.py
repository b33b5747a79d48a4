"""Names of tracks, as people read them on pages and in the names of downloads."""

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


def _name_in(record: Job | Track) -> str | None:
    """The name in the metadata of a record, if it has one."""
    names = (record.metadata.get(key) for key in NAMES)
    return next((name for name in names if isinstance(name, str) and name.strip()), None)
