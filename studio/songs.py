"""An attempt at a job: makes its takes one after another, and records each as soon as it is complete."""

import threading
import time
from collections import deque
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

from database import AWAY
from files.publishing import make_folder, publish
from files.storage import remove_tree
from generators.orders import Order, order_of, shown
from generators.progress import ProgressReader, percent_in
from generators.recipe import Recipe
from models import Job, Track, new_id
from repos import JobRepository, TrackRepository
from settings import Settings
from studio import outputs, provenance
from studio.attempt import UNKNOWN, Attempt, Failed, Stopped
from studio.gpu_memory import GpuMemory
from studio.output import LAST_LINES
from studio.takes import Run
from studio.warm import Warm
from studio.warm_process import GeneratorFailed

ENCODING_SHARE = 10  # percent of the progress of a run: encoding takes about a tenth of the time
LYRICS_BYTES = 1024 * 1024
NOT_OF_A_TRACK = ("lyrics", "lyrics_file", "parameters", "reference_track")  # metadata that a track does not get


class NoMusic(Exception):
    """The files of a take do not count. The text has the reason; lines: the last lines of the generator."""

    def __init__(self, reason: str, lines: list[str]) -> None:
        super().__init__(reason)
        self.lines = lines


class SongAttempt(Attempt):
    """The work on a claimed job. It begins after the takes that earlier attempts have recorded."""

    repo = JobRepository()

    def __init__(self, settings: Settings, job: Job, shutdown: threading.Event, recipe: Recipe, warm: Warm) -> None:
        super().__init__(settings, job, shutdown)
        self.recipe, self.warm, self.reader = recipe, warm, ProgressReader(recipe)
        self.about = (job.prompt or "").replace("\n", " ")
        self.limit = " (timeout in its recipe)" if recipe.timeout else " (GENERATOR_TIMEOUT)"
        self.version: str | None = None
        self.tracks: list[Track] = []
        self.running: list[int] = []  # the takes that the generator makes now
        self.reasons: list[str] = []  # why takes of this attempt do not count
        self.printed: list[str] = []  # the last lines of the generator for the last one of them

    def make(self) -> str:
        """Make, encode, publish and record every take. Returns how the attempt ended. Raises as Attempt.make() does."""
        has_reference, lyrics = self._upload is not None, self._lyrics_of_file()
        order = order_of(self.recipe, self.record.prompt, self.record.metadata, lyrics, has_reference)
        self._write_notes(order.notes)
        self.tracks = TrackRepository().get_by_job_id(self.record.job_id)
        folder = self.recipe.folder or self.work
        self.version = provenance.version_of(self.recipe, folder, self.work, self.lease.stop)
        *before, last = self._runs() or [[]]
        for takes in before:
            self._add(self._make(order, takes))
        tracks = self._make(order, last) if last else []
        if self.reasons:
            self._add(tracks)
            raise Failed(self._why_incomplete())
        return self._complete(order, tracks)

    def _runs(self) -> list[list[int]]:
        """The takes that are to be made, by run: one take each, or in a batch all that follow one another."""
        done = self._done()
        missing = [take for take in range(1, self.record.takes + 1) if take not in done]
        if not self.recipe.batch:
            return [[take] for take in missing]
        following = groupby(enumerate(missing), lambda pair: pair[1] - pair[0])
        return [[take for _, take in pairs] for _, pairs in following]

    def _done(self) -> set[int | None]:
        """The takes that are recorded, or that were recorded and then discarded: nobody wants those again."""
        bits = self.record.discarded_takes
        discarded = {take for take in range(1, self.record.takes + 1) if bits >> take - 1 & 1}
        return discarded | {track.take for track in self.tracks}

    def _make(self, order: Order, takes: list[int]) -> list[dict[str, Any]]:
        """Make these takes in one run, and publish their files. Returns the fields of their tracks. Raises Failed.

        If the files of a take do not count, it is left out, and the reason is noted.
        """
        self.running = takes
        run = Run(self.recipe, self.record, order, self.work / f"run-{takes[0]}", takes, self._reference())
        run.prepare()
        made = self._timed(run)
        try:
            encoded = self._encode(run, made)
        except NoMusic as error:
            self._note(takes, str(error))
            self.printed = error.lines
            remove_tree(run.folder)
            return []
        folder = self.final / f"take-{takes[0]}" if self.record.takes > 1 else self.final
        publish(run.tracks, folder)
        remove_tree(run.folder)
        tracks = [self._track(run, made, folder, files) for files in encoded]
        if missing := set(takes) - {track["take"] for track in tracks}:
            self._note(sorted(missing), "the generator made no usable file")
        return tracks

    def _note(self, takes: list[int], reason: str) -> None:
        """Note why these takes do not count."""
        numbers = ", ".join(map(str, takes))
        name = f"take{'s' if len(takes) > 1 else ''} {numbers} of {self.record.takes}: "
        self.reasons.append((name if len(takes) < self.record.takes else "") + reason)

    def _why_incomplete(self) -> str:
        """The sentence for takes that do not count."""
        others = ["the other takes are recorded"] if self.tracks else []
        return outputs.with_lines("; ".join([*self.reasons, *others]), self.printed)

    def _timed(self, run: Run) -> dict[str, Any]:
        """Run the generator. Returns what all tracks of the run have in common in their provenance."""
        begun = time.monotonic()
        with GpuMemory() as memory:
            self._generate(run)
        return {
            "version": self.version,
            "command": provenance.shortened(run.words(), run.folder),
            "prompt": self.record.prompt,
            "metadata": self.record.metadata,
            "parameters": run.order.parameters,
            "seconds": round(time.monotonic() - begun, 3),
            "peak_gpu_mb": memory.peak,
        }

    def _generate(self, run: Run) -> None:
        """Run the generator. Raises Stopped, Failed."""
        seconds = self.recipe.seconds_allowed(self.settings.generator_timeout)
        if self.recipe.serve:
            self._request(run, seconds)
            return
        locks = self.warm.unload(self.recipe.gpu) if self.recipe.gpu else ()
        self.process(run.command(seconds, locks), self._log, self._follow)

    def _request(self, run: Run, seconds: float) -> None:
        """Let the warm process of the recipe make the takes. Raises Stopped, Failed, OSError."""
        self.last_lines = last = deque[str](maxlen=LAST_LINES)
        try:
            for message in self.warm.request(run.warm_recipe(), run.request(), self._log, self.lease.stop, seconds):
                last += [message.text] if message.text else []
                percent = (message.percent or 0) * (100 - ENCODING_SHARE) // 100
                self._report(message.stage or self.status, percent, message.text or message.stage or "")
        except TimeoutError:
            raise self.too_late(seconds) from None
        except GeneratorFailed as error:
            self.require_storage()
            raise Failed(str(error)) from None
        self.lease.check()

    def _encode(self, run: Run, made: dict[str, Any]) -> list[dict[str, Any]]:
        """Encode what the generator made. Returns number, duration and files of each track. Raises NoMusic."""
        printed = list(self.last_lines)
        sources = outputs.sounds(self.recipe, run.made)
        if reason := outputs.why_unusable(self.recipe, sources):
            raise NoMusic(reason, printed)
        self._report("exporting", 100 - ENCODING_SHARE, "encoding")
        try:
            self.process(run.encoder(sources, made), self._log, self._follow_encoder)
        except Failed as error:
            raise NoMusic(str(error), printed) from None
        return run.encoded()

    def _track(self, run: Run, made: dict[str, Any], folder: Path, encoded: dict[str, Any]) -> dict[str, Any]:
        """The fields of a track. Its metadata is the metadata of the job without the lyrics and parameters."""
        metadata = {name: value for name, value in self.record.metadata.items() if name not in NOT_OF_A_TRACK}
        number, files = encoded["number"], encoded["files"]
        stored = {kind: {"bytes": file["bytes"], "sha256": file["sha256"]} for kind, file in files.items()}
        return {
            "track_id": new_id(),
            "duration": encoded["duration"],
            "metadata": metadata,
            "seed": run.seed_of_file(number),
            "take": run.take_of_file(number),
            "provenance": {**run.made_by(number, made), "files": stored},
            **{f"file_path_{kind}": self.storage.relative(folder / file["name"]) for kind, file in files.items()},
        }

    def _add(self, tracks: list[dict[str, Any]]) -> None:
        """Record tracks while the job goes on. Raises Stopped."""
        if not tracks:
            return
        job_id, token = self.record.job_id, self.lease.token
        added = self._insist(lambda: self.repo.add_tracks(job_id, token, tracks))
        if not added:
            is_recorded = self._insist(lambda: TrackRepository().get_by_id(tracks[0]["track_id"]) is not None)
            raise Stopped(UNKNOWN if is_recorded is None else "lost")
        self.tracks += added

    def _complete(self, order: Order, tracks: list[dict[str, Any]]) -> str:
        """Record the last tracks, and the job as completed. Returns how the attempt ended."""
        fields = {"message": None, "error": None}
        return self.finish(
            lambda: self.repo.complete(
                self.record.job_id,
                self.lease.token,
                tracks,
                file_manifest=self._manifest(order, tracks),
                **fields,
            ),
            lambda: self._is_complete(tracks),
        )

    def _manifest(self, order: Order, tracks: list[dict[str, Any]]) -> dict[str, Any]:
        """The file_manifest. A track that was deleted meanwhile is not in it."""
        before = TrackRepository().get_by_job_id(self.record.job_id) if self.tracks else []
        return {
            "log": self.storage.relative(self._log),
            "seconds": order.seconds,
            "lyrics": order.lyrics,
            "notes": order.notes,
            "tracks": [_entry(track.__data__) for track in before] + [_entry(track) for track in tracks],
        }

    def _is_complete(self, tracks: list[dict[str, Any]]) -> bool:
        """True if the job was completed with these tracks."""
        if tracks:
            return TrackRepository().get_by_id(tracks[0]["track_id"]) is not None
        job = self.repo.get_by_id(self.record.job_id)
        return job is not None and job.status == self.repo.statuses.completed

    def _reference(self) -> Path | None:
        """The uploaded recording, or else the file of metadata.reference_track; None without both. Raises Failed."""
        track_id = self.record.metadata.get("reference_track")
        if self._upload is not None or track_id is None:
            return self._upload
        file = self.sound_of(TrackRepository().get_by_id(track_id) if isinstance(track_id, str) else None)
        if file is not None:
            return file
        raise Failed(f"metadata.reference_track is {shown(track_id)}: expected the id of a track with a WAV or an MP3")

    @property
    def _upload(self) -> Path | None:
        """The reference recording that was uploaded for the job. It stays the same while a worker has the lease."""
        return self.storage.find(self.storage.reference(self.record.job_id))

    @property
    def _log(self) -> Path:
        return self.storage.log(self.record.job_id)

    def _lyrics_of_file(self) -> str | None:
        """The text of metadata.lyrics_file, if there is one. Raises Failed."""
        name = self.record.metadata.get("lyrics_file")
        if name is None or self.record.metadata.get("lyrics"):
            return None
        file = self.storage.open(name) if isinstance(name, str) else None
        if file is None:
            raise Failed(f"metadata.lyrics_file is {shown(name)}: there is no such file inside the storage folder")
        with file:
            return file.read(LYRICS_BYTES).decode("utf-8", "replace")

    def _write_notes(self, notes: list[str]) -> None:
        """Write the notes into the log, and record them as the message of the job."""
        make_folder(self._log.parent)
        with self._log.open("a", encoding="utf-8", errors="replace") as log:
            log.writelines(f"{note}\n" for note in notes)
        self.report(self.status, 0, "; ".join(notes))

    def _follow(self, line: str) -> None:
        """Update status and progress from a line that the generator printed."""
        status, percent = self.reader.status_of(line), self.reader.percent_of(line)
        if percent is not None:
            status, percent = status or "generating_audio", percent * (100 - ENCODING_SHARE) // 100
        self._report(status or self.status, percent or 0, line)

    def _follow_encoder(self, line: str) -> None:
        percent = percent_in(line) or 0
        self._report("exporting", 100 - ENCODING_SHARE + percent * (ENCODING_SHARE - 1) // 100, line)

    def _report(self, status: str, percent: int, message: str) -> None:
        """Record the progress of the whole job: percent is that of this run. Only the last run may be exporting."""
        takes, first = self.record.takes, self.running[0]
        done = len(self._done() - {None})
        overall = (100 * done + percent * len(self.running)) // takes
        if status == "exporting" and done + len(self.running) < takes:
            status = "generating_audio"
        number = f"take {first} of {takes}: " if takes > 1 and message else ""
        self.report(status, min(overall, 99), number + message)

    def _tidy(self, outcome: str) -> None:
        """Remove the files of an attempt without a result; of a job that was deleted meanwhile, the log, too."""
        super()._tidy(outcome)
        with suppress(*AWAY):
            if outcome == "lost" and self.repo.get_by_id(self.record.job_id) is None:
                self.storage.remove([self._log])
                self.storage.remove_empty("job", self.record.job_id)


def _entry(track: dict[str, Any]) -> dict[str, Any]:
    """The entry of a track in file_manifest: its id, URL and take; path, size in bytes and SHA-256 of its files."""
    made = track["provenance"] or {}
    files = {
        kind: {"path": track[f"file_path_{kind}"], **made.get("files", {}).get(kind, {})} for kind in ("wav", "mp3")
    }
    return {"track_id": track["track_id"], "url": f"/api/tracks/{track['track_id']}", "take": track["take"], **files}
