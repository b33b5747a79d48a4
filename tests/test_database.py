"""Models, constraints, cascades, JSON and repositories, each on SQLite and on PostgreSQL."""

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from peewee import DatabaseError, IntegrityError
from playhouse.pool import MaxConnectionsExceeded
from playhouse.schema_diff import diff_models

from database import database, init_database, is_postgresql, schema_state
from errors import Conflict, Invalid, MissingParent, SchemaTooNew, Stale, WrongStatus
from models import JOB_STATUSES, LOOP_STATUSES, Delivery, Event, Job, Loop, Track
from repos import JobRepository, JobStore, LoopRepository, Page, TrackRepository, get_session, stats
from tests.conftest import ROOT, clean_environment, found, thorough

jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()
pytestmark = pytest.mark.usefixtures("ledger")


def changes_of(entity_id: str) -> list[str]:
    """What the events say happened to a record."""
    return [event.change for event in Event.select().where(Event.entity_id == entity_id).order_by(Event.event_id)]


def sql(statement: str, *values: Any) -> Any:
    """Run a statement as another program would, with ? for values."""
    return database.execute_sql(statement.replace("?", database.param), values)


# --- the schema


def test_the_models_and_the_migrations_agree() -> None:
    diff = diff_models(database.obj, [Job, Track, Loop, Event, Delivery])
    ours = [("job", "rowid")] if not is_postgresql() else []
    assert (diff.create_tables, diff.add_columns, diff.add_indexes) == ([], [], [])
    assert diff.drop_columns == ours
    by_name = {"track_wav", "track_mp3", "loop_result", *(["job_search"] if is_postgresql() else [])}
    assert {index.name for index in diff.drop_indexes} == by_name


def test_starting_again_changes_nothing(ledger: Any, job: Job) -> None:
    init_database(ledger)
    assert schema_state() == ([], [])
    assert jobs.get_by_id(job.job_id) == job


def test_a_schema_of_a_newer_version_is_refused(ledger: Any) -> None:
    sql("INSERT INTO schema_migration (name, applied) VALUES ('9999_future', '2030-01-01')")
    with pytest.raises(SchemaTooNew, match="newer version.*9999_future"):
        init_database(ledger)


def test_every_index_is_used_by_the_list_it_is_for(kind: str) -> None:
    if kind == "postgresql":
        pytest.skip("PostgreSQL plans by table size; tests of scale are in bench")
    page = Page(sort="updated_at", after=(1, "x"))
    for query, index in [
        (jobs._selected(Page()), "job_created_at"),
        (jobs._selected(page), "job_updated_at"),
        (jobs._selected(Page(sort="priority")), "job_priority"),
        (jobs._selected(Page(), jobs.in_status("pending")), "job_status"),
        (tracks._selected(Page(), Track.job == "x"), "track_job"),
        (loops._selected(Page(), Loop.track == "x"), "loop_track"),
    ]:
        plan = " ".join(
            str(row) for row in database.execute_sql(f"EXPLAIN QUERY PLAN {query.sql()[0]}", query.sql()[1])
        )
        assert f"USING INDEX {index}" in plan or f"USING COVERING INDEX {index}" in plan, plan
        assert "TEMP B-TREE" not in plan, plan


# --- what the database refuses from any writer

