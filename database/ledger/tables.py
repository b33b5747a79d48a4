"""The tables and indexes of the ledger, as SQL; what differs between the databases is in sqlite.py and postgresql.py.

The rules stand here and not in Python, so that every writer has to keep them. SQLite's triggers use only what SQLite
3.40 knows, so that common shells can write, too.
"""

from collections.abc import Iterator

ID_CHARACTERS = "A-Za-z0-9._-"
LONGEST = 1_000_000  # seconds; an upper bound keeps infinity and NaN out
SEARCHED = 10_000  # characters of a prompt
PREFIXES = (1, 2, 3, 5)  # the lengths of prefixes that FTS5 indexes. With all lengths, adding a job takes twice as long
LAST_MOMENT = 253402300799999999  # the end of the year 9999, in microseconds since 1970

JOB_STATUSES = (
    "'pending', 'loading_model', 'preparing_prompt', 'generating_audio', 'exporting', 'completed', 'failed', "
    "'cancelled'"
)
LOOP_STATUSES = "'PENDING', 'ANALYZING', 'RENDERING', 'EXPORTING', 'COMPLETED', 'FAILED', 'CANCELLED'"
FINAL = {"job": "'completed', 'failed', 'cancelled'", "loop": "'COMPLETED', 'FAILED', 'CANCELLED'"}
WORK = "message, error, priority, attempts, max_attempts, worker, cancel_requested, started_at, finished_at"
# A change of these columns is an `updated` event; the lease is left out, as every heartbeat moves it.
SHOWN = {
    "job": f"job_type, status, progress, prompt, metadata, file_manifest, {WORK}",
    "track": "job_id, duration, metadata, file_path_wav, file_path_mp3",
    "loop": f"track_id, status, progress, duration, fade_in_out, format, result_url, result_path, analysis, {WORK}",
}
# A change of these columns moves updated_at, which is the ETag, and is no event.
ORIGIN = ", created_at, fingerprint"
LEASE = ", lease_token, lease_seconds, lease_expires_at"
SILENT = {"job": ORIGIN + LEASE, "track": ORIGIN, "loop": ORIGIN + LEASE}
DATA = "'status', {0}.status, 'progress', {0}.progress, 'message', {0}.message, 'error', {0}.error"
STATUS = {"job": "{}.status", "track": "''", "loop": "{}.status"}  # the status in the tally under which a record counts
CHANGES = ("created", "updated", "deleted")
PENDING = {"job": "'pending'", "loop": "'PENDING'"}
# A list sorted by updated_at or priority is merged from one list for each status. So it needs no index of its own.
INDEXES = {
    "job_claim": f"job (priority DESC, created_at, job_id) WHERE status = {PENDING['job']}",
    "job_queue": f"job (job_type, priority DESC, created_at, job_id) WHERE status = {PENDING['job']}",
    "job_status": "job (status, created_at, job_id)",
    "job_status_updated_at": "job (status, updated_at, job_id)",
    "job_status_priority": "job (status, priority, job_id)",
    "job_type": "job (job_type, created_at, job_id)",
    "job_created_at": "job (created_at, job_id)",
    "job_lease": "job (lease_expires_at) WHERE lease_expires_at IS NOT NULL",
    "track_job": "track (job_id, created_at, track_id)",
    "track_created_at": "track (created_at, track_id)",
    "track_updated_at": "track (updated_at, track_id)",
    "loop_claim": f"loop (priority DESC, created_at, loop_id) WHERE status = {PENDING['loop']}",
    "loop_track": "loop (track_id, created_at, loop_id)",
    "loop_status": "loop (status, created_at, loop_id)",
    "loop_status_updated_at": "loop (status, updated_at, loop_id)",
    "loop_status_priority": "loop (status, priority, loop_id)",
    "loop_created_at": "loop (created_at, loop_id)",
    "loop_lease": "loop (lease_expires_at) WHERE lease_expires_at IS NOT NULL",
    "event_job": "event (job_id, event_id)",
    "delivery_due": "delivery (due_at)",
}
PATHS = {"track_wav": ("track", "file_path_wav"), "track_mp3": ("track", "file_path_mp3")}
PATHS |= {"loop_result": ("loop", "result_path")}
COPIED = "event_id, entity, entity_id, job_id, change, data, created_at"
DELIVER = f"INSERT INTO delivery ({COPIED}, due_at) SELECT {COPIED}, created_at FROM event WHERE event_id ="


