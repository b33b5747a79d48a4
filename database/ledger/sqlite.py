"""The schema for SQLite: strict tables, triggers, and an FTS5 index of the prompts."""

from collections.abc import Iterator

from database.ledger.tables import CHANGES, DELIVER, FINAL, HIDDEN, ID_CHARACTERS, SEARCHED, SHOWN, Dialect
from database.letters import ACCENTED, SINGLE, TOKENIZER, accented_letters

PREFIXES = "1 2 3 4 5 6 7 8 9 10 11 12"  # lengths of beginnings that FTS5 indexes
AT_ONCE = 500  # letters in one INSERT


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
        """Valid JSON, and an object."""
        return f"json_valid({column}) AND json_type({column}) = 'object'"

    def flag(self, table: str, column: str) -> str:
        """A boolean, by default false."""
        return f"{column} INTEGER NOT NULL DEFAULT 0 CONSTRAINT {table}_{column} CHECK ({column} IN (0, 1))"

    def triggers(self) -> Iterator[str]:
        """All triggers."""
        for table, shown in SHOWN.items():
            event = {change: self.event_and_delivery(table, change) for change in CHANGES}
            yield f"CREATE TRIGGER {table}_created AFTER INSERT ON {table} BEGIN {event['created']} END"
            yield f"CREATE TRIGGER {table}_updated AFTER UPDATE OF {shown} ON {table} BEGIN {event['updated']} END"
            yield f"CREATE TRIGGER {table}_deleted AFTER DELETE ON {table} BEGIN {event['deleted']} END"
            yield f"""CREATE TRIGGER {table}_touched AFTER UPDATE OF {shown}{HIDDEN[table]} ON {table}
                WHEN NEW.updated_at <= OLD.updated_at BEGIN
                UPDATE {table} SET updated_at = max({self.now}, OLD.updated_at + 1)
                WHERE {table}_id = NEW.{table}_id; END"""
        # Children are deleted first, while their parent can still name their job. SQL shells leave foreign keys off.
        yield from self.family("job", "track")
        yield from self.family("track", "loop")
        yield """CREATE TRIGGER event_pruned AFTER DELETE ON event BEGIN
            UPDATE pruned SET event_id = OLD.event_id WHERE event_id < OLD.event_id; END"""
        yield from self.search()

    def event_and_delivery(self, table: str, change: str) -> str:
        """One trigger writes both, because SQLite does not define the order of two triggers."""
        event = self.event(table, change, "json_object")
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

    def search(self) -> Iterator[str]:
        """The FTS5 index of the prompts, its triggers, and the table of letters that FTS5 does not fold."""
        tokens = TOKENIZER.replace("'", "''")
        yield f"CREATE VIRTUAL TABLE job_search USING fts5(words, tokenize='{tokens}', prefix='{PREFIXES}')"
        yield "CREATE TABLE accented (letter TEXT NOT NULL PRIMARY KEY, plain TEXT NOT NULL) STRICT, WITHOUT ROWID"
        letters = [f"('{letter}', '{plain}')" for letter, plain in accented_letters()]
        for start in range(0, len(letters), AT_ONCE):
            yield f"INSERT INTO accented (letter, plain) VALUES {', '.join(letters[start : start + AT_ONCE])}"
        add = f"INSERT INTO job_search (rowid, words) VALUES (NEW.rowid, {self.words()});"
        remove = "DELETE FROM job_search WHERE rowid = OLD.rowid;"
        yield f"CREATE TRIGGER job_search_created AFTER INSERT ON job BEGIN {add} END"
        yield f"CREATE TRIGGER job_search_updated AFTER UPDATE OF prompt ON job BEGIN {remove} {add} END"
        yield f"CREATE TRIGGER job_search_deleted AFTER DELETE ON job BEGIN {remove} END"

    def words(self) -> str:
        """The prompt without accents, with spaces around single-character words, as an SQL expression.

        It goes through the letters only if the prompt has such a letter. It reads them from pieces of 200 letters,
        because substr() counts from the start of its text.
        """
        prompt = f"substr(NEW.prompt, 1, {SEARCHED})"
        return f"""CASE WHEN {prompt} NOT GLOB '*[{ACCENTED}{SINGLE}]*' THEN {prompt} ELSE (
            WITH RECURSIVE
                piece (start, text) AS (
                    SELECT 0, substr(NEW.prompt, 1, 200)
                    UNION ALL SELECT start + 200, substr(NEW.prompt, start + 201, 200) FROM piece
                    WHERE start + 200 < min(length(NEW.prompt), {SEARCHED})),
                place (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM place WHERE n < 200),
                letter (c) AS (
                    SELECT substr(text, n, 1) FROM piece CROSS JOIN place WHERE n <= length(text) ORDER BY start, n)
            SELECT group_concat(CASE
                WHEN c GLOB '[{SINGLE}]' THEN ' ' || coalesce((SELECT plain FROM accented WHERE letter = c), c) || ' '
                WHEN c GLOB '[{ACCENTED}]' THEN coalesce((SELECT plain FROM accented WHERE letter = c), c)
                ELSE c END, '') FROM letter) END"""
