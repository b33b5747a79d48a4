"""What took longer the more there is: on SQLite, how words begin; on PostgreSQL, the event of a job that ends."""

from collections.abc import Iterator

from peewee import Database, PostgresqlDatabase

TOKENS = "unicode61 remove_diacritics 2 categories ''L* N* Co So'' tokenchars ''♯'' separators ''©®°¦''"
PREFIXES = "1 2 3 4 5 6 7 8 9 10 11 12"  # letters; a longer beginning is looked for among the words
COPIED = "event_id, entity, entity_id, job_id, change, data, created_at"


def up(migrator: object, db: Database) -> None:
    """Make them anew; the runner wraps it in one transaction."""
    for statement in postgresql() if isinstance(db, PostgresqlDatabase) else sqlite():
        db.execute_sql(statement)


def sqlite() -> Iterator[str]:
    """With an index of their first letters, words that begin alike need not all be merged."""
    yield "CREATE TEMP TABLE kept AS SELECT rowid AS id, words FROM job_search"
    yield "DROP TABLE job_search"
    yield f"CREATE VIRTUAL TABLE job_search USING fts5(words, tokenize='{TOKENS}', prefix='{PREFIXES}')"
    yield "INSERT INTO job_search (rowid, words) SELECT id, words FROM kept ORDER BY id"
    yield "DROP TABLE kept"


def postgresql() -> Iterator[str]:
    """currval() is volatile: but for the subquery, it would be compared with every event there is.

    And the planner is told what taking a prompt apart costs, so that it does so with every prompt for no word.
    """
    event = "(SELECT currval(pg_get_serial_sequence('event', 'event_id')))"
    copy = f"INSERT INTO delivery ({COPIED}, due_at) SELECT {COPIED}, created_at FROM event WHERE event_id = {event};"
    body = f"IF TG_OP = 'INSERT' OR OLD.status <> NEW.status THEN {copy} END IF; RETURN NULL;"
    yield f"CREATE OR REPLACE FUNCTION ledger_final() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"
    yield "ALTER FUNCTION job_words(text) COST 10000"