BAD_ROWS = [
    ("job", "INSERT INTO job (job_id, prompt, status) VALUES ('x', 'p', 'unheard')"),
    ("job", "INSERT INTO job (job_id, prompt, progress) VALUES ('x', 'p', 101)"),
    ("job", "INSERT INTO job (job_id, prompt, progress) VALUES ('x', 'p', -1)"),
    ("job", "INSERT INTO job (job_id, prompt, progress) VALUES ('x', 'p', 'many')"),
    ("job", "INSERT INTO job (job_id, prompt, metadata) VALUES ('x', 'p', 'no json')"),
    ("job", "INSERT INTO job (job_id, prompt, metadata) VALUES ('x', 'p', '[1]')"),
    ("job", "INSERT INTO job (job_id, prompt, metadata) VALUES ('x', 'p', NULL)"),
    ("job", "INSERT INTO job (job_id, prompt, file_manifest) VALUES ('x', 'p', '3')"),
    ("job", "INSERT INTO job (job_id, prompt) VALUES ('a b', 'p')"),
    ("job", "INSERT INTO job (job_id, prompt) VALUES ('..', 'p')"),
    ("job", "INSERT INTO job (job_id, prompt) VALUES ('', 'p')"),
    ("job", "INSERT INTO job (job_id, prompt) VALUES (NULL, 'p')"),
    ("job", "INSERT INTO job (job_id, prompt) VALUES ('job-1', 'again')"),
    ("job", "INSERT INTO job (job_id, prompt, job_type) VALUES ('x', 'p', 'a b')"),
    ("job", "INSERT INTO job (job_id, prompt, max_attempts) VALUES ('x', 'p', 0)"),
    ("job", "INSERT INTO job (job_id, prompt, created_at) VALUES ('x', 'p', -1)"),
    ("track", "INSERT INTO track (track_id, job_id) VALUES ('x', 'no-job')"),
    ("track", "INSERT INTO track (track_id, job_id, duration) VALUES ('x', 'job-1', 0)"),
    ("track", "INSERT INTO track (track_id, job_id, metadata) VALUES ('x', 'job-1', '\"text\"')"),
    ("loop", "INSERT INTO loop (loop_id, track_id, duration) VALUES ('x', 'no-track', 10)"),
    ("loop", "INSERT INTO loop (loop_id, track_id, duration) VALUES ('x', 'track-1', 0)"),
    ("loop", "INSERT INTO loop (loop_id, track_id) VALUES ('x', 'track-1')"),
    ("loop", "INSERT INTO loop (loop_id, track_id, duration, format) VALUES ('x', 'track-1', 10, 'OGG')"),
    ("loop", "INSERT INTO loop (loop_id, track_id, duration, status) VALUES ('x', 'track-1', 10, 'pending')"),
    ("event", "INSERT INTO event (entity, entity_id, job_id, change) VALUES ('song', 'x', 'x', 'created')"),
    ("event", "INSERT INTO event (entity, entity_id, job_id, change) VALUES ('job', 'x', 'x', 'touched')"),
]


@pytest.mark.parametrize(("table", "statement"), BAD_ROWS, ids=range(len(BAD_ROWS)))
def test_raw_sql_that_breaks_a_rule_is_refused(table: str, statement: str, loop: Loop) -> None:
    before = sql(f"SELECT count(*) FROM {table}").fetchone()
    with pytest.raises((IntegrityError, DatabaseError)):
        sql(statement)
    assert sql(f"SELECT count(*) FROM {table}").fetchone() == before


def test_raw_sql_that_keeps_the_rules_gets_the_defaults() -> None:
    sql("INSERT INTO job (job_id, prompt) VALUES ('raw', 'from a shell')")
    job = Job.get_by_id("raw")
    assert (job.status, job.progress, job.metadata, job.max_attempts) == ("pending", 0, {}, 3)
    assert abs(datetime.now(UTC) - job.created_at) < timedelta(minutes=1)
    assert changes_of("raw") == ["created"]


def test_old_sqlite_shells_can_write(kind: str, ledger: Any) -> None:
    if kind == "postgresql":
        pytest.skip("SQLite alone")
    shell(ledger, "INSERT INTO job (job_id, prompt) VALUES ('shell', '木吉他 rain')")
    shell(ledger, "UPDATE job SET progress = 7, prompt = '口琴 wind' WHERE job_id = 'shell'")
    assert changes_of("shell") == ["created", "updated"]
    assert found("口琴") == ["shell"] and found("吉他") == []


