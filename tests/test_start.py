"""Starting, as real processes: on empty, newer and unusable databases, with bad settings, from scripts and flask."""

import hashlib
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.request import urlopen

import psycopg
import pytest

from database import HISTORY, MIGRATIONS, bind, database, release
from models import Event, Job
from settings import Settings
from tests import forked
from tests.conftest import ROOT, clean_environment, thorough, wait_for

ROUNDS = thorough(20, 3)
STARTER = """
import sys
from database import release
from models import Job, init_database
for line in sys.stdin:
    init_database()
    Job.create(prompt=line)
    release()
    print("made", flush=True)
"""
IMPATIENT = "import app, database.sqlite; database.sqlite.BUSY_SECONDS = 0.5; app.main()"
SECRET = "geheim"


def environment_of(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a process that finds our modules from anywhere and keeps its files in folder."""
    ours = {"PYTHONPATH": str(ROOT), "DB_PATH": str(folder / "app.db"), "STORAGE_DIR": str(folder / "output")}
    return clean_environment(**{**ours, **more})


def python(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What python with these arguments did, run in a folder that has no .env of a developer."""
    surroundings = environment_of(folder, **environment)
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True, timeout=30)


def refusal(folder: Path, *arguments: str, **environment: str) -> str:
    """The one line with which python app.py gives up, in a fork if no other modules are to be found."""
    command = [sys.executable, *(arguments or [str(ROOT / "app.py")])]
    done = forked.run(command, 30, cwd=folder, env=environment_of(folder, **environment))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.endswith("\n") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of the database file and of whatever SQLite left beside it."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("app.db*")}


def contents(url: str) -> tuple[list[str], int]:
    """(the migrations on record, the number of jobs) of a database, read over a connection of this process."""
    bind(Settings(_env_file=None, database_url=url))
    names = [name for (name,) in database.execute_sql(f"SELECT name FROM {HISTORY} ORDER BY name").fetchall()]
    count = Job.select().count()
    release()
    return names, count


def make_empty(url: str, folder: Path) -> None:
    """Take everything out of a database that nobody has open."""
    if url.startswith("sqlite"):
        for path in folder.glob("app.db*"):
            path.unlink()
        return
    with psycopg.connect(url) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


