"""Migrations that are killed with SIGKILL after any of their statements, as real processes."""

import subprocess
import sys
from pathlib import Path

from database import release, schema_state
from models import Loop
from settings import Settings
from tests.conftest import ROOT, clean_environment, thorough
from tests.migrations import folder_with, snapshot

EVERY = thorough(1, 8)  # a migration is killed after each statement, or after every eighth one
# Changes tables with children in each way that altering.py knows, and rows of them.
SCRIPT = '''
"""Changes much."""
from peewee import PostgresqlDatabase
from database.altering import add_column, quietly, rebuild_table

def up(migrator, db):
    add_column(db, "job", "rating INTEGER NOT NULL DEFAULT 0")
    if not isinstance(db, PostgresqlDatabase):
        rebuild_table(db, "job", lambda sql: sql.replace("'cancelled')", "'cancelled', 'archived')"))
    with quietly(db, "track"):
        db.execute_sql("UPDATE track SET duration = duration + 1")
    db.execute_sql("UPDATE loop SET progress = 50")
    db.execute_sql("DELETE FROM event WHERE change = 'created'")
    db.execute_sql("CREATE TABLE star (track_id TEXT NOT NULL REFERENCES track (track_id))")
'''
# Forks a process for each number N: it migrates, and dies after its N-th statement. Another one prints what is left.
KILLER = """
import os, signal, sys
from database import bind, database, init_database, schema
from pathlib import Path
from settings import Settings
from tests.migrations import snapshot

def fork(act):
    pid = os.fork()
    if not pid:
        bind(settings)
        act()
        sys.stdout.flush()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def migrate():
    statements = []
    def count(event):
        statements.append(event.sql)
        if len(statements) == number:
            os.kill(os.getpid(), signal.SIGKILL)
    database.query_hooks.append(count)
    init_database()

settings = Settings(_env_file=None, database_url=sys.argv[1])
schema.MIGRATIONS, step = Path(sys.argv[2]), int(sys.argv[3])
number = 1
while fork(migrate) == -signal.SIGKILL:
    fork(lambda: print(snapshot()))
    number += step
"""


def test_a_migration_that_is_killed_changes_nothing(ledger: Settings, loop: Loop, tmp_path: Path) -> None:
    folder, before = folder_with(tmp_path, {"9002_much": SCRIPT}), str(snapshot())
    release()
    command = [sys.executable, "-c", KILLER, ledger.database_url, str(folder), str(EVERY)]
    ended = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=120)
    after = ended.stdout.splitlines()
    assert len(after) > 20 // EVERY and ended.stderr == ""
    assert schema_state() == ([], ["9002_much"])
    assert [number for number, left in enumerate(after) if left not in (before, str(snapshot()))] == []
    assert after[0] == after[1] == before != str(snapshot())
