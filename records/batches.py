"""Batches: many jobs that are created in one transaction, all or none."""

from typing import Any

from database import database
from errors import Conflict, Invalid, WrongLines
from models import Job
from records import rows
from records.jobs import JobRepository
from records.repository import fingerprint
from records.rows import Row

MOST_JOBS = 10_000  # of a batch. Other writers wait for its transaction, on SQLite about two seconds


def create_jobs(batch: dict[int, dict[str, Any]], unit: str = "line") -> list[tuple[Row, bool]]:
    """Create the jobs with these fields, by line of a file. Returns their rows, and for each whether it is new.

    A job that the same fields have created before is not new. So a batch with ids can be repeated. Raises WrongLines,
    and then creates none: with every id that is taken, or with the first line that the database refuses.
    """
    repo, created, wrong = JobRepository(), [], dict[int, str]()
    with database.atomic():
        for line, fields in batch.items():
            try:
                created.append(repo.create_row(fields))
            except Conflict as error:  # no statement has failed, so the other lines can be tried
                wrong[line] = str(error)
            except Invalid as error:
                raise WrongLines({line: str(error)}, unit) from None
        if wrong:
            raise WrongLines(wrong, unit)
    return created


def taken_ids(batch: dict[int, dict[str, Any]]) -> dict[int, str]:
    """Why create_jobs() would refuse these lines now: the job_id belongs to a job with other fields. One statement."""
    lines = {fields["job_id"]: line for line, fields in batch.items() if "job_id" in fields}
    repo, place = JobRepository(), rows.place(Job, "fingerprint")
    present = {row[rows.key(Job)]: row[place] for row in repo.get_rows(list(lines))} if lines else {}
    others = [job_id for job_id, request in present.items() if request != fingerprint(batch[lines[job_id]])]
    return {lines[job_id]: str(repo.taken(job_id)) for job_id in others}
