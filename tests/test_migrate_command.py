"""`flask migrate` and `flask migrate --plan`, as real processes."""

import json
from pathlib import Path

from tests.test_commands import flask

FIRST = "0001_ledger\tThe ledger: every table, index and trigger of the first version.\n"


def test_migrate_shows_its_plan_then_runs_it_then_has_nothing_to_do(tmp_path: Path) -> None:
    planned = flask(tmp_path, "migrate", "--plan")
    assert planned.stdout.startswith(f"migration\twould do\n{FIRST}") and not (tmp_path / "app.db").exists()
    assert flask(tmp_path, "migrate").stdout == planned.stdout.replace("would do", "did", 1)
    assert json.loads(flask(tmp_path, "migrate", "--json").stdout) == []
    assert flask(tmp_path, "migrate", "--plan").stdout == "The schema is up to date.\n"


def test_the_plan_of_no_database_ends_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "app.db").write_text("this is no database" * 100)
    answer = flask(tmp_path, "migrate", "--plan")
    assert answer.returncode == 1 and answer.stdout == "" and "restore a backup" in answer.stderr
