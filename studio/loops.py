"""An attempt at a loop: runs the looper on the track, publishes the file, and records the result."""

import json
import re
import sys
import threading
from pathlib import Path

from files.publishing import publish
from files.storage import safe_name, sha256
from models import LOOP_STATUSES, Loop, Track
from repos import LoopRepository, TrackRepository
from settings import Settings
from studio.attempt import Attempt, Failed
from studio.process import ROOT, Command

LINE = re.compile(r"(ANALYZING|RENDERING|EXPORTING) (\d{1,3})%")
NO_SOUND = "the track has no audio file inside the storage folder to cut a loop from: upload one and retry"
LOOPER_SECONDS = 24 * 3600.0
ANALYSIS = (
    "start",
    "end",
    "crossfade",
    "tempo",
    "beats",
    "score",
    "quality",
    "beat_error_ms",
    "beats_per_bar",
    "duration",
    "frames",
    "rate",
    "loop_start",
    "loop_end",
    "loop_start_frame",
    "loop_end_frame",
    "candidates",
    "source_sha256",
)
WORDS = {
    "ANALYZING": "listening for where it repeats",
    "RENDERING": "cutting the seam",
    "EXPORTING": "writing the file",
}


class LoopAttempt(Attempt):
    """The work on a claimed loop."""

    repo = LoopRepository()
    maker = "the looper"

    def __init__(self, settings: Settings, loop: Loop, shutdown: threading.Event) -> None:
        super().__init__(settings, loop, shutdown)
        self.about = f"{loop.length} of track {self.record.track_id}"

    def make(self) -> str:
        """Make the loop, publish it and record it.

        Returns how the attempt ended. Raises the errors of Attempt.make().
        """
        track = TrackRepository().get_by_id(self.record.track_id)
        source, loop = self._source(track), self.work / "loop"
        loop.mkdir()
        name = safe_name(f"loop-{self.record.length.replace(' ', '')}")
        command = [sys.executable, "-m", "studio.looper", str(source), str(loop), "--name", name, *self._options()]
        cut_from = digest(source)
        looper = Command(command, ROOT, LOOPER_SECONDS, says_why=True)
        self.process(looper, self.work / "looper.log", self._follow)
        analysis = {**json.loads((loop / "analysis.json").read_text()), "source_sha256": cut_from}
        (loop / "analysis.json").unlink()
        publish(loop, self.final)
        return self._complete(self.final / f"{name}.{self.record.format.lower()}", analysis)

    def _options(self) -> list[str]:
        """The options of the looper that say what was ordered."""
        loop = self.record
        length = ["--duration", repr(loop.duration)] if loop.bars is None else ["--bars", str(loop.bars)]
        options = [*length, "--format", loop.format]
        if loop.fade_in_out:
            options.append("--fade")
        if not loop.intro:
            options.append("--no-intro")
        if loop.candidate is not None:
            options += ["--candidate", str(loop.candidate)]
        if loop.start is not None:
            options += ["--start", repr(loop.start), "--end", repr(loop.end), *(["--exact"] if loop.exact else [])]
        return options

    def _source(self, track: Track | None) -> Path:
        """The file to cut: WAV before MP3. Raises Failed."""
        file = self.sound_of(track)
        if file is None:
            raise Failed(NO_SOUND)
        return file

    def _follow(self, line: str) -> None:
        if match := LINE.fullmatch(line):
            self.report(match[1], min(99, int(match[2])), WORDS[match[1]])

    def _complete(self, file: Path, analysis: dict[str, object]) -> str:
        path = self.storage.relative(file)
        seconds = {} if self.record.bars is None else {"duration": analysis["duration"]}
        fields = {
            **seconds,
            "result_path": path,
            "result_url": f"/api/loops/{self.record.loop_id}/audio",
            "analysis": {name: analysis[name] for name in ANALYSIS},
            "message": None,
            "error": None,
        }
        return self.finish(
            lambda: self._update(status=LOOP_STATUSES.completed, **fields),
            lambda: getattr(self.repo.get_by_id(self.record.loop_id), "result_path", None) == path,
        )


def digest(source: Path) -> str:
    """The SHA-256 of the file that is cut. Raises Failed if the file was removed since it was chosen."""
    try:
        return sha256(source)
    except FileNotFoundError:
        raise Failed(NO_SOUND) from None
