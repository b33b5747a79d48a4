"""The commands of `flask`: what they share."""

import sys
from pathlib import Path
from subprocess import CompletedProcess

from tests import forked
from tests.service import ROOT, clean_environment


def flask(folder: Path, *arguments: str, **environment: str) -> CompletedProcess[str]:
    """Run a command of `flask` in a folder."""
    command = [sys.executable, "-m", "flask", "--app", str(ROOT / "app.py"), *arguments]
    env = clean_environment(**environment)
    return forked.run(command, 120, cwd=folder, env=env)


def test_the_lookup_of_a_command_opens_no_database(tmp_path: Path) -> None:
    (tmp_path / "app.db").write_text("this is no database" * 100)
    answer = flask(tmp_path, "worker", "--help")
    assert answer.returncode == 0 and "--loops" in answer.stdout, answer.stderr
    assert [path.name for path in tmp_path.glob("app.db*")] == ["app.db"]


def test_a_command_that_cannot_use_the_database_ends_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "app.db").write_text("this is no database" * 100)
    answer = flask(tmp_path, "worker")
    assert answer.returncode == 1 and answer.stdout == ""
    assert answer.stderr.count("\n") == 1 and "restore a backup" in answer.stderr


def test_a_command_in_another_folder_makes_no_database(tmp_path: Path) -> None:
    for arguments in (("list",), ("add", "rain"), ("watch", "rain")):
        answer = flask(tmp_path, "jobs", *arguments)
        assert answer.returncode == 1 and answer.stderr.startswith(f"There is no database {tmp_path / 'app.db'}")
    assert list(tmp_path.glob("app.db*")) == []
