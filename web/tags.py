"""The tags that the files of a track get when somebody takes them away: those of this moment."""

import math
from typing import Any

from files.tags import Tags, comment_of, sung, words_in
from models import LOOP_STATUSES, Job, Loop, Track
from web.covers import title_of
from web.lyrics import timed_lyrics
from web.titles import metadata_text

OF_JOB: tuple[Any, ...] = (Job.job_id, Job.prompt, Job.metadata, Job.file_manifest, Job.takes)
LOOPS = 10  # of a track, the newest ones, of which one may know the tempo
SLOWEST, FASTEST = 20, 999  # beats in a minute


def tags_of(track: Track) -> Tags:
    """The tags of a track. Artist, album and genre are those of its metadata, or else of its job."""
    job: Job | None = Job.select(*OF_JOB).where(Job.job_id == track.__data__["job"]).first()
    lyrics = sung(metadata_text(job, "lyrics"), timed_lyrics(job)) if job else {}
    return Tags(
        title=title_of(track, job),
        comment=comment_of({"seed": track.seed, **track.provenance}),
        bpm=_tempo_of(track.track_id),
        take=track.take,
        takes=job.takes if job else None,
        **words_in(track.metadata, job.metadata if job else {}),
        **lyrics,
    )


def _tempo_of(track_id: str) -> int | None:
    """The beats in a minute that the looper has heard in the newest loop with a tempo; None without one."""
    made: Any = Loop.select(Loop.analysis).where(Loop.track == track_id, Loop.status == LOOP_STATUSES.completed)
    tempos = (analysis.get("tempo") for (analysis,) in made.order_by(Loop.created_at.desc()).limit(LOOPS).tuples())
    return next((round(tempo) for tempo in tempos if _is_tempo(tempo)), None)


def _is_tempo(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and SLOWEST <= value <= FASTEST
