"""SQL about the order in which jobs wait, and about the jobs that say how long they wait.

The migration 0010_queue and the queries use the same texts, because a database uses an index of an expression only for
a query with the same expression. So change a text here only together with a new migration.
"""

from collections.abc import Iterator

DIGITS = 18  # of a place, at least
FIRST = 10**17  # the place of a job that was created in 1970: the oldest one, and still a number of 18 digits
# Where a job waits among those of its priority: digits that are compared as text. A job that nobody moved waits where
# it was created, in microseconds. A job that was moved has a place of its own, with as many more digits as it needs.
PLACE = f"coalesce(place, CAST(created_at + {FIRST} AS TEXT))"
# Jobs whose time says how long such jobs take.
FINISHED = "status = 'completed' AND attempts <= 1 AND started_at IS NOT NULL AND finished_at IS NOT NULL"
INDEXES = {"job_claim": "", "job_queue": "job_type, "}


def indexes() -> Iterator[str]:
    """The statements that create the indexes of pending jobs in their order, and of finished jobs by their end."""
    for name, columns in INDEXES.items():
        yield f"CREATE INDEX {name} ON job ({columns}priority DESC, ({PLACE}), job_id) WHERE status = 'pending'"
    yield f"CREATE INDEX job_finished ON job (job_type, finished_at) WHERE {FINISHED}"