def test_shells_that_leave_foreign_keys_off_are_held_to_them(kind: str, ledger: Any, loop: Loop) -> None:
    if kind == "postgresql":
        pytest.skip("SQLite alone")
    assert "FOREIGN KEY constraint failed" in shell(
        ledger, "INSERT INTO track (track_id, job_id) VALUES ('t', 'nobody')"
    )
    assert "FOREIGN KEY constraint failed" in shell(ledger, "UPDATE loop SET track_id = 'nobody'")
    assert shell(ledger, "DELETE FROM job") == ""
    assert (Track.select().count(), Loop.select().count()) == (0, 0)
    for record_id in ("job-1", "track-1", "loop-1"):
        assert changes_of(record_id) == ["created", "deleted"]


def shell(ledger: Any, statement: str) -> str:
    """Run a statement with Python's own sqlite3; in a process of its own, as two SQLites drop each other's locks."""
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()"
    command = [sys.executable, "-c", script, str(ledger.sqlite_path), statement]
    return subprocess.run(command, capture_output=True, text=True, timeout=30).stderr


def test_a_replaced_job_is_deleted_and_made_and_search_goes_on(kind: str) -> None:
    if kind == "postgresql":
        pytest.skip("REPLACE is SQLite's")
    for _ in range(2):
        Job.replace(job_id="a", prompt="first words").execute()
    assert changes_of("a") == ["created", "deleted", "created"]
    jobs.delete("a")
    assert jobs.create(job_id="b", prompt="second words") and found("words") == ["b"]


# --- events and updated_at


def test_every_change_of_every_record_is_an_event(loop: Loop) -> None:
    Job.update(progress=5).where(Job.job_id == "job-1").execute()
    Track.update(duration=31).where(Track.track_id == "track-1").execute()
    Loop.update(message="cutting").where(Loop.loop_id == "loop-1").execute()
    Job.delete().where(Job.job_id == "job-1").execute()
    for record_id in ("job-1", "track-1", "loop-1"):
        assert changes_of(record_id) == ["created", "updated", "deleted"]
    assert {event.job_id for event in Event.select()} == {"job-1"}


def test_an_event_tells_the_state_at_that_moment_and_never_the_prompt(job: Job) -> None:
    jobs.update("job-1", status="failed", error="no GPU", message="gave up")
    data = Event.select().order_by(Event.event_id.desc()).get().data
    assert data == {"status": "failed", "progress": 0, "message": "gave up", "error": "no GPU"}


def test_updated_at_rises_with_every_change(job: Job) -> None:
    seen = [job.updated_at]
    for progress in range(1, 30):
        Job.update(progress=progress).where(Job.job_id == job.job_id).execute()
        seen.append(Job.get_by_id(job.job_id).updated_at)
    assert seen == sorted(set(seen))
    assert Job.get_by_id(job.job_id).created_at == job.created_at


def test_a_heartbeat_moves_updated_at_and_writes_no_event(job: Job) -> None:
    Job.update(lease_expires_at=datetime.now(UTC)).where(Job.job_id == job.job_id).execute()
    assert Job.get_by_id(job.job_id).updated_at > job.updated_at
    assert changes_of(job.job_id) == ["created"]


def test_a_script_of_three_lines_needs_no_server(ledger: Any, job: Job, kind: str) -> None:
    script = "from models import Job\nJob.update(progress=5).where(Job.job_id == 'job-1').execute()\n"
    url = ledger.database_url
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=clean_environment(DATABASE_URL=url), timeout=30)
    assert done.returncode == 0
    assert Job.get_by_id("job-1").updated_at > job.updated_at
    assert changes_of("job-1") == ["created", "updated"]


# --- JSON and search


