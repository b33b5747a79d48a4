"""The ledger: job, track, loop and event, with every rule a writer is held to.

Frozen once released: a later change is a later migration. SQLite's triggers keep to what SQLite 3.40 knows, so that
the shells people have can write too.
"""

from collections.abc import Iterator

from peewee import Database, PostgresqlDatabase

ID_CHARACTERS = "A-Za-z0-9._-"
LONGEST = 1_000_000  # seconds; an upper bound keeps infinity and NaN out
SEARCHED = 10_000  # characters of a prompt
LAST_MOMENT = 253402300799999999  # the end of the year 9999, in microseconds since 1970
# Characters that are a word each (CJK, kana, symbols, emoji), what stands between words, and accents.
SINGLE = (
    "\u2600-\u2767\u2776-\u27bf\u2e80-\u2fdf\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U0001f000-\U0001faff\U00020000-\U0003ffff"
)
BETWEEN = (
    "\x01-/:-@\\[-`{-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb\xbf\xd7\xf7\u2000-\u206f\u20d0-\u20ff\u2768-\u2775\u3000-\u3004\u3008-\u3040\ufe00-\ufe6f"
    "\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
ACCENTS = "\u0300-\u036f"

JOB_STATUSES = (
    "'pending', 'loading_model', 'preparing_prompt', 'generating_audio', 'exporting', 'completed', 'failed', "
    "'cancelled'"
)
LOOP_STATUSES = "'PENDING', 'ANALYZING', 'RENDERING', 'EXPORTING', 'COMPLETED', 'FAILED', 'CANCELLED'"
WORK = "message, error, priority, attempts, max_attempts, worker, cancel_requested, started_at, finished_at"
# What an `updated` event tells of: everything but the lease's token and end, which every heartbeat moves.
SHOWN = {
    "job": f"job_type, status, progress, prompt, metadata, file_manifest, {WORK}",
    "track": "job_id, duration, metadata, file_path_wav, file_path_mp3",
    "loop": f"track_id, status, progress, duration, fade_in_out, format, result_url, result_path, analysis, {WORK}",
}
HIDDEN = {"job": ", lease_token, lease_expires_at", "track": "", "loop": ", lease_token, lease_expires_at"}
DATA = "'status', {0}.status, 'progress', {0}.progress, 'message', {0}.message, 'error', {0}.error"
CHANGES = ("created", "updated", "deleted")
INDEXES = {
    "job_claim": "job (status, priority DESC, created_at, job_id)",
    "job_status": "job (status, created_at, job_id)",
    "job_status_updated_at": "job (status, updated_at, job_id)",
    "job_type": "job (job_type, created_at, job_id)",
    "job_created_at": "job (created_at, job_id)",
    "job_updated_at": "job (updated_at, job_id)",
    "job_priority": "job (priority, job_id)",
    "job_lease": "job (lease_expires_at)",
    "track_job": "track (job_id, created_at, track_id)",
    "track_created_at": "track (created_at, track_id)",
    "track_updated_at": "track (updated_at, track_id)",
    "loop_track": "loop (track_id, created_at, loop_id)",
    "loop_claim": "loop (status, priority DESC, created_at, loop_id)",
    "loop_status": "loop (status, created_at, loop_id)",
    "loop_created_at": "loop (created_at, loop_id)",
    "loop_updated_at": "loop (updated_at, loop_id)",
    "loop_priority": "loop (priority, loop_id)",
    "loop_lease": "loop (lease_expires_at)",
    "event_job": "event (job_id, event_id)",
}


def up(migrator: object, db: Database) -> None:
    """Create everything; the runner wraps it in one transaction."""
    dialect = PostgreSQL() if isinstance(db, PostgresqlDatabase) else SQLite()
    for statement in dialect.statements():
        db.execute_sql(statement)


class Dialect:
    """The four tables and their indexes; what differs between the databases is left to the two below."""

    integer, real, json, now, ending = "INTEGER", "REAL", "TEXT", "", ""
    job_key, event_key = "", ""

    def is_word(self, column: str) -> str:
        """Only the characters of ids, 1 to 64 of them."""
        raise NotImplementedError

    def is_object(self, column: str) -> str:
        """Valid JSON, and an object."""
        raise NotImplementedError

    def triggers(self) -> Iterator[str]:
        """Keep updated_at, write events, index prompts."""
        raise NotImplementedError

    def statements(self) -> Iterator[str]:
        """All of the schema, in order."""
        yield from self.tables()
        for name, columns in INDEXES.items():
            yield f"CREATE INDEX {name} ON {columns}"
        yield from self.triggers()

    def id(self, column: str) -> str:
        """The rule for an id a caller may choose: '.' and '..' would not survive a URL."""
        return f"CONSTRAINT {column} CHECK ({self.is_word(column)} AND {column} NOT IN ('.', '..'))"

    def object(self, table: str, column: str) -> str:
        """A JSON object, empty unless given."""
        rule = f"CONSTRAINT {table}_{column} CHECK ({self.is_object(column)})"
        return f"{column} {self.json} NOT NULL DEFAULT '{{}}' {rule}"

    def flag(self, table: str, column: str) -> str:
        """A boolean, false unless given."""
        return f"{column} BOOLEAN NOT NULL DEFAULT FALSE"

    def moment(self, table: str, column: str, default: str = "") -> str:
        """Microseconds since 1970."""
        rule = f"CONSTRAINT {table}_{column} CHECK ({column} BETWEEN 0 AND {LAST_MOMENT})"
        return f"{column} {self.integer} {default} {rule}"

    def record(self, table: str) -> str:
        """The columns every record ends with."""
        default = f"NOT NULL DEFAULT ({self.now})"
        created, updated = (self.moment(table, column, default) for column in ("created_at", "updated_at"))
        return f"fingerprint TEXT, {created}, {updated}"

    def work(self, table: str) -> str:
        """The columns of something to do."""
        return f"""
            progress {self.integer} NOT NULL DEFAULT 0
                CONSTRAINT {table}_progress CHECK (progress BETWEEN 0 AND 100),
            message TEXT,
            error TEXT,
            priority {self.integer} NOT NULL DEFAULT 0,
            attempts {self.integer} NOT NULL DEFAULT 0 CONSTRAINT {table}_attempts CHECK (attempts >= 0),
            max_attempts {self.integer} NOT NULL DEFAULT 3 CONSTRAINT {table}_max_attempts CHECK (max_attempts >= 1),
            worker TEXT,
            lease_token TEXT,
            lease_seconds {self.real},
            {self.moment(table, "lease_expires_at")},
            {self.flag(table, "cancel_requested")},
            {self.moment(table, "started_at")},
            {self.moment(table, "finished_at")}"""

    def tables(self) -> Iterator[str]:
        """The four records."""
        yield f"""CREATE TABLE job (
            {self.job_key} {self.id("job_id")},
            job_type TEXT NOT NULL DEFAULT 'diffrhythm' CONSTRAINT job_type CHECK ({self.is_word("job_type")}),
            status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT job_status CHECK (status IN ({JOB_STATUSES})),
            prompt TEXT NOT NULL,
            {self.object("job", "metadata")},
            {self.object("job", "file_manifest")},
            {self.work("job")},
            {self.record("job")}) {self.ending}"""
        yield f"""CREATE TABLE track (
            track_id TEXT NOT NULL PRIMARY KEY {self.id("track_id")},
            job_id TEXT NOT NULL CONSTRAINT track_job REFERENCES job (job_id) ON DELETE CASCADE,
            duration {self.real} CONSTRAINT track_duration CHECK (duration > 0 AND duration <= {LONGEST}),
            {self.object("track", "metadata")},
            file_path_wav TEXT,
            file_path_mp3 TEXT,
            {self.record("track")}) {self.ending}"""
        yield f"""CREATE TABLE loop (
            loop_id TEXT NOT NULL PRIMARY KEY {self.id("loop_id")},
            track_id TEXT NOT NULL CONSTRAINT loop_track REFERENCES track (track_id) ON DELETE CASCADE,
            status TEXT NOT NULL DEFAULT 'PENDING' CONSTRAINT loop_status CHECK (status IN ({LOOP_STATUSES})),
            duration {self.real} NOT NULL CONSTRAINT loop_duration CHECK (duration > 0 AND duration <= {LONGEST}),
            {self.flag("loop", "fade_in_out")},
            format TEXT NOT NULL DEFAULT 'MP3' CONSTRAINT loop_format CHECK (format IN ('MP3', 'WAV')),
            result_url TEXT,
            result_path TEXT,
            {self.object("loop", "analysis")},
            {self.work("loop")},
            {self.record("loop")}) {self.ending}"""
        yield f"""CREATE TABLE event (
            {self.event_key},
            entity TEXT NOT NULL CONSTRAINT event_entity CHECK (entity IN ('job', 'track', 'loop')),
            entity_id TEXT NOT NULL,
            job_id TEXT NOT NULL,
            change TEXT NOT NULL CONSTRAINT event_change CHECK (change IN ('created', 'updated', 'deleted')),
            {self.object("event", "data")},
            {self.moment("event", "created_at", f"NOT NULL DEFAULT ({self.now})")}) {self.ending}"""

    def event(self, table: str, change: str, json_object: str) -> str:
        """The statement that writes one event; the row is OLD when it is gone, else NEW."""
        row = "OLD" if change == "deleted" else "NEW"
        job, source = f"{row}.job_id", ""
        if table == "loop":  # without its track nothing is written here, and the foreign key says why
            job, source = "track.job_id", f"FROM track WHERE track.track_id = {row}.track_id"
        data = "'{}'" if table == "track" else f"{json_object}({DATA.format(row)})"
        values = f"'{table}', {row}.{table}_id, {job}, '{change}', {data}"
        return f"INSERT INTO event (entity, entity_id, job_id, change, data) SELECT {values} {source};"


class SQLite(Dialect):
    """Strict tables; an explicit rowid for job, since VACUUM may renumber any other and FTS5 refers to it."""

    ending = "STRICT"
    now = "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000"
    job_key = "rowid INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT NOT NULL UNIQUE"
    event_key = "event_id INTEGER PRIMARY KEY AUTOINCREMENT"

    def is_word(self, column: str) -> str:
        """See Dialect."""
        return f"{column} NOT GLOB '*[^{ID_CHARACTERS}]*' AND length({column}) BETWEEN 1 AND 64"

    def is_object(self, column: str) -> str:
        """See Dialect."""
        return f"json_valid({column}) AND json_type({column}) = 'object'"

    def flag(self, table: str, column: str) -> str:
        """See Dialect."""
        return f"{column} INTEGER NOT NULL DEFAULT 0 CONSTRAINT {table}_{column} CHECK ({column} IN (0, 1))"

    def triggers(self) -> Iterator[str]:
        """See Dialect."""
        for table, shown in SHOWN.items():
            event = {change: self.event(table, change, "json_object") for change in CHANGES}
            yield f"CREATE TRIGGER {table}_created AFTER INSERT ON {table} BEGIN {event['created']} END"
            yield f"CREATE TRIGGER {table}_updated AFTER UPDATE OF {shown} ON {table} BEGIN {event['updated']} END"
            yield f"CREATE TRIGGER {table}_deleted AFTER DELETE ON {table} BEGIN {event['deleted']} END"
            yield f"""CREATE TRIGGER {table}_touched AFTER UPDATE OF {shown}{HIDDEN[table]} ON {table} BEGIN
                UPDATE {table} SET updated_at = max({self.now}, OLD.updated_at + 1)
                WHERE {table}_id = NEW.{table}_id; END"""
        # Children first, while their parent can still say whose they are; shells have foreign keys off, too.
        yield from self.family("job", "track")
        yield from self.family("track", "loop")
        yield from self.search()

    def family(self, parent: str, child: str) -> Iterator[str]:
        """What foreign keys do, for connections that leave them off."""
        key = f"{parent}_id"
        yield f"""CREATE TRIGGER {parent}_{child}s BEFORE DELETE ON {parent} BEGIN
            DELETE FROM {child} WHERE {key} = OLD.{key}; END"""
        for verb, event in (("created", "INSERT"), ("moved", f"UPDATE OF {key}")):
            yield f"""CREATE TRIGGER {child}_{verb}_for_{parent} BEFORE {event} ON {child}
                WHEN NOT EXISTS (SELECT 1 FROM {parent} WHERE {key} = NEW.{key})
                BEGIN SELECT RAISE(ABORT, 'FOREIGN KEY constraint failed'); END"""

    def search(self) -> Iterator[str]:
        """An FTS5 index of the prompts, written by triggers."""
        tokens = "unicode61 remove_diacritics 2 categories ''L* N* Co So'' tokenchars ''♯'' separators ''©®°¦''"
        yield f"CREATE VIRTUAL TABLE job_search USING fts5(words, tokenize='{tokens}')"
        add = f"INSERT INTO job_search (rowid, words) VALUES (NEW.rowid, {self.words()});"
        remove = "DELETE FROM job_search WHERE rowid = OLD.rowid;"
        yield f"CREATE TRIGGER job_search_created AFTER INSERT ON job BEGIN {add} END"
        yield f"CREATE TRIGGER job_search_updated AFTER UPDATE OF prompt ON job BEGIN {remove} {add} END"
        yield f"CREATE TRIGGER job_search_deleted AFTER DELETE ON job BEGIN {remove} END"

    def words(self) -> str:
        """The prompt with single-character words set apart; cut in 200s, as substr() counts from the start."""
        prompt = f"substr(NEW.prompt, 1, {SEARCHED})"
        return f"""CASE WHEN {prompt} NOT GLOB '*[{SINGLE}]*' THEN {prompt} ELSE (
            WITH RECURSIVE
                piece (start, text) AS (
                    SELECT 0, substr(NEW.prompt, 1, 200)
                    UNION ALL SELECT start + 200, substr(NEW.prompt, start + 201, 200) FROM piece
                    WHERE start + 200 < min(length(NEW.prompt), {SEARCHED})),
                place (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM place WHERE n < 200),
                letter (c) AS (
                    SELECT substr(text, n, 1) FROM piece CROSS JOIN place WHERE n <= length(text) ORDER BY start, n)
            SELECT group_concat(CASE WHEN c GLOB '[{SINGLE}]' THEN ' ' || c || ' ' ELSE c END, '') FROM letter) END"""


class PostgreSQL(Dialect):
    """jsonb, trigger functions, and a GIN index over the words of the prompts."""

    integer, real, json = "BIGINT", "DOUBLE PRECISION", "JSONB"
    now = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    job_key = "job_id TEXT NOT NULL PRIMARY KEY"
    event_key = "event_id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"

    def is_word(self, column: str) -> str:
        """See Dialect."""
        return f"{column} ~ '^[{ID_CHARACTERS}]{{1,64}}$'"

    def is_object(self, column: str) -> str:
        """See Dialect."""
        return f"jsonb_typeof({column}) = 'object'"

    def triggers(self) -> Iterator[str]:
        """See Dialect."""
        for table, shown in SHOWN.items():
            event = {change: self.event(table, change, "jsonb_build_object") for change in CHANGES}
            yield self.function(
                f"{table}_event",
                f"IF TG_OP = 'INSERT' THEN {event['created']} ELSIF TG_OP = 'UPDATE' THEN {event['updated']} "
                f"ELSE {event['deleted']} END IF; RETURN NULL;",
            )
            yield f"""CREATE TRIGGER {table}_event AFTER INSERT OR DELETE OR UPDATE OF {shown} ON {table}
                FOR EACH ROW EXECUTE FUNCTION {table}_event()"""
            yield f"""CREATE TRIGGER {table}_touched BEFORE UPDATE OF {shown}{HIDDEN[table]} ON {table}
                FOR EACH ROW EXECUTE FUNCTION ledger_touch()"""
        yield self.function("track_loops", "DELETE FROM loop WHERE track_id = OLD.track_id; RETURN OLD;")
        yield "CREATE TRIGGER track_loops BEFORE DELETE ON track FOR EACH ROW EXECUTE FUNCTION track_loops()"
        yield from self.search()

    def statements(self) -> Iterator[str]:
        """See Dialect."""
        yield self.function("ledger_touch", f"NEW.updated_at := greatest({self.now}, OLD.updated_at + 1); RETURN NEW;")
        yield from super().statements()

    def function(self, name: str, body: str) -> str:
        """A trigger function."""
        return f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"

    def search(self) -> Iterator[str]:
        """The words of a prompt as a tsvector: PostgreSQL's own parser would drop emoji."""
        lower = f"replace(lower(left(prompt, {SEARCHED})), 'ς', 'σ')"
        folded = f"regexp_replace(normalize({lower}, NFD), '[{ACCENTS}]', '', 'g')"
        spaced = f"regexp_replace(regexp_replace({folded}, '([{SINGLE}])', ' \\1 ', 'g'), '[{BETWEEN}]+', ' ', 'g')"
        yield f"""CREATE FUNCTION job_words(prompt text) RETURNS tsvector LANGUAGE sql IMMUTABLE AS $$
            SELECT coalesce(string_agg('''' || left(word, 255) || ''':' || least(place, 16383), ' '), '')::tsvector
            FROM regexp_split_to_table({spaced}, ' +') WITH ORDINALITY AS found (word, place) WHERE word <> '' $$"""
        yield "CREATE INDEX job_search ON job USING gin (job_words(prompt))"
