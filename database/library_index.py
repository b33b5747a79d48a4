"""The statements of the migration 0009_library_index: what finds tracks by words, genre, seed, length and name.

On SQLite, an FTS5 index has one row for each job that has tracks. Triggers only note the jobs that have changed, and
records/indexing.py indexes these jobs in batches. Until then, a search reads their tracks one by one. On PostgreSQL,
triggers keep a row for each track, with the words of its names, and a row for each job, with those of its prompt and
lyrics. So a change of a job writes one row, however many tracks the job has.
"""

from collections.abc import Iterator

from database.ledger.postgresql import PostgreSQL, spaced, vector_of
from database.ledger.tables import PREFIXES
from database.letters import WALL
from database.library import BORDER, job_text, own_genre, own_text, sorted_duration, sorted_name

OPTIONS = f"tokenize='ascii', prefix='{' '.join(map(str, PREFIXES))}', content='', contentless_delete=1"
STALE = "library_stale"


def indexes(on_postgresql: bool) -> Iterator[str]:
    """Indexes of tracks, each in the order of a list, for all tracks and for those of a job."""
    for name, place in (("duration", sorted_duration()), ("name", sorted_name(on_postgresql))):
        yield f"CREATE INDEX track_{name} ON track (({place}), track_id)"
        yield f"CREATE INDEX track_job_{name} ON track (job_id, ({place}), track_id)"
    yield "CREATE INDEX track_seed ON track (seed, created_at, track_id) WHERE seed IS NOT NULL"


def on_sqlite() -> Iterator[str]:
    """The FTS5 index, the table of jobs that have changed, and its triggers.

    shared: the words of the prompt and the lyrics of a job. own: the words of the names of all its tracks. fields: a
    token for each genre. The words are folded already, and WALL stands between two texts.
    """
    yield f"CREATE VIRTUAL TABLE library_search USING fts5(shared, own, fields, {OPTIONS})"
    yield f"CREATE TABLE {STALE} (job_rowid INTEGER NOT NULL PRIMARY KEY) STRICT"
    yield f"""CREATE TRIGGER track_library_created AFTER INSERT ON track BEGIN {_noted("NEW")} END"""
    yield f"""CREATE TRIGGER track_library_updated AFTER UPDATE OF title, metadata, job_id ON track
        BEGIN {_noted("NEW")} {_noted("OLD")} END"""
    yield f"""CREATE TRIGGER track_library_deleted AFTER DELETE ON track BEGIN {_noted("OLD")} END"""
    yield f"""CREATE TRIGGER job_library_updated AFTER UPDATE OF prompt, metadata ON job
        WHEN EXISTS (SELECT 1 FROM track WHERE job_id = NEW.job_id) BEGIN {_noted("NEW")} END"""
    yield f"INSERT INTO {STALE} (job_rowid) SELECT rowid FROM job WHERE job_id IN (SELECT job_id FROM track)"


def with_replaced(trigger: str) -> str:
    """The definition of the trigger job_replaced that also notes the old and the new row of a job."""
    old = f"""INSERT INTO {STALE} (job_rowid) SELECT record_rowid FROM replaced
        WHERE entity = 'job' AND entity_id = NEW.job_id AND {_is_new("record_rowid")};"""
    return trigger.replace("BEGIN ", f"BEGIN {old} {_noted('NEW')} ", 1)


def on_postgresql() -> Iterator[str]:
    """The tables of words, their triggers, and their indexes. genre: folded; NULL without a genre."""
    yield f"""CREATE FUNCTION library_words(text text) RETURNS tsvector LANGUAGE sql IMMUTABLE COST 10000 AS $$
        {vector_of(f"replace(text, chr({BORDER}), ' {WALL} ')")} $$"""
    yield f"""CREATE FUNCTION library_fold(text text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT btrim({spaced("text")}) $$"""
    for table in ("track", "job"):
        yield f"""CREATE TABLE library_{table} ({table}_id TEXT NOT NULL PRIMARY KEY
            REFERENCES {table} ON DELETE CASCADE, words TSVECTOR NOT NULL, genre TEXT)"""
    make = PostgreSQL().function
    of_job = (
        f"{job_entries('job_id = NEW.job_id AND NOT EXISTS (SELECT 1 FROM library_job WHERE job_id = NEW.job_id)')};"
    )
    yield make("track_library", f"{track_entries('track_id = NEW.track_id')}; {of_job} RETURN NULL;")
    yield """CREATE TRIGGER track_library AFTER INSERT OR UPDATE OF title, metadata, job_id ON track
        FOR EACH ROW EXECUTE FUNCTION track_library()"""
    # A job without tracks gets a row, too: its first track is perhaps there, but not committed yet.
    change = f"""INSERT INTO library_job (job_id, words, genre) SELECT NEW.job_id, {job_entry("NEW")}
        ON CONFLICT (job_id) DO UPDATE SET words = EXCLUDED.words, genre = EXCLUDED.genre;"""
    yield make("job_library", f"{change} RETURN NULL;")
    yield """CREATE TRIGGER job_library AFTER UPDATE OF prompt, metadata ON job FOR EACH ROW WHEN
        (OLD.prompt IS DISTINCT FROM NEW.prompt OR OLD.metadata IS DISTINCT FROM NEW.metadata)
        EXECUTE FUNCTION job_library()"""
    yield track_entries("true")
    yield job_entries("job_id IN (SELECT job_id FROM track)")
    for table in ("track", "job"):
        yield f"CREATE INDEX library_{table}_words ON library_{table} USING gin (words)"
        yield f"CREATE INDEX library_{table}_genre ON library_{table} (genre, {table}_id)"


def track_entries(condition: str) -> str:
    """The statement that writes the rows of PostgreSQL's index for these tracks."""
    return f"""INSERT INTO library_track (track_id, words, genre) SELECT track_id, {track_entry("track")} FROM track
        WHERE {condition} ON CONFLICT (track_id) DO UPDATE SET words = EXCLUDED.words, genre = EXCLUDED.genre"""


def job_entries(condition: str) -> str:
    """The statement that adds the rows of PostgreSQL's index for these jobs, unless it has them.

    It does not lock the jobs: who deletes tracks locks their job first, and the two would wait for each other.
    """
    return f"""INSERT INTO library_job (job_id, words, genre) SELECT job_id, {job_entry("job")} FROM job
        WHERE {condition} ON CONFLICT (job_id) DO NOTHING"""


def track_entry(track: str) -> str:
    """The words and the genre of a track alone: two columns, as SQL. They end with a wall, so that others may follow.

    track: the table or its alias.
    """
    words = f"library_words({own_text(track, True)} || chr({BORDER}))"
    return f"{words}, library_fold({own_genre(track, True)})"


def job_entry(job: str) -> str:
    """The words and the genre that a job gives to its tracks."""
    return f"library_words({job_text(job, True)}), library_fold({own_genre(job, True)})"


def _noted(row: str) -> str:
    """The statement with which a trigger notes the job of a row. row: OLD or NEW."""
    return f"INSERT INTO {STALE} (job_rowid) SELECT rowid FROM job WHERE job_id = {row}.job_id AND {_is_new('rowid')};"


def _is_new(rowid: str) -> str:
    return f"{rowid} NOT IN (SELECT job_rowid FROM {STALE})"
