"""Fills a database with many jobs and tracks by a few statements, as the tests and figures of the library need it."""

from database import database, is_postgresql
from records.indexing import index_batch, jobs_behind

NUMBERS = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {0}) "
WORDS = "'folk electronic guitar soft piano w' || mod(n, 997) || CASE WHEN mod(n, 5000) = 7 THEN ' rare' ELSE '' END"
GENRE = "CASE WHEN mod(n, 3) = 0 THEN 'Ambient' WHEN mod(n, 1000) = 1 THEN 'Polka' ELSE 'Folk' END"
OLD = "CASE WHEN n < {0} / 5 THEN ' old' ELSE '' END"
JOBS = f"""INSERT INTO job (job_id, status, job_type, prompt, metadata, created_at, updated_at)
    SELECT 'job-' || n, 'completed', CASE WHEN mod(n, 2) = 0 THEN 'synth' ELSE 'diffrhythm' END, {WORDS} || {OLD},
    {{json}}, 1000000 * CAST(n AS BIGINT), 1000000 * CAST(n AS BIGINT) FROM numbers"""
TRACKS = """INSERT INTO track (track_id, job_id, title, starred, duration, seed, take, created_at, updated_at, metadata)
    SELECT 'track-' || n, 'job-' || ((n + 3) / 4), CASE WHEN mod(n, 10) = 0 THEN 'Song ' || mod({n} * 7919, {0}) END,
    {starred}, 30 + mod({n} * 7907, 240), mod(n, 50000), 1 + mod(n - 1, 4), {when}, {when}, {json} FROM numbers"""
N = "CAST(n AS BIGINT)"


def fill(tracks: int) -> None:
    """Create these tracks, four in a job, and index them as housekeeping does."""
    on_postgresql = is_postgresql()
    metadata = f"jsonb_build_object('genre', {GENRE})" if on_postgresql else f"json_object('genre', {GENRE})"
    starred = "mod(n, 400) = 5" if on_postgresql else "n % 400 = 5"
    for statement, count in ((JOBS, tracks // 4), (TRACKS, tracks)):
        sql = (NUMBERS + statement).format(count, json=metadata, starred=starred, n=N, when=f"250000 * {N} + 1500000")
        with database.atomic():
            database.execute_sql(sql.replace("%", "%%") if on_postgresql else sql)
    settle()


def fill_job(takes: int, title: str) -> None:
    """Create one job with these tracks in place of all others. title: SQL with the number n of the track."""
    with database.atomic():
        database.execute_sql("DELETE FROM job")
        database.execute_sql("INSERT INTO job (job_id, prompt, created_at, updated_at) VALUES ('job', 'rain', 1, 1)")
        columns = "track_id, job_id, title, duration, created_at, updated_at"
        values = f"'track-' || (100000 + n), 'job', {title}, 1 + mod(n, 7), n, n"
        database.execute_sql(f"{NUMBERS.format(takes)} INSERT INTO track ({columns}) SELECT {values} FROM numbers")
    settle()


def settle() -> None:
    """Index everything, as housekeeping does, and count rows for the planner of PostgreSQL."""
    if is_postgresql():
        database.execute_sql("ANALYZE")
    while not is_postgresql() and jobs_behind():
        index_batch(2000)
