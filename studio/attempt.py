"""One attempt at one job: generate, encode, publish, complete; under a lease that is kept while it lasts."""

import json
import logging
import shutil
import sys
import threading
import time
from collections.abc import Callable
from errno import ENOSPC
from pathlib import Path
from typing import Any, TypeVar

from database import AWAY, release_connection, to_json

from errors import LeaseLost, LedgerError, WrongStatus
from models import JOB_STATUSES, Job, new_id
from repos import JobRepository, TrackRepository
from settings import Settings
from storage import Storage, publish
from studio import display
from studio.generators import ROOT, Generator, percent_of, status_of
from studio.process import Process

log = logging.getLogger("ledger.worker")
Answer = TypeVar("Answer")
LOOK_SECONDS = 0.5
REPORT_SECONDS = 0.5
ENCODING_SHARE = 10  # of the progress: what encoding takes, about a tenth
ENCODER_SECONDS = 3600.0


class Stopped(Exception):
    """The attempt ends here: `why` is lost, cancelled or shutdown."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Failed(Exception):
    """The job cannot be done; the sentence is its error."""


class Lease:
    """Keeps a lease in a thread of its own, and knows why to stop."""

    def __init__(self, job: Job, shutdown: threading.Event) -> None:
        self.job_id, self.token, self.shutdown = job.job_id, str(job.lease_token), shutdown
        self.seconds = float(self.token.partition("-")[0])
        self.why: str | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def stop(self) -> bool:
        """True when the attempt must end."""
        if self.why is None and self.shutdown.is_set():
            self.why = "shutdown"
        return self.why is not None

    def check(self) -> None:
        """Raises Stopped when the attempt must end."""
        if self.stop():
            raise Stopped(str(self.why))

    def _keep(self) -> None:
        """Look for a cancel often, renew the lease every third of it; a database that is away is asked again."""
        renewed = time.monotonic()
        while self.why != "lost" and not self._ended.wait(min(LOOK_SECONDS, self.seconds / 4)):
            due = time.monotonic() - renewed > self.seconds / 3
            try:
                self._look(due)
                renewed = time.monotonic() if due else renewed
            except LeaseLost:
                self.why = "lost"
            except AWAY as error:
                log.warning("job %s: the database does not answer, its lease is not renewed: %s", self.job_id, error)
                release_connection()  # it may be dead; the next look opens another
        release_connection()

    def _look(self, renew: bool) -> None:
        jobs = JobRepository()
        job = jobs.heartbeat(self.job_id, self.token) if renew else jobs.get_by_id(self.job_id)
        if job is None or job.lease_token != self.token:
            self.why = "lost"
        elif job.cancel_requested:
            self.why = self.why or "cancelled"


class Attempt:
    """What a worker does with a claimed job."""

    def __init__(self, settings: Settings, job: Job, generator: Generator, shutdown: threading.Event) -> None:
        self.settings, self.job, self.generator = settings, job, generator
        self.jobs, self.storage = JobRepository(), Storage(settings)
        self.lease = Lease(job, shutdown)
        self.work = self.storage.workshop(job.job_id, self.lease.token)
        self.final = self.storage.attempt(job.job_id, self.lease.token)
        self.status, self.progress, self.reported = job.status, 0, 0.0

    def run(self) -> str:
        """How it ended: completed, failed, cancelled, released, lost, or unknown. Raises OSError for a full disk.

        Unknown: the database went away while it was told of the tracks, so their files stay; if it was not told, the
        lease runs out and they are removed then.
        """
        outcome = "lost"
        with self.lease:
            try:
                outcome = self._make()
            except Stopped as stopped:
                outcome = self._give_up(stopped.why)
            except Failed as failed:
                outcome = self._end(JOB_STATUSES.failed, error=str(failed))
            except LeaseLost:
                outcome = "lost"
            except OSError as error:
                self._give_up("shutdown")
                self._insist(lambda: self.jobs.update(self.job.job_id, message=f"waits: {error.strerror or error}"))
                raise
            finally:
                if outcome in (JOB_STATUSES.completed, "unknown"):
                    shutil.rmtree(self.work, ignore_errors=True)
                else:
                    self.storage.remove_attempt(self.job.job_id, self.lease.token)
        return outcome

    def _make(self) -> str:
        """Every step from the prompt to the recorded tracks."""
        made, encoded = self.work / "made", self.work / "tracks"
        made.mkdir(parents=True)
        encoded.mkdir()
        command, folder = self.generator.command(self._inputs(made)), self.generator.folder or self.work
        self._run(command, folder, self.settings.generator_timeout, self._follow)
        self._report("exporting", 100 - ENCODING_SHARE, "encoding")
        encode = [sys.executable, "-m", "studio.encoder", str(made), str(encoded)]
        self._run(encode, ROOT, ENCODER_SECONDS, self._follow_encoder)
        tracks = json.loads((encoded / "tracks.json").read_text())
        (encoded / "tracks.json").unlink()
        publish(encoded, self.final)
        return self._complete(tracks)

    def _inputs(self, made: Path) -> dict[str, str]:
        """What the placeholders of a command stand for. Raises Failed for lyrics that cannot be read."""
        metadata: dict[str, Any] = self.job.metadata
        lyrics, about = self.work / "lyrics.lrc", self.work / "metadata.json"
        lyrics.write_text(self._lyrics(metadata))
        about.write_text(to_json(metadata))
        return {
            "prompt": self.job.prompt,
            "lyrics_file": str(lyrics),
            "metadata_file": str(about),
            "duration": f"{self.generator.duration(metadata.get('duration')):g}",
            "output_dir": str(made),
            "job_id": self.job.job_id,
        }

    def _lyrics(self, metadata: dict[str, Any]) -> str:
        text, name = metadata.get("lyrics"), metadata.get("lyrics_file")
        if isinstance(text, str):
            return text
        if name is None:
            return ""
        file = self.storage.open(name) if isinstance(name, str) else None
        if file is None:
            raise Failed(f"metadata.lyrics_file is {name!r}: there is no such file inside the storage folder")
        with file:
            return file.read(1024 * 1024).decode("utf-8", "replace")

    def _run(self, command: list[str], folder: Path, seconds: float, follow: Callable[[str], None]) -> None:
        """Run a command to its end. Raises Stopped, and Failed with the last lines it printed."""
        process = Process(command, self.storage.log(self.job.job_id), folder)
        try:
            for line in process.lines(self.lease.stop, seconds):
                follow(line)
        except TimeoutError:
            raise Failed(
                f"the generator took longer than {seconds:g} seconds and was stopped (GENERATOR_TIMEOUT)"
            ) from None
        finally:
            process.close()
        self.lease.check()
        if process.code != 0 and self.storage.is_full():
            raise OSError(ENOSPC, "the disk of the storage folder is full; make room and it goes on")
        if process.code != 0:
            said = "\n".join(process.last) or "it printed nothing"
            raise Failed(f"the generator ended with code {process.code}: {said}")

    def _follow(self, line: str) -> None:
        """Move status and progress by what the generator prints; neither ever falls."""
        status, percent = status_of(line), percent_of(line)
        if percent is not None:
            status, percent = status or "generating_audio", percent * (100 - ENCODING_SHARE) // 100
        self._report(status or self.status, percent or 0, line)

    def _follow_encoder(self, line: str) -> None:
        percent = percent_of(line) or 0
        self._report("exporting", 100 - ENCODING_SHARE + percent * (ENCODING_SHARE - 1) // 100, line)

    def _report(self, status: str, progress: int, message: str) -> None:
        """Tell the ledger, at once when the status moves, else twice a second; what could not be told is told later."""
        order = JOB_STATUSES.steps
        moved = order.index(status) > order.index(self.status)
        self.status = status if moved else self.status
        self.progress = max(self.progress, progress)
        if not message or (not moved and time.monotonic() - self.reported < REPORT_SECONDS):
            return
        self.reported = time.monotonic()
        try:
            self._update(status=self.status, progress=self.progress, message=message)
            display.show(self.job.job_id, self.status, self.progress, message)
        except AWAY as error:
            log.warning("job %s: progress is not recorded just now: %s", self.job.job_id, error)
            release_connection()
        except (LeaseLost, WrongStatus):
            self.lease.why = "lost"

    def _update(self, **changes: Any) -> Job | None:
        return self.jobs.update(self.job.job_id, lease_token=self.lease.token, **changes)

    def _complete(self, made: list[dict[str, Any]]) -> str:
        tracks = [self._track(each) for each in made]
        files = [self._manifest(each, track) for each, track in zip(made, tracks, strict=True)]
        manifest = {"log": self.storage.relative(self.storage.log(self.job.job_id)), "tracks": files}
        ended = {"file_manifest": manifest, "message": None, "error": None}
        if self._insist(lambda: self.jobs.complete(self.job.job_id, self.lease.token, tracks, **ended)):
            return JOB_STATUSES.completed
        recorded = self._insist(lambda: [TrackRepository().get_by_id(tracks[0]["track_id"])])
        if recorded is None:
            return "unknown"
        return JOB_STATUSES.completed if recorded[0] else "lost"  # it was told, and only its answer did not arrive

    def _track(self, made: dict[str, Any]) -> dict[str, Any]:
        asked = {name: value for name, value in self.job.metadata.items() if name not in ("lyrics", "lyrics_file")}
        paths = {kind: self.storage.relative(self.final / file["name"]) for kind, file in made["files"].items()}
        named = {f"file_path_{kind}": path for kind, path in paths.items()}
        return {"track_id": new_id(), "duration": made["duration"], "metadata": asked, **named}

    def _manifest(self, made: dict[str, Any], track: dict[str, Any]) -> dict[str, Any]:
        """What file_manifest says of a track: path, URL, bytes and SHA-256 of each file."""
        url = f"/api/tracks/{track['track_id']}"
        facts = {kind: {**file, "path": track[f"file_path_{kind}"]} for kind, file in made["files"].items()}
        return {"track_id": track["track_id"], "url": url, **facts}

    def _give_up(self, why: str) -> str:
        """Cancelled, released for a shutdown, or lost."""
        if why == "cancelled":
            return self._end(JOB_STATUSES.cancelled)
        if why == "shutdown":
            self._insist(lambda: self.jobs.release(self.job.job_id, self.lease.token))
            return "released"
        return "lost"

    def _end(self, status: str, **changes: Any) -> str:
        return status if self._insist(lambda: self._update(status=status, message=None, **changes)) else "lost"

    def _insist(self, act: Callable[[], Answer | None]) -> Answer | None:
        """act() until the database answers; None when it refuses, or when there is no time to ask again."""
        pause = 0.1
        while True:
            try:
                return act()
            except LedgerError as refused:
                log.warning("job %s: %s", self.job.job_id, refused)
                return None
            except AWAY as error:
                log.warning("job %s: the database does not take its end, trying again: %s", self.job.job_id, error)
                release_connection()
            if self.lease.why == "lost" or self.lease.shutdown.wait(pause):
                return None
            pause = min(pause * 2, 5.0)
