"""Deletes tracks so that they can come back for a while, and removes their files when that time has ended."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from errors import LedgerError
from files.deletion import belongings_of, paths_of, remove_belongings
from files.references import waiting_references
from files.storage import Storage
from models import Discard, Loop, Track
from records import discards
from records.discards import SECONDS, UNDONE, WAITING
from repos import JobRepository

log = logging.getLogger("ledger.storage")
UNDONE_SECONDS = 3600.0  # so long, undo can be repeated after its answer was lost
RETRY_SECONDS = 60.0  # between two attempts to end a discard that cannot be ended
BATCH = 500
Needed = Callable[[Storage, set[Path]], set[Path]]


def discard_job(storage: Storage, job_id: str) -> Discard | None:
    """Delete all tracks of a job that have no star, with their loops. None if there is no such job. Raises WrongStatus.

    Their files stay until the discard has expired.
    """
    ids = [track_id for (track_id,) in _without_star(job_id).tuples()]
    return discards.discard_job(job_id, bytes_of(storage, ids))


def discard_tracks(storage: Storage, track_ids: Sequence[str]) -> tuple[Discard | None, list[str]]:
    """Delete tracks of any jobs, with their loops. Returns what records.discards.discard_tracks() returns."""
    return discards.discard_tracks(track_ids, bytes_of(storage, track_ids))


def bytes_of(storage: Storage, track_ids: Sequence[str]) -> int:
    """The bytes of all files of these tracks and their loops now."""
    return sum(map(_size, set[Path]().union(*(_paths(storage, ids) for ids in _batches(track_ids)))))


def bytes_without_star(storage: Storage, job_id: str) -> int:
    """The bytes that discard_job() would free."""
    return bytes_of(storage, [track_id for (track_id,) in _without_star(job_id).tuples()])


def remove_expired(storage: Storage, discard_id: str, needed_elsewhere: Needed) -> None:
    """End a discard: from now on it cannot be undone. The process that has ended it removes its files.

    Does nothing if it was undone, or if another process has ended it. needed_elsewhere: as in remove_leftovers().
    Raises the LedgerError of needed_elsewhere; then the files stay for now, as after a kill: call finish() later.
    """
    if discards.expire(discard_id):
        finish(storage, discard_id, needed_elsewhere)


def finish(storage: Storage, discard_id: str, needed_elsewhere: Needed) -> None:
    """Remove the files of a discard that has ended, except those that a record names, and then its rows.

    It is safe to repeat this, also in several processes at once.
    """
    belongings = belongings_of(discards.tracks_of(discard_id), discards.loops_of(discard_id))
    paths = paths_of(storage, belongings)
    needed = needed_elsewhere(storage, paths) | waiting_references(storage) if paths else set[Path]()
    remove_belongings(storage, belongings, needed)
    for _, job_id in belongings.sharing:
        if JobRepository().get_value(job_id, "job_id") is None:  # it was deleted meanwhile
            storage.remove_empty("job", job_id)
    discards.forget(discard_id)


class Expiry:
    """Removes the discards that this process has seen for SECONDS.

    Only the monotonic clock of this process counts. So no discard ends too early, however the wall clock is set, and
    whatever the clock of another machine says. A discard lasts longer if no process of the service runs.
    """

    def __init__(self, storage: Storage, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.storage, self._monotonic = storage, monotonic
        self._seen_at: dict[tuple[str, str], float] = {}  # by discard_id and state
        self._retry_at: dict[str, float] = {}  # by discard_id
        self._problems: dict[str, str] = {}  # what the log has said, by discard_id

    def run(self, needed_elsewhere: Needed) -> None:
        """Remove those that are due now.

        If needed_elsewhere raises a LedgerError, the log says why, the files stay, and this tries again in a minute.
        """
        now, present = self._monotonic(), set(discards.states().items())
        self._seen_at = {discard: self._seen_at.get(discard, now) for discard in present}
        ids = {discard_id for discard_id, _ in present}
        self._retry_at = {key: at for key, at in self._retry_at.items() if key in ids}
        self._problems = {key: problem for key, problem in self._problems.items() if key in ids}
        for (discard_id, state), seen_at in self._seen_at.items():
            due_at = seen_at + (UNDONE_SECONDS if state == UNDONE else SECONDS)
            if now >= max(due_at, self._retry_at.get(discard_id, due_at)):
                self._try(discard_id, state, needed_elsewhere)

    def _try(self, discard_id: str, state: str, needed_elsewhere: Needed) -> None:
        """End a discard. After a failure, note when to try again; the log has the same reason only once."""
        try:
            self._end(discard_id, state, needed_elsewhere)
        except LedgerError as error:
            self._retry_at[discard_id] = self._monotonic() + RETRY_SECONDS
            if self._problems.get(discard_id) != str(error):
                log.warning("the files of discard %s stay for now: %s", discard_id, error)
            self._problems[discard_id] = str(error)

    def _end(self, discard_id: str, state: str, needed_elsewhere: Needed) -> None:
        if state == WAITING:
            remove_expired(self.storage, discard_id, needed_elsewhere)
        elif state == UNDONE:
            discards.forget(discard_id)
        else:  # the process that has ended it was killed, or needed_elsewhere has failed
            finish(self.storage, discard_id, needed_elsewhere)


def _without_star(job_id: str) -> Any:
    return Track.select(Track.track_id).where(Track.job == job_id, ~Track.starred)


def _paths(storage: Storage, track_ids: Sequence[str]) -> Collection[Path]:
    columns = (Track.track_id, Track.job, Track.file_path_wav, Track.file_path_mp3)
    tracks = list(Track.select(*columns).where(Track.track_id.in_(track_ids)).tuples())
    loops = list(Loop.select(Loop.loop_id, Loop.result_path).where(Loop.track.in_(track_ids)).tuples())
    return paths_of(storage, belongings_of(tracks, loops))


def _batches(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
