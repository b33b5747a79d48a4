"""The last jobs with different settings: their type, length, takes and parameters."""

from collections.abc import Sequence

from database import database, is_postgresql
from models import Job
from records.jobs import JobRepository
from records.writes import marks, placed

NEWEST = 1000  # jobs that are read, for any number of jobs
RECENT = """SELECT job_id FROM (
    SELECT job_id, created_at, row_number() OVER (
        PARTITION BY job_type, takes, {duration}, {parameters} ORDER BY created_at DESC, job_id DESC) AS place
    FROM (SELECT job_id, created_at, job_type, takes, metadata, file_manifest
        FROM job ORDER BY created_at DESC, job_id DESC LIMIT ?) AS newest
    WHERE job_type IN ({types}) AND {is_readable}) AS numbered
WHERE place = 1 ORDER BY created_at DESC, job_id DESC LIMIT ?"""


def recent_jobs(types: Sequence[str], limit: int) -> list[Job]:
    """Jobs of these types, each with other settings, the newest first. Two statements find them.

    Jobs with damaged JSON are left out: one of them must not close the form for new jobs.
    """
    value = "metadata -> '{}'" if is_postgresql() else "json_extract(metadata, '$.{}')"
    columns = {name: value.format(name) for name in ("duration", "parameters")}
    is_readable = "true" if is_postgresql() else "json_valid(metadata) AND json_valid(file_manifest)"
    statement = placed(RECENT.format(types=marks(types), is_readable=is_readable, **columns))
    ids = [job_id for (job_id,) in database.execute_sql(statement, (NEWEST, *types, limit)).fetchall()]
    jobs = JobRepository().get_by_ids(ids) if ids else {}
    return [jobs[job_id] for job_id in ids if job_id in jobs]
