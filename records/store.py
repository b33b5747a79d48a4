"""JobStore: an in-memory cache of jobs that never returns an old version."""

import re
import threading
from collections import OrderedDict

from database import database, to_json
from models import ID_LENGTH, ID_PATTERN, Job
from records.jobs import JobRepository

MAX_CHARACTERS = 8 * 1024  # of a job; a larger job is not cached, so that the cache stays small in bytes, too


class JobStore:
    """A bounded cache of jobs: when it is full, the least recently read job is removed.

    Before it returns a cached job, it reads the job's updated_at with one small statement. The database raises
    updated_at with every change by any writer. So the next read notices a commit of any process, on SQLite and on
    PostgreSQL, and a change of one job does not remove other jobs from the cache. The cache saves the time to read the
    row, to parse its JSON and to build the model.
    """

    def __init__(self, size: int = 1000) -> None:
        self.size = size
        self._jobs: OrderedDict[str, tuple[int, Job]] = OrderedDict()  # (updated_at in the database, the job) by job_id
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._jobs)

    def get(self, job_id: str) -> Job | None:
        """The job as it was last committed, or None. Do not change the object: other callers get the same object."""
        if not is_id(job_id):
            return None
        if database.in_transaction():  # a job that this thread reads now may be rolled back
            return JobRepository().get_by_id(job_id)
        with self._lock:
            cached = self._jobs.get(job_id)
        if cached is None or read_version(job_id) != cached[0]:
            return self._read(job_id)
        with self._lock:
            if job_id in self._jobs:
                self._jobs.move_to_end(job_id)
        return cached[1]

    def close(self) -> None:
        """Empty the cache."""
        with self._lock:
            self._jobs.clear()

    def _read(self, job_id: str) -> Job | None:
        job = JobRepository().get_by_id(job_id)
        with self._lock:
            self._jobs.pop(job_id, None)
            if job is not None and _characters(job) <= MAX_CHARACTERS:
                self._jobs[job_id] = (job.version, job)
                if len(self._jobs) > self.size:
                    self._jobs.popitem(last=False)
        return job


def is_id(text: object) -> bool:
    """True for a text that can be the id of a record."""
    return isinstance(text, str) and len(text) <= ID_LENGTH and re.fullmatch(ID_PATTERN, text) is not None


def read_version(job_id: str) -> int | None:
    """The updated_at of a job in microseconds, which is the same as Job.version; None if there is no such job."""
    version: int | None = JobRepository().get_value(job_id, "updated_at")
    return version


def _characters(job: Job) -> int:
    return len(job.prompt or "") + len(to_json(job.metadata)) + len(to_json(job.file_manifest))
