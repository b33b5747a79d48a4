"""`flask jobs`, `flask tracks` and `flask loops`: lists, records, changes and deletions, beside REST."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient

from commands.jobs import jobs
from commands.loops import loops
from commands.tracks import tracks
from models import Job, Loop, Track
from repos import JobRepository, LoopRepository, TrackRepository
from tests.sounds import wav_bytes

GROUPS = {"job": jobs, "track": tracks, "loop": loops}


def run(group: click.Group, *arguments: str, **options: Any) -> Result:
    """Run a command in this process, on the bound database."""
    return CliRunner().invoke(group, arguments, catch_exceptions=False, **options)


def lines(result: Result) -> list[Any]:
    """The JSON of each line that a command has printed."""
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("name", ["job", "track", "loop"])
def test_show_and_list_print_the_json_of_rest(client: FlaskClient, loop: Loop, name: str) -> None:
    record = client.get(f"/api/{name}s/{name}-1").json
    assert lines(run(GROUPS[name], "show", f"{name}-1", "--json")) == [record]
    [listed] = lines(run(GROUPS[name], "list", "--json", "--count"))
    assert listed == {"items": [record], "next": None, "total": 1}


FILTERS: list[tuple[str, list[str], str]] = [
    ("job", ["--status", "pending", "--status", "failed"], "status=pending&status=failed"),
    ("job", ["--q", "song 3", "--metadata", "tempo=3"], "q=song+3&metadata.tempo=3"),
    ("job", ["--job-type", "synth", "--sort", "priority", "--limit", "2"], "job_type=synth&sort=priority&limit=2"),
    ("job", ["--created-before", "2030-01-31T00:00:00Z"], "created_before=2030-01-31T00:00:00Z"),
    ("job", ["--limit", "0"], "limit=0"),
    ("job", ["--status", "PENDING", "--created-after", "today"], "status=PENDING&created_after=today"),
    ("job", ["--metadata", "a..b=x"], "metadata.a..b=x"),
    ("job", ["--cursor", "abc"], "cursor=abc"),
    ("track", ["--job-id", "song-3", "--metadata", "artist=Ada"], "job_id=song-3&metadata.artist=Ada"),
    ("loop", ["--track-id", "song-3-1", "--format", "MP3"], "track_id=song-3-1&format=MP3"),
    ("loop", ["--format", "OGG"], "format=OGG"),
]


@pytest.mark.parametrize(("name", "options", "query"), FILTERS)
def test_filters_do_what_those_of_rest_do(client: FlaskClient, name: str, options: list[str], query: str) -> None:
    for number in range(5):
        song = f"song-{number}"
        JobRepository().create(job_id=song, prompt=f"song {number}", metadata={"tempo": number}, job_type="synth")
        TrackRepository().create(track_id=f"{song}-1", job_id=song, metadata={"artist": "Ada"})
        LoopRepository().create(loop_id=f"{song}-1-1", track_id=f"{song}-1", duration=9)
    answer, result = client.get(f"/api/{name}s?{query}"), run(GROUPS[name], "list", "--json", *options)
    if answer.status_code == 200:
        assert [listed["items"] for listed in lines(result)] == [answer.json and answer.json["items"]]
    else:
        assert result.exit_code == 1 and result.output.count("\n") == 1 and "--" in result.output
        errors: Any = answer.json and answer.json["errors"]
        assert errors and all(error["message"] in result.output for error in errors)


def test_a_list_goes_on_with_the_cursor(ledger: Any) -> None:
    for number in range(5):
        JobRepository().create(job_id=f"song-{number}", prompt="rain")
    ids, more = [], list[str]()
    while not ids or more:
        result = run(jobs, "list", "--limit", "2", *more)
        ids += [line.split("\t")[0] for line in result.stdout.splitlines()[1:]]
        more = result.stderr.split()[-2:] if "--cursor" in result.stderr else []
    assert ids == [f"song-{number}" for number in (4, 3, 2, 1, 0)]


def test_a_table_has_no_control_characters(ledger: Any) -> None:
    JobRepository().create(job_id="odd", prompt="a\x1b[2J\tb\nc\x9b")
    assert run(jobs, "list").stdout.splitlines()[1].endswith("\ta [2J b c ")
    assert "prompt\ta [2J b c \n" in run(jobs, "show", "odd").stdout


def test_records_are_added_with_the_fields_of_rest(client: FlaskClient) -> None:
    job = ["rain", "--type", "synth", "--metadata", "genre=Ambient", "--metadata", "voice.name=Ada", "--priority", "-2"]
    [record] = lines(run(jobs, "add", *job, "--json", "--job-id", "rain"))
    assert record == client.get("/api/jobs/rain").json
    assert (record["priority"], record["metadata"]) == (-2, {"genre": "Ambient", "voice": {"name": "Ada"}})
    track = run(tracks, "add", "--job-id", "rain", "--duration", "30.5", "--metadata", "artist=A=B").stdout.strip()
    assert client.get(f"/api/tracks/{track}").json["metadata"] == {"artist": "A=B"}  # type: ignore[index]
    [loop] = lines(run(loops, "add", "--track-id", track, "--duration", "9", "--fade-in-out", "--json"))
    assert (loop["duration"], loop["fade_in_out"], loop["format"], loop["intro"]) == (9.0, True, "MP3", True)
    [eight] = lines(run(loops, "add", "--track-id", track, "--bars", "8", "--no-intro", "--json"))
    assert (eight["duration"], eight["bars"], eight["intro"]) == (None, 8, False)


def test_a_job_and_a_track_are_added_with_seed_and_takes(client: FlaskClient) -> None:
    [job] = lines(run(jobs, "add", "rain", "--job-id", "rain", "--seed", "4294967295", "--takes", "3", "--json"))
    assert (job["seed"], job["takes"]) == (4294967295, 3)
    assert run(jobs, "show", "rain").stdout.count("seed\t4294967295\ntakes\t3\n") == 1
    made = ["--seed", "7", "--take", "2", "--provenance", "generator=my-model", "--provenance", "sha256.wav=ab"]
    [track] = lines(run(tracks, "add", "--job-id", "rain", *made, "--json"))
    assert (track["seed"], track["take"]) == (7, 2)
    assert track["provenance"] == {"generator": "my-model", "sha256": {"wav": "ab"}}
    refused = run(jobs, "add", "rain", "--takes", "33")
    assert refused.exit_code == 1 and "--takes: input should be less than or equal to 32" in refused.output


def test_a_loop_is_added_with_the_seam_to_use(client: FlaskClient, track: Track) -> None:
    order = ["--track-id", "track-1", "--duration", "9", "--json"]
    [candidate] = lines(run(loops, "add", *order, "--candidate", "2"))
    [chosen] = lines(run(loops, "add", *order, "--start", "2.5", "--end", "8", "--exact"))
    assert (candidate["candidate"], candidate["start"], candidate["exact"]) == (2, None, False)
    assert (chosen["candidate"], chosen["start"], chosen["end"], chosen["exact"]) == (None, 2.5, 8, True)
    refused = run(loops, "add", *order, "--candidate", "6")
    assert refused.exit_code == 1 and "--candidate: input should be less than or equal to 5" in refused.output
    refused = run(loops, "add", *order, "--start", "3")
    assert refused.exit_code == 1 and "end is required with start" in refused.output


def test_a_table_of_loops_shows_the_quality_of_the_seam(ledger: Any, loop: Loop) -> None:
    LoopRepository().update("loop-1", analysis={"quality": "no beat", "score": 0.5})
    LoopRepository().create(loop_id="loop-2", track_id="track-1", duration=9)
    head, newest, oldest = (line.split("\t") for line in run(loops, "list").stdout.splitlines())
    place = head.index("quality")
    assert (newest[place], oldest[place]) == ("", "no beat")


def test_a_prompt_is_read_from_stdin(ledger: Any) -> None:
    run(jobs, "add", "-", "--job-id", "rain", input="two\nlines\n")
    assert Job.get_by_id("rain").prompt == "two\nlines"


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ((), 2, "Write a PROMPT or --from"),
        (("--from", "missing.csv"), 1, "There is no file missing.csv: check the path."),
        (("--from", "prompts.ods"), 1, "is not supported"),
        (("--from", "."), 1, "is not supported"),
        (("rain", "--priority", "high"), 1, "--priority: input should be a valid integer"),
        (("rain", "--metadata", "genre"), 1, "KEY=VALUE"),
        (("rain", "--metadata", "a=1", "--metadata", "a=2"), 1, "KEY=VALUE once"),
        (("rain", "--job-id", "a b"), 1, "--job-id: must be made of"),
        (("\udcff",), 1, "surrogate"),
    ],
)
def test_wrong_options_end_with_one_sentence(ledger: Any, arguments: tuple[str, ...], code: int, reason: str) -> None:
    result = run(jobs, "add", *arguments)
    assert result.exit_code == code and reason in result.output and Job.select().count() == 0


def test_each_id_has_its_outcome(ledger: Any, job: Job) -> None:
    cancelled = run(jobs, "cancel", "nobody", "job-1")
    assert (cancelled.exit_code, cancelled.stdout) == (1, "job-1\tcancelled\n")
    assert cancelled.stderr == "nobody: there is no such job\n"
    assert run(jobs, "retry", "job-1").stdout == "job-1\tpending\n"
    JobRepository().update("job-1", status="completed")
    refused = run(jobs, "retry", "job-1")
    assert (refused.exit_code, refused.stdout) == (1, "") and "create a new job instead" in refused.stderr
    assert lines(run(jobs, "cancel", "job-1", "--json"))[0]["status"] == "completed"


def test_work_of_a_worker_is_cancelled_by_its_worker(ledger: Any, job: Job) -> None:
    claimed = JobRepository().claim("worker")
    assert claimed is not None
    assert run(jobs, "cancel", "job-1").stdout == "job-1\tloading_model, its worker was told to stop\n"
    assert Job.get_by_id("job-1").lease_token == claimed.lease_token


def test_a_deletion_takes_children_and_files_along(app: Flask, track: Track, storage: Any, loop: Loop) -> None:
    song = Path(storage.folder("job", "job-1")) / "song.wav"
    song.parent.mkdir(parents=True)
    song.write_bytes(wav_bytes())
    TrackRepository().update("track-1", file_path_wav="jobs/job-1/song.wav")
    assert run(jobs, "delete", "job-1", "--files").exit_code == 2 and song.exists()  # nobody can be asked
    result = run(jobs, "delete", "job-1", "job-1", "--files", "--yes")
    assert (result.stdout, result.stderr) == ("job-1\tdeleted\n", "job-1: there is no such job\n")
    assert (result.exit_code, Loop.select().count(), song.exists()) == (1, 0, False)


def test_a_deletion_without_files_leaves_them(app: Flask, song: bytes, storage: Any) -> None:
    assert lines(run(tracks, "delete", "track-1", "--json", "--yes")) == [{"track_id": "track-1", "deleted": True}]
    assert (storage.root / "song.wav").exists()


# --- files of many jobs


def test_a_file_with_wrong_lines_queues_nothing_and_a_mended_one_all(ledger: Any, tmp_path: Path) -> None:
    rows = [f"song {number},{number % 9},Ambient" for number in range(500)]
    wrong = {7: "song,high,", 250: ",1,Folk", 499: "song,1,Folk,more"}
    prompts, header = tmp_path / "prompts.csv", "prompt,priority,metadata.genre"
    prompts.write_text("\n".join([header, *(wrong.get(number, row) for number, row in enumerate(rows))]))
    refused = run(jobs, "add", "--from", str(prompts))
    assert refused.exit_code == 1 and "3 lines are wrong, so nothing was queued" in refused.output
    for number, reason in ((9, "priority input should be"), (252, "prompt field required"), (501, "has 4 values")):
        assert f"prompts.csv line {number}: " in refused.stderr and reason in refused.stderr
    assert Job.select().count() == 0
    prompts.write_text("\n".join([header, *rows]))
    queued = run(jobs, "add", "--from", str(prompts), "--type", "synth", "--metadata", "mood=Calm")
    assert len(queued.stdout.split()) == 500 and queued.stderr == "500 jobs queued\n"
    assert Job.get_by_id(queued.stdout.split()[0]).metadata == {"genre": "Ambient", "mood": "Calm"}


def test_a_file_of_lyrics_is_queued_with_the_prompt_of_the_command(ledger: Any, tmp_path: Path) -> None:
    (tmp_path / "rain.lrc").write_text("[00:01.00]The rain")
    refused = run(jobs, "add", "--from", str(tmp_path / "rain.lrc"))
    assert refused.exit_code == 1 and "rain.lrc line 1: prompt field required" in refused.stderr
    queued = run(jobs, "add", "slow folk", "--from", str(tmp_path / "rain.lrc"), "--type", "other")
    job = Job.get_by_id(queued.stdout.strip())
    assert (job.prompt, job.job_type, job.metadata) == ("slow folk", "other", {"lyrics": "[00:01.00]The rain"})


def test_each_line_of_a_text_file_is_queued(ledger: Any, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("rain\nsnow\n")
    queued = run(jobs, "add", "--from", str(tmp_path / "prompts.txt"), "--type", "synth", "--takes", "3")
    made = [Job.get_by_id(job_id) for job_id in queued.stdout.split()]
    assert [(job.prompt, job.job_type, job.takes) for job in made] == [("rain", "synth", 3), ("snow", "synth", 3)]


def test_only_the_first_twenty_wrong_lines_are_printed(ledger: Any, tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text("{}\n" * 50)
    refused = run(jobs, "add", "--from", str(tmp_path / "prompts.jsonl"))
    assert refused.stderr.count("prompt field required") == 20 and "and 30 more wrong lines" in refused.stderr


def test_a_file_with_ids_may_be_sent_again(ledger: Any, tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "a", "job_id": "one"}\n{"prompt": "b", "job_id": "two"}\n')
    first, again = (run(jobs, "add", "--from", str(tmp_path / "prompts.jsonl")) for _ in range(2))
    assert first.stdout == again.stdout == "one\ntwo\n"
    assert again.stderr.startswith("0 jobs queued, 2 were there already\n") and Job.select().count() == 2
    assert "Jobs of type diffrhythm wait: " in again.stderr