@pytest.mark.parametrize(
    "value", [1e300, 5e-324, -0.0, 2**63 - 1, -(2**63), "民谣 🎧", "a\\u0000b", [], {"a": [None, True]}]
)
def test_metadata_comes_back_equal(value: Any) -> None:
    job = jobs.create(prompt="p", metadata={"value": value, "ключ": 1})
    kept = Job.get_by_id(job.job_id).metadata
    assert kept == {"value": value, "ключ": 1}
    assert type(kept["value"]) is type(value)


def test_metadata_can_be_asked_for_in_python(job: Job) -> None:
    jobs.create(job_id="other", prompt="p", metadata={"genre": "Rock"})
    assert list(Job.select().where(Job.metadata["genre"] == "Ambient")) == [job]


# --- repositories


def test_the_cascade_takes_tracks_and_loops_along(loop: Loop) -> None:
    assert jobs.delete("job-1") is True
    assert (Job.select().count(), Track.select().count(), Loop.select().count()) == (0, 0, 0)
    assert jobs.delete("job-1") is False


def test_the_same_request_twice_makes_one_record() -> None:
    first, made = jobs.create_once(job_id="x", prompt="p", metadata={"a": 1})
    jobs.update("x", status="exporting")
    again, made_again = jobs.create_once(metadata={"a": 1}, prompt="p", job_id="x")
    assert (made, made_again, again.status) == (True, False, "exporting")
    with pytest.raises(Conflict, match="from another request"):
        jobs.create(job_id="x", prompt="other")
    assert changes_of("x") == ["created", "updated"]
    assert first == again


