"""Jobs as the generator receives them: seconds, lyrics and prompt, through a real process with DiffRhythm's parser."""

import json
import sys
from typing import Any

import pytest

from files.storage import Storage
from models import Job
from repos import JobRepository
from settings import Settings
from studio.worker import JobWorker
from tests.conftest import ROOT, SAMPLES

COMMAND = (
    f"{sys.executable} {ROOT / 'tests' / 'standins' / 'infer.py'} --lrc-path {{lyrics_file}} --ref-prompt {{prompt}} "
    "--audio-length {duration} --output-dir {output_dir}"
)
PLAIN = "The platform hums\nA paper ticket\n\n[chorus]\nOh night train\nCount the bridges\n"


@pytest.fixture
def kind() -> str:
    """SQLite: what a generator receives has nothing to do with the database."""
    return "sqlite"


@pytest.fixture
def studio(ledger: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with the stand-in as DiffRhythm; what it receives is recorded beside the storage folder."""
    monkeypatch.setenv("STANDIN_SECONDS", "0")
    monkeypatch.setenv("STANDIN_RECORD", str(ledger.storage_dir.parent / "record.json"))
    return ledger.model_copy(update={"diffrhythm_command": COMMAND})


def make(settings: Settings, **fields: Any) -> Job:
    """Create a job, have a worker make it, and read it again."""
    job = JobRepository().create(**{"prompt": "folk", **fields})
    assert JobWorker(settings).tick(0)
    return JobRepository().get_by_id(job.job_id)


def record(settings: Settings) -> dict[str, Any]:
    """What the stand-in received."""
    content: dict[str, Any] = json.loads((settings.storage_dir.parent / "record.json").read_text())
    return content


def sung(settings: Settings) -> list[str]:
    """The words that the stand-in would sing, in order."""
    return [words for _, words in record(settings)["sung"]]


def log(settings: Settings, job: Job) -> str:
    """The job's log."""
    return Storage(settings).log(job.job_id).read_text()


# --- seconds


@pytest.mark.parametrize(
    ("duration", "seconds"), [(120.5, 121), ("200", 200), (130, 130), (None, 95), (1, 95), (1000, 285)]
)
def test_diffrhythm_gets_whole_seconds_and_the_job_records_them(studio: Settings, duration: Any, seconds: int) -> None:
    job = make(studio, metadata={"duration": duration})
    argv = record(studio)["argv"]
    assert job.status == "completed", job.error
    assert argv[argv.index("--audio-length") + 1] == str(seconds)
    assert job.file_manifest["seconds"] == seconds


@pytest.mark.parametrize("duration", [True, -5, 0, "abc", "", [95], "1e3", "٩٥"])
def test_a_duration_that_is_no_number_of_seconds_fails_the_job_at_once(studio: Settings, duration: Any) -> None:
    job = make(studio, metadata={"duration": duration})
    assert job.status == "failed" and not Storage(studio).log(job.job_id).exists()
    assert "metadata.duration: " in job.error and "expected a number of seconds above 0" in job.error


def test_a_length_that_diffrhythm_cannot_make_is_said_in_the_log(studio: Settings) -> None:
    job = make(studio, metadata={"duration": 1000})
    said = "metadata.duration is 1000 seconds: the generator makes 95 to 285 whole seconds, so it makes 285 seconds"
    assert job.file_manifest["notes"] == [said] and log(studio, job).startswith(said + "\n")


def test_the_synthesiser_keeps_fractions_of_a_second(studio: Settings) -> None:
    job = make(studio, job_type="synth", metadata={"duration": 3.25})
    assert job.file_manifest["seconds"] == 3.25 and job.file_manifest["tracks"][0]["wav"]["bytes"] > 3.25 * 4 * 44100
    assert job.file_manifest["notes"] == []


# --- lyrics


@pytest.mark.parametrize("duration", [95, 96, 200, 285])
def test_diffrhythm_sings_every_line_of_lyrics_without_times(studio: Settings, duration: int) -> None:
    job = make(studio, metadata={"duration": duration, "lyrics": PLAIN})
    times = [seconds for seconds, _ in record(studio)["sung"]]
    assert sung(studio) == ["The platform hums", "A paper ticket", "Oh night train", "Count the bridges"], job.error
    assert times[0] == 10 and times == sorted(times) and times[-1] < duration
    assert "4 of 4 lines of lyrics have no time" in log(studio, job)


@pytest.mark.parametrize(
    "line", ["[00:12]x", "[00:13.5]x", "[1:02.00]x", "[00:11.000] x", " [0:12.34]x", "[00:12:50]x"]
)
def test_diffrhythm_sings_a_line_whose_time_is_loosely_written(studio: Settings, line: str) -> None:
    make(studio, metadata={"lyrics": f"[Verse 1]\n[00:10.00]first\n{line}\n"})
    assert sung(studio) == ["first", "x"]


@pytest.mark.parametrize("duration", [95, 120])
def test_diffrhythm_sings_the_last_line_of_the_samples(studio: Settings, duration: int) -> None:
    lyrics = (SAMPLES / "night_train.lrc").read_text()
    job = make(studio, metadata={"duration": duration, "lyrics": lyrics})
    assert len(sung(studio)) == 14 and sung(studio)[-1] == "Count the bridges, miss no star"
    assert job.file_manifest["notes"] == []


def test_lines_after_the_end_are_left_out_and_the_job_says_so(studio: Settings) -> None:
    job = make(studio, metadata={"lyrics": "[00:10]in time\n[01:35]late\n[02:00]later"})
    assert sung(studio) == ["in time"]
    assert job.file_manifest["notes"] == [
        "2 of 3 lines of lyrics start at or after 95 seconds, where the song ends: they are not sung"
    ]


def test_a_byte_order_mark_costs_no_line_of_a_lyrics_file(studio: Settings) -> None:
    studio.storage_dir.mkdir(exist_ok=True)
    (studio.storage_dir / "song.lrc").write_bytes("\ufeff[00:10.00]first\r\n[00:20.00]民谣\r\n".encode())
    make(studio, metadata={"lyrics_file": "song.lrc"})
    assert sung(studio) == ["first", "民谣"]


def test_lyrics_that_are_not_text_fail_the_job(studio: Settings) -> None:
    job = make(studio, metadata={"lyrics": ["la", "la"]})
    assert job.status == "failed" and 'metadata.lyrics: ["la", "la"]: expected text' in job.error


# --- prompt


@pytest.mark.parametrize("job_type", ["diffrhythm", "synth"])
@pytest.mark.parametrize("prompt", [None, "", " \n"])
def test_a_job_without_a_prompt_fails_with_a_sentence(studio: Settings, job_type: str, prompt: str | None) -> None:
    job = make(studio, job_type=job_type, prompt=prompt)
    assert job.status == "failed" and job.error.startswith("prompt: the job has no prompt")
