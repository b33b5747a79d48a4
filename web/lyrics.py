"""The lyrics of a job with the times at which they are sung."""

from generators.timed import TimedLine, timed_lines
from models import Job
from web.titles import metadata_text


def timed_lyrics(job: Job) -> list[TimedLine]:
    """The lines in the order of their times, as in timed_lines(); [] for lyrics without times."""
    manifest = job.file_manifest
    return timed_lines(metadata_text(job, "lyrics"), manifest.get("lyrics"), manifest.get("seconds"))
