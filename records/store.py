"""JobStore: a cache of the jobs that are read most, never stale."""

import threading
from collections import OrderedDict
from typing import Any

import cysqlite

from database import database, is_postgresql, to_json
from models import Job
from records.jobs import JobRepository

HELD_CHARACTERS = 8 * 1024  # of a job; a larger one is read each time, so that the store stays small in bytes too


class JobStore:
    """A bounded cache of often-read jobs that is never stale; the least recently read job makes room.

    Before a held job is given out, its version is checked: on SQLite the database's data_version, as seen by a
    connection of the store's own (so that commits of this process count too); on PostgreSQL the row's own xmin, since
    event ids are not committed in order.
    """

    def __init__(self, size: int = 1000) -> None:
        self.size = size
        self._held: OrderedDict[str, tuple[Any, Job]] = OrderedDict()
        self._lock = threading.Lock()
        self._watcher = None if is_postgresql() else cysqlite.Connection(database.database)

    def __len__(self) -> int:
        return len(self._held)

    def get(self, job_id: str) -> Job | None:
        """The job as last committed, or None. It is shared: read it, do not change it."""
        if database.in_transaction():  # what this thread sees may be rolled back
            return JobRepository().get_by_id(job_id)
        version = self._version(job_id)
        with self._lock:
            held = self._held.get(job_id)
            if held is not None and held[0] == version:
                self._held.move_to_end(job_id)
                return held[1]
        return self._keep(job_id, version)

    def close(self) -> None:
        """Forget everything and close the store's connection."""
        with self._lock:
            self._held.clear()
            if self._watcher is not None:
                self._watcher.close()

    def _version(self, job_id: str) -> Any:
        if self._watcher is None:
            query = "SELECT xmin::text, ctid::text FROM job WHERE job_id = %s"
            return database.execute_sql(query, (job_id,)).fetchone()
        with self._lock:
            return self._watcher.execute("PRAGMA data_version").fetchone()

    def _keep(self, job_id: str, version: Any) -> Job | None:
        """Read after the version: a change in between makes the kept version too old, never the kept job."""
        job = JobRepository().get_by_id(job_id)
        with self._lock:
            self._held.pop(job_id, None)
            if job is not None and _weight(job) <= HELD_CHARACTERS:
                self._held[job_id] = (version, job)
                if len(self._held) > self.size:
                    self._held.popitem(last=False)
        return job


def _weight(job: Job) -> int:
    return len(job.prompt or "") + len(to_json(job.metadata)) + len(to_json(job.file_manifest))
