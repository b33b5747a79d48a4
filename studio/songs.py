"""An attempt at a job: generates audio, encodes it, publishes the files, and records the tracks."""

import json
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from database import AWAY, to_json
from files.publishing import make_folder, publish
from models import Job, new_id
from repos import JobRepository, TrackRepository
from settings import Settings
from studio.attempt import Attempt
from studio.generators import Generator, percent_of, status_of
from studio.inputs import Inputs, inputs_of
from studio.process import ROOT

ENCODING_SHARE = 10  # percent of the progress: encoding takes about a tenth of the time
ENCODER_SECONDS = 3600.0
NOT_OF_A_TRACK = ("lyrics", "lyrics_file")  # metadata of the job that its tracks do not get


class SongAttempt(Attempt):
    """The work on a claimed job."""

    repo = JobRepository()
    limit = " (GENERATOR_TIMEOUT)"

    def __init__(self, settings: Settings, job: Job, shutdown: threading.Event, generator: Generator) -> None:
        super().__init__(settings, job, shutdown)
        self.generator = generator
        self.about = (job.prompt or "").replace("\n", " ")

    def make(self) -> str:
        """Generate, encode, publish and record. Returns how the attempt ended. Raises the errors of Attempt.make()."""
        generated, encoded = self.work / "made", self.work / "tracks"
        generated.mkdir()
        encoded.mkdir()
        inputs = inputs_of(self.record, self.generator, self.storage)
        self._generate(inputs, generated)
        self.report("exporting", 100 - ENCODING_SHARE, "encoding")
        encode = [sys.executable, "-m", "studio.encoder", str(generated), str(encoded)]
        self.process(encode, ROOT, ENCODER_SECONDS, self._log, self._follow_encoder)
        tracks = json.loads((encoded / "tracks.json").read_text())
        (encoded / "tracks.json").unlink()
        publish(encoded, self.final)
        return self._complete(inputs, tracks)

    @property
    def _log(self) -> Path:
        return self.storage.log(self.record.job_id)

    def _generate(self, inputs: Inputs, target: Path) -> None:
        command, folder = self.generator.command(self._values(inputs, target)), self.generator.folder or self.work
        self._write_notes(inputs.notes)
        self.process(command, folder, self.settings.generator_timeout, self._log, self._follow)

    def _values(self, inputs: Inputs, target: Path) -> dict[str, str]:
        """The values of the placeholders. Writes the lyrics file and the metadata file."""
        lyrics, metadata = self.work / "lyrics.lrc", self.work / "metadata.json"
        lyrics.write_text(inputs.lyrics, "utf-8", "replace")
        metadata.write_text(to_json(self.record.metadata), "utf-8", "replace")
        return {
            "prompt": inputs.prompt,
            "lyrics_file": str(lyrics),
            "metadata_file": str(metadata),
            "duration": f"{inputs.seconds:.12g}",
            "output_dir": str(target),
            "job_id": self.record.job_id,
        }

    def _write_notes(self, notes: list[str]) -> None:
        """Write the notes into the log, and record them as the message of the job."""
        make_folder(self._log.parent)
        with self._log.open("a", encoding="utf-8", errors="replace") as log:
            log.writelines(f"{note}\n" for note in notes)
        self.report(self.status, 0, "; ".join(notes))

    def _follow(self, line: str) -> None:
        """Update status and progress from a line that the generator printed."""
        status, percent = status_of(line), percent_of(line)
        if percent is not None:
            status, percent = status or "generating_audio", percent * (100 - ENCODING_SHARE) // 100
        self.report(status or self.status, percent or 0, line)

    def _follow_encoder(self, line: str) -> None:
        percent = percent_of(line) or 0
        self.report("exporting", 100 - ENCODING_SHARE + percent * (ENCODING_SHARE - 1) // 100, line)

    def _tidy(self, outcome: str) -> None:
        """Remove the files of an attempt without a result; of a job that was deleted meanwhile, the log, too."""
        super()._tidy(outcome)
        with suppress(*AWAY):
            if outcome == "lost" and self.repo.get_by_id(self.record.job_id) is None:
                self.storage.remove([self._log])
                self.storage.remove_empty("job", self.record.job_id)

    def _complete(self, inputs: Inputs, encoded: list[dict[str, Any]]) -> str:
        tracks = [self._track(track) for track in encoded]
        manifest = {
            "log": self.storage.relative(self._log),
            "seconds": inputs.seconds,
            "notes": inputs.notes,
            "tracks": [self._files(*pair) for pair in zip(encoded, tracks, strict=True)],
        }
        fields = {"file_manifest": manifest, "message": None, "error": None}
        return self.finish(
            lambda: self.repo.complete(self.record.job_id, self.lease.token, tracks, **fields),
            lambda: TrackRepository().get_by_id(tracks[0]["track_id"]) is not None,
        )

    def _track(self, encoded: dict[str, Any]) -> dict[str, Any]:
        """The fields of a track. Its metadata is the metadata of the job without the lyrics."""
        metadata = {name: value for name, value in self.record.metadata.items() if name not in NOT_OF_A_TRACK}
        paths = {kind: self.storage.relative(self.final / file["name"]) for kind, file in encoded["files"].items()}
        fields = {f"file_path_{kind}": path for kind, path in paths.items()}
        return {"track_id": new_id(), "duration": encoded["duration"], "metadata": metadata, **fields}

    def _files(self, encoded: dict[str, Any], track: dict[str, Any]) -> dict[str, Any]:
        """The entry of a track in file_manifest: its id and URL, and path, size in bytes and SHA-256 of its files."""
        url = f"/api/tracks/{track['track_id']}"
        files = {kind: {**file, "path": track[f"file_path_{kind}"]} for kind, file in encoded["files"].items()}
        return {"track_id": track["track_id"], "url": url, **files}
