"""A trial of a generator: it makes one short piece in a folder of its own, without the database."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generators.orders import order_of
from generators.progress import ProgressReader, percent_in
from generators.readiness import readiness
from generators.recipe import STATUSES, Recipe
from models import Job
from studio import outputs, provenance
from studio.attempt import Failed, Stopped
from studio.gpu_memory import GpuMemory
from studio.output import LAST_LINES, plain
from studio.process import Command, run, why_failed
from studio.takes import Run
from studio.warm import Warm
from studio.warm_process import GeneratorFailed

ENCODING = "encoding"
STAGES = (*STATUSES, ENCODING)
SECONDS = 10.0  # of music, or the shortest that the generator makes
WAIT_SECONDS = 0.2
SEED = 1
PROMPT = "calm piano with soft strings"
LYRICS = """[verse]
The rain is falling on the silver street
I hear a song in every passing beat

[chorus]
Stay with me until the morning light
We will carry the music through the night
"""
Report = Callable[[str, int], object]  # a stage, and its progress in percent


class Stopwatch:
    """Measures the seconds of each stage. Stages only go forward, as the statuses of a job do."""

    def __init__(self, report: Report) -> None:
        self._report, self._stage, self._begun = report, STAGES[0], time.monotonic()
        self.seconds: dict[str, float] = {}

    def note(self, stage: str | None, percent: int | None = None) -> None:
        """Note what the generator does now; None: the same as before."""
        if stage is not None and STAGES.index(stage) > STAGES.index(self._stage):
            self.end()
            self._stage = stage
        self._report(self._stage, percent or 0)

    def end(self) -> None:
        """End the present stage."""
        now = time.monotonic()
        self.seconds[self._stage] = round(now - self._begun, 2)
        self._report(self._stage, 100)
        self._begun = now


@dataclass(frozen=True)
class Made:
    """What a trial has made.

    seconds: of the music. stages: the seconds that each took. peak_gpu_mb: as in GpuMemory. files: wav and mp3.
    """

    seconds: float
    stages: dict[str, float]
    version: str | None
    command: list[str]
    notes: list[str]
    peak_gpu_mb: int | None
    files: dict[str, Path]


class Trial:
    """A trial in a folder, which must be empty. It ends its generator when stop() returns True.

    timeout: the seconds that the generator may take, if its recipe does not say so.
    """

    def __init__(self, recipe: Recipe, folder: Path, timeout: float, stop: Callable[[], bool], report: Report) -> None:
        self.recipe, self._folder, self._stop, self._report = recipe, folder, stop, report
        self._timeout = recipe.seconds_allowed(timeout)
        self._log, self._reader, self._warm = folder / "log", ProgressReader(recipe), Warm()

    def make(self, prompt: str = PROMPT, seconds: float | None = None, reference: Path | None = None) -> Made:
        """Make a piece; reference: a recording that the generator may listen to.

        Raises Failed with sentences and the last lines, Stopped, and Invalid for an order that is not possible.
        """
        if problems := readiness(self.recipe).problems:
            raise Failed("\n".join(problems))
        job = self._job(prompt, seconds, reference)
        order = order_of(self.recipe, prompt, job.metadata)
        take = Run(self.recipe, job, order, self._folder / "run", [1], reference and reference.absolute())
        try:
            self._reserve()
            take.prepare()
            return self._timed(take)
        finally:
            self._warm.close()

    def _timed(self, take: Run) -> Made:
        """Generate and encode. The version of the generator is read before, so that no stage seems longer."""
        version = provenance.version_of(self.recipe, self.recipe.folder or take.folder, take.folder, self._stop)
        watch = Stopwatch(self._report)
        with GpuMemory() as memory:
            self._generate(take, watch)
        track = self._encode(take, watch, {"version": version, "parameters": take.order.parameters})
        files = {kind: take.tracks / file["name"] for kind, file in track["files"].items()}
        command = provenance.shortened(take.words(), take.folder)
        return Made(track["duration"], watch.seconds, version, command, take.order.notes, memory.peak, files)

    def _job(self, prompt: str, seconds: float | None, reference: Path | None) -> Job:
        """A job that is never recorded."""
        rule = self.recipe.seconds
        metadata: dict[str, Any] = {"duration": seconds or min(max(SECONDS, rule.min), rule.max)}
        if self.recipe.lyrics.form != "none":
            metadata["lyrics"] = LYRICS
        if reference:
            metadata["reference_track"] = reference.name
        return Job(job_id="trial", job_type=self.recipe.name, prompt=prompt, metadata=metadata, seed=SEED)

    def _reserve(self) -> None:
        """Wait until no worker uses the GPU. Raises Stopped."""
        gpu = self.recipe.gpu or ""
        while not self._warm.reserve(gpu):
            self._report(f"waiting for the GPU {gpu}", 0)
            self._warm.ask(gpu)
            self._check()
            time.sleep(WAIT_SECONDS)

    def _generate(self, take: Run, watch: Stopwatch) -> None:
        if self.recipe.serve:
            self._request(take, watch)
            return

        def follow(line: str) -> None:
            percent = self._reader.percent_of(line)
            watch.note(self._reader.status_of(line) or (percent is not None and "generating_audio") or None, percent)

        locks = self._warm.unload(self.recipe.gpu) if self.recipe.gpu else ()
        self._run("the generator", take.command(self._timeout, locks), follow)

    def _request(self, take: Run, watch: Stopwatch) -> None:
        """Let the generator load, and make the piece. Afterwards it is stopped."""
        try:
            for message in self._warm.request(take.warm_recipe(), take.request(), self._log, self._stop, self._timeout):
                stage = message.stage or (message.percent is not None and "generating_audio") or None
                watch.note(stage, message.percent)
        except TimeoutError:
            raise Failed(self._too_long("the generator", self._timeout)) from None
        except GeneratorFailed as error:
            raise Failed(str(error)) from None
        self._check()
        self._warm.close()

    def _encode(self, take: Run, watch: Stopwatch, made: dict[str, Any]) -> dict[str, Any]:
        """Encode what was made. Returns the first track, as the encoder lists it. made: for the tags."""
        sources = outputs.sounds(self.recipe, take.made)
        if reason := outputs.why_unusable(self.recipe, sources):
            raise Failed(outputs.with_lines(reason, self._last_lines()))
        watch.note(ENCODING)
        self._run("the encoder", take.encoder(sources, made), lambda line: watch.note(ENCODING, percent_in(line)))
        watch.end()
        return take.encoded()[0]

    def _run(self, maker: str, command: Command, follow: Callable[[str], None]) -> None:
        try:
            process = run(command, self._log, self._stop, follow)
        except TimeoutError:
            raise Failed(self._too_long(maker, command.seconds)) from None
        self._check()
        if reason := why_failed(maker, command, process):
            raise Failed(reason)

    def _check(self) -> None:
        if self._stop():
            raise Stopped("shutdown")

    def _too_long(self, maker: str, seconds: float) -> str:
        return "\n".join([f"{maker} took longer than {seconds:g} seconds and was stopped", *self._last_lines()])

    def _last_lines(self) -> list[str]:
        """The last lines in the log."""
        lines = self._log.read_bytes().splitlines() if self._log.exists() else []
        return list(filter(None, map(plain, lines)))[-LAST_LINES:]
