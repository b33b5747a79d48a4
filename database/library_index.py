"""The statements of the migration 0009_library_index: what finds tracks by words, genre, seed, length and name.

On SQLite, an FTS5 index has one row for each job that has tracks. Triggers only note the jobs that have changed, and
records/indexing.py indexes these jobs in batches. Until then, a search reads their tracks one by one. On PostgreSQL,
triggers keep one row of words for each track.
"""

from collections.abc import Iterator

from database.ledger.postgresql import PostgreSQL, spaced, vector_of
from database.ledger.tables import PREFIXES
from database.letters import WALL
from database.library import BORDER, genre_of, sorted_duration, sorted_name, track_text

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
    """The table of words, its triggers, and its indexes."""
    yield f"""CREATE FUNCTION library_words(text text) RETURNS tsvector LANGUAGE sql IMMUTABLE COST 10000 AS $$
        {vector_of(f"replace(text, chr({BORDER}), ' {WALL} ')")} $$"""
    yield f"""CREATE FUNCTION library_fold(text text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT btrim({spaced("text")}) $$"""
    yield """CREATE TABLE library_search (track_id TEXT NOT NULL PRIMARY KEY, words TSVECTOR NOT NULL, genre TEXT)"""
    # It does not lock the job: who deletes tracks locks their job first, and the two would wait for each other.
    entry = f"SELECT NEW.track_id, {entry_of('NEW')}"
    make = PostgreSQL().function
    yield make(
        "track_library",
        f"INSERT INTO library_search (track_id, words, genre) {entry} "
        "ON CONFLICT (track_id) DO UPDATE SET words = EXCLUDED.words, genre = EXCLUDED.genre; RETURN NULL;",
    )
    yield """CREATE TRIGGER track_library AFTER INSERT OR UPDATE OF title, metadata, job_id ON track
        FOR EACH ROW EXECUTE FUNCTION track_library()"""
    yield make("track_library_deleted", "DELETE FROM library_search WHERE track_id = OLD.track_id; RETURN NULL;")
    yield """CREATE TRIGGER track_library_deleted AFTER DELETE ON track
        FOR EACH ROW EXECUTE FUNCTION track_library_deleted()"""
    # After the lock, the next statement sees each title that another transaction was changing.
    lock = "PERFORM 1 FROM track WHERE job_id = NEW.job_id ORDER BY track_id FOR NO KEY UPDATE;"
    same = "library_search.track_id = track.track_id AND track.job_id = NEW.job_id"
    change = f"UPDATE library_search SET (words, genre) = (SELECT {entry_of('track')}) FROM track WHERE {same};"
    yield make("job_library", f"{lock} {change} RETURN NULL;")
    yield """CREATE TRIGGER job_library AFTER UPDATE OF prompt, metadata ON job FOR EACH ROW WHEN
        (OLD.prompt IS DISTINCT FROM NEW.prompt OR OLD.metadata IS DISTINCT FROM NEW.metadata)
        EXECUTE FUNCTION job_library()"""
    yield f"INSERT INTO library_search (track_id, words, genre) SELECT track_id, {entry_of('track')} FROM track"
    yield "CREATE INDEX library_words ON library_search USING gin (words)"
    yield "CREATE INDEX library_genre ON library_search (genre, track_id)"


def entry_of(track: str) -> str:
    """The words and the genre of a track on PostgreSQL: two columns, as SQL. track: the table or its alias."""
    return f"library_words({track_text(track, True)}), library_fold({genre_of(track, True)})"


def _noted(row: str) -> str:
    """The statement with which a trigger notes the job of a row. row: OLD or NEW."""
    return f"INSERT INTO {STALE} (job_rowid) SELECT rowid FROM job WHERE job_id = {row}.job_id AND {_is_new('rowid')};"


def _is_new(rowid: str) -> str:
    return f"{rowid} NOT IN (SELECT job_rowid FROM {STALE})"
