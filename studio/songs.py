"""An attempt at a job: generate, encode, publish, and record the tracks."""

import json
import sys
import threading
from pathlib import Path
from typing import Any

from database import to_json
from files.storage import publish
from models import Job, new_id
from repos import JobRepository, TrackRepository
from settings import Settings
from studio.attempt import Attempt, Failed
from studio.generators import Generator, percent_of, status_of
from studio.process import ROOT

ENCODING_SHARE = 10  # of the progress: what encoding takes, about a tenth
ENCODER_SECONDS = 3600.0
LYRICS_BYTES = 1024 * 1024


class SongAttempt(Attempt):
    """What a worker does with a claimed job."""

    repo = JobRepository()
    limit = " (GENERATOR_TIMEOUT)"

    def __init__(self, settings: Settings, job: Job, shutdown: threading.Event, generator: Generator) -> None:
        super().__init__(settings, job, shutdown)
        self.generator = generator
        self.about = (job.prompt or f"job {job.job_id}").replace("\n", " ")

    def make(self) -> str:
        """See Attempt."""
        made, encoded = self.work / "made", self.work / "tracks"
        made.mkdir()
        encoded.mkdir()
        self._generate(made)
        self.report("exporting", 100 - ENCODING_SHARE, "encoding")
        encode = [sys.executable, "-m", "studio.encoder", str(made), str(encoded)]
        self.process(encode, ROOT, ENCODER_SECONDS, self._log, self._follow_encoder)
        tracks = json.loads((encoded / "tracks.json").read_text())
        (encoded / "tracks.json").unlink()
        publish(encoded, self.final)
        return self._complete(tracks)

    @property
    def _log(self) -> Path:
        return self.storage.log(self.record.job_id)

    def _generate(self, made: Path) -> None:
        command, folder = self.generator.command(self._inputs(made)), self.generator.folder or self.work
        self.process(command, folder, self.settings.generator_timeout, self._log, self._follow)

    def _inputs(self, made: Path) -> dict[str, str]:
        """What the placeholders of a command stand for. Raises Failed for lyrics that cannot be read."""
        metadata: dict[str, Any] = self.record.metadata
        lyrics, about = self.work / "lyrics.lrc", self.work / "metadata.json"
        lyrics.write_text(self._lyrics(metadata), errors="replace")
        about.write_text(to_json(metadata))
        return {
            "prompt": self.record.prompt or "",
            "lyrics_file": str(lyrics),
            "metadata_file": str(about),
            "duration": f"{self.generator.duration(metadata.get('duration')):g}",
            "output_dir": str(made),
            "job_id": self.record.job_id,
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
            return file.read(LYRICS_BYTES).decode("utf-8", "replace")

    def _follow(self, line: str) -> None:
        """Move status and progress by what the generator prints."""
        status, percent = status_of(line), percent_of(line)
        if percent is not None:
            status, percent = status or "generating_audio", percent * (100 - ENCODING_SHARE) // 100
        self.report(status or self.status, percent or 0, line)

    def _follow_encoder(self, line: str) -> None:
        percent = percent_of(line) or 0
        self.report("exporting", 100 - ENCODING_SHARE + percent * (ENCODING_SHARE - 1) // 100, line)

    def _complete(self, made: list[dict[str, Any]]) -> str:
        tracks = [self._track(each) for each in made]
        files = [self._manifest(each, track) for each, track in zip(made, tracks, strict=True)]
        manifest = {"log": self.storage.relative(self._log), "tracks": files}
        ended = {"file_manifest": manifest, "message": None, "error": None}
        return self.finish(
            lambda: self.repo.complete(self.record.job_id, self.lease.token, tracks, **ended),
            lambda: TrackRepository().get_by_id(tracks[0]["track_id"]) is not None,
        )

    def _track(self, made: dict[str, Any]) -> dict[str, Any]:
        asked = {name: value for name, value in self.record.metadata.items() if name not in ("lyrics", "lyrics_file")}
        paths = {kind: self.storage.relative(self.final / file["name"]) for kind, file in made["files"].items()}
        named = {f"file_path_{kind}": path for kind, path in paths.items()}
        return {"track_id": new_id(), "duration": made["duration"], "metadata": asked, **named}

    def _manifest(self, made: dict[str, Any], track: dict[str, Any]) -> dict[str, Any]:
        """What file_manifest says of a track: path, URL, bytes and SHA-256 of each file."""
        url = f"/api/tracks/{track['track_id']}"
        facts = {kind: {**file, "path": track[f"file_path_{kind}"]} for kind, file in made["files"].items()}
        return {"track_id": track["track_id"], "url": url, **facts}
