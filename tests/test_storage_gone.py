"""The storage folder is removed or replaced while the service runs: nothing is written where it would be lost."""

import json
import shutil
from collections.abc import Callable
from errno import EIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from errors import StorageGone
from files.storage import Storage
from repos import JobRepository
from settings import Settings
from studio.worker import JobWorker
from tests.conftest import Server, on_sqlite
from tests.service import accepted
from tests.sounds import wav_bytes

Act = Callable[[Path], object]
GONE = "The storage folder was removed or replaced"


def remove(folder: Path) -> None:
    """Remove the folder."""
    shutil.rmtree(folder)


def unmount(folder: Path) -> None:
    """Leave an empty folder, as a disk does that is not mounted any more."""
    folder.rename(folder.with_name("elsewhere"))
    folder.mkdir()


@pytest.fixture(params=[remove, unmount])
def act(request: pytest.FixtureRequest) -> Act:
    """What happens to the folder."""
    return request.param  # type: ignore[no-any-return]


def test_the_service_takes_no_files_until_the_folder_is_back(server: Callable[..., Server], act: Act) -> None:
    service = server().start()
    accepted(service.call("POST", "/api/jobs", {"job_id": "a", "prompt": "p", "job_type": "none"}))
    accepted(service.call("POST", "/api/jobs/a/tracks", {"track_id": "t"}))
    act(service.storage)
    status, problem = put_sound(service)
    assert status == 503 and GONE in problem["detail"]
    assert service.call("GET", "/api/jobs/a")[0] == 200
    status, ready = service.call("GET", "/readyz")
    assert status == 503 and GONE in ready["detail"] and not ready["storage"]["ok"]
    if act is unmount:
        assert list(service.storage.iterdir()) == []
        service.storage.rmdir()
        service.storage.with_name("elsewhere").rename(service.storage)
        assert put_sound(service)[0] == 200


def put_sound(service: Server) -> tuple[int, Any]:
    """Upload a sound; (the status, the answer)."""
    url = f"{service.url}/api/tracks/t/audio"
    try:
        with urlopen(Request(url, wav_bytes(1), {"Content-Type": "audio/wav"}, method="PUT"), timeout=60) as answer:
            return answer.status, json.load(answer)
    except HTTPError as refused:
        return refused.code, json.load(refused)


@on_sqlite
def test_a_worker_claims_nothing_without_the_folder(ledger: Settings, act: Act) -> None:
    worker: Any = JobWorker(ledger)
    Storage(ledger).part()
    JobRepository().create(job_id="a", prompt="p", job_type="synth", metadata={"duration": 3})
    act(ledger.storage_dir)
    with pytest.raises(StorageGone, match=GONE):
        worker.tick(0)
    job = JobRepository().get_by_id("a")
    assert (job.status, job.attempts) == ("pending", 0)


@on_sqlite
def test_an_attempt_whose_folder_goes_puts_its_job_back(
    ledger: Settings, act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker: Any = JobWorker(ledger)
    Storage(ledger).part()
    JobRepository().create(job_id="a", prompt="p", job_type="synth", metadata={"duration": 3})
    attempt = worker.attempt(worker.look(0))

    def make() -> str:
        act(ledger.storage_dir)
        (attempt.work / "song.wav").write_bytes(b"")
        return "never"

    monkeypatch.setattr(attempt, "make", make)
    with pytest.raises(StorageGone, match=GONE):
        attempt.run()
    job = JobRepository().get_by_id("a")
    assert job.status == "pending" and GONE in str(job.message)


@on_sqlite
def test_a_disk_that_does_not_answer_counts_as_there(ledger: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(ledger)
    storage.part()

    def fail(path: Path) -> None:
        raise OSError(EIO, "Input/output error")

    monkeypatch.setattr(Path, "stat", fail)
    storage.require_root()