def test_create_raises_for_an_id_that_is_taken(job: Job) -> None:
    with pytest.raises(Conflict):
        jobs.create(job_id="job-1", prompt="ambient rain, soft piano", metadata={"genre": "Ambient"})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"progress": 101}, "progress must be an integer from 0 to 100"),
        ({"metadata": [1]}, "metadata must be a JSON object"),
        ({"metadata": {"a": float("nan")}}, "not JSON compliant"),
        ({"metadata": {"a": object()}}, "not JSON serializable"),
        ({"prompt": "\ud800"}, "cannot hold this"),
        ({"job_id": ".."}, "job_id must be 1 to 64 of A-Z"),
        ({"job_type": "a b"}, "job_type must be 1 to 64"),
        ({"status": "unheard"}, "'unheard' is not one of pending, loading_model"),
        ({"max_attempts": 0}, "max_attempts must be an integer of at least 1"),
        ({"colour": "red"}, "job has no field colour"),
    ],
)
def test_a_bad_job_is_refused_in_words(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        jobs.create(**{"prompt": "p", **fields})
    assert Job.select().count() == 0


def test_a_child_without_its_parent_is_refused_in_words() -> None:
    with pytest.raises(MissingParent, match="job_id must name an existing job: create the job first"):
        tracks.create(job_id="nobody")
    with pytest.raises(MissingParent, match="track_id must name an existing track: create the track first"):
        loops.create(track_id="nobody", duration=10)


def test_unknown_ids_are_none_or_false() -> None:
    assert jobs.get_by_id("nobody") is None
    assert jobs.update("nobody", status="failed") is None
    assert jobs.delete("nobody") is False
    assert (tracks.get_by_job_id("nobody"), loops.get_by_track_id("nobody")) == ([], [])


@pytest.mark.parametrize("value", ['{"a": 1e999}', '{"a": -1e5000}'])
def test_numbers_no_float_holds_are_read_as_none(value: str) -> None:
    sql("INSERT INTO job (job_id, prompt, metadata) VALUES ('huge', 'p', ?)", value)
    assert Job.get_by_id("huge").metadata == {"a": None}


@pytest.mark.parametrize("duration", [float("inf"), float("nan"), -1.0, 0.0])
def test_a_track_lasts_a_number_of_seconds(job: Job, duration: float) -> None:
    try:
        track = tracks.create(job_id="job-1", duration=duration)
    except Invalid as refused:
        assert "duration must be a number of seconds" in str(refused)
    else:  # SQLite has no NaN: it is nothing
        assert track.duration is None and duration != duration


@pytest.mark.parametrize("status", JOB_STATUSES.all)
@pytest.mark.parametrize("then", JOB_STATUSES.all)
def test_a_status_goes_forward_or_ends(status: str, then: str) -> None:
    order = (*JOB_STATUSES.steps, "ended")
    jobs.create(job_id="x", prompt="p", status=status)
    is_final = status in JOB_STATUSES.final
    allowed = status == then or not is_final and (then not in order or order.index(then) > order.index(status))
    if allowed:
        assert jobs.update("x", status=then).status == then
        return
    with pytest.raises(WrongStatus, match=f"is {status}: it cannot become {then}"):
        jobs.update("x", status=then)
    assert jobs.get_by_id("x").status == status


def test_a_loop_walks_through_all_its_statuses(loop: Loop) -> None:
    for status in LOOP_STATUSES.steps:
        assert loops.update("loop-1", status=status).status == status
    done = loops.get_by_id("loop-1")
    assert done.progress == 100 and done.started_at <= done.finished_at
    assert loops.get_by_status("COMPLETED") == [done]


def test_the_first_step_starts_the_clock_and_the_end_stops_it(job: Job) -> None:
    assert (job.started_at, job.finished_at) == (None, None)
    begun = jobs.update("job-1", status="loading_model")
    later = jobs.update("job-1", status="exporting", progress=90)
    done = jobs.update("job-1", status="completed", progress=95)
    assert begun.started_at == later.started_at == done.started_at
    assert done.progress == 100 and done.finished_at >= done.started_at
    assert jobs.update("job-1", status="completed").finished_at == done.finished_at


def test_progress_of_a_finished_job_is_final(job: Job) -> None:
    jobs.update("job-1", status="completed")
    with pytest.raises(WrongStatus, match="its progress is final"):
        jobs.update("job-1", progress=3)
    failed = jobs.create(prompt="p", status="failed", progress=40)
    with pytest.raises(WrongStatus, match="its progress is final"):
        jobs.update(failed.job_id, status="failed", progress=3)
    assert jobs.update("job-1", metadata={"note": "kept"}).metadata == {"note": "kept"}


def test_a_stale_change_is_refused(job: Job) -> None:
    jobs.update("job-1", message="changed")
    with pytest.raises(Stale, match="read it again"):
        jobs.update("job-1", if_match=[job.version], message="mine")
    with pytest.raises(Stale):
        jobs.delete("job-1", if_match=[job.version])
    with pytest.raises(Stale):
        jobs.update("job-1", if_match=[job.version])
    assert jobs.get_by_id("job-1").message == "changed"


@pytest.mark.parametrize("sort", ["created_at", "updated_at", "priority"])
@pytest.mark.parametrize("descending", [True, False])
def test_pages_meet_without_gap_or_overlap(sort: str, descending: bool) -> None:
    moment = datetime.now(UTC)
    for number in range(25):
        jobs.create(job_id=f"{number:02}", prompt="p", priority=number % 3, created_at=moment, updated_at=moment)
    seen, after = [], None
    while part := jobs.page(Page(sort, descending, limit=4, after=after)):
        seen += [job.job_id for job in part]
        after = (getattr(part[-1], sort), part[-1].job_id)
    keys = {job.job_id: (getattr(job, sort), job.job_id) for job in Job.select()}
    assert seen == sorted(keys, key=keys.__getitem__, reverse=descending)


def test_lists_are_newest_first(job: Job) -> None:
    newer = jobs.create(prompt="p")
    assert jobs.get_all() == [newer, job]
    assert (jobs.get_all(limit=1), jobs.get_all(limit=1, offset=1)) == ([newer], [job])
    assert jobs.get_by_status("pending", limit=1) == [newer]
    assert jobs.count() == 2


def test_a_session_closes_what_it_opened() -> None:
    database.close()
    with get_session() as session:
        assert JobRepository(session).get_all() == []
        inner = get_session()
        session.close()
        session.close()
        assert not database.is_closed()
        inner.close()
    assert database.is_closed()


def test_statistics_count_and_average(loop: Loop) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for seconds in (10, 20):
        end = start + timedelta(seconds=seconds)
        jobs.create(prompt="p", status="completed", started_at=start, finished_at=end)
    found = stats()
    assert (found["jobs"]["completed"], found["jobs"]["pending"], found["loops"]["PENDING"]) == (2, 1, 1)
    assert (found["tracks"], found["queue_length"]) == (1, 2)
    assert found["mean_job_seconds"] == pytest.approx(15)


# --- JobStore


@pytest.fixture
def store(ledger: Any) -> Any:
    """A store of three jobs."""
    made = JobStore(3)
    yield made
    made.close()


def test_a_store_sees_what_another_process_committed(ledger: Any, job: Job, store: JobStore) -> None:
    assert store.get("job-1").message is None
    held = store.get("job-1")
    assert store.get("job-1") is held
    script = "from models import Job; Job.update(message='from outside').where(Job.job_id == 'job-1').execute()"
    env = clean_environment(DATABASE_URL=ledger.database_url)
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, check=True, timeout=30)
    assert store.get("job-1").message == "from outside"