@pytest.fixture
def starters(database_url: str, tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Eight processes that begin with an init_database() for every line they are sent."""
    command, environment = [sys.executable, "-c", STARTER], environment_of(tmp_path, DATABASE_URL=database_url)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with ExitStack() as stack:
        made = [
            stack.enter_context(forked.Python(command, cwd=tmp_path, env=environment, text=True, **pipes))
            for _ in range(8)
        ]
        yield made
        for each in made:
            each.kill()


@pytest.mark.timeout(120)
def test_eight_processes_may_start_at_once_on_an_empty_database(
    starters: list[subprocess.Popen[str]], database_url: str, tmp_path: Path
) -> None:
    known = sorted(path.stem for path in MIGRATIONS.glob("[0-9]*.py"))
    for number in range(ROUNDS):
        for each in starters:
            print(f"round {number}", file=each.stdin, flush=True)
        said = [each.stdout.readline() for each in starters]
        assert said == ["made\n"] * 8, [each.communicate()[0] for each in starters]
        assert contents(database_url) == (known, 8)
        make_empty(database_url, tmp_path)
    for each in starters:
        each.stdin.close()
    assert [each.wait(10) for each in starters] == [0] * 8


def test_a_database_of_a_newer_version_is_left_as_it_is(ledger: Settings, tmp_path: Path) -> None:
    database.execute_sql(f"INSERT INTO {HISTORY} (name, applied) VALUES ('9999_future', '2099-01-01')")
    release()
    before = digests(tmp_path)
    said = refusal(tmp_path, DATABASE_URL=ledger.database_url)
    assert "9999_future" in said and "newer version" in said
    assert digests(tmp_path) == before


@pytest.fixture
def development_database(database_url: str, tmp_path: Path) -> str:
    """The URL of a database as an earlier development version left it."""
    statements = (
        "CREATE TABLE schema_migration (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied TEXT NOT NULL)",
        "CREATE TABLE job (job_id TEXT NOT NULL PRIMARY KEY, status TEXT NOT NULL, prompt TEXT NOT NULL)",
        "INSERT INTO schema_migration (id, name, applied) VALUES (1, '0001_ledger', '2026-01-01')",
    )
    make_empty(database_url, tmp_path)
    bind(Settings(_env_file=None, database_url=database_url))
    for statement in statements:
        database.execute_sql(statement)
    release()
    return database_url


def test_a_database_without_the_tally_is_of_a_development_version(ledger: Settings, tmp_path: Path) -> None:
    database.execute_sql("DROP TABLE tally")
    release()
    before = digests(tmp_path)
    assert "earlier development version" in refusal(tmp_path, DATABASE_URL=ledger.database_url)
    assert digests(tmp_path) == before


@pytest.mark.parametrize("later", ["", "0002_live"])
def test_a_database_of_a_development_version_is_refused_and_left_as_it_is(
    later: str, development_database: str, tmp_path: Path
) -> None:
    if later:
        bind(Settings(_env_file=None, database_url=development_database))
        database.execute_sql(f"INSERT INTO schema_migration (id, name, applied) VALUES (2, '{later}', '2026-01-01')")
        release()
    before = digests(tmp_path)
    said = refusal(tmp_path, DATABASE_URL=development_database)
    assert "earlier development version" in said and "DB_PATH or DATABASE_URL" in said
    assert digests(tmp_path) == before


def test_the_folder_of_the_database_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "app.db"
    done = python(tmp_path, "-c", "from models import init_database; init_database()", DB_PATH=str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert path.is_file()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("folder", "cannot be written"),
        ("text", "restore a backup"),
        ("text/app.db", "cannot be used"),
        (":memory:", "DB_PATH"),
    ],
)
def test_a_path_that_holds_no_database_stops_the_start(path: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("This is a text, and long enough to be read as the head of a database. " * 20)
    line = refusal(tmp_path, DB_PATH=path)
    assert said in line
    assert "DB_PATH" in line


def test_a_locked_database_stops_the_start(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "is locked by another program: close that program" in refusal(tmp_path, "-c", IMPATIENT)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "x"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("HOST", "no-such-host.invalid"),
        ("HOST", "a..b"),
        ("HOST", "0.0.0.0"),
        ("SQL_ECHO", "maybe"),
        ("SQLITE_SYNCHRONOUS", "OFF"),
        ("DB_POOL_SIZE", "0"),
        ("STORAGE_DIR", "/dev/null"),
        ("STORAGE_DIR", "/dev/null/output"),
        ("DATABASE_URL", "mysql://x"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "postgresql://127.0.0.1:1/ledger"),
        ("DATABASE_URL", "postgresql://127.0.0.1/ledger?nonsense=1"),
    ],
)
def test_a_setting_that_cannot_be_used_stops_the_start_with_its_name(name: str, value: str, tmp_path: Path) -> None:
    assert name in refusal(tmp_path, **{name: value})


def test_a_port_in_use_stops_the_start_with_its_name(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"PORT is {port}" in refusal(tmp_path, PORT=port)


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://me:{SECRET}@127.0.0.1/ledger",
        f"postgresql://me:{SECRET}@127.0.0.1:1/ledger",
        f"postgresql://me:{SECRET}@127.0.0.1:port/ledger",
        f"postgresql://me:{SECRET}@[::1/ledger",
        f"postgresql://me:100%{SECRET}@127.0.0.1:1/ledger",
        f"postgresql://127.0.0.1:{SECRET}/more@127.0.0.1:1/ledger",
        f"postgresql://127.0.0.1:1/ledger?password={SECRET}&nonsense=1",
    ],
)
def test_a_password_is_never_printed(url: str, tmp_path: Path) -> None:
    said = refusal(tmp_path, DATABASE_URL=url)
    assert "DATABASE_URL" in said
    assert SECRET not in said


def test_a_dotenv_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=1234\nAPI_TOKEN=from the file\n")
    script = "from settings import get_settings; print(get_settings().port, get_settings().api_token)"
    assert python(tmp_path, "-c", script, PORT="4321").stdout == "4321 from the file\n"


@pytest.mark.parametrize("line", ["from models import Job", "from repos import JobRepository"])
def test_a_script_loads_no_server_and_no_other_driver(line: str, tmp_path: Path) -> None:
    unused = "{'flask', 'numpy', 'soundfile', 'httptools', 'uvloop', 'database.postgresql'}"
    done = python(tmp_path, "-c", f"{line}; import sys; print({unused} & {{*sys.modules}})")
    assert (done.stdout, done.stderr) == ("set()\n", "")


def without_psycopg(folder: Path) -> dict[str, str]:
    """The environment of processes in which psycopg cannot be imported."""
    (folder / "hidden").mkdir()
    (folder / "hidden" / "psycopg.py").write_text("raise ModuleNotFoundError('hidden', name='psycopg')\n")
    return {"PYTHONPATH": f"{folder / 'hidden'}:{ROOT}"}


def test_a_script_on_sqlite_works_without_psycopg(tmp_path: Path) -> None:
    script = "from repos import *; get_session(); print(JobRepository().create(prompt='rain').status)"
    done = python(tmp_path, "-c", script, **without_psycopg(tmp_path))
    assert (done.stdout, done.stderr) == ("pending\n", "")


def test_a_postgresql_url_without_psycopg_says_what_to_install(tmp_path: Path) -> None:
    hidden = without_psycopg(tmp_path)
    said = refusal(tmp_path, DATABASE_URL="postgresql://127.0.0.1/ledger", **hidden)
    assert "pip install -r requirements-postgresql.txt" in said
    script = "from models import Job; Job.create(prompt='rain')"
    done = python(tmp_path, "-c", script, DATABASE_URL="postgresql://127.0.0.1/ledger", **hidden)
    assert "SettingsError" in done.stderr and "pip install -r requirements-postgresql.txt" in done.stderr


def test_a_script_alone_moves_updated_at_and_writes_one_event(job: Job, ledger: Settings, tmp_path: Path) -> None:
    script = f"from models import Job\nJob.update(progress=5).where(Job.job_id == '{job.job_id}').execute()\n"
    done = python(tmp_path, "-c", script, DATABASE_URL=ledger.database_url)
    assert (done.returncode, done.stderr) == (0, "")
    after = Job.get_by_id(job.job_id)
    assert after.progress == 5 and after.updated_at > job.updated_at
    assert [event.change for event in Event.select().order_by(Event.event_id)] == ["created", "updated"]


def test_flask_lists_the_routes(tmp_path: Path) -> None:
    done = flask(tmp_path, "routes")
    assert done.returncode == 0
    assert "/api/jobs/<id:job_id>" in done.stdout


def test_the_flask_shell_knows_the_models_and_repositories(database_url: str, tmp_path: Path) -> None:
    line = "print(JobRepository().create(prompt='rain').status, Job.select().count())\n"
    done = flask(tmp_path, "shell", typed=line, DATABASE_URL=database_url)
    assert done.returncode == 0
    assert "pending 1\n" in done.stdout


def test_flask_run_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "flask", "run", "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment_of(tmp_path), stdout=log, stderr=log, preexec_fn=heed_interrupts
        )
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/healthz"), 40, (tmp_path / "log").read_text)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def heed_interrupts() -> None:
    """Undo what a background shell does to its children: they would ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def flask(folder: Path, *arguments: str, typed: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """What flask did in the root, as README tells people to call it."""
    command, surroundings = [sys.executable, "-m", "flask", *arguments], environment_of(folder, **environment)
    return forked.run(command, 30, typed, cwd=ROOT, env=surroundings)


def answers(url: str) -> bool:
    """True when there is a 200 at this address."""
    try:
        with urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
