"""What the tests of the OpenAPI document share: its operations, and the records that requests reach."""

import wave
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

from generators.catalogue import catalogue
from models import Discard, Job
from records.discards import discard_tracks
from repos import JobRepository, LoopRepository, TrackRepository, set_paused
from settings import Settings
from web import api, openapi

DOCUMENT = openapi.build(api.operations(), recipes=catalogue(Settings(_env_file=None)))
OPERATIONS = {(verb, path): operation for path, item in DOCUMENT["paths"].items() for verb, operation in item.items()}
STREAMS = ["stream_events", "stream_job_events"]  # their answers have no end; test_events.py reads them
ENDING = {place: operation for place, operation in OPERATIONS.items() if operation["operationId"] not in STREAMS}
RECORDS: dict[str, Any] = {"job_id": "job-1", "track_id": "track-1", "loop_id": "loop-1", "number": 1}


def repeatable(examples: int, **more: Any) -> settings:
    """So many examples, the same in every run."""
    how = {"derandomize": True, "deadline": None, "suppress_health_check": list(HealthCheck), **more}
    return settings(max_examples=examples, **how)


def save_song(folder: Path) -> None:
    """Write song.wav, a second of sound."""
    samples = b"".join(number.to_bytes(2, "little") for number in range(8000))
    with wave.open(str(folder / "song.wav"), "wb") as song:
        song.setparams((1, 2, 8000, 0, "NONE", ""))
        song.writeframes(samples)


def fill() -> None:
    """Leave one job in the database, with one track that has one loop, and with a discard."""
    Discard.delete().execute()
    Job.delete().execute()
    set_paused(False)
    JobRepository().create(job_id=RECORDS["job_id"], prompt="ambient rain", metadata={"genre": "ambient"})
    TrackRepository().create(track_id=RECORDS["track_id"], job_id=RECORDS["job_id"], file_path_wav="song.wav")
    LoopRepository().create(loop_id=RECORDS["loop_id"], track_id=RECORDS["track_id"], duration=120)
    TrackRepository().create(track_id="discarded", job_id=RECORDS["job_id"])
    discard, _ = discard_tracks(["discarded"])
    RECORDS["discard_id"] = discard and discard.discard_id
