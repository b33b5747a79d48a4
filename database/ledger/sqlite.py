"""The schema for SQLite: strict tables, triggers, and an FTS5 index of prompts and metadata."""

from collections.abc import Iterator

from database.ledger.tables import (
    CHANGES,
    DATA,
    DELIVER,
    FINAL,
    ID_CHARACTERS,
    JOB_STATUSES,
    LOOP_STATUSES,
    PREFIXES,
    SHOWN,
    SILENT,
    STATUS,
    Dialect,
)


class SQLite(Dialect):
    """Strict tables. job has an explicit rowid: FTS5 refers to it, and VACUUM may renumber an implicit one."""

    ending = "STRICT"
    now = "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000"
    job_key = "rowid INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT NOT NULL UNIQUE"
    event_key = "event_id INTEGER PRIMARY KEY AUTOINCREMENT"
    webhook_id = "'msg_' || lower(hex(randomblob(16)))"

    def is_word(self, column: str) -> str:
        """Only the characters of ids, 1 to 64 of them."""
        return f"{column} NOT GLOB '*[^{ID_CHARACTERS}]*' AND length({column}) BETWEEN 1 AND 64"

    def is_object(self, column: str) -> str:
        """The condition that a column has a JSON object. Most objects are empty, so it first compares with {}.

        json_valid() reads only up to a NUL.
        """
        is_whole = f"instr({column}, char(0)) = 0"
        return f"{column} = '{{}}' OR json_valid({column}) AND ltrim({column}, ' \t\n\r') GLOB '{{*' AND {is_whole}"

    def flag(self, table: str, column: str, default: bool = False) -> str:
        """A boolean."""
        rule = f"CONSTRAINT {table}_{column} CHECK ({column} IN (0, 1))"
        return f"{column} INTEGER NOT NULL DEFAULT {int(default)} {rule}"

    def triggers(self) -> Iterator[str]:
        """All triggers."""
        for table, shown in SHOWN.items():
            event = {change: self.event_and_delivery(table, change) for change in CHANGES}
            more, less = self.counted(table, "NEW", 1), self.counted(table, "OLD", -1)
            yield f"CREATE TRIGGER {table}_created AFTER INSERT ON {table} BEGIN {event['created']} {more} END"
            yield f"CREATE TRIGGER {table}_updated AFTER UPDATE OF {shown} ON {table} BEGIN {event['updated']} END"
            yield f"CREATE TRIGGER {table}_deleted AFTER DELETE ON {table} BEGIN {event['deleted']} {less} END"
            if table in FINAL:
                yield f"""CREATE TRIGGER {table}_counted AFTER UPDATE OF status ON {table}
                    WHEN OLD.status <> NEW.status BEGIN {less} {more} END"""
            yield f"""CREATE TRIGGER {table}_touched AFTER UPDATE OF {shown}{SILENT[table]} ON {table}
                WHEN NEW.updated_at <= OLD.updated_at BEGIN
                UPDATE {table} SET updated_at = max({self.now}, OLD.updated_at + 1)
                WHERE {table}_id = NEW.{table}_id; END"""
        # Children are deleted first, while their parent can still name their job. SQL shells leave foreign keys off.
        yield from self.family("job", "track")
        yield from self.family("track", "loop")
        yield """CREATE TRIGGER event_pruned AFTER DELETE ON event BEGIN
            UPDATE pruned SET event_id = OLD.event_id WHERE event_id < OLD.event_id; END"""
        for table in SHOWN:
            yield from self.replacement(table)
        yield from self.search()

    def tally(self) -> Iterator[str]:
        """The same as in Dialect. Each number has one row, and triggers change it."""
        yield """CREATE TABLE tally (entity TEXT NOT NULL, status TEXT NOT NULL, number INTEGER NOT NULL,
            PRIMARY KEY (entity, status)) STRICT, WITHOUT ROWID"""
        for entity, statuses in (("job", JOB_STATUSES), ("track", "''"), ("loop", LOOP_STATUSES)):
            rows = ", ".join(f"('{entity}', {status}, 0)" for status in statuses.split(", "))
            yield f"INSERT INTO tally (entity, status, number) VALUES {rows}"
        yield """CREATE TABLE replaced (entity TEXT NOT NULL, entity_id TEXT NOT NULL, status TEXT NOT NULL,
            record_rowid INTEGER NOT NULL, PRIMARY KEY (entity, entity_id)) STRICT, WITHOUT ROWID"""

    def counted(self, table: str, row: str, step: int) -> str:
        """The statement with which a trigger adds a step to the number of a record. row: OLD or NEW; step: 1 or -1."""
        place = f"entity = '{table}' AND status = {STATUS[table].format(row)}"
        return f"UPDATE tally SET number = number + {step} WHERE {place};"

    def event_data(self, row: str) -> str:
        """The same as in Dialect. If message and error are NULL, joining text needs half the time of json_object()."""
        short = f"""'{{"status":"' || {row}.status || '","progress":' || {row}.progress"""
        return f"""CASE WHEN coalesce({row}.message, {row}.error) IS NULL
            THEN {short} || ',"message":null,"error":null}}' ELSE json_object({DATA.format(row)}) END"""

    def event_and_delivery(self, table: str, change: str) -> str:
        """One trigger writes both, because SQLite does not define the order of two triggers."""
        event = self.event(table, change)
        if table == "track" or change == "deleted":
            return event
        has_ended = f"NEW.status IN ({FINAL[table]})" + (" AND OLD.status <> NEW.status" if change == "updated" else "")
        return f"{event} {DELIVER} last_insert_rowid() AND entity_id = NEW.{table}_id AND {has_ended};"

    def family(self, parent: str, child: str) -> Iterator[str]:
        """Triggers that do the work of foreign keys, for connections that leave foreign keys off."""
        key = f"{parent}_id"
        yield f"""CREATE TRIGGER {parent}_{child}s BEFORE DELETE ON {parent} BEGIN
            DELETE FROM {child} WHERE {key} = OLD.{key}; END"""
        for verb, event in (("created", "INSERT"), ("moved", f"UPDATE OF {key}")):
            yield f"""CREATE TRIGGER {child}_{verb}_for_{parent} BEFORE {event} ON {child}
                WHEN NOT EXISTS (SELECT 1 FROM {parent} WHERE {key} = NEW.{key})
                BEGIN SELECT RAISE(ABORT, 'FOREIGN KEY constraint failed'); END"""

    def replacement(self, table: str) -> Iterator[str]:
        """Triggers for INSERT OR REPLACE by shells: unless recursive_triggers is on, the old row is deleted silently.

        An insertion of an id that exists notes the old row in `replaced`. A trigger that sees the deletion of that row
        removes the note. If the note is still there after the insertion, the row was replaced. ON CONFLICT DO NOTHING
        leaves the note, and the next insertion of the same id writes a new one. It adds 3 % to an insertion.
        """
        key, stale = f"{table}_id", ""
        note = f"FROM replaced WHERE entity = '{table}' AND entity_id = {{}}.{key}"
        new, old = note.format("NEW"), note.format("OLD")
        if table == "job":
            stale = f"""INSERT INTO search_stale (job_rowid) SELECT record_rowid {new}
                AND record_rowid <= (SELECT job_rowid FROM search_mark)
                AND record_rowid NOT IN (SELECT job_rowid FROM search_stale);"""
        yield f"""CREATE TRIGGER {table}_exists BEFORE INSERT ON {table}
            WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})
            BEGIN DELETE {new}; INSERT INTO replaced (entity, entity_id, status, record_rowid)
            SELECT '{table}', {key}, {STATUS[table].format(table)}, rowid FROM {table} WHERE {key} = NEW.{key}; END"""
        yield f"""CREATE TRIGGER {table}_replaced AFTER INSERT ON {table} WHEN EXISTS (SELECT 1 {new})
            BEGIN UPDATE tally SET number = number - 1
            WHERE entity = '{table}' AND status = (SELECT status {new}); {stale} DELETE {new}; END"""
        yield f"""CREATE TRIGGER {table}_not_replaced AFTER DELETE ON {table} WHEN EXISTS (SELECT 1 {old})
            BEGIN DELETE {old}; END"""

    def search(self) -> Iterator[str]:
        """The FTS5 index, and two tables that say which jobs are not in the index. records/indexing.py adds these jobs.

        Jobs with a rowid above search_mark are not in the index yet. search_stale has the other jobs that have changed
        or have been deleted. The triggers do not write to the index: indexing a job takes longer than writing the job.
        The words are folded already and separated by spaces (database/letters.py), so the simplest tokenizer is enough.
        """
        options = f"tokenize='ascii', prefix='{' '.join(map(str, PREFIXES))}', content='', contentless_delete=1"
        yield f"CREATE VIRTUAL TABLE job_search USING fts5(words, fields, {options})"
        yield """CREATE TABLE search_mark (one INTEGER NOT NULL PRIMARY KEY CONSTRAINT search_mark_one CHECK (one = 1),
            job_rowid INTEGER NOT NULL) STRICT"""
        yield "INSERT INTO search_mark (one, job_rowid) VALUES (1, 0)"
        yield "CREATE TABLE search_stale (job_rowid INTEGER NOT NULL PRIMARY KEY) STRICT"
        for verb, event, row in (
            ("created", "INSERT", "NEW"),
            ("updated", "UPDATE OF prompt, metadata", "NEW"),
            ("deleted", "DELETE", "OLD"),
        ):
            yield f"""CREATE TRIGGER job_search_{verb} AFTER {event} ON job
                WHEN {row}.rowid <= (SELECT job_rowid FROM search_mark)
                AND NOT EXISTS (SELECT 1 FROM search_stale WHERE job_rowid = {row}.rowid)
                BEGIN INSERT INTO search_stale (job_rowid) VALUES ({row}.rowid); END"""