def test_a_store_sees_this_threads_own_writes(job: Job, store: JobStore) -> None:
    for number in range(5):
        jobs.update("job-1", message=str(number))
        assert store.get("job-1").message == str(number)
    jobs.delete("job-1")
    assert store.get("job-1") is None and len(store) == 0


def test_a_store_never_keeps_what_was_rolled_back(job: Job, store: JobStore) -> None:
    with database.atomic() as transaction:
        Job.update(message="never").where(Job.job_id == "job-1").execute()
        assert store.get("job-1").message == "never"
        transaction.rollback()
    assert store.get("job-1").message is None


def test_a_store_stays_within_its_size() -> None:
    rows = [{"job_id": f"{number:05}", "prompt": "p"} for number in range(thorough(10_000, 2500))]
    with database.atomic():
        for start in range(0, len(rows), 1000):
            Job.insert_many(rows[start : start + 1000]).execute()
    store = JobStore(1000)
    for row in rows:
        assert store.get(row["job_id"]).job_id == row["job_id"]
    assert len(store) == 1000
    assert store.get(rows[-1]["job_id"]) is store.get(rows[-1]["job_id"])
    store.close()


def test_a_store_does_not_hold_what_is_large(store: JobStore) -> None:
    jobs.create(job_id="large", prompt="p", metadata={"lyrics": "la " * 5000})
    assert store.get("large").metadata["lyrics"].startswith("la la") and len(store) == 0


# --- connections


def test_connections_end_with_their_threads(kind: str) -> None:
    def work() -> None:
        jobs.create(prompt="p")
        open_ones.append(database.connection())

    open_ones: list[Any] = []
    for _ in range(30):  # more than the pool of PostgreSQL holds
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert jobs.count() == 30
    if kind == "sqlite":
        with pytest.raises(Exception, match="closed|Cannot operate"):
            open_ones[0].execute("SELECT 1")


def test_an_exhausted_pool_is_our_trouble_not_the_callers(ledger: Any, kind: str, monkeypatch: Any) -> None:
    if kind == "sqlite":
        pytest.skip("SQLite has no pool")
    monkeypatch.setattr(database.obj, "_wait_timeout", 0.1)
    database.close()
    monkeypatch.setattr(database.obj, "_max_connections", 1)
    taken = threading.Event()
    done = threading.Event()

    def hold() -> None:
        database.connect()
        taken.set()
        done.wait(10)
        database.close()

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait(10)
    with pytest.raises(MaxConnectionsExceeded):
        jobs.create(prompt="p")
    done.set()
    holder.join()
