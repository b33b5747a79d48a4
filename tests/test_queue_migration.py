"""The migration that adds the state of the queue and places: to an older database, and killed at every statement."""

from pathlib import Path

from database import database, init_database
from models import Event
from repos import JobRepository, is_paused, set_paused
from tests.migrations import read
from tests.older import assert_all_or_nothing, database_before

NAME = "0010_queue"
JOBS = """INSERT INTO job (job_id, priority, created_at) VALUES ('later', 0, 1764000000000000),
    ('first', 7, 1764000000000009), ('oldest', 0, 0), ('soon', 0, 1763999999999999)"""


old = database_before(NAME, lambda: database.execute_sql(JOBS))


def test_an_older_queue_keeps_its_order_and_its_events(old: Path) -> None:
    rows, events = read("SELECT job_id, updated_at FROM job ORDER BY 1"), read("SELECT * FROM event ORDER BY event_id")
    assert init_database() == [NAME] and not is_paused()
    assert read("SELECT job_id, updated_at FROM job ORDER BY 1") == rows
    assert read("SELECT * FROM event ORDER BY event_id") == events and len(events) == 4
    jobs = JobRepository()
    claimed = [jobs.claim("w") for _ in range(4)]
    assert [job and job.job_id for job in claimed] == ["first", "oldest", "soon", "later"]


def test_new_events_follow_the_old_ones(old: Path) -> None:
    Event.delete().where(Event.event_id > 2).execute()
    init_database()
    set_paused(True)
    [newest] = Event.select().order_by(Event.event_id.desc()).limit(1)
    assert (newest.event_id, newest.entity) == (5, "queue")
    Event.delete().execute()
    assert read("SELECT event_id FROM pruned") == [[5]]


def test_the_migration_changes_nothing_if_it_is_killed(old: Path) -> None:
    assert_all_or_nothing(old)