class Dialect:
    """The tables and their indexes; a subclass for each database says what differs."""

    integer, real, json, now, ending = "INTEGER", "REAL", "TEXT", "", ""
    job_key, event_key, webhook_id = "", "", ""
    by_path = ""  # the kind of index for paths

    def is_word(self, column: str) -> str:
        """The condition: only the characters of ids, 1 to 64 of them."""
        raise NotImplementedError

    def is_object(self, column: str) -> str:
        """The condition: valid JSON, and an object."""
        raise NotImplementedError

    def triggers(self) -> Iterator[str]:
        """Statements that keep updated_at, write events and deliveries, and index prompts."""
        raise NotImplementedError

    def statements(self) -> Iterator[str]:
        """All statements of the schema, in order."""
        yield from self.tables()
        yield from self.event_tables()
        yield from self.tally()
        for name, columns in INDEXES.items():
            yield f"CREATE INDEX {name} ON {columns}"
        for name, (table, column) in PATHS.items():
            yield f"CREATE INDEX {name} ON {table} {self.by_path} ({column})"
        yield from self.triggers()

    def id(self, column: str) -> str:
        """The rule for an id: '.' and '..' would not survive a URL."""
        return f"CONSTRAINT {column} CHECK ({self.is_word(column)} AND {column} NOT IN ('.', '..'))"

    def object(self, table: str, column: str) -> str:
        """A JSON object, by default empty."""
        rule = f"CONSTRAINT {table}_{column} CHECK ({self.is_object(column)})"
        return f"{column} {self.json} NOT NULL DEFAULT '{{}}' {rule}"

    def flag(self, table: str, column: str, default: bool = False) -> str:
        """A boolean."""
        return f"{column} BOOLEAN NOT NULL DEFAULT {str(default).upper()}"

    def moment(self, table: str, column: str, default: str = "") -> str:
        """Microseconds since 1970."""
        rule = f"CONSTRAINT {table}_{column} CHECK ({column} BETWEEN 0 AND {LAST_MOMENT})"
        return f"{column} {self.integer} {default} {rule}"

    def record(self, table: str) -> str:
        """The last columns of job, track and loop."""
        default = f"NOT NULL DEFAULT ({self.now})"
        created, updated = (self.moment(table, column, default) for column in ("created_at", "updated_at"))
        return f"fingerprint TEXT, {created}, {updated}"

    def work(self, table: str) -> str:
        """The columns of work: progress, attempts, the lease and times."""
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
        """The records: job, track and loop."""
        yield f"""CREATE TABLE job (
            {self.job_key} {self.id("job_id")},
            job_type TEXT NOT NULL DEFAULT 'diffrhythm' CONSTRAINT job_type CHECK ({self.is_word("job_type")}),
            status TEXT NOT NULL DEFAULT 'pending' CONSTRAINT job_status CHECK (status IN ({JOB_STATUSES})),
            prompt TEXT,
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

    def event_tables(self) -> Iterator[str]:
        """The events, the highest event_id that was ever deleted, and the deliveries to WEBHOOK_URL.

        A delivery is a copy of its event, as the event may be pruned sooner; its webhook_id differs between databases.
        """
        yield f"""CREATE TABLE event (
            {self.event_key},
            entity TEXT NOT NULL CONSTRAINT event_entity CHECK (entity IN ('job', 'track', 'loop')),
            entity_id TEXT NOT NULL,
            job_id TEXT NOT NULL,
            change TEXT NOT NULL CONSTRAINT event_change CHECK (change IN ('created', 'updated', 'deleted')),
            {self.object("event", "data")},
            {self.moment("event", "created_at", f"NOT NULL DEFAULT ({self.now})")}) {self.ending}"""
        yield f"""CREATE TABLE pruned (
            one {self.integer} NOT NULL PRIMARY KEY CONSTRAINT pruned_one CHECK (one = 1),
            event_id {self.integer} NOT NULL) {self.ending}"""
        yield "INSERT INTO pruned (one, event_id) VALUES (1, 0)"
        yield f"""CREATE TABLE delivery (
            event_id {self.integer} NOT NULL PRIMARY KEY,
            entity TEXT NOT NULL,
            entity_id TEXT NOT NULL,
            job_id TEXT NOT NULL,
            change TEXT NOT NULL,
            data {self.json} NOT NULL,
            created_at {self.integer} NOT NULL,
            webhook_id TEXT NOT NULL DEFAULT ({self.webhook_id}),
            attempts {self.integer} NOT NULL DEFAULT 0,
            due_at {self.integer} NOT NULL) {self.ending}"""

    def tally(self) -> Iterator[str]:
        """The table with the number of jobs and of loops in each status, and the number of tracks."""
        raise NotImplementedError

    def event_data(self, row: str) -> str:
        """The data of an event of a job or loop: its state at that moment, as JSON."""
        raise NotImplementedError

    def event(self, table: str, change: str) -> str:
        """The statement of a trigger that writes one event; its row is OLD after a deletion, else NEW."""
        row = "OLD" if change == "deleted" else "NEW"
        job, source = f"{row}.job_id", ""
        if table == "loop":  # a loop without its track writes no event; the foreign key refuses it
            job, source = "track.job_id", f"FROM track WHERE track.track_id = {row}.track_id"
        data = "'{}'" if table == "track" else self.event_data(row)
        values = f"'{table}', {row}.{table}_id, {job}, '{change}', {data}"
        return f"INSERT INTO event (entity, entity_id, job_id, change, data) SELECT {values} {source};"
