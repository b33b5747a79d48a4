"""What strace sees: before an answer leaves, the WAL is synced, and every new file and its folder, too."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.conftest import wait_for
from tests.service import ROOT, UNMEASURED, Caller, Server, accepted
from tests.sounds import wav_bytes
from tests.test_covers import png
from tests.tracing import NAMES, REMOVALS, Commit, Trace, check_files, commit_of, is_complete, traced, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
WRITERS, WRITES = 8, 4
SONG = {"job_id": "song", "job_type": "synth", "prompt": "rain", "metadata": {"duration": 1}, "takes": 2}


@dataclass
class Traced:
    """A service with a worker under strace. sent: for each write that it got alone, what send() was called with."""

    server: Server
    sent: list[tuple[str, int]] = field(default_factory=list)
    trace: Trace = None  # type: ignore[assignment]

    @property
    def wal(self) -> Path:
        """The log of its database."""
        return self.server.folder / "app.db-wal"

    def send(self, method: str, path: str, text: str, body: Any = None, files: int = 0, **headers: str) -> Any:
        """Send a write, and wait for its answer.

        text: a text of the record that it changes; empty if it changes only a file. files: the number of new files.
        """
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(f"{self.server.url}/api{path}", data, headers, method=method)
        if data is not None and not isinstance(body, bytes):
            request.add_header("Content-Type", "application/json")
        with urlopen(request, timeout=60) as answer:
            self.sent.append((text, files))
            return json.loads(answer.read() or "null")

    def stop(self) -> None:
        """Stop the service and read the trace."""
        file = self.server.folder / "trace"
        self.server.stop()
        wait_for(lambda: is_complete(file), 20)
        self.trace = Trace(file)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """A service that was sent every kind of write, alone and together, and that has ended."""
    folder = tmp_path_factory.mktemp("traced")
    server = Server(folder, DB_PATH=str(folder / "app.db"), WORKERS="1", **UNMEASURED)
    server.command = traced(folder / "trace", server.command)
    run = Traced(server.start())
    try:
        write_together(run)
        write_alone(run, make_song(run))
        run.stop()
        yield run
    finally:
        server.stop()


def write_together(run: Traced) -> None:
    """Create jobs in several threads, so that they share commits."""

    def write(name: int) -> None:
        with closing(Caller(run.server.port)) as call:
            for number in range(WRITES):
                accepted(
                    call("POST", "/api/jobs", {"job_id": f"many-{name}-{number}", "prompt": "p", "job_type": "many"})
                )

    with ThreadPoolExecutor(WRITERS) as pool:
        for done in [pool.submit(write, name) for name in range(WRITERS)]:
            done.result()


def make_song(run: Traced) -> str:
    """Let the workers make two takes and a loop. Returns the id of a take."""
    accepted(run.server.call("POST", "/api/jobs", SONG))
    wait_for(lambda: run.server.call("GET", "/api/jobs/song")[1]["status"] == "completed", 60)
    track = run.server.call("GET", "/api/jobs/song/tracks")[1]["items"][0]["track_id"]
    accepted(run.server.call("POST", f"/api/tracks/{track}/loops", {"loop_id": "ring", "duration": 2}))
    wait_for(lambda: run.server.call("GET", "/api/loops/ring")[1]["status"] == "COMPLETED", 60)
    return str(track)


def write_alone(run: Traced, track: str) -> None:
    """Every kind of write of a client, one after another. track: the id of a take of the song."""
    run.send("POST", "/jobs", "one", {"job_id": "one", "job_type": "x", "prompt": "p"})
    run.send("PATCH", "/jobs/one", "patched", {"message": "patched"})
    run.send("POST", "/jobs/batch", "fromfile", {"jobs": [{"job_id": "fromfile", "job_type": "y", "prompt": "p"}]})
    run.send("POST", "/jobs/fromfile/next", "fromfile")
    run.send("PUT", "/jobs/one/reference", "", wav_bytes(1), files=1)
    run.send("DELETE", "/jobs/one/reference", "")
    run.send("PUT", "/queue", "queue", {"paused": True})
    run.send("PUT", "/queue", "queue", {"paused": False})
    token = run.send("POST", "/jobs/claim", "claimer", {"worker": "claimer", "job_types": ["x"]})
    lease, path = {"Lease_Token": token["lease_token"]}, f"/jobs/{token['job_id']}"
    run.send("POST", f"{path}/heartbeat", "claimer", **lease)
    run.send("PATCH", path, "finished", {"status": "completed", "message": "finished"}, **lease)
    run.send("POST", "/jobs/fromfile/cancel", "fromfile")
    run.send("POST", "/jobs/fromfile/retry", "fromfile")
    run.send("POST", "/jobs/one/tracks", "track-1", {"track_id": "track-1"})
    run.send("PATCH", "/tracks/track-1", "entitled", {"title": "entitled"})
    run.send("PUT", "/tracks/track-1/audio", "track-1", wav_bytes(1), files=1)
    run.send("PUT", "/tracks/track-1/audio", "track-1", wav_bytes(2), files=1)
    run.send("PUT", "/tracks/track-1/cover", "track-1", png(), files=1)
    run.send("PUT", "/tracks/track-1/cover", "track-1", png(3), files=1)
    run.send("DELETE", "/tracks/track-1/cover", "track-1")
    run.send("POST", "/tracks/track-1/loops", "loop-1", {"loop_id": "loop-1", "duration": 9000})
    run.send("DELETE", "/loops/loop-1", "loop-1")
    run.send("POST", "/tracks/actions", track, {"action": "star", "ids": [track]})
    discard = run.send("POST", "/jobs/song/discard", "song")
    run.send("POST", f"/discards/{discard['discard_id']}/undo", "song")
    run.send("DELETE", "/jobs/one?files=true", "track-1")


def test_the_wal_is_synced_before_each_of_many_answers_leaves(service: Traced) -> None:
    answers = [call for call in service.trace.answers() if '\\"job_id\\":\\"many-' in call.arguments]
    assert len(answers) == WRITERS * WRITES
    commits = set()
    for answer in answers:
        [job_id] = re.findall('job_id\\\\":\\\\"(many-[0-9]-[0-9])', answer.arguments)
        commits.add(commit_of(service.trace.between(-1, answer.begin), service.wal, job_id).synced)
    assert len(commits) < len(answers)  # they shared commits


def test_every_kind_of_write_is_on_disk_before_its_answer_leaves(service: Traced) -> None:
    answers = service.trace.answers()[-len(service.sent) - 1 :]
    for (text, files), last, answer in zip(service.sent, answers, answers[1:], strict=False):
        calls = service.trace.between(last.begin, answer.begin)
        commit = commit_of(calls, service.wal, text) if text else Commit(answer.begin, answer.begin)
        assert len(check_files(calls, service.server.storage, commit)) == files, text


def test_what_workers_make_is_on_disk_before_a_record_names_it(service: Traced) -> None:
    root, made = service.server.storage, 0
    for naming in service.trace.calls:
        if naming.name in NAMES and naming.paths[-1].startswith((f"{root}/jobs/song/", f"{root}/loops/ring/")):
            of_worker = [call for call in service.trace.calls if call.thread == naming.thread]
            later = [call for call in of_worker if call.begin > naming.end]
            commit = commit_of(later, service.wal, Path(naming.paths[-1]).relative_to(root).parts[1])
            made += bool(check_files(service.trace.between(-1, commit.synced), root, commit))
    assert made == 3  # two takes and a loop


def test_a_deletion_is_on_disk_before_its_files_go(service: Traced) -> None:
    *_, last, answer = service.trace.answers()
    calls = service.trace.between(last.begin, answer.begin)
    files = [call for call in calls if call.name in REMOVALS and call.paths[-1].endswith(".wav")]
    commit = commit_of(calls, service.wal, "track-1")
    assert files and all(call.begin > commit.synced for call in files)


@pytest.mark.parametrize(
    ("words", "folder", "name", "answer"),
    [
        (("backup", "FOLDER/copies/one", "--files"), "copies", "one", "copies/one has"),
        (("token", "add", "phone"), "", "tokens.json", "ledger_"),
    ],
    ids=["backup", "token"],
)
def test_a_file_is_on_disk_before_a_command_says_so(
    service: Traced, words: tuple[str, ...], folder: str, name: str, answer: str
) -> None:
    server, root = service.server, service.server.folder
    command = [sys.executable, "-m", "flask", "--app", str(ROOT / "app.py"), *words]
    command = [word.replace("FOLDER", str(root)) for word in command]
    file, env = root / f"trace-of-{words[0]}", {**server.environment, "API_TOKENS": str(root / "tokens.json")}
    subprocess.run(traced(file, command), cwd=root, env=env, check=True, capture_output=True)
    wait_for(lambda: is_complete(file), 20)
    trace = Trace(file)
    said = next(call for call in trace.calls if call.arguments.startswith("1<") and answer in call.arguments)
    assert check_files(trace.between(-1, said.begin), root / folder, Commit(said.begin, said.begin)) == [name]
